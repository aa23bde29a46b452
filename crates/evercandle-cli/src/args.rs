//! What may be written on the command line: types and their help, nothing that acts.
//!
//! Options that several commands share are groups (`Global`, `Upstreams`, `RangeArgs`, `Printing`), so that they are spelled, described
//! and tested once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use evercandle::{Interval, Market};

use crate::range::{Span, When};

mod help;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Candles, prices and sentiment from wherever they can be had: complete, or honest about what is missing.
#[derive(Debug, Parser)]
#[command(name = "evercandle", version, styles = STYLES, after_help = help::EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// What was written, or the end of the program with what is wrong about it.
    pub(crate) fn read() -> Args {
        let matches = Args::command().get_matches();
        let parsed = contradiction(&matches).and_then(|()| Args::from_arg_matches(&matches));
        let mut args = parsed.unwrap_or_else(|error| error.format(&mut Args::command()).exit());
        let level = matches
            .subcommand()
            .and_then(|(_, command)| command.value_source("log_level"));
        if let (Command::Serve(Serve { check: false, .. }), Some(ValueSource::DefaultValue)) = (&args.command, level) {
            // Nobody looks at a daemon all the time: what it did is in its log.
            args.global.log_level = "info".to_owned();
        }
        args
    }
}

/// What depends on where a value comes from: a variable may be overruled or empty, which is as good as not set; an
/// option that is written down may not.
fn contradiction(matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some((_, command)) = matches.subcommand() else {
        return Ok(());
    };
    let written = |id: &str| {
        matches!(command.try_contains_id(id), Ok(true)) && command.value_source(id) == Some(ValueSource::CommandLine)
    };
    if written("internet") && written("simulate") {
        let message = "the argument '--internet <URL>' cannot be used with '--simulate'";
        return Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
    }
    for (id, option) in [("cache_dir", "--cache-dir <DIR>"), ("config", "--config <FILE>")] {
        let empty = |path: &PathBuf| path.as_os_str().is_empty();
        if written(id) && command.get_one::<PathBuf>(id).is_some_and(empty) {
            let message = format!("a value is required for '{option}' but none was supplied");
            return Err(clap::Error::raw(ErrorKind::InvalidValue, message));
        }
    }
    Ok(())
}

/// A path that may be empty, as variables are.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Options of every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Folder of the cache [default: evercandle in the user's cache folder]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        value_parser = path(),
        env = "EVERCANDLE_CACHE_DIR",
        hide_env_values = true
    )]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Configuration file [default: evercandle/config.toml in the user's configuration folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_parser = path(),
        env = "EVERCANDLE_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// What to log on stderr: a level, or filters such as evercandle=debug
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "EVERCANDLE_LOG",
        hide_env_values = true,
        default_value = "error"
    )]
    pub(crate) log_level: String,
    /// How to log
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the klines of one series
    #[command(after_help = help::GET_EXAMPLES)]
    Get(Get),
    /// Print the funding rates of one perpetual future
    #[command(after_help = help::FUNDING_EXAMPLES)]
    Funding(Funding),
    /// Fill the cache: many symbols and intervals, years at a time
    #[command(after_help = help::DOWNLOAD_EXAMPLES)]
    Download(Download),
    /// List what is missing from a range, and why
    #[command(after_help = help::GAPS_EXAMPLES)]
    Gaps(Gaps),
    /// Draw candles in the terminal, or as PNG, SVG or HTML
    #[command(after_help = help::CHART_EXAMPLES)]
    Chart(Chart),
    /// Print the newest price of one instrument, and how far it can be trusted
    #[command(after_help = help::PRICE_EXAMPLES)]
    Price(Price),
    /// Print the newest prices of many instruments, with their last 24 hours
    #[command(after_help = help::PRICES_EXAMPLES)]
    Prices(Prices),
    /// Print how the market feels: the Fear & Greed Index, today or day by day
    #[command(after_help = help::SENTIMENT_EXAMPLES)]
    Sentiment(Sentiment),
    /// Ask every upstream how it is, and show which are left alone and until when
    #[command(after_help = help::STATUS_EXAMPLES)]
    Status(Status),
    /// Look after the cache
    Cache(Cache),
    /// List the instruments of a market
    #[command(after_help = help::SYMBOLS_EXAMPLES)]
    Symbols(Symbols),
    /// Show the configuration in force
    Config(Config),
    /// Print the rules by which somebody is told: for people, or as Prometheus reads them
    #[command(after_help = help::ALERTS_EXAMPLES)]
    Alerts(Alerts),
    /// Run the daemon: market data by HTTP, kept warm, with health, metrics, alerts and a dashboard
    #[command(after_help = help::SERVE_EXAMPLES)]
    Serve(Serve),
    /// Run the simulated exchange
    #[command(after_help = help::SIMULATE_EXAMPLES)]
    Simulate(Simulate),
    /// See the failover at work on a simulated exchange: no network, no account, nothing left behind
    Demo(Demo),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  evercandle completions bash > ~/.local/share/bash-completion/completions/evercandle"
    )]
    Completions(Completions),
}

