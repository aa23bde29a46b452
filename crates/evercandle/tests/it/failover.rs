//! Whoever can answer does, and the answer says who it was.

use evercandle::store::Eviction;
use evercandle::{Completeness, Error, GapReason, Market, Request, Sources, Via};
use evercandle_simulator::{Effect, Fault};

use crate::support::{Upstreams, World, any_answer, best_effort, range, series, suppliers, until};

/// Goal: the main job. Method: a month and a bit of minutes, cold, then again.
#[tokio::test]
async fn a_month_comes_from_the_archive_the_rest_from_rest_and_then_all_of_it_from_the_cache() {
    let world = World::new().await;
    let request = Request::new(
        series("BTC/USDT", "1m", Market::Spot),
        range("2024-05-01", "2024-06-12T10:30:00Z"),
    );
    let cold = world.client().get_data(request.clone()).await.unwrap();
    world.check(&cold, Upstreams::TellTheTruth);
    assert!(cold.gaps.is_empty(), "{:?}", cold.gaps);
    assert_eq!(suppliers(&cold), ["binance-vision", "binance"]);
    assert_eq!(
        world.requests("monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05.zip"),
        2,
        "checksum and archive"
    );
    world.forget_requests();

    // Another process: nothing shared but the folder.
    let warm = world.client().get_data(request).await.unwrap();
    world.check(&warm, Upstreams::TellTheTruth);
    assert_eq!(world.requests(""), 0, "{:?}", world.sim.journal().requests());
    assert!(warm.segments.iter().all(|s| s.via == Via::Cache));
    let (cold, warm) = (
        evercandle::Batch::concat(&cold.batches).unwrap(),
        evercandle::Batch::concat(&warm.batches).unwrap(),
    );
    assert!(
        cold.same_klines(&warm),
        "a cached answer must be identical to the cold one"
    );
}

#[tokio::test]
async fn with_the_archive_down_rest_answers_everything() {
    let world = World::new().await;
    world.down("binance-vision");
    let request = Request::new(series("ETHUSDT", "5m", Market::Spot), range("2024-04-01", "2024-05-01"));
    let answer = world.client().get_data(request).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(suppliers(&answer), ["binance"]);
    assert!(
        answer
            .trail
            .iter()
            .any(|a| a.provider.as_str() == "binance-vision" && a.outcome.to_string().contains("unreachable"))
    );
    // Three failures in a row rest the archive; it must not be hammered file by file.
    assert!(
        world.requests("data.binance.vision") <= 12,
        "{}",
        world.requests("data.binance.vision")
    );
}

