//! What each command does: one file each.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use crate::args::{Args, Command, SeriesArgs};
use crate::exit::{Exit, Failure};
use crate::output::place::Place;
use crate::screen::{Ink, Screen};
use interrupt::Interrupt;

mod alerts;
mod cache;
mod chart;
mod completions;
mod config;
mod demo;
mod download;
mod funding;
mod gaps;
mod get;
mod interrupt;
mod price;
mod prices;
mod sentiment;
mod serve;
mod simulate;
mod status;
mod symbols;

/// Runs a command to its end, or to Ctrl-C.
pub(crate) async fn run(args: Args, screen: &Screen) -> Exit {
    let global = &args.global;
    // Listening begins before anything is done.
    let interrupt = Interrupt::listen();
    let work = async {
        match &args.command {
            Command::Get(get) => get::run(get, global, screen).await,
            Command::Funding(funding) => funding::run(funding, global, screen).await,
            Command::Download(download) => download::run(download, global, screen, interrupt.clone()).await,
            Command::Gaps(gaps) => gaps::run(gaps, global, screen).await,
            Command::Chart(chart) => chart::run(chart, global, screen).await,
            Command::Price(price) => price::run(price, global, screen).await,
            Command::Prices(prices) => prices::run(prices, global, screen).await,
            Command::Sentiment(sentiment) => sentiment::run(sentiment, global, screen).await,
            Command::Status(status) => status::run(status, global, screen, interrupt.clone()).await,
            Command::Cache(cache) => cache::run(cache, global, screen),
            Command::Symbols(symbols) => symbols::run(symbols, global, screen).await,
            Command::Config(config) => config::run(config, global),
            Command::Alerts(alerts) => alerts::run(alerts, global, screen),
            Command::Serve(serve) => serve::run(serve, global, screen, interrupt.clone()).await,
            Command::Simulate(simulate) => simulate::run(simulate, screen, interrupt.clone()).await,
            Command::Demo(demo) => demo::run(demo, screen).await,
            Command::Completions(completions) => completions::run(completions),
        }
    };
    // Dropping the work removes what is half written; those for which an interruption is no accident listen themselves.
    let listens = match &args.command {
        Command::Download(_) | Command::Simulate(_) | Command::Serve(_) => true,
        Command::Status(status) => status.watch.is_some(),
        _ => false,
    };
    // Those that serve somebody take the time to end it well.
    if !matches!(&args.command, Command::Serve(_) | Command::Simulate(_)) {
        interrupt.clone().end_the_deaf(*screen);
    }
    let result = tokio::select! {
        biased;
        () = interrupt.clone().wait(), if !listens => Err(Failure::new(Exit::Interrupted, "interrupted")),
        result = work => result,
    };
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.is_silent() {
                screen.insist(&format!("{} {failure}", screen.ink(Ink::Bad, "error:")));
            }
            failure.exit
        }
    }
}

impl SeriesArgs {
    fn series(&self) -> Result<evercandle::Series, Failure> {
        evercandle::Series::parse(&self.symbol, self.interval, self.market)
            .map_err(|e| evercandle::Error::from(e).into())
    }
}

/// Writes a file, whole or not at all.
async fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let place = Place::file(path)?;
    let write = || -> std::io::Result<()> {
        let mut out = place.writer()?;
        out.write_all(bytes)?;
        out.flush()
    };
    write().map_err(|e| place.named(e.into()))?;
    place.publish().await
}

/// Says a story's notices on stderr.
fn notices(story: &evercandle_formats::Story, screen: &Screen) {
    for notice in &story.notices {
        screen.say(&format!("{} {notice}", screen.ink(Ink::Warning, "note:")));
    }
}

/// The words of a list, line by line; `#` begins a remark.
#[allow(
    clippy::disallowed_methods,
    reason = "a list of symbols is the command line's own input"
)]
fn list(path: &Path) -> Result<Vec<Vec<String>>, Failure> {
    let cannot = |e: std::io::Error| Failure::bad_input(format!("{}: cannot be read: {e}", path.display()));
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Err(Failure::bad_input(
                "--file - reads a list from stdin, and stdin is a terminal",
            ));
        }
        Box::new(stdin.lock())
    } else {
        Box::new(std::io::BufReader::new(std::fs::File::open(path).map_err(cannot)?))
    };
    let mut lines = Vec::new();
    for line in reader.lines() {
        let line = line.map_err(cannot)?;
        let text = line.split('#').next().unwrap_or_default();
        let words: Vec<String> = text
            .split([' ', '\t', ',', ';'])
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect();
        if !words.is_empty() {
            lines.push(words);
        }
    }
    Ok(lines)
}
