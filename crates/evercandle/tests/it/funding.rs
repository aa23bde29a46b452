//! Funding rates: the same engine, another kind of series.

use std::collections::{BTreeMap, BTreeSet};

use evercandle::model::funding;
use evercandle::{
    Answer, Completeness, Error, GapReason, Kind, Market, ProviderName, Request, Series, Sources, Symbol, TimeRange,
    Timestamp, Via,
};
use evercandle_simulator::{self as sim, Effect, Fault};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::support::{Upstreams, World, any_answer, best_effort, range, suppliers, time};

const HOUR: i64 = 3_600_000_000;

pub(crate) fn rates(symbol: &str, market: Market) -> Series {
    Series::funding_rates(market, Symbol::new(symbol).unwrap()).unwrap()
}

/// The simulator's truth: instant → settlement.
pub(crate) fn truth(world: &World, series: &Series, range: TimeRange) -> BTreeMap<i64, sim::FundingRate> {
    let market = match series.market() {
        Market::Spot => sim::ExchangeMarket::Spot,
        Market::Um => sim::ExchangeMarket::UsdM,
        Market::Cm => sim::ExchangeMarket::CoinM,
    };
    let instants = range.start().as_micros()..range.end().as_micros();
    let settled = world
        .sim
        .market()
        .funding_rates(market, series.symbol().as_str(), instants);
    settled.into_iter().map(|s| (s.funding_time, s)).collect()
}

/// Goal: the promise of every answer. Every rate is the truth, to the digit; every settlement is a row or in a gap; a gap
/// that claims the exchange has nothing is right about it; every row is in a segment, and no gap is in one.
#[track_caller]
fn check(world: &World, answer: &Answer, honest: Upstreams) {
    let series = &answer.series;
    assert_eq!(series.kind(), Kind::FundingRates);
    let truth = truth(world, series, answer.range);
    let mut seen: BTreeSet<i64> = BTreeSet::new();
    for batch in &answer.batches {
        for (row, at) in batch.open_times().iter().enumerate() {
            let Some(expected) = truth.get(at) else {
                panic!("{series}: invented rate at {}", Timestamp::from_micros(*at))
            };
            assert!(seen.last().is_none_or(|last| last < at), "{series}: rates not rising");
            seen.insert(*at);
            assert_eq!(batch.print(row, 1), Some(expected.rate_text()));
            assert_eq!(batch.floats(1)[row], expected.rate_text().parse::<f64>().unwrap());
            // Whoever does not publish one leaves it out, and nobody makes one up.
            if let Some(price) = batch.print(row, 2) {
                assert_eq!(price, expected.mark_price);
            }
            if let Some(hours) = funding::interval_hours(batch, row) {
                assert_eq!(hours, expected.interval_hours);
            }
        }
    }
    let gap_at = |t: Timestamp| answer.gaps.iter().filter(|g| g.range.contains(t)).collect::<Vec<_>>();
    for at in truth.keys() {
        let instant = Timestamp::from_micros(*at);
        let gaps = gap_at(instant);
        // A page without intervals that leaves out one rate of several between two of the common instants is believed.
        let unnoticed = honest == Upstreams::Lie && gaps.is_empty();
        assert!(
            gaps.len() == usize::from(!seen.contains(at)) || unnoticed,
            "{series} {instant}: {:?}",
            answer.gaps
        );
        for gap in gaps {
            let denied = matches!(
                gap.reason,
                GapReason::AbsentUpstream | GapReason::BeforeListing | GapReason::VenueHalt
            );
            assert!(
                !denied || honest == Upstreams::Lie,
                "{series} {instant}: {}",
                gap.reason
            );
        }
    }
    for gap in &answer.gaps {
        assert!(answer.range.covers(gap.range) && !gap.range.is_empty());
        assert!(
            answer.segments.iter().all(|s| !s.range.overlaps(gap.range)),
            "{series}: {gap:?}"
        );
        if gap.reason == GapReason::NotYetClosed {
            assert!(gap.range.end().plus(-HOUR + 300_000_000) > world.clock.now(), "{gap:?}");
        }
    }
    for at in &seen {
        let at = Timestamp::from_micros(*at);
        let of = answer.segments.iter().filter(|s| s.range.contains(at)).count();
        assert_eq!(of, 1, "{series} {at}: {:?}", answer.segments);
    }
}

