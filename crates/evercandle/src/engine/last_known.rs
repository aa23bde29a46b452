//! The last known values of prices and sentiments: what is served when nobody answers, with its age.
//!
//! Kept in memory and, through the store's state, across restarts. A substitute is remembered as a substitute, beside
//! the exchange's own price and never in its place. Ages are what a wall clock can get wrong, so what this process
//! fetched itself is aged by the monotonic clock, and what it found on disk is refused when it seems to come from the
//! future.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::answer::ProviderName;
use crate::clock::Clock;
use crate::health::LatestHealth;
use crate::model::range::{DAY, MINUTE, Timestamp};
use crate::model::series::Market;
use crate::model::symbol::Symbol;
use crate::price::{Decimal, Nature, Quote};
use crate::sentiment::{Measure, Reading};
use crate::store::{LastPrice, LastReadings, Store};
use crate::telemetry;

/// Prices remembered at the most; beyond, the oldest are forgotten.
const PRICES_MAX: usize = 20_000;
/// The store's names for what is kept.
const PRICES_FILE: &str = "last-prices";
const READINGS_FILE: &str = "last-readings";

/// A value, who told it and when.
#[derive(Clone, Debug)]
pub(crate) struct Known<T> {
    pub(crate) value: T,
    pub(crate) provider: ProviderName,
    /// Wall time, UTC.
    pub(crate) fetched_at: Timestamp,
    /// The value's age when it was told, by the clock of who told it.
    age_then: Duration,
    /// Absent: another process fetched it.
    fetched: Option<Instant>,
    /// More was asked for, and this was all there is.
    pub(crate) is_all: bool,
}

impl<T> Known<T> {
    /// A value told now, true since `as_of` by the provider's clock, which shows `told_at`.
    pub(crate) fn new(
        value: T,
        provider: &ProviderName,
        as_of: Timestamp,
        told_at: Timestamp,
        clock: &Clock,
    ) -> Known<T> {
        Known {
            value,
            provider: provider.clone(),
            fetched_at: clock.now(),
            age_then: micros(told_at.since(as_of)),
            fetched: Some(clock.instant()),
            is_all: false,
        }
    }

    /// How long ago it was told; `None` when that cannot be known, because it seems to lie in the future.
    pub(crate) fn since_told(&self, clock: &Clock) -> Option<Duration> {
        if let Some(fetched) = self.fetched {
            return Some(clock.instant().saturating_duration_since(fetched));
        }
        // A little into the future is a clock that was set back; how far is as good a guess at the age as any, and no zero.
        let since = clock.now().since(self.fetched_at);
        (since > -MINUTE).then(|| Duration::from_micros(since.unsigned_abs()))
    }

    /// How long ago it was true.
    pub(crate) fn age(&self, clock: &Clock) -> Option<Duration> {
        Some(self.since_told(clock)? + self.age_then)
    }
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).unsigned_abs())
}

/// The exchange's own prices and the substitutes, apart.
type PriceKey = (Market, Symbol, bool);

type PricesByKey = HashMap<PriceKey, Known<Quote>>;
type ReadingsByMeasure = Vec<(Measure, Known<Vec<Reading>>)>;

/// What was known last; read from disk when it is first wanted.
#[derive(Clone)]
pub(crate) struct LastKnown {
    store: Store,
    prices: Arc<Mutex<Option<PricesByKey>>>,
    readings: Arc<Mutex<Option<ReadingsByMeasure>>>,
    /// One writer at a time, so that an older state cannot replace a newer one.
    saving: Arc<Mutex<()>>,
    writing: TaskTracker,
    /// Whether a save of each kind is yet to begin.
    waiting: Arc<[AtomicBool; 2]>,
    /// How callers were answered, of each kind.
    answered: Arc<[Answered; 2]>,
}

#[derive(Default)]
struct Answered {
    fresh: AtomicU64,
    stale: AtomicU64,
    refused: AtomicU64,
    not_fresh: AtomicBool,
}

