//! The command line.
//!
//! In reading order: what may be written ([`args`], [`range`]), what is done with it ([`command`]), what comes out
//! ([`output`], [`chart`], [`explain`]), and how it ends ([`exit`]). Data goes to stdout, everything else to stderr.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod range;

mod chart;
mod output;
mod story;

mod exit;
mod screen;
mod text;

#[cfg(test)]
mod fixture;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let _ = args;
    ExitCode::SUCCESS
}
