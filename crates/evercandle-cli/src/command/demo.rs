//! `demo`: the failover at work, in six acts, on a simulated exchange behind a real socket.
//!
//! Seed and clock are fixed, so that everything but the timings is the same each time. The cache is temporary: the
//! user's own is neither read nor written. Every kline of every act is compared with the simulated exchange's truth.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use evercandle::config::parse_internet;
use evercandle::{
    Batch, Client, Clock, Completeness, Config, Error, GapReason, Interval, Market, Outcome, Request, Series,
    TimeRange, Timestamp, Via,
};
use evercandle_formats::Story;
use evercandle_simulator as sim;
use evercandle_simulator::{Effect, Fault, Halt, HaltKind, Handle, Simulator, Upstream};

use crate::args::{Demo, LatestFormat};
use crate::chart::{Plot, terminal};
use crate::exit::{Exit, Failure};
use crate::output::list::{Column, left, right, table};
use crate::output::price;
use crate::screen::{Ink, Screen, paint};
use crate::temporary;
use crate::text;

mod daemon;

/// What time it is on the simulated exchange. Half a day after midnight, so that the last hours are in no archive yet.
const NOW: &str = "2024-06-14T12:00:30Z";
/// The month that is asked for, and the one before it, which nobody asked for yet.
const MONTH: (&str, &str) = ("2024-05-14T12:00:00Z", "2024-06-14T12:00:00Z");
const MONTH_BEFORE: (&str, &str) = ("2024-04-14T12:00:00Z", "2024-05-14T12:00:00Z");
/// A halt of the whole exchange, so that there is something honest to say.
const HALT: (&str, &str) = ("2024-05-28T02:00:00Z", "2024-05-28T04:10:00Z");
/// The act that is about no klines.
const PRICE_ACT: &str = "5";
const PRICE_TITLE: &str = "A price through an outage";
/// Characters of a chart, at the most.
const WIDTH_MAX: usize = 110;
/// Lines of prices.
const CHART_ROWS: usize = 11;

const SUMMARY: [Column; 6] = [
    left(""),
    left("answered by"),
    right("klines"),
    right("took"),
    right("missing"),
    left("verdict"),
];

pub(crate) async fn run(args: &Demo, screen: &Screen) -> Result<Exit, Failure> {
    let cannot = |e: std::io::Error| Failure::new(Exit::Unexpected, format!("the demo cannot start: {e}"));
    let now = at(NOW);
    let handle =
        Simulator::start_blocking(sim::Config::default().seed(args.seed).at(now.as_micros())).map_err(cannot)?;
    let (start, end) = (at(HALT.0).as_micros(), at(HALT.1).as_micros());
    handle.add_halt(Halt {
        market: sim::ExchangeMarket::Spot,
        start,
        end,
        kind: HaltKind::Absent,
    });
    let folder = temporary::folder("evercandle-demo-").map_err(cannot)?;
    let (first, second) = (folder.join("first"), folder.join("second"));
    let series = Series::parse("BTC/USDT", Interval::M1, None).map_err(Error::from)?;
    let mut stage = Stage {
        screen,
        handle: &handle,
        now,
        series,
        summary: Vec::new(),
        unequal: 0,
    };

    stage.opening()?;
    let month = range(MONTH);
    stage
        .act(
            "1",
            "Everything works",
            "an empty cache, all upstreams up",
            month,
            &first,
            true,
        )
        .await?;
    let fault = handle.inject(Fault::down(Upstream::BinanceVision));
    stage
        .act(
            "2",
            "The archives are down",
            "another empty cache; data.binance.vision refuses connections",
            month,
            &second,
            false,
        )
        .await?;
    handle.faults().clear(fault);
    handle.inject(Fault::new(Effect::Refuse));
    stage
        .act(
            "3",
            "Everything is down",
            "the cache of act 1; every upstream refuses connections",
            month,
            &first,
            false,
        )
        .await?;
    stage
        .act(
            "4",
            "Beyond the cache",
            "still everything down, and the month before was never fetched",
            range(MONTH_BEFORE),
            &first,
            false,
        )
        .await?;
    handle.faults().clear_all();
    stage.price(&first).await?;
    stage.daemon(&first).await?;
    stage.closing()?;
    match stage.unequal {
        0 => Ok(Exit::Complete),
        n => Err(Failure::new(
            Exit::Unexpected,
            format!("{} differ from the simulated exchange's truth", text::count(n, "kline")),
        )),
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(sim::time::parse_instant(text).unwrap_or_default())
}

fn range((start, end): (&str, &str)) -> TimeRange {
    TimeRange::clamped(at(start), at(end))
}

struct Stage<'a> {
    screen: &'a Screen,
    handle: &'a Handle,
    now: Timestamp,
    series: Series,
    summary: Vec<Vec<String>>,
    /// Klines that were not the truth.
    unequal: u64,
}