/// What is known last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Prices,
    Sentiment,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Prices, Kind::Sentiment];

    fn as_str(self) -> &'static str {
        match self {
            Kind::Prices => "prices",
            Kind::Sentiment => "sentiment",
        }
    }
}

impl LastKnown {
    pub(crate) fn new(store: Store) -> LastKnown {
        LastKnown {
            store,
            prices: Arc::default(),
            readings: Arc::default(),
            saving: Arc::default(),
            writing: TaskTracker::new(),
            waiting: Arc::default(),
            answered: Arc::default(),
        }
    }

    /// One was served because nobody answered.
    pub(crate) fn was_served(&self, kind: Kind) {
        let answered = &self.answered[kind as usize];
        answered.stale.fetch_add(1, Ordering::Relaxed);
        answered.not_fresh.store(true, Ordering::Relaxed);
        telemetry::latest_read(kind.as_str(), "stale");
        telemetry::latest_not_fresh(kind.as_str(), true);
    }

    /// Nobody answered, and nothing that is young enough was known.
    pub(crate) fn was_refused(&self, kind: Kind) {
        let answered = &self.answered[kind as usize];
        answered.refused.fetch_add(1, Ordering::Relaxed);
        answered.not_fresh.store(true, Ordering::Relaxed);
        telemetry::latest_refused(kind.as_str());
        telemetry::latest_not_fresh(kind.as_str(), true);
    }

    /// Somebody answered.
    pub(crate) fn was_answered(&self, kind: Kind) {
        let answered = &self.answered[kind as usize];
        answered.fresh.fetch_add(1, Ordering::Relaxed);
        answered.not_fresh.store(false, Ordering::Relaxed);
        telemetry::latest_not_fresh(kind.as_str(), false);
    }

    /// How often each happened, and which last.
    pub(crate) fn answered(&self) -> Vec<LatestHealth> {
        let health = |kind: Kind| {
            let answered = &self.answered[kind as usize];
            LatestHealth {
                cache_name: kind.as_str(),
                fresh_served: answered.fresh.load(Ordering::Relaxed),
                stale_served: answered.stale.load(Ordering::Relaxed),
                stale_refused: answered.refused.load(Ordering::Relaxed),
                not_fresh: answered.not_fresh.load(Ordering::Relaxed),
            }
        };
        Kind::ALL.map(health).to_vec()
    }

    /// The last price, of the exchange itself or of a substitute.
    pub(crate) fn price(&self, market: Market, symbol: &Symbol, substitute: bool) -> Option<Known<Quote>> {
        let mut prices = self.prices.lock();
        let prices = prices.get_or_insert_with(|| self.load_prices());
        prices.get(&(market, symbol.clone(), substitute)).cloned()
    }

    /// Remembers prices. The exchange's own are kept apart from substitutes.
    pub(crate) fn keep_prices(&self, market: Market, told: Vec<Known<Quote>>) {
        if told.is_empty() {
            return;
        }
        {
            let mut prices = self.prices.lock();
            let prices = prices.get_or_insert_with(|| self.load_prices());
            for known in told {
                let key = (
                    market,
                    known.value.symbol.clone(),
                    known.value.nature != Nature::Exchange,
                );
                prices.insert(key, known);
            }
            if prices.len() > PRICES_MAX {
                let mut times: Vec<Timestamp> = prices.values().map(|k| k.fetched_at).collect();
                times.sort();
                let oldest_kept = times[times.len() - PRICES_MAX];
                prices.retain(|_, k| k.fetched_at >= oldest_kept);
            }
        }
        self.save_in_background(Kind::Prices);
    }

    /// The last readings of a measure.
    pub(crate) fn readings(&self, measure: &Measure) -> Option<Known<Vec<Reading>>> {
        let mut all = self.readings.lock();
        let all = all.get_or_insert_with(|| self.load_readings());
        all.iter().find(|(m, _)| m == measure).map(|(_, known)| known.clone())
    }

