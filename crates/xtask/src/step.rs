//! A list of commands run one after the other, with a summary at the end that says what held and what did not.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tool::Tool;

/// A cargo command, by the cargo that runs us.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// One command.
pub(crate) struct Step {
    name: &'static str,
    command: Command,
    tool: Option<Tool>,
    prepare: Option<fn(&mut Command) -> Result<()>>,
    remembers: Option<fn(&str) -> bool>,
}

impl Step {
    pub(crate) fn new(name: &'static str, command: Command) -> Step {
        Step {
            name,
            command,
            tool: None,
            prepare: None,
            remembers: None,
        }
    }

    /// Installed first if it is not there.
    pub(crate) fn needs(self, tool: Tool) -> Step {
        Step {
            tool: Some(tool),
            ..self
        }
    }

    /// Done first: installs what the command needs, and tells the command where.
    pub(crate) fn prepared_by(self, prepare: fn(&mut Command) -> Result<()>) -> Step {
        Step {
            prepare: Some(prepare),
            ..self
        }
    }

    /// Lines of its output that are worth repeating in the summary.
    pub(crate) fn remembers(self, line: fn(&str) -> bool) -> Step {
        Step {
            remembers: Some(line),
            ..self
        }
    }

    /// Whether it succeeded, and the lines to repeat.
    fn run(&mut self) -> Result<(bool, Vec<String>)> {
        if let Some(tool) = self.tool {
            tool.ensure()?;
        }
        if let Some(prepare) = self.prepare {
            prepare(&mut self.command)?;
        }
        match self.remembers {
            None => Ok((
                self.command.status().context("cannot be started")?.success(),
                Vec::new(),
            )),
            Some(wanted) => run_and_remember(&mut self.command, wanted),
        }
    }
}

/// Steps in order.
pub(crate) struct Plan {
    steps: Vec<Step>,
    keep_going: bool,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    NotRun,
}

/// A line of the summary.
struct Report {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
    lines: Vec<String>,
}

impl Plan {
    pub(crate) fn new(keep_going: bool) -> Plan {
        Plan {
            steps: Vec::new(),
            keep_going,
        }
    }

    pub(crate) fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Runs the steps and prints the summary.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let began = Instant::now();
        let mut reports: Vec<Report> = Vec::new();
        for mut step in self.steps {
            let stop = !self.keep_going && reports.iter().any(|r| r.outcome != Outcome::Passed);
            let name = step.name;
            if stop {
                reports.push(Report {
                    name,
                    outcome: Outcome::NotRun,
                    took: Duration::ZERO,
                    lines: Vec::new(),
                });
                continue;
            }
            println!("\n── {name}: {}", spelled(&step.command));
            let started = Instant::now();
            let (outcome, lines) = match step.run() {
                Ok((true, lines)) => (Outcome::Passed, lines),
                Ok((false, lines)) => (Outcome::Failed(spelled(&step.command)), lines),
                Err(error) => (Outcome::Failed(format!("{error:#}")), Vec::new()),
            };
            reports.push(Report {
                name,
                outcome,
                took: started.elapsed(),
                lines,
            });
        }
        print!("\n{}", summary(&reports, began.elapsed()));
        let passed = reports.iter().all(|r| r.outcome == Outcome::Passed);
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn summary(reports: &[Report], took: Duration) -> String {
    let mut text = String::new();
    for line in reports.iter().flat_map(|r| &r.lines) {
        text += &format!("{line}\n");
    }
    text += "\n";
    let width = reports.iter().map(|r| r.name.chars().count()).max().unwrap_or(0);
    for report in reports {
        let seconds = report.took.as_secs_f64();
        let (word, why) = match &report.outcome {
            Outcome::Passed => ("ok", String::new()),
            Outcome::Failed(why) => ("FAILED", format!("   {why}")),
            Outcome::NotRun => ("not run", String::new()),
        };
        text += &format!("{:<width$}  {word:<7} {seconds:>7.1} s{why}\n", report.name);
    }
    let failed = reports
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::Failed(_)))
        .count();
    let seconds = took.as_secs_f64();
    text += &match failed {
        0 => format!("all {} steps passed in {seconds:.1} s\n", reports.len()),
        _ => format!("{failed} of {} steps failed after {seconds:.1} s\n", reports.len()),
    };
    text
}

/// A command as one would type it.
fn spelled(command: &Command) -> String {
    let words = command.get_args().map(|a| a.to_string_lossy().into_owned());
    std::iter::once("cargo".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

fn run_and_remember(command: &mut Command, wanted: fn(&str) -> bool) -> Result<(bool, Vec<String>)> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot be started")?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let lines = std::thread::scope(|threads| {
        let out = threads.spawn(|| out.map(|from| pass_on(from, std::io::stdout(), wanted)));
        let err = threads.spawn(|| err.map(|from| pass_on(from, std::io::stderr(), wanted)));
        [out, err]
            .into_iter()
            .filter_map(|thread| thread.join().ok().flatten())
            .flatten()
            .collect()
    });
    Ok((child.wait().context("cannot be waited for")?.success(), lines))
}

/// Copies line by line; the lines that are wanted.
fn pass_on(from: impl Read, mut to: impl Write, wanted: fn(&str) -> bool) -> Vec<String> {
    let (mut from, mut line, mut kept) = (BufReader::new(from), Vec::new(), Vec::new());
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A terminal that went away does not stop the tests.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        let text = String::from_utf8_lossy(&line);
        if wanted(text.trim_end()) {
            kept.push(text.trim_end().to_owned());
        }
        line.clear();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &'static str, outcome: Outcome, lines: &[&str]) -> Report {
        Report {
            name,
            outcome,
            took: Duration::from_millis(1_500),
            lines: lines.iter().map(|&l| l.to_owned()).collect(),
        }
    }

    #[test]
    fn the_summary_repeats_closing_lines_and_counts_failures() {
        let reports = [
            report("formatting", Outcome::Passed, &[]),
            report(
                "tests",
                Outcome::Failed("cargo nextest run".into()),
                &["Summary [1s] 2 tests run: 1 passed"],
            ),
            report("links", Outcome::NotRun, &[]),
        ];
        let expected = "\
Summary [1s] 2 tests run: 1 passed

formatting  ok          1.5 s
tests       FAILED      1.5 s   cargo nextest run
links       not run     1.5 s
1 of 3 steps failed after 9.0 s
";
        assert_eq!(summary(&reports, Duration::from_secs(9)), expected);
        assert!(summary(&reports[..1], Duration::ZERO).ends_with("all 1 steps passed in 0.0 s\n"));
    }

    #[test]
    fn output_passes_through_unchanged_and_wanted_lines_are_kept() {
        let mut through = Vec::new();
        let kept = pass_on(&b"a 1\nb\xff\na 2"[..], &mut through, |line| line.starts_with('a'));
        assert_eq!(through, b"a 1\nb\xff\na 2");
        assert_eq!(kept, ["a 1", "a 2"]);
    }
}
