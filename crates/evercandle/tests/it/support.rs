//! A world to test in: a simulated internet on a real socket, an empty cache, a clock that stands still.

use evercandle::model::batch::DECIMAL_COLUMNS;
use evercandle::{
    Answer, Client, Clock, Completeness, Config, Error, GapReason, Interval, Market, Request, Series, TimeRange,
    Timestamp,
};
use evercandle_simulator as sim;
use std::collections::BTreeMap;

/// When it is, unless a test says otherwise: long after every archive of 2024 was published.
pub(crate) const NOW: &str = "2024-06-12T10:30:20Z";

pub(crate) struct World {
    pub(crate) sim: sim::Handle,
    /// Goes when the world does.
    _dir: tempfile::TempDir,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
}

impl World {
    pub(crate) async fn new() -> World {
        World::at(NOW, 7).await
    }

    pub(crate) async fn at(now: &str, seed: u64) -> World {
        let now = time(now);
        let sim = sim::Simulator::start(sim::Config::default().seed(seed).at(now.as_micros()))
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            internet: Some(sim.base_url().parse().unwrap()),
            ..Config::default()
        };
        config.cache.dir = Some(dir.path().join("cache"));
        config.cache.free_min = 0;
        // A busy machine must not look like an outage; tests of silence call `World::impatient`.
        config.http.timeout_ms = 10_000;
        config.http.idle_timeout_ms = 10_000;
        config.engine.backoff_ms = 10;
        World {
            sim,
            _dir: dir,
            clock: Clock::held(now),
            config,
        }
    }

    /// Gives up on silence after so long.
    pub(crate) fn impatient(&mut self, timeout_ms: u64) {
        self.config.http.timeout_ms = timeout_ms;
        self.config.http.idle_timeout_ms = timeout_ms;
    }

    /// A client as another process would make it: nothing shared but the cache folder.
    pub(crate) fn client(&self) -> Client {
        Client::with_clock(self.config.clone(), self.clock.clone()).unwrap()
    }

    /// Moves the exchange's clock and ours.
    pub(crate) fn set_time(&self, now: &str) {
        self.clock.set(time(now));
        self.sim.clock().set(time(now).as_micros());
    }

    /// How many requests the simulator saw whose target contains `text`.
    pub(crate) fn requests(&self, text: &str) -> usize {
        self.sim.journal().count(text)
    }

    pub(crate) fn forget_requests(&self) {
        self.sim.journal().clear();
    }

    pub(crate) fn down(&self, host: &str) -> sim::FaultId {
        self.sim.inject(sim::Fault::new(sim::Effect::Refuse).on(host))
    }

    /// The simulator's truth: open time → printed fields.
    pub(crate) fn truth(&self, series: &Series, range: TimeRange) -> BTreeMap<i64, [String; 12]> {
        let market = match series.market() {
            Market::Spot => sim::ExchangeMarket::Spot,
            Market::Um => sim::ExchangeMarket::UsdM,
            Market::Cm => sim::ExchangeMarket::CoinM,
        };
        let interval = sim::Interval::from_rest(series.interval().as_str()).unwrap();
        let asked = sim::Series::new(market, series.symbol().as_str(), interval);
        let rows = self
            .sim
            .market()
            .klines(&asked, range.start().as_micros()..range.end().as_micros());
        rows.into_iter()
            .map(|k| (k.open_time, k.fields(sim::TimeUnit::Microseconds)))
            .collect()
    }

    /// Goal: the promise of every answer. Every row is the truth, to the digit; every slot without a row is in exactly
    /// one gap; a gap that claims the exchange has nothing is right about it; segments cover the rows exactly.
    #[track_caller]
    pub(crate) fn check(&self, answer: &Answer, honest: Upstreams) {
        let series = &answer.series;
        let truth = self.truth(series, answer.range);
        let grid = answer.grid;
        if let Some(first) = truth.keys().next() {
            assert!(
                grid.contains(Timestamp::from_micros(*first)),
                "{series}: the grid is not the exchange's"
            );
        }
        assert!(
            !grid.is_provisional() || answer.is_empty(),
            "{series}: a kline shows the grid's anchor"
        );
        let now = self.clock.now();
        let mut seen: Vec<Timestamp> = Vec::new();
        for batch in &answer.batches {
            assert_eq!(batch.series(), series);
            for row in 0..batch.len() {
                let open_time = batch.open_times()[row];
                let open = Timestamp::from_micros(open_time);
                assert!(
                    answer.range.contains(open),
                    "{series}: row {open} outside {}",
                    answer.range
                );
                assert!(
                    seen.last().is_none_or(|last| *last < open),
                    "{series}: rows not rising at {open}"
                );
                seen.push(open);
                let Some(expected) = truth.get(&open_time) else {
                    panic!("{series}: invented kline at {open}")
                };
                if grid.next(open) > now {
                    continue; // Still forming: its final values are not known yet.
                }
                for (column, field) in DECIMAL_COLUMNS.into_iter().zip([1, 2, 3, 4, 5, 7, 9, 10]) {
                    assert_eq!(
                        batch.print(row, column).as_ref(),
                        Some(&expected[field]),
                        "{series} {open} column {column}"
                    );
                    assert_eq!(batch.floats(column)[row], expected[field].parse::<f64>().unwrap());
                }
                assert_eq!(batch.counts()[row].to_string(), expected[8], "{series} {open} count");
                // Milliseconds or microseconds, by source; the same instant either way.
                let close: i64 = expected[6].parse().unwrap();
                assert_eq!(
                    batch.close_times()[row] / 1_000,
                    close / 1_000,
                    "{series} {open} close time"
                );
            }
        }
        let mut slots: Vec<Timestamp> = seen.iter().map(|open| grid.floor(*open)).collect();
        slots.dedup();
        let mut in_gaps: Vec<Timestamp> = Vec::new();
        for gap in &answer.gaps {
            for slot in grid.slots(gap.range) {
                in_gaps.push(slot);
                let exists = truth
                    .range(slot.as_micros()..grid.next(slot).as_micros())
                    .next()
                    .is_some();
                match gap.reason {
                    GapReason::NotYetClosed => assert!(grid.next(slot) > now, "{series}: {slot} has closed"),
                    GapReason::BeforeListing | GapReason::VenueHalt | GapReason::AbsentUpstream => {
                        assert!(
                            !exists || honest == Upstreams::Lie,
                            "{series}: {slot} exists, but gap says {}",
                            gap.reason
                        );
                    }
                    GapReason::NoUpstreamLeft(_) => {}
                }
            }
        }
        let mut all: Vec<Timestamp> = slots.iter().chain(&in_gaps).copied().collect();
        all.sort();
        let expected: Vec<Timestamp> = grid.slots(answer.range).collect();
        assert_eq!(
            all.len(),
            expected.len(),
            "{series} {}: slots are missing or told twice: {:?}",
            answer.range,
            answer.gaps
        );
        assert_eq!(all, expected);
        let covered: Vec<Timestamp> = answer.segments.iter().flat_map(|s| grid.slots(s.range)).collect();
        assert_eq!(
            covered, slots,
            "{series}: segments do not cover the rows exactly: {:?}",
            answer.segments
        );
    }
}