    /// Remembers readings. A longer history stays when a shorter one continues it.
    pub(crate) fn keep_readings(&self, measure: &Measure, told: Known<Vec<Reading>>) {
        {
            let mut all = self.readings.lock();
            let all = all.get_or_insert_with(|| self.load_readings());
            continue_with(all, measure, told);
        }
        self.save_in_background(Kind::Sentiment);
    }

    /// The disk may be slow, and nobody waits for it. A save that has not begun takes along what is learnt until it does.
    fn save_in_background(&self, kind: Kind) {
        if self.waiting[kind as usize].swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        drop(self.writing.spawn_blocking(move || {
            let _one = this.saving.lock();
            this.store.alone_with_state(|| {
                this.waiting[kind as usize].store(false, Ordering::Release);
                match kind {
                    Kind::Prices => this.save_prices(),
                    Kind::Sentiment => this.save_readings(),
                }
            });
        }));
    }

    /// Waits until what was kept so far is saved, as far as the disk allows.
    pub(crate) async fn flush(&self) {
        self.writing.close();
        self.writing.wait().await;
        self.writing.reopen();
    }

    fn save_prices(&self) {
        // Another process may know newer ones; what is older than ours is replaced.
        let mut all = self.load_prices();
        if let Some(ours) = self.prices.lock().as_ref() {
            for (key, known) in ours {
                if all.get(key).is_none_or(|k| k.fetched_at <= known.fetched_at) {
                    all.insert(key.clone(), known.clone());
                }
            }
        }
        let all: Vec<LastPrice> = all
            .iter()
            .map(|((market, ..), known)| stored_price(*market, known))
            .collect();
        // Where the disk refuses, the store has said so already.
        let _ = self.store.save_state(PRICES_FILE, &all);
    }

    fn load_prices(&self) -> PricesByKey {
        let stored: Vec<LastPrice> = self.store.load_state(PRICES_FILE).unwrap_or_default();
        stored.into_iter().take(PRICES_MAX).filter_map(read_price).collect()
    }

    fn save_readings(&self) {
        // Another process may know of other measures, or newer readings.
        let mut all = self.load_readings();
        if let Some(ours) = self.readings.lock().as_ref() {
            for (measure, known) in ours {
                let stored = all.iter().position(|(m, _)| m == measure);
                let stored = stored.map(|position| all.swap_remove(position).1);
                let mut both: Vec<_> = stored.into_iter().chain([known.clone()]).collect();
                both.sort_by_key(|known| known.fetched_at);
                for known in both {
                    continue_with(&mut all, measure, known);
                }
            }
        }
        let all: Vec<LastReadings> = all
            .iter()
            .map(|(measure, known)| stored_readings(measure, known))
            .collect();
        let _ = self.store.save_state(READINGS_FILE, &all);
    }

    fn load_readings(&self) -> ReadingsByMeasure {
        let stored: Vec<LastReadings> = self.store.load_state(READINGS_FILE).unwrap_or_default();
        stored.into_iter().filter_map(read_readings).collect()
    }
}

/// Puts readings in place of those of the same measure; of a longer history the older ones stay.
fn continue_with(all: &mut ReadingsByMeasure, measure: &Measure, mut told: Known<Vec<Reading>>) {
    if let Some(position) = all.iter().position(|(m, _)| m == measure) {
        let (_, before) = all.swap_remove(position);
        let oldest = told.value.last().map_or(Timestamp::MAX, |r| r.at);
        told.value.extend(before.value.into_iter().filter(|r| r.at < oldest));
    }
    all.push((measure.clone(), told));
}

