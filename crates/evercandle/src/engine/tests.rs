//! What no upstream over a socket can do: a provider whose own code fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::Engine;
use super::bans::Bans;
use super::upstream::{Refusal, Upstream};
use crate::answer::{GapReason, ProviderName};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::Error;
use crate::health::{CircuitState, Status};
use crate::model::range::{HOUR, TimeRange, Timestamp};
use crate::model::series::{Market, Series};
use crate::model::symbol::Symbol;
use crate::price::{Decimal, Nature, PriceRequest, Quote};
use crate::provider::http::Method;
use crate::provider::{
    Call, FetchError, Fetched, Instrument, KlineProvider, Offer, PriceProvider, Provider, Pulse, QuotaSpec, Quotes,
    Roles, Slice, Supply,
};
use crate::request::Request;
use crate::resilience::quarantine::QuarantineRecord;
use crate::store::Store;

/// A provider whose code panics on every question, as long as `panics` lasts, and then answers.
struct Brittle {
    name: &'static str,
    panics: AtomicUsize,
    asked: AtomicUsize,
}

impl Brittle {
    fn answers(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let left = self
            .panics
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        assert!(left.is_err(), "on purpose: index out of bounds");
    }
}

#[async_trait]
impl Provider for Brittle {
    fn name(&self) -> ProviderName {
        ProviderName::new(self.name)
    }

    fn quota(&self, _: Call<'_>) -> Option<QuotaSpec> {
        None
    }

    async fn probe(&self, _: Method) -> Result<Pulse, FetchError> {
        self.answers();
        Ok(Pulse::Alive)
    }
}

#[async_trait]
impl PriceProvider for Brittle {
    fn symbols_max(&self, _: Market) -> usize {
        1
    }

    async fn prices(&self, _: Market, symbols: &[Symbol]) -> Result<Quotes, FetchError> {
        self.answers();
        let quote = Quote {
            symbol: symbols[0].clone(),
            price: Decimal::positive("7.10").unwrap(),
            nature: Nature::Exchange,
            as_of: now(),
            halted: None,
            day: None,
        };
        Ok(Quotes {
            quotes: vec![quote],
            ..Quotes::default()
        })
    }
}

#[async_trait]
impl KlineProvider for Brittle {
    fn offer(&self, _: &Series) -> Option<Offer> {
        Some(Offer {
            supply: Supply::Pages {
                rows_max: 1_000,
                span_max: None,
            },
            authoritative: false,
        })
    }

    async fn fetch(&self, _: &Slice) -> Result<Fetched, FetchError> {
        self.answers();
        Err(FetchError::Absent("nothing here".to_owned()))
    }

    async fn first_open(&self, _: &Series) -> Result<Option<Timestamp>, FetchError> {
        self.answers();
        Ok(None)
    }

    async fn server_time(&self, _: Market) -> Result<Option<Timestamp>, FetchError> {
        self.answers();
        Ok(None)
    }

    fn lists(&self, _: Market) -> bool {
        false
    }

    async fn instruments(&self, _: Market) -> Result<Vec<Instrument>, FetchError> {
        Ok(Vec::new())
    }

    fn known_halts(&self, _: &Series) -> &'static [TimeRange] {
        &[]
    }
}

fn now() -> Timestamp {
    Timestamp::from_date(2024, 6, 12).unwrap()
}

/// An engine over these providers, and the folder it keeps things in.
fn engine(clock: &Clock, providers: &[&Arc<Brittle>]) -> (tempfile::TempDir, Arc<Engine>) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.latest.price_fresh_ms = 0;
    let store = Store::open(dir.path().join("cache"), &config.cache, clock.clone()).unwrap();
    let upstream = |brittle: &&Arc<Brittle>| {
        let roles = Roles {
            provider: (*brittle).clone(),
            klines: Some((*brittle).clone()),
            prices: Some((*brittle).clone()),
            sentiment: None,
        };
        let bans = Bans::new(&store, &roles.provider.name());
        Arc::new(Upstream::new(roles, 1, 2, &config.breaker, bans, clock))
    };
    let upstreams = providers.iter().map(upstream).collect();
    let engine = Engine::new(&config, clock.clone(), store.clone(), upstreams);
    (dir, Arc::new(engine))
}

fn brittle(name: &'static str, panics: usize) -> Arc<Brittle> {
    Arc::new(Brittle {
        name,
        panics: AtomicUsize::new(panics),
        asked: AtomicUsize::new(0),
    })
}

