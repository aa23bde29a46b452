//! `cargo xtask bench`: builds a benchmark in release mode and lets it print its table. `cargo xtask bench failover` is
//! the one about outages, `cargo xtask bench refresh` the one about keeping two thousand series warm; without such a
//! word, the one about klines.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::step::cargo;

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let (bench, arguments) = match arguments.split_first() {
        Some((first, rest)) if first == "failover" => ("failover", rest),
        Some((first, rest)) if first == "refresh" => ("refresh", rest),
        _ => ("klines", arguments),
    };
    let mut command = cargo(["bench", "--quiet", "--package", "evercandle", "--bench", bench, "--"]);
    let status = command.args(arguments).status().context("cargo cannot be started")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
