//! A world to test in: a simulated internet on a real socket, an empty cache, a clock that stands still.

use evercandle::model::batch::DECIMAL_COLUMNS;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evercandle::{
    Answer, CircuitState, Client, Clock, Completeness, Config, Error, GapReason, Interval, Market, Nature, Price,
    Request, Series, TimeRange, Timestamp, UpstreamHealth,
};
use evercandle_simulator as sim;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// When it is, unless a test says otherwise: long after every archive of 2024 was published.
pub(crate) const NOW: &str = "2024-06-12T10:30:20Z";

pub(crate) struct World {
    pub(crate) sim: sim::Handle,
    /// Goes when the world does.
    _dir: tempfile::TempDir,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    /// Why limits do not hold here, if they do not; see [`World::no_limits`].
    without_limits: Option<&'static str>,
}

/// Goal: in every test, whatever it is about, upstreams' limits and bans are kept.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() || self.without_limits.is_some() {
            return;
        }
        let peaks = self.sim.peak_weights();
        let over: Vec<_> = peaks.iter().filter(|peak| peak.share() > 0.8).collect();
        assert!(over.is_empty(), "more than 80 % of a limit was used: {over:?}");
        assert_eq!(self.sim.calls_in_quarantine(), 0, "an upstream was called during a ban");
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::at(NOW, 7).await
    }

    pub(crate) async fn at(now: &str, seed: u64) -> World {
        World::of(now, sim::Config::default().seed(seed)).await
    }

    /// Of a pretend internet that is set up otherwise.
    pub(crate) async fn of(now: &str, config: sim::Config) -> World {
        let now = time(now);
        let sim = sim::Simulator::start(config.at(now.as_micros())).await.unwrap();
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
            without_limits: None,
        }
    }

    /// Limits are not checked when the world ends, for this reason.
    pub(crate) fn no_limits(&mut self, reason: &'static str) {
        self.without_limits = Some(reason);
    }

    /// The exchange's clock goes on by itself, as our monotonic one does, so that cooldowns and bans end for both at
    /// the same time.
    pub(crate) fn let_time_flow(&self) {
        let clock = self.sim.clock();
        let machine = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let offset = clock.now() - machine.as_micros() as i64;
        clock.set_mode(sim::ClockMode::Real { offset });
    }

    /// So much time passes, here and there.
    pub(crate) fn pass(&self, by: Duration) {
        self.sim.clock().advance(by.as_micros() as i64);
        self.clock.advance(by);
    }

    /// From now on an upstream is reached through a door of its own. To be called before [`World::client`].
    pub(crate) async fn door(&mut self, provider: &str) -> sim::Door {
        let door = self.sim.open_door().await.unwrap();
        self.reach(provider, &door);
        door
    }

    /// From now on an upstream is reached through this door. To be called before [`World::client`].
    pub(crate) fn reach(&mut self, provider: &str, door: &sim::Door) {
        let settings = self.config.providers.entry(provider.to_owned()).or_default();
        settings.internet = Some(door.url().parse().unwrap());
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

    /// Goal: a price is the truth of a moment at which the upstream was asked, to the digit, and says whose it is.
    #[track_caller]
    pub(crate) fn check_price(&self, price: &Price) {
        let market = self.sim.market();
        let venue = match price.market {
            Market::Spot => sim::ExchangeMarket::Spot,
            Market::Um => sim::ExchangeMarket::UsdM,
            Market::Cm => sim::ExchangeMarket::CoinM,
        };
        let requests = self.sim.journal().requests();
        let told = |at: i64| match &price.nature {
            Nature::Exchange => {
                let truth = market.ticker(venue, price.symbol.as_str(), at);
                truth.is_some_and(|t| t.last_price_text() == price.price.as_str())
            }
            Nature::Substitute(label) => {
                let words: Vec<&str> = label.split([' ', ',']).collect();
                let truth = market.index_price(words[0], words[2], at);
                truth.is_some_and(|t| (t - price.price.value()).abs() <= t * 1e-6)
            }
        };
        // At the instant it claims, or when somebody asked: an index lags behind what it is asked for.
        let true_once = told(price.as_of.as_micros() + 1) || requests.iter().rev().any(|r| told(r.at));
        assert!(true_once, "never true: {price:?}");
        let ours = matches!(price.nature, Nature::Exchange);
        assert_eq!(ours, price.provider.as_str().starts_with("binance"), "{price:?}");
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

/// What a client's health says of one upstream.
pub(crate) fn health(client: &Client, provider: &str) -> UpstreamHealth {
    let all = client.health().upstreams;
    all.into_iter().find(|u| u.provider.as_str() == provider).unwrap()
}

/// Waits, within bounds, until something has happened. Looks often, so that nothing depends on how fast a machine is.
#[track_caller]
pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        while !happened() {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{place}: waited in vain for {what}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Waits until an upstream's prober has done what is due, so that it can be seen what came of it.
pub(crate) async fn probed(client: &Client, provider: &str) {
    let quiet = || {
        let (now, look) = (client.clock().now(), health(client, provider));
        match look.state {
            CircuitState::Closed => true,
            CircuitState::Open => look.retry_at.is_none_or(|at| at > now),
            CircuitState::HalfOpen => look.retry_at.is_none(),
        }
    };
    until("the prober", quiet).await;
}

/// What this thread's calls count from now on.
pub(crate) struct Counters {
    snapshotter: Snapshotter,
    _here: metrics::LocalRecorderGuard<'static>,
}

impl Counters {
    /// Counts what happens on this thread, where a test's client and its tasks run.
    pub(crate) fn new() -> Counters {
        // A test's recorder lives as long as the test, which is as long as anybody looks.
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        Counters {
            snapshotter: recorder.snapshotter(),
            _here: metrics::set_default_local_recorder(recorder),
        }
    }

    /// Everything since the last look, as `name{label=value,…}`. Looking resets it.
    pub(crate) fn look(&self) -> BTreeMap<String, f64> {
        let metrics = self.snapshotter.snapshot().into_vec().into_iter();
        let line = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
            let labels: Vec<String> = key
                .key()
                .labels()
                .map(|l| format!("{}={}", l.key(), l.value()))
                .collect();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(level) => level.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            };
            (format!("{}{{{}}}", key.key().name(), labels.join(",")), value)
        };
        metrics.map(line).collect()
    }
}
