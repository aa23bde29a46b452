//! The command line.
//!
//! In reading order: what may be written ([`args`], [`range`]), what is done with it ([`command`], which opens a
//! [`session`] and [`gather`]s answers), what comes out ([`output`], [`chart`], [`explain`]), and how
//! it ends ([`exit`]). Data goes to stdout, everything else to stderr.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests"))]

use std::process::ExitCode;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

mod args;
mod range;

mod command;
mod gather;
mod session;

mod chart;
mod explain;
mod output;

mod exit;
mod screen;
mod temporary;
mod text;

#[cfg(test)]
mod fixture;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the end waits for what is being written to disk.
const WRITING_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = args::Args::read();
    let screen = screen::Screen::detect(&args.global);
    // The outages of a demonstration are meant, and told by it in its own words.
    let level = match (&args.command, args.global.log_level.as_str()) {
        (args::Command::Demo(_), "error") => "off",
        (_, "") => "error",
        (_, level) => level,
    };
    if let Err(failure) = log(level, args.global.log_format, &screen) {
        screen.insist(&format!("{} {failure}", screen.ink(screen::Ink::Bad, "error:")));
        return failure.exit.into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.insist(&format!("error: no threads: {error}"));
            return exit::Exit::Unexpected.into();
        }
    };
    let exit = runtime.block_on(command::run(args, &screen));
    let patience = match exit {
        // Whatever is still under way was abandoned: waiting for it would make Ctrl-C slow.
        exit::Exit::Interrupted if !temporary::are_there() => Duration::ZERO,
        // What was learnt is still being written down, for the next run or into a folder that has to be removed.
        _ => WRITING_MAX,
    };
    runtime.shutdown_timeout(patience);
    temporary::remove();
    exit.into()
}

fn log(level: &str, format: args::LogFormat, screen: &screen::Screen) -> Result<(), exit::Failure> {
    let filter = EnvFilter::builder().parse(level).map_err(|e| {
        exit::Failure::bad_input(format!("log level {level:?}: {e}"))
            .hint("expected off, error, warn, info, debug or trace, or filters such as evercandle=debug")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(screen.stderr_color);
    match format {
        args::LogFormat::Text => builder.init(),
        args::LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