#[tokio::test]
async fn with_rest_down_archives_answer_and_the_tail_is_a_gap_that_says_why() {
    let world = World::new().await;
    world.down("api");
    let request = Request::new(
        series("BTCUSDT", "1h", Market::Spot),
        range("2024-05-20", "2024-06-12T10:00:00Z"),
    );
    let answer = any_answer(world.client().get_data(request).await);
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(suppliers(&answer), ["binance-vision"]);
    let gap = answer.gaps.last().unwrap();
    assert_eq!(gap.range, range("2024-06-12", "2024-06-12T10:00:00Z"));
    let GapReason::NoUpstreamLeft(reasons) = &gap.reason else {
        panic!("{:?}", gap.reason)
    };
    assert!(
        reasons
            .iter()
            .any(|(name, why)| name.as_str() == "binance" && !why.is_empty()),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn with_everything_down_what_is_held_is_served_and_the_rest_is_refused_honestly() {
    let world = World::new().await;
    let held = Request::new(series("BTCUSDT", "1m", Market::Um), range("2024-05-10", "2024-05-12"));
    world.client().get_data(held.clone()).await.unwrap();
    world.down("");
    let served = world.client().get_data(held.clone()).await.unwrap();
    world.check(&served, Upstreams::TellTheTruth);
    assert_eq!(served.len(), 2 * 1_440);

    let more = Request {
        range: range("2024-05-10", "2024-05-13"),
        ..held
    };
    let Err(Error::Incomplete(partial)) = world.client().get_data(more.clone()).await else {
        panic!("must be incomplete")
    };
    world.check(&partial, Upstreams::TellTheTruth);
    assert_eq!(partial.len(), 2 * 1_440, "nothing that is held is lost");
    let partial = world
        .client()
        .get_data(Request {
            completeness: Completeness::BestEffort,
            ..more.clone()
        })
        .await
        .unwrap();
    assert_eq!((partial.len(), partial.gaps.len()), (2 * 1_440, 1));

    let nothing = Request {
        range: range("2024-03-01", "2024-03-02"),
        ..more
    };
    let Err(Error::Unavailable(empty)) = world.client().get_data(nothing).await else {
        panic!("must be unavailable")
    };
    assert!(empty.is_empty() && !empty.gaps.is_empty());
}

#[tokio::test]
async fn a_missing_month_falls_to_its_days_and_a_missing_day_to_rest() {
    let world = World::new().await;
    let absent = |path: &str| {
        world
            .sim
            .inject(Fault::new(Effect::NotFound).on("binance-vision").path(path))
    };
    absent("*monthly*2024-04*");
    absent("*daily*2024-04-17*");
    let request = Request::new(series("SOLUSDT", "1m", Market::Spot), range("2024-04-01", "2024-05-01"));
    let answer = world.client().get_data(request).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert!(answer.gaps.is_empty());
    assert_eq!(suppliers(&answer), ["binance-vision", "binance", "binance-vision"]);
    assert_eq!(
        answer
            .segments
            .iter()
            .filter(|s| s.origin.provider.as_str() == "binance")
            .count(),
        1
    );
}

#[tokio::test]
async fn offline_sends_nothing_and_says_what_is_missing() {
    let world = World::new().await;
    let asked = series("BTCUSDT", "1h", Market::Spot);
    world
        .client()
        .get_data(Request::new(asked.clone(), range("2024-05-01", "2024-05-02")))
        .await
        .unwrap();
    world.forget_requests();
    let offline = Request {
        sources: Sources::CacheOnly,
        ..best_effort(asked, range("2024-04-30", "2024-05-03"))
    };
    let answer = world.client().get_data(offline).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!((answer.len(), answer.gaps.len(), world.requests("")), (24, 2, 0));
    assert!(answer.gaps[0].reason.to_string().contains("offline"));
}

#[tokio::test]
async fn named_sources_are_the_only_ones_asked_and_unknown_ones_are_refused() {
    let world = World::new().await;
    let only = |name: &str| Request {
        sources: Sources::Named(vec![evercandle::ProviderName::new(name)]),
        ..Request::new(series("BTCUSDT", "1m", Market::Spot), range("2024-05-01", "2024-05-03"))
    };
    let answer = world.client().get_data(only("binance-vision")).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(suppliers(&answer), ["binance-vision"]);
    assert_eq!(world.requests("api/v3/klines"), 0);
    let answer = world.client().get_data(only("binance")).await.unwrap();
    assert_eq!(
        suppliers(&answer),
        ["binance"],
        "held klines of another source do not count"
    );
    let error = world.client().get_data(only("kraken")).await.unwrap_err().to_string();
    assert!(error.contains("kraken") && error.contains("binance-vision"), "{error}");
}

#[tokio::test]
async fn the_same_cold_range_wanted_many_times_is_fetched_once() {
    let world = World::new().await;
    let client = world.client();
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-05-01", "2024-05-01T10:00:00Z"),
    );
    let all = futures::future::join_all((0..200).map(|_| client.get_data(request.clone()))).await;
    for answer in all {
        assert_eq!(answer.unwrap().len(), 600);
    }
    assert_eq!(world.requests("/klines?"), 1, "one page, asked for once");
}

/// Goal: what another has stored while this one was still asking what time it is, is not asked for again.
/// Method: the exchange's clock keeps the first to ask waiting for so long that a second one gets all of it meanwhile.
#[tokio::test]
async fn what_was_stored_before_the_planning_is_not_fetched_again() {
    let world = World::new().await;
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-05-01", "2024-05-01T10:00:00Z"),
    );
    let slow = Effect::Latency { milliseconds: 3_000 };
    world.sim.inject(Fault::new(slow).path("*/time").times(1));
    let (late, asked) = (world.client(), request.clone());
    let late = tokio::spawn(async move { late.get_data(asked).await });
    until("the clock to be asked", || world.requests("/time") == 1).await;
    world.client().get_data(request).await.unwrap();
    assert!(!late.is_finished(), "the other was quicker: nothing is shown");
    let answer = late.await.unwrap().unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(world.requests("/klines?"), 1);
    assert!(answer.segments.iter().all(|segment| segment.via == Via::Cache));
}