fn hours(answer: &Answer) -> Vec<(String, String, &'static str)> {
    let gap = |g: &evercandle::Gap| {
        (
            g.range.start().to_string(),
            g.range.end().to_string(),
            g.reason.as_str(),
        )
    };
    answer.gaps.iter().map(gap).collect()
}

/// Goal: the main job. Method: months and a bit, cold, then again by another process.
#[tokio::test]
async fn months_come_from_archives_the_rest_from_rest_and_then_all_of_it_from_the_cache() {
    for (symbol, market) in [("BTCUSDT", Market::Um), ("BTCUSD_PERP", Market::Cm)] {
        let world = World::new().await;
        let asked = range("2024-01-01", "2024-06-12T10:00:00Z");
        let request = Request::new(rates(symbol, market), asked);
        let cold = world.client().get_data(request.clone()).await.unwrap();
        check(&world, &cold, Upstreams::TellTheTruth);
        assert!(cold.gaps.is_empty(), "{:?}", cold.gaps);
        assert_eq!(cold.len(), truth(&world, &cold.series, asked).len());
        assert_eq!(suppliers(&cold), ["binance-vision", "binance-futures"]);
        let file = format!("monthly/fundingRate/{symbol}/{symbol}-fundingRate-2024-05.zip");
        assert_eq!(world.requests(&file), 2, "checksum and archive");
        world.forget_requests();

        let warm = world.client().get_data(request).await.unwrap();
        check(&world, &warm, Upstreams::TellTheTruth);
        assert_eq!(world.requests(""), 0, "{:?}", world.sim.journal().requests());
        assert!(warm.segments.iter().all(|s| s.via == Via::Cache));
        let whole = |answer: &Answer| evercandle::Batch::concat(&answer.batches).unwrap();
        assert!(
            whole(&cold).same_klines(&whole(&warm)),
            "a cached answer must be identical to the cold one"
        );
        // Segments leave no hour out.
        let covered: i64 = warm.segments.iter().map(|s| s.range.micros()).sum();
        assert_eq!(covered, asked.micros());
    }
}

#[tokio::test]
async fn with_the_archive_down_rest_answers_everything_and_the_other_way_round() {
    let world = World::new().await;
    world.down("binance-vision");
    let request = Request::new(rates("ETHUSDT", Market::Um), range("2023-09-01", "2024-04-01"));
    let answer = world.client().get_data(request).await.unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    assert_eq!(suppliers(&answer), ["binance-futures"]);

    let world = World::new().await;
    world.down("binance-usdm");
    let request = Request::new(rates("ETHUSDT", Market::Um), range("2024-04-01", "2024-05-01"));
    let answer = world.client().get_data(request).await.unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    assert_eq!(suppliers(&answer), ["binance-vision"]);
    assert!(answer.gaps.is_empty());
}

#[tokio::test]
async fn with_everybody_down_the_answer_says_who_was_tried_and_what_is_cached_stays() {
    let world = World::new().await;
    let client = world.client();
    let held = range("2024-04-01", "2024-05-01");
    client
        .get_data(Request::new(rates("BTCUSDT", Market::Um), held))
        .await
        .unwrap();
    world.down("");
    let wider = Request::new(rates("BTCUSDT", Market::Um), range("2024-04-01", "2024-05-20"));
    let Err(Error::Incomplete(answer)) = client.get_data(wider).await else {
        panic!("May is missing")
    };
    check(&world, &answer, Upstreams::TellTheTruth);
    let GapReason::NoUpstreamLeft(tried) = &answer.gaps[0].reason else {
        panic!("{:?}", answer.gaps)
    };
    let names: Vec<&str> = tried.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["binance-futures", "binance-vision"]);
    // The page of April ended with the first rate of May, to show that nothing was missing before it.
    assert_eq!(answer.gaps[0].range, range("2024-05-01T01:00:00Z", "2024-05-20"));
}

