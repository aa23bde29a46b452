//! What it costs to keep two thousand series warm, beside what the same requests cost when nothing is done with them.
//!
//! The simulated exchange runs in the parent, on the real clock and with the real limits; whoever asks runs in a process
//! of its own, so that its memory and its processor time are its own. Ours is the scheduler as it is configured by
//! default: a first fill of 500 one-minute klines of every symbol, begun with a minute of the exchange, then, three
//! minutes after that began, the refresh that is the rule. The alternative is `reqwest` with as many requests in flight,
//! bodies dropped: it decodes, checks, stores and paces nothing. Times are of this machine, processor time of both
//! processes' cores; ratios travel.

#![allow(clippy::disallowed_methods, reason = "measuring reads clocks, files and arguments")]
#![allow(clippy::print_stdout, reason = "a benchmark talks to a terminal")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop where it stands"
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evercandle::config::{KlineWatch, ScheduleConfig};
use evercandle::{Client, Config, Interval, Market, Request, Scheduler, Series, Sources, TimeRange};
use evercandle_simulator as sim;
use futures::StreamExt;

/// Symbols watched: more than the spot market has ever listed against one asset.
const SYMBOLS: usize = 2_000;
/// Klines of each that are kept complete: the default.
const ROWS: u32 = 500;
/// Klines that have closed since, when a refresh comes after the default period.
const NEW_ROWS: u32 = 3;
/// From the beginning of one run to that of the next: the default.
const PERIOD: Duration = Duration::from_secs(180);
/// A refresh must be over within so many seconds.
const AIM: f64 = 60.0;
/// First argument of a process that asks.
const MARK: &str = "task";

/// The program's allocator, so that its memory is what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [MARK, "ours", internet, cache] => runtime().block_on(ours(internet, cache)),
        [MARK, "by-hand", internet] => runtime().block_on(by_hand(internet)),
        _ => runtime().block_on(compare()),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn symbol(number: usize) -> String {
    format!("W{number:04}USDT")
}

// --- who asks ---------------------------------------------------------------------------------------------------------

async fn ours(internet: &str, cache: &str) {
    let mut config = Config {
        internet: Some(internet.parse().unwrap()),
        ..Config::default()
    };
    config.cache.dir = Some(cache.into());
    config.cache.free_min = 0;
    config.schedule = ScheduleConfig {
        klines: vec![KlineWatch {
            symbols: (0..SYMBOLS).map(symbol).collect(),
            intervals: vec!["1m".to_owned()],
            market: None,
            rows: ROWS,
        }],
        prices: Vec::new(),
        sentiment: false,
        jitter_percent: 0,
        ..ScheduleConfig::default()
    };
    let client = Client::new(config).unwrap();
    let scheduler = Scheduler::new(client.clone()).unwrap();
    let mut runs = scheduler.subscribe();
    let looping = tokio::spawn(async move { scheduler.run().await });
    for name in ["first", "then"] {
        let mut before = processor();
        if name == "then" {
            // What is done while waiting is nobody's run.
            tokio::time::sleep(Duration::from_secs(1)).await;
            before = processor();
        }
        let run = runs.recv().await.unwrap();
        let (found, errors) = (run.successful_symbols, &run.errors);
        assert_eq!(
            found,
            SYMBOLS,
            "{} errors, the first: {:?}",
            errors.len(),
            errors.first()
        );
        report(name, run.duration, processor() - before);
    }
    looping.abort();
    let end = client.clock().now().plus(-300_000_000);
    let mut rows = 0;
    for number in 0..SYMBOLS {
        let series = Series::parse(&symbol(number), Interval::M1, Some(Market::Spot)).unwrap();
        let range = TimeRange::new(end.plus(-i64::from(ROWS - 10) * 60_000_000), end).unwrap();
        let request = Request {
            sources: Sources::CacheOnly,
            ..Request::new(series, range)
        };
        rows += client.get_data(request).await.unwrap().len();
    }
    assert!(rows >= SYMBOLS * (ROWS as usize - 10), "{rows} rows are in the cache");
}

async fn by_hand(internet: &str) {
    // What our client does for itself.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (name, rows) in [("first", ROWS), ("then", NEW_ROWS)] {
        next_minute().await;
        let (began, before) = (Instant::now(), processor());
        let in_flight = ScheduleConfig::default().concurrency;
        let ask = |number| {
            let symbol = symbol(number);
            let url = format!("{internet}/api.binance.com/api/v3/klines?symbol={symbol}&interval=1m&limit={rows}");
            let http = http.clone();
            // Tasks, as ours are, so that both use both cores.
            tokio::spawn(async move { http.get(url).send().await.unwrap().bytes().await.unwrap().len() })
        };
        let bodies: Vec<usize> = futures::stream::iter(0..SYMBOLS)
            .map(ask)
            .buffer_unordered(in_flight)
            .map(Result::unwrap)
            .collect()
            .await;
        assert!(bodies.iter().all(|bytes| *bytes > 100), "an error measures nothing");
        report(name, began.elapsed(), processor() - before);
    }
}

