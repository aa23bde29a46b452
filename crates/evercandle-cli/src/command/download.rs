//! `download`: fills the cache, many series at once.
//!
//! There is no state of its own: what is stored is not asked for again, so running the same command again goes on where
//! the last run stopped, however it stopped.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evercandle::{Client, Interval, Market, Priority, Series, TimeRange, Timestamp, Via, Waiting};
use evercandle_formats::Story;
use futures::StreamExt;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::args::{Download, Global};
use crate::command::interrupt::Interrupt;
use crate::exit::{Exit, Failure};
use crate::gather::{self, Gathered, Query};
use crate::output::list::{Column, left, right, table};
use crate::range;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::text;

const COLUMNS: [Column; 6] = [
    left("series"),
    right("klines"),
    right("fetched").spare(),
    right("missing"),
    right("took").spare(),
    left("result"),
];

/// Microseconds of a wait that is worth a line of its own.
const WORTH_A_LINE: i64 = 10_000_000;
/// Microseconds from which on a time of day may be that of another day.
const DAY: i64 = 86_400_000_000;

/// How an answer's notice begins when klines of it could not be stored.
const UNWRITTEN: &str = "cache not written: ";

pub(crate) async fn run(
    args: &Download,
    global: &Global,
    screen: &Screen,
    interrupt: Interrupt,
) -> Result<Exit, Failure> {
    let series = wanted(args)?;
    let session = Session::open_with(global, &args.upstreams.internet, screen, |config| {
        if let Some(patience) = args.patience {
            config.engine.patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        }
    })?;
    // From the beginning on, so that no wait is missed.
    let mut waiting = session.client.waiting();
    let range = args.range.resolve(session.now(), None)?;
    let progress = Progress::new(&series, range, screen);
    let begun = now();
    let query = |series: &Series| -> Result<Query, Failure> {
        let range = args.range.closed(range, series.interval());
        Ok(Query {
            priority: Priority::Bulk,
            ..gather::query(series.clone(), range, &args.upstreams)?
        })
    };
    let queries: Vec<Query> = series.iter().map(query).collect::<Result<_, _>>()?;
    let mut done: Vec<Done> = Vec::new();
    let mut interrupted = None;
    {
        let (client, progress) = (&session.client, &progress);
        let mut work = futures::stream::iter(queries)
            .map(|query| one(client, query, progress))
            .buffer_unordered(usize::from(args.jobs));
        let mut interrupt = std::pin::pin!(interrupt.wait());
        loop {
            tokio::select! {
                biased;
                () = &mut interrupt => {
                    let waiting = waiting.borrow();
                    let what = waiting.as_ref().map(|waiting| format!("interrupted while {}", waits(waiting, session.now())));
                    interrupted = Some(what.unwrap_or_else(|| "interrupted".to_owned()));
                    break;
                }
                Ok(()) = waiting.changed() => progress.waits(waiting.borrow_and_update().as_ref(), session.now(), screen),
                finished = work.next() => match finished {
                    Some(finished) => {
                        progress.finished(&finished, screen);
                        done.push(finished);
                    }
                    None => break,
                },
            }
        }
    }
    progress.clear();
    done.sort_by(|a, b| a.series.cmp(&b.series));
    let stored = stored(session.client.store().readonly(), &done);
    summary(&done, &series, begun.elapsed(), screen)?;
    if let Some(what) = interrupted {
        return Err(Failure::new(Exit::Interrupted, what)
            .hint("what was fetched is kept: run the same command again to go on from there"));
    }
    stored?;
    Ok(exit(&done))
}

/// Whether what was fetched was stored, which is what the command is for. Answers tell of each write that failed; the
/// store says why writes are off at the end.
fn stored(readonly: Option<String>, done: &[Done]) -> Result<(), Failure> {
    let stories = || done.iter().filter_map(|d| d.result.as_ref().ok());
    let why = stories().find_map(unstored).map(str::to_owned);
    match why.or(readonly.filter(|_| stories().any(fetched))) {
        None => Ok(()),
        Some(why) => Err(Failure::new(
            Exit::Cache,
            format!("not everything that was fetched could be stored: {why}"),
        )
        .hint("free space or make the folder writable, or name another with --cache-dir; then run this again")),
    }
}

/// Why klines of a story are not in the cache now. What was held already is held, whatever else could not be written.
fn unstored(story: &Story) -> Option<&str> {
    let why = story.notices.iter().find_map(|notice| notice.strip_prefix(UNWRITTEN));
    why.filter(|_| fetched(story))
}

fn fetched(story: &Story) -> bool {
    story.segments.iter().any(|segment| segment.via == Via::Upstream)
}