/// How the klines are to be had.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Upstreams")]
pub(crate) struct Upstreams {
    /// Use the cache only: nothing is sent
    #[arg(long, conflicts_with = "source")]
    pub(crate) offline: bool,
    /// Ask only this upstream, and not the cache (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Vec<String>,
    /// Give up after so long without progress, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = crate::range::duration)]
    pub(crate) deadline: Option<Duration>,
    #[command(flatten)]
    pub(crate) internet: Internet,
}

/// Which internet is asked.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Upstreams")]
pub(crate) struct Internet {
    /// Send every upstream request to URL/<host>/<path>: a mirror, a relay or the simulator
    #[arg(long, value_name = "URL", env = "EVERCANDLE_INTERNET", hide_env_values = true)]
    pub(crate) internet: Option<String>,
    /// Use a simulated exchange in this process, with a cache of its own
    #[arg(long)]
    pub(crate) simulate: bool,
    /// Which simulated world
    #[arg(long, value_name = "N", requires = "simulate", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// The stretch of time that is wanted.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Range")]
pub(crate) struct RangeArgs {
    /// First open time: 2024-01-01, 2024-01, RFC 3339 (UTC where no zone is given), epoch s, ms or µs
    #[arg(long, short, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) start: Option<When>,
    /// First open time after the range [default: now]
    #[arg(long, short, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) end: Option<When>,
    /// So much time before the end: 90m, 12h, 7d, 2w, 3mo, 1y
    #[arg(long, short, value_name = "SPAN", allow_hyphen_values = true)]
    pub(crate) last: Option<Span>,
}

/// One series.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SeriesArgs {
    /// BTCUSDT, BTC/USDT, BTC/USDT:USDT (um), BTCUSD_PERP or BTC/USD:BTC (cm)
    pub(crate) symbol: String,
    /// 1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M
    #[arg(value_parser = crate::range::interval)]
    pub(crate) interval: Interval,
    /// spot, um (USD-M futures) or cm (COIN-M futures) [default: as the symbol says, else spot]
    #[arg(long, short, value_name = "MARKET")]
    pub(crate) market: Option<Market>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: head and tail, aligned
    Table,
    Csv,
    /// One object: series, range, klines, segments, gaps, complete
    Json,
    /// One kline a line
    Ndjson,
    /// Arrow IPC file
    Arrow,
    Parquet,
}

/// Formats of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Table,
    Csv,
    Json,
}

/// Formats of prices and readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LatestFormat {
    /// For people
    Table,
    Csv,
    /// One object
    Json,
    /// One price or reading a line
    Ndjson,
}