/// Goal: rhythms of eight, four and one hour, their changes, and late instants make no gaps, wherever a range begins.
#[tokio::test]
async fn quiet_hours_are_no_gaps_wherever_the_range_begins_and_ends() {
    let world = World::new().await;
    let client = world.client();
    for symbol in ["BTCUSDT", "ETHUSDT", "1000SHIBUSDT"] {
        for (start, end) in [
            ("2024-03-05T03:00:00Z", "2024-03-05T05:00:00Z"),
            ("2024-03-05T01:00:00Z", "2024-03-05T08:00:00Z"),
            ("2024-03-05T00:00:00Z", "2024-03-05T00:00:01Z"),
            ("2024-02-28T13:20:00Z", "2024-03-07T21:40:00Z"),
        ] {
            let asked = range(start, end);
            for _ in 0..2 {
                let answer = client
                    .get_data(Request::new(rates(symbol, Market::Um), asked))
                    .await
                    .unwrap();
                check(&world, &answer, Upstreams::TellTheTruth);
                assert!(answer.gaps.is_empty(), "{symbol} {asked}: {:?}", answer.gaps);
                assert_eq!(answer.len(), truth(&world, &answer.series, answer.range).len());
            }
        }
    }
    world.forget_requests();
    // A range in which nothing was settled is a complete answer, from the cache too.
    let quiet = Request::new(
        rates("BTCUSDT", Market::Um),
        range("2024-03-05T01:30:00Z", "2024-03-05T02:30:00Z"),
    );
    client.get_data(quiet).await.unwrap();
    assert_eq!(world.requests(""), 0);
}

#[tokio::test]
async fn a_rate_is_served_five_minutes_after_its_hour_and_asked_for_once() {
    let world = World::at("2024-06-12T08:04:00Z", 7).await;
    let client = world.client();
    let request = Request::new(
        rates("BTCUSDT", Market::Um),
        range("2024-06-12", "2024-06-12T12:00:00Z"),
    );
    let early = client.get_data(request.clone()).await.unwrap();
    check(&world, &early, Upstreams::TellTheTruth);
    let open = (
        "2024-06-12T08:00:00Z".to_owned(),
        "2024-06-12T12:00:00Z".to_owned(),
        "not_yet_closed",
    );
    assert_eq!(hours(&early), [open]);

    world.set_time("2024-06-12T08:05:00Z");
    let answer = client.get_data(request.clone()).await.unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    assert!(answer.len() > early.len());
    assert_eq!(hours(&answer)[0].0, "2024-06-12T09:00:00Z");
    world.forget_requests();
    client.get_data(request).await.unwrap();
    assert_eq!(world.requests("fundingRate"), 0);
}

/// Goal: an hour is not taken for quiet for ever because its rate was late.
#[tokio::test]
async fn a_rate_that_is_published_late_is_not_lost() {
    let world = World::at("2024-06-12T16:06:00Z", 7).await;
    let client = world.client();
    let asked = range("2024-06-12", "2024-06-12T17:00:00Z");
    let request = best_effort(rates("BTCUSDT", Market::Um), asked);
    // The page ends before the newest settlement, as on a replica that lags.
    let lag = world
        .sim
        .inject(Fault::new(Effect::WrongRange { hours: -8 }).on("binance-usdm"));
    let early = any_answer(client.get_data(request.clone()).await);
    assert!(!early.gaps.is_empty());
    world.sim.faults().clear(lag);
    world.pass(std::time::Duration::from_secs(3_600));
    let answer = client.get_data(request).await.unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    assert_eq!(answer.len(), truth(&world, &answer.series, asked).len());
}

#[tokio::test]
async fn before_the_first_settlement_there_is_a_gap_that_says_so() {
    let world = World::new().await;
    let request = Request::new(rates("1000SHIBUSDT", Market::Um), range("2020-06-01", "2024-06-01"));
    let answer = world.client().get_data(request).await.unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    assert_eq!(answer.gaps.len(), 1, "{:?}", answer.gaps);
    assert_eq!(answer.gaps[0].reason, GapReason::BeforeListing);
    assert_eq!(answer.gaps[0].range.start(), time("2020-06-01"));
}

