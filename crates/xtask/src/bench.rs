//! `cargo xtask bench`: builds the benchmark in release mode and lets it print its table.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::step::cargo;

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut command = cargo(["bench", "--quiet", "--package", "evercandle", "--bench", "klines", "--"]);
    let status = command.args(arguments).status().context("cargo cannot be started")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
