//! The developer's commands, in Rust so that they need nothing but cargo: `cargo xtask test | bench | python | wheel`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

use std::process::ExitCode;

mod test;

mod bench;

mod step;

mod tool;

mod programs;

mod python;

const USAGE: &str = "\
cargo xtask test [--fast] [--keep-going]
    Everything that must hold before a change is merged: formatting, lints, tests, examples in the documentation, links
    in the documentation, dependencies, the Python package. Installs the tools it needs.
    --fast         only formatting, lints, tests and examples, without the programs that the daemon is tested with
                   (a browser, Prometheus, …), unless they are there
    --keep-going   run the remaining steps after one has failed

cargo xtask bench [--quick] [CASE]
    Measures and prints one table. CASE: only cases whose name contains this.
    --quick        fewer repetitions and shorter ranges
    CASE may also be one of the other benchmarks: failover, refresh, or serving (with wrk and nginx; --soak MINUTES loads the
    daemon for that long while upstreams fail, and says what grew).

cargo xtask bench python [--quick]
    The same for the Python package: from the cache to a table, beside Polars and PyArrow reading files.

cargo xtask python [PYTEST ARGUMENTS]
    Builds the Python package into target/tools, tests it against the simulator and checks its types.

cargo xtask wheel
    Builds the Python package's wheel into target/wheels.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let result = match command {
        "test" => test::Options::parse(rest).and_then(test::run),
        "bench" => bench::run(rest),
        "python" => python::test(rest),
        "wheel" => python::wheel(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(anyhow::anyhow!("unknown command {other:?}\n\n{USAGE}")),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