#[tokio::test]
async fn an_unknown_contract_is_an_error_and_spot_has_no_rates() {
    let world = World::new().await;
    let request = Request::new(rates("NOSUCHUSDT", Market::Um), range("2020-06-01", "2024-06-01"));
    let error = world.client().get_data(request).await.unwrap_err();
    assert!(matches!(error, Error::UnknownSymbol { .. }), "{error}");
    let error = Series::funding_rates(Market::Spot, Symbol::new("BTCUSDT").unwrap()).unwrap_err();
    assert!(error.to_string().contains("only perpetual futures"), "{error}");
}

/// Goal: what befalls klines' archives and pages and can be found out is found out here too.
#[tokio::test]
async fn what_is_wrong_with_an_archive_or_a_page_is_found_out_and_the_truth_found_elsewhere() {
    for effect in [
        Effect::CorruptZip,
        Effect::TwoMembers,
        Effect::EvilMemberName,
        Effect::ZipBomb { mebibytes: 64 },
        Effect::Html,
        Effect::MissingChecksum,
        Effect::WrongChecksum,
        Effect::StaleChecksum,
        Effect::TornPair,
        Effect::NotFound,
        Effect::ShortMonth { days: 7 },
        Effect::MissingDay { day: 13 },
        Effect::TruncatedDay { hour: 4 },
        Effect::DuplicateRows,
        Effect::UnorderedRows,
        Effect::ConflictingRows,
        Effect::StrayRow,
        Effect::NotANumber,
        Effect::MixedUnits,
        Effect::Header {
            style: sim::HeaderStyle::Absent,
        },
    ] {
        let world = World::new().await;
        world.sim.inject(Fault::new(effect.clone()).on("binance-vision"));
        let asked = range("2024-02-01", "2024-06-01");
        let client = world.client();
        for _ in 0..2 {
            let answer = client
                .get_data(Request::new(rates("BTCUSDT", Market::Um), asked))
                .await
                .unwrap();
            check(&world, &answer, Upstreams::TellTheTruth);
            assert!(answer.gaps.is_empty(), "{effect:?}: {:?}", answer.gaps);
            assert_eq!(answer.len(), truth(&world, &answer.series, asked).len(), "{effect:?}");
        }
    }
    for effect in [
        Effect::ExtraFields,
        Effect::QuotedNumbers,
        Effect::PageRepeatsRows,
        Effect::PageOutOfOrder,
        Effect::CapRows { rows: 100 },
        Effect::CapRows { rows: 30 },
    ] {
        let world = World::new().await;
        world.down("binance-vision");
        world
            .sim
            .inject(Fault::new(effect.clone()).on("binance-usdm").path("fundingRate"));
        let asked = range("2024-02-01", "2024-05-01");
        let answer = world
            .client()
            .get_data(Request::new(rates("BTCUSDT", Market::Um), asked))
            .await
            .unwrap();
        check(&world, &answer, Upstreams::TellTheTruth);
        assert!(answer.gaps.is_empty(), "{effect:?}: {:?}", answer.gaps);
    }
    for effect in [
        Effect::WrongSymbol {
            symbol: "ETHUSDT".into(),
        },
        Effect::WrongRange { hours: 24 * 90 },
        Effect::FutureRow,
        Effect::NotANumber,
        Effect::EmptyObject,
        Effect::TruncatedBody,
    ] {
        let world = World::new().await;
        world
            .sim
            .inject(Fault::new(effect.clone()).on("binance-usdm").path("fundingRate"));
        let asked = range("2024-04-01", "2024-05-01");
        let answer = world
            .client()
            .get_data(Request::new(rates("BTCUSDT", Market::Um), asked))
            .await
            .unwrap();
        check(&world, &answer, Upstreams::TellTheTruth);
        assert_eq!(suppliers(&answer), ["binance-vision"], "{effect:?}");
    }
}

#[tokio::test]
async fn an_empty_page_is_not_taken_for_a_quiet_time() {
    let world = World::new().await;
    let client = world.client();
    let fault = world
        .sim
        .inject(Fault::new(Effect::EmptyArray).on("binance-usdm").path("fundingRate"));
    let asked = range("2024-04-10T09:00:00Z", "2024-04-10T15:00:00Z");
    let request = Request::new(rates("BTCUSDT", Market::Um), asked);
    // The month's archive knows better.
    let answer = client.get_data(request.clone()).await.unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    assert_eq!(suppliers(&answer).iter().filter(|s| *s == "binance-futures").count(), 0);
    world.sim.faults().clear(fault);
}

