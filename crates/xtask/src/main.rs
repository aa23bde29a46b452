//! The developer's commands: `cargo xtask test | bench`.
use std::process::Command;

fn main() -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO")).args(["test", "--workspace"]).status()?;
    anyhow::ensure!(status.success(), "tests failed");
    Ok(())
}
