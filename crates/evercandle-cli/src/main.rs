//! The command line.
//!
//! In reading order: what may be written ([`args`], [`range`]), what is done with it ([`command`], which opens a
//! [`session`] and [`gather`]s answers into a [`story`]), what comes out ([`output`], [`chart`], [`explain`]), and how
//! it ends ([`exit`]). Data goes to stdout, everything else to stderr.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests"))]

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

mod args;
mod range;

mod command;
mod gather;
mod session;
mod story;

mod chart;
mod explain;
mod output;

mod exit;
mod screen;
mod text;

#[cfg(test)]
mod fixture;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::read();
    let screen = screen::Screen::detect(&args.global);
    if let Err(failure) = log(&args.global, &screen) {
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
    let code = runtime.block_on(command::run(args, &screen));
    // Whatever is still under way was abandoned: waiting for it would make Ctrl-C slow.
    runtime.shutdown_background();
    code
}

fn log(global: &args::Global, screen: &screen::Screen) -> Result<(), exit::Failure> {
    let level = if global.log_level.is_empty() {
        "error"
    } else {
        &global.log_level
    };
    let filter = EnvFilter::builder().parse(level).map_err(|e| {
        exit::Failure::bad_input(format!("log level {level:?}: {e}"))
            .hint("expected off, error, warn, info, debug or trace, or filters such as evercandle=debug")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(screen.stderr_color);
    match global.log_format {
        args::LogFormat::Text => builder.init(),
        args::LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