/// A series that was gone through, to its end or to its error.
struct Done {
    series: Series,
    result: Result<Story, Failure>,
    took: Duration,
}

async fn one(client: &Client, query: Query, progress: &Progress) -> Done {
    let begun = now();
    let bar = progress.begin(&query.series);
    let work = async {
        let mut gathered = Gathered::new(&query);
        let mut answers = std::pin::pin!(query.answers(client));
        while let Some(window) = answers.next().await {
            let window = window?;
            let slots = window.slots();
            gathered.take(window);
            progress.advance(&bar, slots);
        }
        gathered.finish()
    };
    let result: Result<Story, evercandle::Error> = work.await;
    progress.end(&bar);
    Done {
        series: query.series,
        result: result.map_err(Failure::from),
        took: begun.elapsed(),
    }
}

#[allow(clippy::disallowed_methods, reason = "for telling people how long it took")]
fn now() -> Instant {
    Instant::now()
}

/// What is wanted of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Klines(Interval),
    FundingRates,
}

/// Every symbol at every interval, in the order written, each once.
fn wanted(args: &Download) -> Result<Vec<Series>, Failure> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    if let Some(path) = &args.file {
        lines = super::list(path)?;
    }
    let (intervals, symbols): (Vec<&String>, Vec<&String>) = args.what.iter().partition(|w| is_interval(w));
    let intervals: Vec<Wanted> = intervals.into_iter().map(|w| interval(w)).collect::<Result<_, _>>()?;
    let (mut all, mut known): (Vec<Series>, HashSet<Series>) = Default::default();
    let mut add = |symbol: &str, intervals: &[Wanted], market: Option<Market>| -> Result<(), Failure> {
        if intervals.is_empty() {
            return Err(Failure::bad_input(format!("{symbol}: no interval was given"))
                .hint("name at least one of 1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M, or fundingRate"));
        }
        for interval in intervals {
            let series = match interval {
                Wanted::Klines(interval) => {
                    Series::parse(symbol, *interval, market).map_err(evercandle::Error::from)?
                }
                Wanted::FundingRates => super::funding::series(symbol, market)?,
            };
            if known.insert(series.clone()) {
                all.push(series);
            }
        }
        Ok(())
    };
    for symbol in symbols {
        add(symbol, &intervals, args.market)?;
    }
    for words in &lines {
        let Some((symbol, own)) = words.split_first() else {
            continue;
        };
        let own: Vec<Wanted> = own.iter().map(|w| interval(w)).collect::<Result<_, _>>()?;
        add(symbol, if own.is_empty() { &intervals } else { &own }, args.market)?;
    }
    if all.is_empty() {
        return Err(Failure::bad_input("no symbol was given")
            .hint("name some, as in `evercandle download BTCUSDT ETHUSDT 1m --last 30d`, or a list with --file"));
    }
    Ok(all)
}

/// Words that begin with a digit and are short are meant as intervals, right or wrong; `1000SHIBUSDT` is a symbol.
fn is_interval(word: &str) -> bool {
    super::funding::is_meant(word) || word.parse::<Interval>().is_ok() || range::nearest_interval(word).is_some()
}

fn interval(word: &str) -> Result<Wanted, Failure> {
    match super::funding::is_meant(word) {
        true => Ok(Wanted::FundingRates),
        false => range::interval(word).map(Wanted::Klines).map_err(Failure::bad_input),
    }
}

/// Bars on a terminal; elsewhere a line per finished series.
struct Progress {
    bars: MultiProgress,
    total: ProgressBar,
    /// What is waited for, below all bars.
    waits: ProgressBar,
    lines: bool,
    /// The line that was last said of a wait. Several series wait for the same, one after another.
    said: RefCell<String>,
    /// Whether something arrives, so that there is an end to be estimated.
    arrives: Arc<AtomicBool>,
    range: TimeRange,
}

