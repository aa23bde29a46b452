//! What each command does: one file each.

use std::process::ExitCode;

use crate::args::{Args, Command, SeriesArgs};
use crate::exit::{Exit, Failure};
use crate::screen::{Ink, Screen};

mod cache;
mod chart;
mod completions;
mod config;
mod demo;
mod download;
mod gaps;
mod get;
mod simulate;
mod symbols;

/// Runs a command to its end, or to Ctrl-C.
pub(crate) async fn run(args: Args, screen: &Screen) -> ExitCode {
    let global = &args.global;
    let work = async {
        match &args.command {
            Command::Get(get) => get::run(get, global, screen).await,
            Command::Download(download) => download::run(download, global, screen).await,
            Command::Gaps(gaps) => gaps::run(gaps, global, screen).await,
            Command::Chart(chart) => chart::run(chart, global, screen).await,
            Command::Cache(cache) => cache::run(cache, global, screen),
            Command::Symbols(symbols) => symbols::run(symbols, global, screen).await,
            Command::Config(config) => config::run(config, global),
            Command::Simulate(simulate) => simulate::run(simulate, screen).await,
            Command::Demo(demo) => demo::run(demo, screen).await,
            Command::Completions(completions) => completions::run(completions),
        }
    };
    // Dropping the work removes what is half written; `download` and `simulate` have more to say and listen themselves.
    let listens = matches!(args.command, Command::Download(_) | Command::Simulate(_));
    let result = tokio::select! {
        // Listening begins before anything is done.
        biased;
        _ = interrupt(), if !listens => Err(Failure::new(Exit::Interrupted, "interrupted")),
        result = work => result,
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.is_silent() {
                screen.insist(&format!("{} {failure}", screen.ink(Ink::Bad, "error:")));
            }
            failure.exit.into()
        }
    }
}

/// Returns when the program is asked to stop, by Ctrl-C or by a supervisor.
async fn interrupt() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

impl SeriesArgs {
    fn series(&self) -> Result<evercandle::Series, Failure> {
        evercandle::Series::parse(&self.symbol, self.interval, self.market)
            .map_err(|e| evercandle::Error::from(e).into())
    }
}

/// Says a story's notices on stderr.
fn notices(story: &crate::story::Story, screen: &Screen) {
    for notice in &story.notices {
        screen.say(&format!("{} {notice}", screen.ink(Ink::Warning, "note:")));
    }
}
