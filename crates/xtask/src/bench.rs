//! `cargo xtask bench`: builds a benchmark in release mode and lets it print its table. `cargo xtask bench failover` is
//! the one about outages, `cargo xtask bench refresh` the one about keeping two thousand series warm, `cargo xtask
//! bench serving` the one about the daemon under load, `cargo xtask bench python` the Python package's; without such a
//! word, the one about klines.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::python;
use crate::step::cargo;

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some((first, rest)) = arguments.split_first()
        && first == "python"
    {
        return python::bench(rest);
    }
    let (package, bench, arguments) = match arguments.split_first() {
        Some((first, rest)) if first == "failover" => ("evercandle", "failover", rest),
        Some((first, rest)) if first == "refresh" => ("evercandle", "refresh", rest),
        Some((first, rest)) if first == "serving" => ("evercandle-server", "serving", rest),
        _ => ("evercandle", "klines", arguments),
    };
    let mut command = cargo(["bench", "--quiet", "--package", package, "--bench", bench, "--"]);
    let status = command.args(arguments).status().context("cargo cannot be started")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