impl Progress {
    fn new(series: &[Series], range: TimeRange, screen: &Screen) -> Progress {
        let shown = screen.stderr_is_terminal && !screen.quiet;
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        let slots = series
            .iter()
            .map(|s| evercandle::Grid::new(s.interval(), None).count(range))
            .sum();
        let total = bars.add(ProgressBar::new(slots));
        let style = "{prefix:<28} {bar:24.green/black} {percent:>3} %  {human_pos} slots  {rate}/s  {left}";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let arrives = Arc::new(AtomicBool::new(false));
        total.set_style(
            style
                .with_key("rate", rate)
                .with_key("left", time_left(arrives.clone())),
        );
        total.set_prefix(format!("{} series", series.len()));
        total.enable_steady_tick(Duration::from_millis(250));
        let waits = bars.add(ProgressBar::new_spinner());
        waits
            .set_style(ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Progress {
            bars,
            total,
            waits,
            lines: !shown,
            said: RefCell::default(),
            arrives,
            range,
        }
    }

    fn begin(&self, series: &Series) -> ProgressBar {
        let slots = evercandle::Grid::new(series.interval(), None).count(self.range);
        let bar = self.bars.insert_before(&self.total, ProgressBar::new(slots));
        let style = "{prefix:<28} {bar:24.cyan/black} {percent:>3} %  {human_pos}/{human_len}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(series.to_string());
        bar.tick();
        bar
    }

    fn advance(&self, bar: &ProgressBar, slots: u64) {
        self.arrives.store(true, Ordering::Relaxed);
        bar.inc(slots);
        self.total.inc(slots);
    }

    fn end(&self, bar: &ProgressBar) {
        // What an error left undone is not to be waited for.
        self.total
            .inc(bar.length().unwrap_or_default().saturating_sub(bar.position()));
        bar.finish_and_clear();
        self.bars.remove(bar);
    }

    fn finished(&self, done: &Done, screen: &Screen) {
        if self.lines {
            screen.say(&format!(
                "{}: {} in {}",
                done.series,
                result(done),
                text::took(done.took)
            ));
        }
    }

    /// Says what is waited for, or that it is over.
    fn waits(&self, waiting: Option<&Waiting>, now: Timestamp, screen: &Screen) {
        if waiting.is_some() {
            self.arrives.store(false, Ordering::Relaxed);
        }
        if !self.lines {
            let told = waiting.map(|waiting| waits(waiting, now));
            self.waits.set_message(told.unwrap_or_default());
        } else if let Some(line) = waiting.and_then(|waiting| self.line(waiting, now)) {
            screen.say(&screen.ink(Ink::Warning, &line));
        }
    }

    /// The line of a wait that is worth one and is news.
    fn line(&self, waiting: &Waiting, now: Timestamp) -> Option<String> {
        let is_long = waiting.until.since(now) > WORTH_A_LINE;
        let line = waits(waiting, now);
        (is_long && self.said.replace(line.clone()) != line).then_some(line)
    }

    fn clear(&self) {
        self.waits.finish_and_clear();
        self.total.finish_and_clear();
        let _ = self.bars.clear();
    }
}

/// What is waited for, in one line that begins with what matters: a terminal shows no more than fits.
fn waits(waiting: &Waiting, now: Timestamp) -> String {
    let at = |instant: Timestamp| {
        let when = text::second(instant);
        match when.split_once(' ') {
            Some((_, time)) if instant.since(now) < DAY => time.to_owned(),
            _ => when,
        }
    };
    let names: Vec<&str> = waiting.reasons.iter().map(|(name, _)| name.as_str()).collect();
    let reasons: Vec<String> = waiting
        .reasons
        .iter()
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    format!(
        "waiting for {} until {} UTC, at most until {}: {}",
        names.join(", "),
        at(waiting.until),
        at(waiting.gives_up_at),
        text::foreign(&reasons.join("; "))
    )
}

/// Says how long it still takes, while anybody can know.
fn time_left(arrives: Arc<AtomicBool>) -> impl Fn(&ProgressState, &mut dyn std::fmt::Write) + Clone + Send + Sync {
    move |state, out| {
        if arrives.load(Ordering::Relaxed) {
            let _ = write!(out, "{:#} left", HumanDuration(state.eta()));
        }
    }
}

fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let _ = out.write_str(&text::thousands(state.per_sec() as u64));
}

fn result(done: &Done) -> String {
    match &done.result {
        Ok(story) if unstored(story).is_some() => "fetched, but not stored".to_owned(),
        Ok(story) if story.is_complete() => "complete".to_owned(),
        Ok(story) if story.rows == 0 => "nothing could be had".to_owned(),
        Ok(_) => "incomplete".to_owned(),
        // The series stands beside it already.
        Err(failure) => {
            let (message, named) = (
                failure.message(),
                [done.series.to_string(), done.series.symbol().to_string()],
            );
            let bare = named
                .iter()
                .find_map(|name| message.strip_prefix(name)?.strip_prefix(": "));
            bare.unwrap_or(message).to_owned()
        }
    }
}