impl Stage<'_> {
    fn ink(&self, ink: Ink, text: &str) -> String {
        paint(self.screen.stdout_color, ink, text)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    fn width(&self) -> usize {
        self.screen.width.min(WIDTH_MAX)
    }

    fn opening(&self) -> Result<(), Failure> {
        let title = self.ink(Ink::Title, "evercandle demo");
        let about = format!(
            "A simulated exchange listens on {}; its clock stands at {}.\nNothing leaves this machine, and your own cache is not touched.\n",
            self.handle.base_url(),
            text::instant(self.now)
        );
        self.write(&format!("{title}\n{}", self.ink(Ink::Faint, &about)))
    }

    async fn act(
        &mut self,
        number: &str,
        title: &str,
        scene: &str,
        range: TimeRange,
        cache: &Path,
        draw: bool,
    ) -> Result<(), Failure> {
        self.heading(number, title, scene)?;
        let slots = Story::new(self.series.clone(), range).grid.count(range);
        self.fact(
            "asked",
            &format!(
                "{}, {} = {} slots",
                self.series,
                text::range(range),
                text::thousands(slots)
            ),
        )?;

        let client = Client::with_clock(self.config(cache)?, Clock::held(self.now))?;
        let request = Request {
            completeness: Completeness::Required,
            ..Request::new(self.series.clone(), range)
        };
        let begun = instant();
        let result = client.get_data(request).await;
        let took = begun.elapsed();
        let (answer, error) = match result {
            Ok(answer) => (answer, None),
            Err(Error::Incomplete(answer)) => (*answer, Some("incomplete")),
            Err(Error::Unavailable(answer)) => (*answer, Some("unavailable")),
            Err(other) => return Err(other.into()),
        };
        let mut story = Story::new(self.series.clone(), range);
        let batches = story.add(answer);
        self.report(number, title, &story, &batches, took, error)?;
        if draw && story.rows > 0 {
            let plot = Plot::of(&story, &batches, terminal::columns_max(self.width()));
            self.write(&format!(
                "\n{}",
                terminal::draw(&plot, self.width(), CHART_ROWS, self.screen.stdout_color)
            ))?;
        }
        Ok(())
    }

    /// A price while the exchange, and then everybody, goes away.
    async fn price(&mut self, cache: &Path) -> Result<(), Failure> {
        let scene = "one client asks three times: all is up; the exchange refuses connections; everybody does";
        self.heading(PRICE_ACT, PRICE_TITLE, scene)?;
        let mut config = self.config(cache)?;
        config.latest.price_fresh_ms = 0;
        config.latest.substitute_fresh_ms = 0;
        let client = Client::with_clock(config, Clock::held(self.now))?;
        let begun = instant();
        let mut prices = vec![client.price(Market::Spot, self.series.symbol()).await?];
        for host in [Upstream::BinanceSpot, Upstream::BinanceMarketData] {
            self.handle.inject(Fault::down(host));
        }
        prices.push(client.price(Market::Spot, self.series.symbol()).await?);
        self.handle.inject(Fault::new(Effect::Refuse));
        prices.push(client.price(Market::Spot, self.series.symbol()).await?);
        let took = text::took(begun.elapsed());
        // For the daemon of the next act.
        client.flush().await;
        let mut by: Vec<&str> = Vec::new();
        for price in &prices {
            let name = match price.via {
                Via::Cache => "cache",
                Via::Upstream => price.provider.as_str(),
            };
            if !by.contains(&name) {
                by.push(name);
            }
        }
        let none = || "–".to_owned();
        self.summary.push(vec![
            format!("{PRICE_ACT}  {PRICE_TITLE}"),
            by.join(" + "),
            none(),
            took,
            none(),
            text::count(prices.len() as u64, "price"),
        ]);
        let screen = Screen {
            stdout_limit: Some(self.width()),
            ..*self.screen
        };
        self.write(&format!(
            "\n{}\n",
            price::many(&prices, &[], LatestFormat::Table, &screen)
        ))?;
        let truth = self
            .handle
            .market()
            .ticker(sim::ExchangeMarket::Spot, "BTCUSDT", self.now.as_micros());
        let same = truth.is_some_and(|t| t.last_price_text() == prices[0].price.as_str());
        self.unequal += u64::from(!same);
        match same {
            true => self.fact("checked", "the exchange's price is its own, digit for digit"),
            false => self.fact("checked", &self.ink(Ink::Bad, "the exchange's price is not its own")),
        }
    }

    fn config(&self, cache: &Path) -> Result<Config, Failure> {
        let mut config = Config {
            internet: Some(parse_internet(&self.handle.base_url())?),
            ..Config::default()
        };
        config.cache.dir = Some(cache.to_owned());
        Ok(config)
    }

    fn heading(&self, number: &str, title: &str, scene: &str) -> Result<(), Failure> {
        let rule = "─".repeat(self.width().saturating_sub(title.chars().count() + number.len() + 7));
        let heading = format!("── {number}  {title} ");
        self.write(&format!(
            "\n{}{}\n",
            self.ink(Ink::Title, &heading),
            self.ink(Ink::Faint, &rule)
        ))?;
        self.fact("scene", scene)
    }

    fn report(
        &mut self,
        number: &str,
        title: &str,
        story: &Story,
        batches: &[Batch],
        took: Duration,
        error: Option<&str>,
    ) -> Result<(), Failure> {
        let verdict = match error {
            None => self.ink(Ink::Good, "complete"),
            Some(error) => self.ink(Ink::Bad, error),
        };
        let took = text::took(took);
        self.fact(
            "answered",
            &format!("{verdict}: {} in {took}", text::count(story.rows, "kline")),
        )?;
        let sources = sources(story);
        for (i, source) in sources.iter().enumerate() {
            let line = format!(
                "{:<22} {:>14}   {}",
                source.name,
                text::count(source.klines, "kline"),
                source.how
            );
            self.fact(if i == 0 { "by" } else { "" }, &line)?;
        }
        for (i, failure) in failures(story).iter().enumerate() {
            let line = self.ink(Ink::Warning, failure);
            self.fact(if i == 0 { "failed" } else { "" }, &line)?;
        }
        let grid = story.grid;
        let missing: u64 = story.gaps.iter().map(|g| grid.count(g.range)).sum();
        if story.gaps.is_empty() {
            self.fact("missing", "nothing")?;
        }
        for (i, gap) in story.gaps.iter().enumerate() {
            let slots = text::count(grid.count(gap.range), "slot");
            let line = format!("{}, {slots}: {}", text::range(gap.range), reason(&gap.reason));
            self.fact(if i == 0 { "missing" } else { "" }, &line)?;
        }
        for notice in &story.notices {
            self.fact("note", notice)?;
        }
        if story.rows > 0 {
            let unequal = self.compare(batches);
            self.unequal += unequal;
            let said = match unequal {
                0 => "every value equals the exchange's own, digit for digit".to_owned(),
                n => self.ink(
                    Ink::Bad,
                    &format!("{} differ from the exchange's own", text::count(n, "kline")),
                ),
            };
            self.fact("checked", &said)?;
        }
        let cached = story.segments.iter().all(|s| s.via == Via::Cache);
        let by: Vec<&str> = match cached && story.rows > 0 {
            true => vec!["cache"],
            false => sources.iter().map(|s| s.name.as_str()).collect(),
        };
        self.summary.push(vec![
            format!("{number}  {title}"),
            if by.is_empty() {
                "nobody".to_owned()
            } else {
                by.join(" + ")
            },
            text::thousands(story.rows),
            took,
            text::thousands(missing),
            error.unwrap_or("complete").to_owned(),
        ]);
        Ok(())
    }

    fn fact(&self, name: &str, text: &str) -> Result<(), Failure> {
        self.write(&format!("{} {text}\n", self.ink(Ink::Accent, &format!("{name:<9}"))))
    }

    /// How many klines are not what the simulated exchange made.
    fn compare(&self, batches: &[Batch]) -> u64 {
        let series = sim::Series::new(sim::ExchangeMarket::Spot, "BTCUSDT", sim::Interval::M1);
        let mut unequal = 0;
        for batch in batches {
            let Some(span) = batch.span() else { continue };
            let truth = self
                .handle
                .market()
                .klines(&series, span.start().as_micros()..span.end().as_micros());
            unequal += truth.len().abs_diff(batch.len()) as u64;
            for (row, kline) in truth.iter().enumerate().take(batch.len()) {
                let fields = kline.fields(sim::TimeUnit::Microseconds);
                let same = batch.open_times()[row] == kline.open_time
                    && fields[8] == batch.counts()[row].to_string()
                    && [1, 2, 3, 4, 5, 7, 9, 10]
                        .into_iter()
                        .all(|c| batch.print(row, c).as_ref() == Some(&fields[c]));
                unequal += u64::from(!same);
            }
        }
        unequal
    }

    fn closing(&self) -> Result<(), Failure> {
        let rule = "─".repeat(self.width());
        let rows = table(&SUMMARY, &self.summary, Some(self.width()));
        let next = [
            (
                "evercandle get BTCUSDT 1m --last 7d --explain",
                "the real exchange, with the trail",
            ),
            ("evercandle download BTCUSDT ETHUSDT 1m --last 1y", "fill your cache"),
            (
                "evercandle chart BTCUSDT 1h --last 30d --out btc.html",
                "candles to look at",
            ),
            (
                "evercandle price BTCUSDT",
                "the newest price, and how far it can be trusted",
            ),
            (
                "evercandle serve --simulate",
                "the daemon, with its page and its health",
            ),
            ("evercandle simulate", "this exchange, to break yourself"),
        ];
        let next: String = next
            .iter()
            .map(|(command, about)| {
                format!(
                    "  {}  {}\n",
                    self.ink(Ink::Accent, &format!("{command:<54}")),
                    self.ink(Ink::Faint, about)
                )
            })
            .collect();
        self.write(&format!(
            "\n{}\n{rows}\n{}\n{next}",
            self.ink(Ink::Faint, &rule),
            self.ink(Ink::Title, "Next")
        ))
    }
}