/// Goal: what somebody evicts between its storing and its reading is fetched again, and nobody gets an error.
/// Method: another program evicts whatever it sees the moment it sees it, once for every question.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_evicted_before_it_was_read_is_fetched_again() {
    let world = World::new().await;
    let client = world.client();
    let (store, evictions) = (world.client().store().clone(), std::sync::mpsc::channel::<()>());
    let (evict, asked) = evictions;
    let evicting = std::thread::spawn(move || {
        while asked.recv().is_ok() {
            let begun = std::time::Instant::now();
            while begun.elapsed().as_secs() < 1 && store.evict(Eviction::All).is_ok_and(|evicted| evicted.files == 0) {}
        }
    });
    for day in 1..=28 {
        let wanted = format!("2024-05-{day:02}");
        let request = Request::new(
            series("BTCUSDT", "1m", Market::Spot),
            range(&format!("{wanted}T00:00:00Z"), &format!("{wanted}T10:00:00Z")),
        );
        evict.send(()).unwrap();
        assert_eq!(client.get_data(request).await.unwrap().len(), 600, "{wanted}");
    }
    drop(evict);
    evicting.join().unwrap();
}

/// Goal: 404 is absence, remembered briefly. Method: one client, a month that is not there, twice.
#[tokio::test]
async fn an_absent_archive_is_not_asked_for_again_at_once_and_a_corrupt_one_rests() {
    for effect in [Effect::NotFound, Effect::CorruptZip] {
        let world = World::new().await;
        world
            .sim
            .inject(Fault::new(effect.clone()).on("binance-vision").path("*monthly*"));
        world
            .sim
            .inject(Fault::new(Effect::NotFound).on("binance-vision").path("*daily*"));
        world.sim.inject(Fault::new(Effect::Refuse).on("api").path("*klines*"));
        let client = world.client();
        let request = best_effort(
            series("BTCUSDT", "15m", Market::Spot),
            range("2024-04-01", "2024-05-01"),
        );
        any_answer(client.get_data(request.clone()).await);
        let first = world.requests("data.binance.vision/data");
        assert!(first >= 31, "{effect:?}: the month and its days were asked for");
        world.forget_requests();
        let again = any_answer(client.get_data(request).await);
        world.check(&again, Upstreams::TellTheTruth);
        assert_eq!(world.requests("data.binance.vision/data"), 0, "{effect:?}");
        let GapReason::NoUpstreamLeft(reasons) = &again.gaps[0].reason else {
            panic!("{:?}", again.gaps)
        };
        assert!(
            reasons.iter().any(|(_, why)| why.contains("not asked again yet")),
            "{reasons:?}"
        );
    }
}

/// Goal: two programs that start cold at the same time do not disturb each other.
/// Method: two clients with nothing shared but the folder; both must be right, and so must what is left behind.
#[tokio::test]
async fn two_processes_on_one_cold_range_are_both_right() {
    let world = World::new().await;
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-04-20", "2024-06-12T10:00:00Z"),
    );
    let (one, two) = (world.client(), world.client());
    let (one, two) = tokio::join!(one.get_data(request.clone()), two.get_data(request.clone()));
    for answer in [one.unwrap(), two.unwrap()] {
        world.check(&answer, Upstreams::TellTheTruth);
        assert!(answer.gaps.is_empty());
    }
    world.down("");
    let after = world.client().get_data(request).await.unwrap();
    world.check(&after, Upstreams::TellTheTruth);
}