/// Whether a test's faults make upstreams deny klines that exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstreams {
    TellTheTruth,
    Lie,
}

pub(crate) fn time(text: &str) -> Timestamp {
    let zoned: jiff::Timestamp = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    }
    .parse()
    .unwrap();
    Timestamp::from_micros(zoned.as_microsecond())
}

pub(crate) fn range(start: &str, end: &str) -> TimeRange {
    TimeRange::new(time(start), time(end)).unwrap()
}

pub(crate) fn series(symbol: &str, interval: &str, market: Market) -> Series {
    Series::parse(symbol, interval.parse::<Interval>().unwrap(), Some(market)).unwrap()
}

pub(crate) fn best_effort(series: Series, range: TimeRange) -> Request {
    Request {
        completeness: Completeness::BestEffort,
        ..Request::new(series, range)
    }
}

/// The answer, whether it was good enough or not.
pub(crate) fn any_answer(result: Result<Answer, Error>) -> Answer {
    match result {
        Ok(answer) => answer,
        Err(Error::Incomplete(answer) | Error::Unavailable(answer)) => *answer,
        Err(other) => panic!("{other}"),
    }
}

/// Who supplied how many slots, in order: `binance-vision×2 cache:binance×1`.
pub(crate) fn suppliers(answer: &Answer) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for segment in &answer.segments {
        let name = match segment.via {
            evercandle::Via::Cache => format!("cache:{}", segment.origin.provider),
            evercandle::Via::Upstream => segment.origin.provider.to_string(),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names
}