/// Why, without what each upstream said at length; `failed` above has it in short.
fn reason(reason: &GapReason) -> String {
    let GapReason::NoUpstreamLeft(tried) = reason else {
        return reason.to_string();
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in tried {
        if !names.contains(&name.as_str()) {
            names.push(name.as_str());
        }
    }
    format!("no upstream left to ask (tried {})", names.join(" and "))
}

/// Somebody klines came from.
struct Source {
    name: String,
    klines: u64,
    how: String,
}

fn sources(story: &Story) -> Vec<Source> {
    let grid = story.grid;
    let mut sources: Vec<Source> = Vec::new();
    for segment in &story.segments {
        let provider = segment.origin.provider.to_string();
        let name = match segment.via {
            Via::Cache => format!("cache ({provider})"),
            Via::Upstream => provider.clone(),
        };
        let klines = grid.count(segment.range);
        if let Some(source) = sources.iter_mut().find(|s| s.name == name) {
            source.klines += klines;
            continue;
        }
        let calls = story
            .trail
            .iter()
            .filter(|a| a.provider.as_str() == provider && matches!(a.outcome, Outcome::Rows(_)));
        let mut forms: Vec<(&str, u64)> = Vec::new();
        for call in calls {
            match forms.iter_mut().find(|(form, _)| *form == call.form) {
                Some((_, n)) => *n += 1,
                None => forms.push((call.form, 1)),
            }
        }
        let forms: Vec<String> = forms.into_iter().map(|(form, n)| text::count(n, form)).collect();
        let how = match segment.via {
            Via::Cache => "nobody was asked".to_owned(),
            Via::Upstream => forms.join(", "),
        };
        sources.push(Source { name, klines, how });
    }
    sources
}

/// What did not work: once per upstream and reason.
fn failures(story: &Story) -> Vec<String> {
    let mut failures: Vec<(String, u64)> = Vec::new();
    for attempt in story.trail.iter().filter(|a| a.number > 0) {
        if let Outcome::Failed { kind, .. } = &attempt.outcome {
            let what = format!("{}: {kind}", attempt.provider);
            match failures.iter_mut().find(|(known, _)| *known == what) {
                Some((_, n)) => *n += 1,
                None => failures.push((what, 1)),
            }
        }
    }
    failures
        .into_iter()
        .map(|(what, n)| format!("{what} ({})", text::count(n, "call")))
        .collect()
}

#[allow(clippy::disallowed_methods, reason = "for telling people how long it took")]
fn instant() -> Instant {
    Instant::now()
}