/// Formats of the report on upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    /// For people
    Table,
    /// One object; with --watch, one a line
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeFormat {
    #[default]
    Rfc3339,
    Ms,
    Us,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecimalFormat {
    /// Doubles, in the fewest digits that give them back
    #[default]
    Float,
    /// As the exchange printed them; Decimal128 in arrow and parquet
    Exact,
}

/// How rows are printed, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Printing {
    /// Output format [default: by the ending of --out, else table on a terminal and csv elsewhere]
    #[arg(long, short, help_heading = "Output")]
    pub(crate) format: Option<Format>,
    /// Write to this file, whole or not at all
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// How times are written in text formats
    #[arg(long, value_name = "FORM", default_value = "rfc3339", help_heading = "Output")]
    pub(crate) time: TimeFormat,
    /// How prices, rates and volumes are written
    #[arg(long, value_name = "FORM", default_value = "float", help_heading = "Output")]
    pub(crate) decimals: DecimalFormat,
    /// Only these columns, in this order
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Output")]
    pub(crate) columns: Vec<String>,
    /// In a table, every row
    #[arg(long, help_heading = "Output")]
    pub(crate) all: bool,
    /// Tell on stderr what was asked of whom, and where every part came from
    #[arg(long, help_heading = "Output")]
    pub(crate) explain: bool,
    /// Print what was found even when something is missing
    #[arg(long)]
    pub(crate) best_effort: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) series: SeriesArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    #[command(flatten)]
    pub(crate) printing: Printing,
    /// Include the kline that is still open
    #[arg(long)]
    pub(crate) forming: bool,
    #[command(flatten)]
    pub(crate) upstreams: Upstreams,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Funding {
    /// BTCUSDT, BTC/USDT or BTC/USDT:USDT (um), BTCUSD_PERP or BTC/USD:BTC (cm)
    pub(crate) symbol: String,
    /// um (USD-M futures) or cm (COIN-M futures) [default: as the symbol says, else um]
    #[arg(long, short, value_name = "MARKET")]
    pub(crate) market: Option<Market>,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    #[command(flatten)]
    pub(crate) printing: Printing,
    #[command(flatten)]
    pub(crate) upstreams: Upstreams,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Download {
    /// Symbols and intervals, in any order; fundingRate for the rates of futures
    #[arg(value_name = "SYMBOL|INTERVAL")]
    pub(crate) what: Vec<String>,
    /// Read symbols from this file, or from stdin with -
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Market of the symbols that do not name theirs
    #[arg(long, short, value_name = "MARKET")]
    pub(crate) market: Option<Market>,
    /// Series fetched at once
    #[arg(long, short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Outlast outages: wait so long while nobody can be asked and nothing arrives, such as 10m; 0 gives up at once
    /// [default: engine.patience_ms of the configuration, 15m]
    #[arg(long, value_name = "DURATION", value_parser = crate::range::patience)]
    pub(crate) patience: Option<Duration>,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    #[command(flatten)]
    pub(crate) upstreams: Upstreams,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Gaps {
    #[command(flatten)]
    pub(crate) series: SeriesArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// Output format [default: table on a terminal, csv elsewhere]
    #[arg(long, short)]
    pub(crate) format: Option<ListFormat>,
    #[command(flatten)]
    pub(crate) upstreams: Upstreams,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Chart {
    #[command(flatten)]
    pub(crate) series: SeriesArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// Write a picture instead: a file ending in .png, .svg or .html
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Size of a picture in pixels, or of the chart in the terminal in characters [default: 1200x640, or the terminal]
    #[arg(long, value_name = "WxH", value_parser = crate::range::size)]
    pub(crate) size: Option<(u32, u32)>,
    /// Colours of a picture; auto follows the viewer (svg, html) and is light in a png
    #[arg(long, default_value = "auto")]
    pub(crate) theme: Theme,
    /// Tell on stderr what was asked of whom, and where every part came from
    #[arg(long)]
    pub(crate) explain: bool,
    /// Include the kline that is still open
    #[arg(long)]
    pub(crate) forming: bool,
    #[command(flatten)]
    pub(crate) upstreams: Upstreams,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

/// How the newest of something is to be had and told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Latest {
    /// Output format [default: table on a terminal, csv elsewhere]
    #[arg(long, short)]
    pub(crate) format: Option<LatestFormat>,
    /// Tell on stderr what was asked of whom, and what came of it
    #[arg(long)]
    pub(crate) explain: bool,
    /// Take no longer than this, such as 5s [default: latest.deadline_ms of the configuration]
    #[arg(long, value_name = "DURATION", value_parser = crate::range::duration, help_heading = "Upstreams")]
    pub(crate) deadline: Option<Duration>,
    #[command(flatten)]
    pub(crate) internet: Internet,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Price {
    /// BTCUSDT, BTC/USDT, BTC/USDT:USDT (um), BTCUSD_PERP or BTC/USD:BTC (cm)
    pub(crate) symbol: String,
    /// spot, um (USD-M futures) or cm (COIN-M futures) [default: as the symbol says, else spot]
    #[arg(long, short, value_name = "MARKET")]
    pub(crate) market: Option<Market>,
    /// Only the exchange's own price, if need be an old one
    #[arg(long)]
    pub(crate) no_substitute: bool,
    #[command(flatten)]
    pub(crate) latest: Latest,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Prices {
    /// Symbols, with spaces or commas between them
    #[arg(value_name = "SYMBOL", value_delimiter = ',')]
    pub(crate) symbols: Vec<String>,
    /// Read symbols from this file, or from stdin with -
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Market of the symbols that do not name theirs
    #[arg(long, short, value_name = "MARKET")]
    pub(crate) market: Option<Market>,
    /// Only the exchange's own prices, if need be old ones
    #[arg(long)]
    pub(crate) no_substitute: bool,
    #[command(flatten)]
    pub(crate) latest: Latest,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Sentiment {
    /// How many days, today included
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) days: u32,
    /// Only the Fear & Greed Index, if need be an old reading of it
    #[arg(long)]
    pub(crate) no_secondary: bool,
    /// Draw the days in the terminal
    #[arg(long, conflicts_with_all = ["format", "out"])]
    pub(crate) chart: bool,
    /// Write a picture of the days instead: a file ending in .png or .svg
    #[arg(long, short, value_name = "FILE", conflicts_with = "format")]
    pub(crate) out: Option<PathBuf>,
    /// Colours of a picture; auto follows the viewer (svg) and is light in a png
    #[arg(long, default_value = "auto", requires = "out")]
    pub(crate) theme: Theme,
    #[command(flatten)]
    pub(crate) latest: Latest,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Go on until Ctrl-C, shown anew every so many seconds [default: 2]
    #[arg(long, short, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) watch: Option<u64>,
    /// Output format [default: table]
    #[arg(long, short)]
    pub(crate) format: Option<StatusFormat>,
    /// Send nothing: show only what is known already
    #[arg(long)]
    pub(crate) no_probe: bool,
    /// First lift the ban of this upstream, which is kept on disk
    #[arg(long, value_name = "NAME")]
    pub(crate) reset: Option<String>,
    #[command(flatten)]
    pub(crate) internet: Internet,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Cache {
    #[command(subcommand)]
    pub(crate) action: CacheAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheAction {
    /// List the series that are held
    Ls {
        /// Only series whose name contains this
        filter: Option<String>,
        /// Output format [default: table on a terminal, csv elsewhere]
        #[arg(long, short)]
        format: Option<ListFormat>,
    },
    /// Show what the cache takes and holds in total
    Stats,
    /// Check every file; damaged ones are set aside and fetched again when next wanted
    Verify,
    /// Delete klines: of some series, those read longest ago, or all
    #[command(after_help = help::EVICT_EXAMPLES)]
    Evict(Evict),
    /// Print the folder
    Path,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Evict {
    /// The series, such as BTCUSDT 1m or BTCUSDT fundingRate
    #[arg(num_args = 2, value_names = ["SYMBOL", "INTERVAL"], required_unless_present_any = ["to", "all"])]
    pub(crate) series: Vec<String>,
    /// Market of the symbol, if it does not name its own
    #[arg(long, short, value_name = "MARKET", requires = "series")]
    pub(crate) market: Option<Market>,
    /// What was read longest ago, until the cache takes no more than this: 500M, 20G
    #[arg(long, value_name = "BYTES", value_parser = crate::range::bytes, conflicts_with_all = ["series", "all"])]
    pub(crate) to: Option<u64>,
    /// Everything
    #[arg(long, conflicts_with = "series")]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Symbols {
    /// Only symbols that contain this
    pub(crate) filter: Option<String>,
    /// spot, um or cm
    #[arg(long, short, value_name = "MARKET", default_value = "spot")]
    pub(crate) market: Market,
    /// Those that do not trade any more, too
    #[arg(long)]
    pub(crate) all: bool,
    /// Output format [default: table on a terminal, csv elsewhere]
    #[arg(long, short)]
    pub(crate) format: Option<ListFormat>,
    #[command(flatten)]
    pub(crate) internet: Internet,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print every setting as TOML, defaults included; usable as a configuration file
    Show,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Alerts {
    /// Output format [default: table on a terminal, else csv]
    #[arg(long, short, value_name = "FORMAT")]
    pub(crate) format: Option<AlertsFormat>,
}

/// Formats of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlertsFormat {
    Table,
    Csv,
    Json,
    /// A rule file, with the thresholds of the configuration
    Prometheus,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Address and port [default: server.listen of the configuration, 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = crate::range::address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Explain the configuration and look for mistakes, then end: 0 if it could serve, else 2
    #[arg(long)]
    pub(crate) check: bool,
    /// Ask the daemon that listens there whether it can serve, then end: 0 if it can, else 4
    #[arg(long, conflicts_with = "check")]
    pub(crate) probe: bool,
    #[command(flatten)]
    pub(crate) internet: Internet,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Simulate {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = crate::range::address)]
    pub(crate) listen: SocketAddr,
    /// Which simulated world: the same seed gives the same klines
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What time it is there [default: the system's clock]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) now: Option<When>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Which simulated world
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(command: &clap::Command) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let prose = help.split("Example").next().unwrap_or_default();
        for line in prose.lines().filter(|line| !line.is_empty()) {
            assert!(
                line.ends_with('.'),
                "{}: cut in the middle: {line:?}",
                command.get_name()
            );
        }
        command.get_subcommands().for_each(sentences);
    }

    /// Goal: help is wrapped by the terminal it is read on, and not before.
    #[test]
    fn every_line_of_help_is_a_whole_sentence() {
        Args::command().debug_assert();
        sentences(&Args::command());
    }
}
