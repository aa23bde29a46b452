//! Random questions to an internet in random trouble: every row returned is the truth, every other slot is in a gap.

use evercandle::{Completeness, Error, Interval, Market, Request, Sources, TimeRange};
use evercandle_simulator::{Effect, Fault};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::support::{Upstreams, World, series, time};

/// Worlds per run; `EVERCANDLE_ORACLE_WORLDS` asks for more.
const WORLDS: u64 = 24;
/// Questions asked in each world, so that later ones meet what earlier ones cached.
const QUESTIONS: usize = 5;

#[tokio::test]
async fn answers_are_the_truth_whatever_happens() {
    let worlds = std::env::var("EVERCANDLE_ORACLE_WORLDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(WORLDS);
    let first: u64 = std::env::var("EVERCANDLE_ORACLE_SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    for seed in first..first + worlds {
        // A failing seed is run alone with EVERCANDLE_ORACLE_SEED=<seed> EVERCANDLE_ORACLE_WORLDS=1.
        let told = Told(seed);
        one_world(seed).await;
        std::mem::forget(told);
    }
}

/// Names the seed when a world ends in a panic.
struct Told(u64);

impl Drop for Told {
    #[allow(clippy::print_stderr, reason = "the seed is what a failure is worth")]
    fn drop(&mut self) {
        eprintln!(
            "failed with EVERCANDLE_ORACLE_SEED={} EVERCANDLE_ORACLE_WORLDS=1",
            self.0
        );
    }
}

async fn one_world(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::at("2024-06-12T10:30:20Z", seed).await;
    world.impatient(250);
    world.config.breaker.cooldown_ms = 50;
    // Bans of a second end by our clock, and never by the exchange's, which stands still.
    world.no_limits("the exchange's clock stands still");
    let mut client = world.client();
    let mut lies = Upstreams::TellTheTruth;
    for _ in 0..QUESTIONS {
        for _ in 0..rng.random_range(0..4) {
            let (effect, lying) = trouble(&mut rng);
            if lying {
                lies = Upstreams::Lie;
            }
            let host = ["binance-vision", "api", "binance-spot", "", "binance-vision-listing"]
                .choose(&mut rng)
                .unwrap();
            let mut fault = Fault::new(effect)
                .on(host)
                .probability(*[0.2, 0.6, 1.0].choose(&mut rng).unwrap());
            if rng.random_bool(0.5) {
                fault = fault.times(rng.random_range(1..6));
            }
            world.sim.inject(fault);
        }
        if rng.random_bool(0.3) {
            world.sim.faults().clear_all();
        }
        if rng.random_bool(0.4) {
            client = world.client();
        }
        let request = question(&mut rng);
        match client.get_data(request.clone()).await {
            Ok(answer) => world.check(&answer, lies),
            Err(Error::Incomplete(answer)) => {
                assert_eq!(request.completeness, Completeness::Required);
                assert!(!answer.is_complete());
                world.check(&answer, lies);
            }
            Err(Error::Unavailable(answer)) => {
                assert!(answer.is_empty() && !answer.is_complete());
                world.check(&answer, lies);
            }
            Err(other) => panic!("{request:?}: {other}"),
        }
    }
    // Whatever happened, what is in the cache is the truth: read it all back without asking anyone.
    world.sim.faults().clear_all();
    for summary in client.store().list().unwrap() {
        let Some(span) = summary.span() else { continue };
        let request = Request {
            sources: Sources::CacheOnly,
            completeness: Completeness::BestEffort,
            ..Request::new(summary.series.clone(), span)
        };
        match client.get_data(request).await {
            Ok(answer) => world.check(&answer, lies),
            Err(Error::Unavailable(answer)) => world.check(&answer, lies),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Trouble of every kind that honest parsing can detect; and whether it makes an upstream deny klines that exist.
fn trouble(rng: &mut StdRng) -> (Effect, bool) {
    let all = [
        (Effect::Refuse, false),
        (Effect::BlackHole, false),
        (Effect::ResetMidBody { after: 3_000 }, false),
        (Effect::ShortBody { missing: 7 }, false),
        (
            Effect::Status {
                status: 503,
                body: String::new(),
            },
            false,
        ),
        (Effect::RateLimited { retry_after: 1 }, false),
        (Effect::Forbidden, false),
        (Effect::RestrictedLocation, false),
        (Effect::ApiError { code: -1000 }, false),
        (Effect::Html, false),
        (Effect::EmptyBody, false),
        (Effect::EmptyObject, false),
        (Effect::TruncatedBody, false),
        (Effect::ExtraFields, false),
        (Effect::QuotedNumbers, false),
        (Effect::CapRows { rows: 37 }, true),
        (Effect::EmptyArray, true),
        (Effect::MissingRow, true),
        (Effect::NotFound, false),
        (Effect::Delayed { hours: 200 }, false),
        (Effect::WrongChecksum, false),
        (Effect::StaleChecksum, false),
        (Effect::MissingChecksum, false),
        (Effect::TornPair, false),
        (Effect::CorruptZip, false),
        (Effect::TruncatedDay { hour: 9 }, false),
        (Effect::ShortMonth { days: 11 }, false),
        (Effect::MissingDay { day: 5 }, false),
        (Effect::ChangedEtag, false),
        (Effect::DuplicateRows, false),
        (Effect::UnorderedRows, false),
        (Effect::MixedUnits, false),
        (Effect::ZipBomb { mebibytes: 300 }, false),
        (Effect::TwoMembers, false),
    ];
    all.choose(rng).cloned().unwrap()
}

fn question(rng: &mut StdRng) -> Request {
    let market = *Market::ALL.choose(rng).unwrap();
    let symbols: &[&str] = match market {
        Market::Spot => &["BTCUSDT", "ADABTC", "PEPEUSDT", "币安人生USDT"],
        Market::Um => &["BTCUSDT", "1000SHIBUSDT"],
        Market::Cm => &["BTCUSD_PERP", "BTCUSD_230630"],
    };
    let intervals: Vec<Interval> = Interval::ALL
        .into_iter()
        .filter(|i| market == Market::Spot || *i != Interval::S1)
        .collect();
    let interval = *intervals.choose(rng).unwrap();
    let series = series(symbols.choose(rng).unwrap(), interval.as_str(), market);
    let end = time("2024-06-12T11:00:00Z");
    // Few distinct months, so that questions meet each other's cached rows.
    let starts = [
        "2023-03-20",
        "2024-03-28",
        "2024-05-30",
        "2024-06-10",
        "2024-06-12T09:00:00Z",
    ];
    let start = time(starts.choose(rng).unwrap()).plus(rng.random_range(0..3) * 7_211_000_000);
    let slots = rng.random_range(1..2_600);
    let range = TimeRange::clamped(start, start.plus(interval.nominal_micros() * slots).min(end));
    let range = if range.is_empty() {
        TimeRange::clamped(start, start.plus(1_000_000))
    } else {
        range
    };
    let completeness = if rng.random_bool(0.5) {
        Completeness::Required
    } else {
        Completeness::BestEffort
    };
    Request {
        completeness,
        ..Request::new(series, range)
    }
}