fn stored_price(market: Market, known: &Known<Quote>) -> LastPrice {
    let quote = &known.value;
    LastPrice {
        market: market.to_string(),
        symbol: quote.symbol.to_string(),
        price: quote.price.to_string(),
        substitute: match &quote.nature {
            Nature::Exchange => None,
            Nature::Substitute(of) => Some(of.clone()),
        },
        halted: quote.halted.clone(),
        // By our clock, as `fetched_at` is, so that the age survives.
        as_of_us: known.fetched_at.as_micros() - i64::try_from(known.age_then.as_micros()).unwrap_or(0),
        fetched_us: known.fetched_at.as_micros(),
        provider: known.provider.to_string(),
    }
}

fn read_price(stored: LastPrice) -> Option<(PriceKey, Known<Quote>)> {
    let market: Market = stored.market.parse().ok()?;
    let symbol = Symbol::new(&stored.symbol).ok()?;
    let as_of = Timestamp::from_micros(stored.as_of_us);
    let fetched_at = Timestamp::from_micros(stored.fetched_us);
    let nature = stored.substitute.map_or(Nature::Exchange, Nature::Substitute);
    let key = (market, symbol.clone(), nature != Nature::Exchange);
    let value = Quote {
        symbol,
        price: Decimal::positive(&stored.price)?,
        nature,
        as_of,
        halted: stored.halted,
        day: None,
    };
    let known = Known {
        value,
        provider: ProviderName::new(&stored.provider),
        fetched_at,
        age_then: micros(fetched_at.since(as_of)),
        fetched: None,
        is_all: false,
    };
    Some((key, known))
}

fn stored_readings(measure: &Measure, known: &Known<Vec<Reading>>) -> LastReadings {
    let reading = |r: &Reading| {
        let until = r.valid_until.map(Timestamp::as_micros);
        (r.value, r.classification.clone(), r.at.as_micros(), until)
    };
    LastReadings {
        measure: match measure {
            Measure::FearAndGreed => "fear_and_greed".to_owned(),
            Measure::Votes { coin } => format!("votes:{coin}"),
            Measure::LongShortRatio { symbol } => format!("long_short_ratio:{symbol}"),
        },
        readings: known.value.iter().map(reading).collect(),
        fetched_us: known.fetched_at.as_micros(),
        provider: known.provider.to_string(),
    }
}