/// Both begin with a minute of the exchange, when all of it is theirs.
async fn next_minute() {
    let now = jiff::Timestamp::now().as_millisecond();
    let wait = 60_000 - now.rem_euclid(60_000) + 200;
    tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
}

fn report(name: &str, took: Duration, processor: f64) {
    println!("{name} {} {processor} {}", took.as_secs_f64(), memory());
}

/// The process's largest resident set, in bytes.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) * 1024.0
}

/// Processor seconds of this process so far, user's and system's.
fn processor() -> f64 {
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before may hold anything; what follows its bracket is numbers, in hundredths of a second here.
    let fields = status.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

// --- who compares -----------------------------------------------------------------------------------------------------

/// What one side needed for one part.
struct Needed {
    seconds: f64,
    processor: f64,
    peak: f64,
    requests: usize,
    /// The most weight used in any minute, and what the exchange allows.
    weight: (u32, u32),
}

async fn compare() {
    let mut config = sim::Config::default();
    let model = config
        .symbols
        .iter()
        .find(|spec| spec.name == "ETHUSDT")
        .unwrap()
        .clone();
    let named = |number| sim::SymbolSpec {
        name: symbol(number).into(),
        base: format!("W{number:04}").into(),
        ..model.clone()
    };
    config.symbols = (0..SYMBOLS).map(named).collect();
    let sim = sim::Simulator::start(config).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    println!("{SYMBOLS} symbols x 1m; every part begins with a minute of the exchange; {PERIOD:?} between the runs");
    let theirs = measure(&sim, &["by-hand", &sim.base_url()], false).await;
    let ours = measure(&sim, &["ours", &sim.base_url(), cache.to_str().unwrap()], true).await;
    println!();
    println!(
        "{:42} {:>7} {:>7} {:>6} {:>8} {:>9} {:>14} {:>9} {:>7}",
        "", "took", "cpu", "aim", "requests", "rows/s", "weight/minute", "peak", "ratio"
    );
    for (part, rows) in [(0, ROWS), (1, NEW_ROWS)] {
        let what = ["first fill, 500 klines each", "refresh three minutes later"][part];
        row(what, &ours[part], rows, Some(&theirs[part]));
        row("  reqwest, the same pages, bodies dropped", &theirs[part], rows, None);
    }
    println!();
    println!("took: wall time; cpu: processor seconds of the process; ratio: ours / theirs, of wall time and of cpu");
    println!("weight: the most in any minute, of what the exchange allows; peak: the largest resident set so far");
}

/// Runs a process of its own and looks at what the exchange saw of each of its parts.
async fn measure(sim: &sim::Handle, task: &[&str], aligned: bool) -> Vec<Needed> {
    if aligned {
        next_minute().await;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(MARK)
        .args(task)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(told.send(line))));
    let mut needed = Vec::new();
    let mut began = sim.clock().now();
    sim.journal().clear();
    while let Some(line) = heard.recv().await {
        let numbers: Vec<f64> = line.split(' ').skip(1).map(|n| n.parse().unwrap()).collect();
        // Every part begins with a minute, a moment after it; what was used before it began is not its own.
        let peaks = sim.peak_weights().into_iter();
        let peaks = peaks.filter(|p| p.pool == "binance-spot" && p.minute + 5_000_000 > began);
        needed.push(Needed {
            seconds: numbers[0],
            processor: numbers[1],
            peak: numbers[2],
            requests: sim.journal().len(),
            weight: peaks.map(|p| (p.used, p.limit)).max().unwrap_or_default(),
        });
        sim.journal().clear();
        began = sim.clock().now();
    }
    assert!(
        child.wait().unwrap().success() && needed.len() == 2,
        "a part of {task:?} failed"
    );
    needed
}

fn row(what: &str, needed: &Needed, rows: u32, other: Option<&Needed>) {
    let Needed {
        seconds,
        processor,
        requests,
        ..
    } = needed;
    let aim = match other {
        Some(_) if *seconds <= AIM => format!("≤{AIM:.0} ✓"),
        Some(_) => format!("≤{AIM:.0} ✗"),
        None => String::new(),
    };
    let per_second = SYMBOLS as f64 * f64::from(rows) / seconds;
    let weight = format!("{} of {}", needed.weight.0, needed.weight.1);
    let peak = format!("{:.0} MB", needed.peak / 1e6);
    let ratio = |other: &Needed| format!("{:.2} {:.2}", seconds / other.seconds, processor / other.processor);
    let ratio = other.map(ratio).unwrap_or_default();
    println!(
        "{what:42} {seconds:>5.1} s {processor:>5.1} s {aim:>6} {requests:>8} {per_second:>9.0} {weight:>14} {peak:>9} {ratio:>7}"
    );
}
