//! `completions`: a script for a shell.

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Args, Completions};
use crate::exit::{Exit, Failure};

pub(crate) fn run(args: &Completions) -> Result<Exit, Failure> {
    // The generator panics when it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "evercandle", &mut script);
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&script)?;
    stdout.flush()?;
    Ok(Exit::Complete)
}