fn read_readings(stored: LastReadings) -> Option<(Measure, Known<Vec<Reading>>)> {
    let measure = match stored.measure.split_once(':') {
        None if stored.measure == "fear_and_greed" => Measure::FearAndGreed,
        Some(("votes", coin)) => Measure::Votes { coin: coin.to_owned() },
        Some(("long_short_ratio", symbol)) => Measure::LongShortRatio {
            symbol: symbol.to_owned(),
        },
        _ => return None,
    };
    let fetched_at = Timestamp::from_micros(stored.fetched_us);
    let reading = |(value, classification, at, until): (f64, Option<String>, i64, Option<i64>)| Reading {
        value,
        classification,
        at: Timestamp::from_micros(at),
        valid_until: until.map(Timestamp::from_micros),
    };
    let value: Vec<Reading> = stored.readings.into_iter().map(reading).collect();
    let newest = value.first()?.at;
    // What was remembered is believed no more than what is fetched.
    let sane = |r: &Reading| {
        let range = if measure.is_primary() { 0.0..=100.0 } else { 0.0..=1e6 };
        range.contains(&r.value) && r.at >= Timestamp::EPOCH && r.at <= fetched_at.plus(2 * DAY)
    };
    if !value.iter().all(sane) || !value.windows(2).all(|w| w[0].at > w[1].at) {
        return None;
    }
    let known = Known {
        provider: ProviderName::new(&stored.provider),
        fetched_at,
        age_then: micros(fetched_at.since(newest)),
        fetched: None,
        is_all: false,
        value,
    };
    Some((measure, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CacheConfig;
    use crate::price::Decimal;

    fn quote(name: &str, clock: &Clock) -> Quote {
        Quote {
            symbol: Symbol::new(name).unwrap(),
            price: Decimal::positive("7.10").unwrap(),
            nature: Nature::Exchange,
            as_of: clock.now(),
            halted: None,
            day: None,
        }
    }

    /// Goal: what two processes learn at the same moment is known to a third, all of it.
    #[tokio::test]
    async fn processes_that_save_at_the_same_time_lose_nothing_of_each_other() {
        let clock = Clock::held(Timestamp::from_micros(1_700_000_000_000_000));
        let config = CacheConfig {
            free_min: 0,
            ..CacheConfig::default()
        };
        for round in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let process = || LastKnown::new(Store::open(dir.path().to_owned(), &config, clock.clone()).unwrap());
            let symbols = ["AUSDT", "BUSDT", "CUSDT", "DUSDT"].map(|name| Symbol::new(name).unwrap());
            let processes = symbols.clone().map(|symbol| (process(), symbol));
            for (process, symbol) in &processes {
                let quote = quote(symbol.as_str(), &clock);
                let known = Known::new(quote, &ProviderName::new("binance"), clock.now(), clock.now(), &clock);
                process.keep_prices(Market::Spot, vec![known]);
            }
            for (process, _) in &processes {
                process.flush().await;
            }
            let later = process();
            for symbol in &symbols {
                assert!(
                    later.price(Market::Spot, symbol, false).is_some(),
                    "{symbol} in round {round}"
                );
            }
        }
    }

    /// Goal: what one process learns of one measure survives another's save of a different one.
    #[tokio::test]
    async fn processes_that_know_of_different_measures_forget_neither() {
        let clock = Clock::held(Timestamp::from_micros(1_700_000_000_000_000));
        let dir = tempfile::tempdir().unwrap();
        let config = CacheConfig {
            free_min: 0,
            ..CacheConfig::default()
        };
        let process = || LastKnown::new(Store::open(dir.path().to_owned(), &config, clock.clone()).unwrap());
        let coin = "bitcoin".to_owned();
        let measures = [Measure::FearAndGreed, Measure::Votes { coin }];
        let processes = measures.clone().map(|measure| (process(), measure));
        for (process, measure) in &processes {
            assert!(process.readings(measure).is_none());
        }
        for (process, measure) in &processes {
            let reading = Reading {
                value: 50.0,
                classification: None,
                at: clock.now(),
                valid_until: None,
            };
            let provider = ProviderName::new("anybody");
            let known = Known::new(vec![reading], &provider, clock.now(), clock.now(), &clock);
            process.keep_readings(measure, known);
            process.flush().await;
        }
        for measure in &measures {
            assert!(process().readings(measure).is_some(), "{measure:?}");
        }
    }

    /// Goal: while the disk hangs, what is learnt does not pile up behind it.
    #[tokio::test]
    async fn a_save_that_has_not_begun_takes_along_what_is_learnt_meanwhile() {
        let clock = Clock::held(Timestamp::from_micros(1_700_000_000_000_000));
        let dir = tempfile::tempdir().unwrap();
        let config = CacheConfig {
            free_min: 0,
            ..CacheConfig::default()
        };
        let store = || Store::open(dir.path().to_owned(), &config, clock.clone()).unwrap();
        let process = LastKnown::new(store());
        let keep = |name: &str| {
            let quote = quote(name, &clock);
            let known = Known::new(quote, &ProviderName::new("binance"), clock.now(), clock.now(), &clock);
            process.keep_prices(Market::Spot, vec![known]);
        };
        {
            let _hanging = process.saving.lock();
            ["AUSDT", "BUSDT", "CUSDT"].into_iter().for_each(keep);
            assert_eq!(process.writing.len(), 1);
        }
        process.flush().await;
        let last = Symbol::new("CUSDT").unwrap();
        assert!(LastKnown::new(store()).price(Market::Spot, &last, false).is_some());
    }
}