/// Waits for what other tasks do, within bounds.
async fn until(happened: impl Fn() -> bool) {
    let look = async {
        while !happened() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap();
}

/// Goal: a provider that panics has failed one call: it is told and counted, its slot and its permit are free again,
/// the next upstream is asked, and once it works it is used again.
/// Method: one slot, so that one that is lost would stop everything.
#[tokio::test]
async fn f37_a_provider_that_panics_fails_that_call_and_nothing_else() {
    let clock = Clock::held(now());
    let (first, second) = (brittle("brittle", 3), brittle("sturdy", 0));
    let (_dir, engine) = engine(&clock, &[&first, &second]);
    let request = PriceRequest::new(Market::Spot, vec![Symbol::new("BTCUSDT").unwrap()]);
    for failures in 1..=3 {
        let asked = engine.prices(&request).await.unwrap();
        assert_eq!(asked.prices[0].provider.as_str(), "sturdy");
        assert!(
            asked.trail[0].outcome.to_string().contains("panicked"),
            "{:?}",
            asked.trail
        );
        assert_eq!(engine.health().upstreams[0].failures_total, failures);
    }
    assert_eq!(first.asked.load(Ordering::SeqCst), 3, "it is not asked again at once");
    let look = &engine.health().upstreams[0];
    assert_eq!((look.status, look.state), (Status::Down, CircuitState::Open));
    // It rests, is probed and answers again.
    clock.advance(Duration::from_secs(40));
    until(|| engine.health().upstreams[0].state != CircuitState::Open).await;
    let asked = engine.prices(&request).await.unwrap();
    assert_eq!(asked.prices[0].provider.as_str(), "brittle");
}

/// Goal: whoever asks how an upstream is never waits for a disk; another's ban is learnt of by whoever plans a call.
#[tokio::test]
async fn a_look_at_an_upstream_reads_no_file_and_a_planned_call_does() {
    let clock = Clock::held(now());
    let (_dir, engine) = engine(&clock, &[&brittle("brittle", 0)]);
    let upstream = &engine.upstreams[0];
    Bans::new(&engine.store, &upstream.name).save(QuarantineRecord {
        since_us: now().as_micros(),
        until_us: now().plus(HOUR).as_micros(),
        strikes: 1,
        why: "told to another process".to_owned(),
    });
    clock.advance(Duration::from_secs(2));
    let status = || engine.health().upstreams[0].status;
    assert_eq!(status(), Status::Ok);
    assert!(matches!(upstream.resting(&clock), Some(Refusal::Quarantined(_))));
    assert_eq!(status(), Status::Quarantined);
}

/// Goal: the same for klines, whose work is shared: whoever waits is told, and the next request starts anew.
#[tokio::test]
async fn f37_klines_whose_provider_panics_are_a_gap_that_says_so() {
    let clock = Clock::held(now());
    let only = brittle("brittle", 2);
    let (_dir, engine) = engine(&clock, &[&only]);
    let series = Series::parse("BTCUSDT", crate::model::interval::Interval::M1, None).unwrap();
    let range = TimeRange::new(now().plus(-10 * HOUR), now().plus(-9 * HOUR)).unwrap();
    let request = Request::new(series, range);
    for said in ["panicked", "panicked", "nothing here"] {
        let (one, other) = tokio::join!(engine.answer(&request), engine.answer(&request));
        for answer in [one, other] {
            let Err(Error::Unavailable(answer)) = answer else {
                panic!("there is nothing")
            };
            let GapReason::NoUpstreamLeft(reasons) = &answer.gaps[0].reason else {
                panic!("{:?}", answer.gaps)
            };
            assert!(reasons.iter().any(|(_, why)| why.contains(said)), "{said}: {reasons:?}");
        }
    }
}

/// Goal: a probe that panics is a probe that failed; the next one goes on schedule.
#[tokio::test]
async fn f37_a_probe_that_panics_is_a_probe_that_failed() {
    let clock = Clock::held(now());
    let only = brittle("brittle", 5);
    let (_dir, engine) = engine(&clock, &[&only]);
    let request = PriceRequest::new(Market::Spot, vec![Symbol::new("BTCUSDT").unwrap()]);
    for _ in 0..3 {
        assert!(engine.prices(&request).await.unwrap().prices.is_empty());
    }
    for probes in 1..=2 {
        clock.advance(Duration::from_secs(40));
        until(|| only.asked.load(Ordering::SeqCst) >= 3 + probes).await;
    }
    clock.advance(Duration::from_secs(40));
    until(|| engine.health().upstreams[0].state != CircuitState::Open).await;
    assert_eq!(engine.prices(&request).await.unwrap().prices[0].price.as_str(), "7.10");
}
