//! `cargo xtask test`: what continuous integration runs, by the same words.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::programs;
use crate::step::{Plan, Step, cargo};
use crate::tool::{DENY, NEXTEST};

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    fast: bool,
    keep_going: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options::default();
        for argument in arguments {
            match argument.as_str() {
                "--fast" => options.fast = true,
                "--keep-going" => options.keep_going = true,
                other => bail!("unknown option {other:?}; expected --fast or --keep-going"),
            }
        }
        Ok(options)
    }
}

/// Cheapest first, so that the usual mistakes are told within seconds.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let mut plan = Plan::new(options.keep_going);
    plan.add(Step::new("formatting", cargo(["fmt", "--all", "--check"])));
    plan.add(Step::new(
        "lints",
        cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ));
    let tests = Step::new("tests", cargo(["nextest", "run", "--workspace"]))
        .needs(NEXTEST)
        .remembers(|line| line.contains("Summary [") || line.contains("tests run:"));
    plan.add(match options.fast {
        true => tests,
        false => tests.prepared_by(programs::ensure),
    });
    plan.add(
        Step::new("examples in the documentation", cargo(["test", "--workspace", "--doc"]))
            .remembers(|line| line.starts_with("test result:")),
    );
    if !options.fast {
        // Private items too: most of what is worth explaining is private, and its links rot as well.
        let arguments = ["doc", "--workspace", "--lib", "--no-deps", "--document-private-items"];
        let mut documentation = cargo(arguments);
        documentation.env("RUSTDOCFLAGS", "-D warnings");
        plan.add(Step::new("documentation", documentation));
        // Advisories are not checked: they live in a git repository, and this must run without one.
        let arguments = ["deny", "--workspace", "check", "bans", "licenses", "sources"];
        plan.add(Step::new("dependencies", cargo(arguments)).needs(DENY));
        plan.add(Step::new("python", cargo(["xtask", "python"])).remembers(|line| line.contains(" passed")));
    }
    plan.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood_or_refused_by_name() {
        let parse = |text: &str| Options::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(parse("").unwrap(), Options::default());
        let both = Options {
            fast: true,
            keep_going: true,
        };
        assert_eq!(parse("--keep-going --fast").unwrap(), both);
        assert!(parse("--slow").unwrap_err().to_string().contains("--slow"));
    }
}