/// The table is what the command is about once it has run, so it is data and goes to stdout.
fn summary(done: &[Done], series: &[Series], took: Duration, screen: &Screen) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut klines = 0;
    for one in done {
        let (mut found, mut fetched, mut missing) = (0, 0, 0);
        if let Ok(story) = &one.result {
            let grid = story.grid;
            let new = story.segments.iter().filter(|s| s.via == Via::Upstream);
            found = story.rows;
            fetched = new.map(|s| grid.count(s.range)).sum::<u64>().min(found);
            missing = story
                .gaps
                .iter()
                .filter(|g| !g.reason.is_final())
                .map(|g| grid.count(g.range))
                .sum();
        }
        klines += found;
        rows.push(vec![
            one.series.to_string(),
            text::thousands(found),
            text::thousands(fetched),
            text::thousands(missing),
            text::took(one.took),
            result(one),
        ]);
    }
    let untouched = series.len() - done.len();
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(table(&COLUMNS, &rows, screen.stdout_limit).as_bytes())?;
    let count = |counts: fn(&Done) -> bool| done.iter().filter(|d| counts(d)).count();
    let complete = count(|d| matches!(&d.result, Ok(story) if story.is_complete() && unstored(story).is_none()));
    let incomplete = count(|d| matches!(&d.result, Ok(story) if !story.is_complete() && story.rows > 0));
    let not_stored = count(|d| matches!(&d.result, Ok(story) if story.is_complete() && unstored(story).is_some()));
    let failed = done.len() - complete - incomplete - not_stored;
    let rest: String = [
        (incomplete, "incomplete"),
        (not_stored, "not stored"),
        (failed, "failed"),
        (untouched, "not finished"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!(", {n} {what}"))
    .collect();
    writeln!(
        stdout,
        "{complete} of {} series complete{rest}, {} in {}",
        series.len(),
        text::count(klines, "kline"),
        text::took(took)
    )?;
    stdout.flush()?;
    let mut told: Vec<&String> = Vec::new();
    for notice in done
        .iter()
        .filter_map(|d| d.result.as_ref().ok())
        .flat_map(|s| &s.notices)
    {
        if !told.contains(&notice) {
            told.push(notice);
            screen.say(&format!("{} {notice}", screen.ink(Ink::Warning, "note:")));
        }
    }
    for (one, story) in done.iter().filter_map(|d| Some((d, d.result.as_ref().ok()?))) {
        if let Some(gap) = story.gaps.iter().find(|g| !g.reason.is_final()) {
            screen.say(&format!(
                "{} {}: {}",
                one.series,
                text::range(gap.range),
                text::foreign(&gap.reason.to_string())
            ));
        }
    }
    Ok(())
}

/// The one way in which all that went wrong went wrong, else "incomplete".
fn exit(done: &[Done]) -> Exit {
    let mut wrong = done
        .iter()
        .map(|d| match &d.result {
            Ok(story) if story.is_complete() => Exit::Complete,
            Ok(story) if story.rows == 0 => Exit::Unavailable,
            Ok(_) => Exit::Incomplete,
            Err(failure) => failure.exit,
        })
        .filter(|exit| *exit != Exit::Complete);
    let Some(first) = wrong.next() else {
        return Exit::Complete;
    };
    let alike = wrong.all(|exit| exit == first);
    match first {
        // Something was had: "nothing at all" would be untrue.
        Exit::Unavailable if done.iter().any(|d| matches!(&d.result, Ok(story) if story.rows > 0)) => Exit::Incomplete,
        first if alike => first,
        _ => Exit::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn waiting(until: &str) -> Waiting {
        Waiting {
            until: fixture::at(until),
            gives_up_at: fixture::at("2024-06-02T00:14:40Z"),
            reasons: ["binance", "binance-vision"]
                .map(|name| {
                    (
                        evercandle::ProviderName::new(name),
                        "circuit open: it failed repeatedly".to_owned(),
                    )
                })
                .into(),
        }
    }

    /// Goal: who is waited for, until when and at most until when fit the narrowest usual terminal, whatever day it is.
    #[test]
    fn a_wait_begins_with_what_matters() {
        let line = waits(&waiting("2024-06-02T00:00:05Z"), fixture::at("2024-06-01T23:59:40Z"));
        let (matters, reasons) = line.split_at(80);
        assert_eq!(
            matters,
            "waiting for binance, binance-vision until 00:00:05 UTC, at most until 00:14:40: "
        );
        assert!(reasons.starts_with("binance: circuit open"), "{reasons}");
    }

    /// Goal: of several series that wait for the same, one line is said.
    #[test]
    fn a_wait_is_said_once() {
        let progress = Progress::new(
            &[fixture::hours()],
            fixture::range("2024-05-01", "2024-05-02"),
            &fixture::screen(None),
        );
        let now = fixture::at("2024-06-01T23:59:40Z");
        let said = |until| progress.line(&waiting(until), now).is_some();
        assert!(said("2024-06-02T00:00:05.100Z"));
        assert!(!said("2024-06-02T00:00:05.900Z"));
        assert!(!said("2024-06-01T23:59:42Z"));
        assert!(said("2024-06-02T00:00:35Z"));
    }
}