#[tokio::test]
async fn rates_of_one_source_may_be_asked_for_and_are_stored() {
    let world = World::new().await;
    let client = world.client();
    let named = |name: &str| Request {
        sources: Sources::Named(vec![ProviderName::new(name)]),
        ..Request::new(
            rates("BTCUSDT", Market::Um),
            range("2024-04-03T02:00:00Z", "2024-04-20T03:00:00Z"),
        )
    };
    for name in ["binance-vision", "binance-futures"] {
        let answer = client.get_data(named(name)).await.unwrap();
        check(&world, &answer, Upstreams::TellTheTruth);
        assert_eq!(suppliers(&answer), [name]);
        assert_eq!(answer.segments.len(), 1, "{:?}", answer.segments);
        assert_eq!(answer.segments[0].range, answer.range);
    }
    world.forget_requests();
    let offline = Request {
        sources: Sources::CacheOnly,
        ..named("binance-vision")
    };
    let answer = client.get_data(offline).await.unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    // Of rates that both told, those vouched for by a checksum stay.
    assert_eq!(suppliers(&answer), ["cache:binance-vision"]);
    assert_eq!(world.requests(""), 0);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_no_answer() {
    let mut world = World::new().await;
    world.config.cache.free_min = u64::MAX;
    let asked = range("2024-02-10", "2024-06-12T03:00:00Z");
    let answer = world
        .client()
        .get_data(Request::new(rates("BTCUSDT", Market::Um), asked))
        .await
        .unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    assert!(answer.gaps.is_empty());
    assert!(
        answer.notices.iter().any(|n| n.contains("cache not written")),
        "{:?}",
        answer.notices
    );
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_fetched_anew_and_the_folder_is_its_own() {
    let world = World::new().await;
    let asked = range("2024-04-01", "2024-05-01");
    let request = Request::new(rates("BTCUSDT", Market::Um), asked);
    world.client().get_data(request.clone()).await.unwrap();
    let folder = world.client().store().dir().join("v1/binance/um/BTCUSDT/fundingRate");
    let chunks = || -> Vec<std::path::PathBuf> {
        let files = std::fs::read_dir(&folder).unwrap();
        files
            .map(|f| f.unwrap().path())
            .filter(|p| p.to_string_lossy().contains("2024-04."))
            .collect()
    };
    let [chunk] = chunks().try_into().unwrap();
    let mut bytes = std::fs::read(&chunk).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&chunk, bytes).unwrap();

    let client = world.client();
    let answer = client.get_data(request).await.unwrap();
    check(&world, &answer, Upstreams::TellTheTruth);
    assert!(answer.gaps.is_empty());
    assert_eq!(client.store().stats().unwrap().quarantined_files, 1);
    let listed: Vec<String> = client
        .store()
        .list()
        .unwrap()
        .iter()
        .map(|s| s.series.to_string())
        .collect();
    assert_eq!(listed, ["binance/um/BTCUSDT/fundingRate"]);
    let report = client.store().verify(&mut |_| {}).unwrap();
    assert!(report.damaged.is_empty() && report.sound > 0);
}

#[tokio::test]
async fn klines_and_rates_of_one_contract_never_meet() {
    let world = World::new().await;
    let client = world.client();
    let asked = range("2024-04-01", "2024-04-02");
    let klines = Series::parse("BTCUSDT", rates("BTCUSDT", Market::Um).interval(), Some(Market::Um)).unwrap();
    let of_klines = client.get_data(Request::new(klines, asked)).await.unwrap();
    world.check(&of_klines, Upstreams::TellTheTruth);
    let of_rates = client
        .get_data(Request::new(rates("BTCUSDT", Market::Um), asked))
        .await
        .unwrap();
    check(&world, &of_rates, Upstreams::TellTheTruth);
    assert!(of_rates.len() < of_klines.len());
}

/// Goal: five hundred calls in five minutes are a limit of their own, and kept.
#[tokio::test]
async fn a_hundred_callers_who_want_the_same_rates_are_one_request() {
    let world = World::new().await;
    world.down("binance-vision");
    let client = world.client();
    let request = Request::new(rates("BTCUSDT", Market::Um), range("2024-04-01", "2024-04-20"));
    let asking = (0..100).map(|_| client.get_data(request.clone()));
    for answer in futures::future::join_all(asking).await {
        assert!(answer.unwrap().gaps.is_empty());
    }
    assert_eq!(world.requests("/fapi/v1/fundingRate"), 1);
}

/// Goal: random questions to an internet in random trouble: every rate is the truth, every other settlement in a gap.
#[tokio::test]
async fn answers_are_the_truth_whatever_happens() {
    for seed in 100..116 {
        one_world(seed).await;
    }
}

async fn one_world(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::at("2024-06-12T10:30:20Z", seed).await;
    world.impatient(250);
    world.config.breaker.cooldown_ms = 50;
    world.no_limits("the exchange's clock stands still");
    let mut client = world.client();
    let mut lies = Upstreams::TellTheTruth;
    for _ in 0..6 {
        for _ in 0..rng.random_range(0..3) {
            let (effect, lying) = trouble(&mut rng);
            if lying {
                lies = Upstreams::Lie;
            }
            let host = ["binance-vision", "binance-usdm", "binance-coinm", ""]
                .choose(&mut rng)
                .unwrap();
            let mut fault = Fault::new(effect)
                .on(host)
                .probability(*[0.3, 1.0].choose(&mut rng).unwrap());
            if rng.random_bool(0.5) {
                fault = fault.times(rng.random_range(1..6));
            }
            world.sim.inject(fault);
        }
        if rng.random_bool(0.4) {
            world.sim.faults().clear_all();
        }
        if rng.random_bool(0.4) {
            client = world.client();
        }
        let (symbol, market) = *[
            ("BTCUSDT", Market::Um),
            ("ETHUSDT", Market::Um),
            ("1000SHIBUSDT", Market::Um),
            ("BTCUSD_PERP", Market::Cm),
        ]
        .choose(&mut rng)
        .unwrap();
        let start = time(
            ["2021-04-28", "2023-03-20", "2024-03-28", "2024-06-10"]
                .choose(&mut rng)
                .unwrap(),
        );
        let start = start.plus(rng.random_range(0..40) * 1_711_000_000);
        let end = start
            .plus(rng.random_range(1..4_000) * HOUR)
            .min(time("2024-06-12T12:00:00Z"));
        let asked = TimeRange::clamped(start, end.max(start.plus(1_000_000)));
        let request = Request {
            completeness: *[Completeness::Required, Completeness::BestEffort]
                .choose(&mut rng)
                .unwrap(),
            ..Request::new(rates(symbol, market), asked)
        };
        let answer = any_answer(client.get_data(request).await);
        check(&world, &answer, lies);
    }
    world.sim.faults().clear_all();
    for summary in client.store().list().unwrap() {
        let Some(span) = summary.span() else { continue };
        let request = Request {
            sources: Sources::CacheOnly,
            ..best_effort(summary.series.clone(), span)
        };
        check(&world, &any_answer(client.get_data(request).await), lies);
    }
}

/// Trouble that honest parsing can detect; and whether it makes an upstream deny rates that exist.
fn trouble(rng: &mut StdRng) -> (Effect, bool) {
    let all = [
        (Effect::Refuse, false),
        (Effect::BlackHole, false),
        (
            Effect::Status {
                status: 503,
                body: String::new(),
            },
            false,
        ),
        (Effect::RateLimited { retry_after: 1 }, false),
        (Effect::Html, false),
        (Effect::EmptyBody, false),
        (Effect::TruncatedBody, false),
        (Effect::CapRows { rows: 37 }, true),
        (Effect::EmptyArray, true),
        (Effect::MissingRow, true),
        (Effect::NotFound, false),
        (Effect::WrongChecksum, false),
        (Effect::TornPair, false),
        (Effect::CorruptZip, false),
        (Effect::TruncatedDay { hour: 9 }, false),
        (Effect::ShortMonth { days: 11 }, false),
        (Effect::MissingDay { day: 5 }, false),
        (Effect::DuplicateRows, false),
        (Effect::UnorderedRows, false),
        (Effect::MixedUnits, false),
    ];
    all.choose(rng).cloned().unwrap()
}
