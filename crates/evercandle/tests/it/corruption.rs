//! Upstreams that answer wrongly: nothing wrong is served or stored, and the truth is found elsewhere.

use evercandle::{Error, GapReason, Market, Request, Verification};
use evercandle_simulator::{Effect, Fault, HeaderStyle, TimeUnit};

use crate::support::{Upstreams, World, any_answer, best_effort, range, series, suppliers, time};

/// One month of minutes with a fault in the archive; the answer must be the whole truth, cold and cached.
async fn month_with(effect: Effect, path: &str) -> (World, evercandle::Answer) {
    let world = World::new().await;
    world.sim.inject(Fault::new(effect).on("binance-vision").path(path));
    let request = Request::new(
        series("BTCUSDT", "15m", Market::Spot),
        range("2024-04-01", "2024-05-01"),
    );
    let answer = world.client().get_data(request.clone()).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert!(answer.gaps.is_empty(), "{:?}", answer.gaps);
    let again = world.client().get_data(request).await.unwrap();
    world.check(&again, Upstreams::TellTheTruth);
    (world, answer)
}

const MONTH: &str = "*monthly*";

#[tokio::test]
async fn a_good_checksum_over_a_bad_archive_falls_down_the_ladder() {
    for effect in [
        Effect::CorruptZip,
        Effect::TwoMembers,
        Effect::EvilMemberName,
        Effect::ZipBomb { mebibytes: 64 },
        Effect::Html,
        Effect::Forbidden,
        Effect::MissingChecksum,
        Effect::NotFound,
        Effect::Status {
            status: 503,
            body: "cdn".into(),
        },
    ] {
        let (_, answer) = month_with(effect, MONTH).await;
        assert!(!answer.is_empty());
    }
}

#[tokio::test]
async fn archives_that_hold_less_than_they_should_are_filled_from_others() {
    for (effect, path) in [
        (Effect::ShortMonth { days: 7 }, MONTH),
        (Effect::MissingDay { day: 13 }, MONTH),
        (Effect::TruncatedDay { hour: 18 }, "*"),
    ] {
        month_with(effect, path).await;
    }
}

#[tokio::test]
async fn archives_that_are_written_differently_mean_the_same() {
    for effect in [
        Effect::Header {
            style: HeaderStyle::Present,
        },
        Effect::Header {
            style: HeaderStyle::Repeated,
        },
        Effect::Unit {
            unit: TimeUnit::Microseconds,
        },
        Effect::MixedUnits,
        Effect::DuplicateRows,
        Effect::UnorderedRows,
        Effect::ChangedEtag,
    ] {
        let (_, answer) = month_with(effect.clone(), "*").await;
        assert_eq!(suppliers(&answer), ["binance-vision"], "{effect:?}");
    }
}

#[tokio::test]
async fn rest_that_answers_nonsense_is_passed_over() {
    for effect in [
        Effect::Html,
        Effect::EmptyObject,
        Effect::EmptyBody,
        Effect::TruncatedBody,
        Effect::ApiError { code: -1007 },
        Effect::Status {
            status: 500,
            body: String::new(),
        },
        Effect::RateLimited { retry_after: 60 },
        Effect::Banned { retry_after: 120 },
        Effect::Forbidden,
        Effect::RestrictedLocation,
        Effect::Refuse,
        Effect::BlackHole,
        Effect::ResetMidBody { after: 100 },
        Effect::ShortBody { missing: 10 },
        Effect::Trickle { bytes_per_second: 20 },
    ] {
        let mut world = World::new().await;
        if matches!(effect, Effect::BlackHole | Effect::Trickle { .. }) {
            world.impatient(1_500);
        }
        world.sim.inject(Fault::new(effect.clone()).path("*klines*").on("api"));
        let request = best_effort(series("BTCUSDT", "1m", Market::Spot), range("2024-05-01", "2024-05-03"));
        let answer = any_answer(world.client().get_data(request.clone()).await);
        world.check(&answer, Upstreams::TellTheTruth);
        assert!(
            answer.gaps.is_empty(),
            "{effect:?}: archives hold these days: {:?}",
            answer.gaps
        );
        world.sim.faults().clear_all();
        let healed = any_answer(world.client().get_data(request).await);
        world.check(&healed, Upstreams::TellTheTruth);
    }
}

#[tokio::test]
async fn rows_a_page_holds_too_many_or_too_few_of_are_asked_for_again_from_the_last() {
    let world = World::new().await;
    world.sim.inject(Fault::new(Effect::ExtraFields));
    world.sim.inject(Fault::new(Effect::QuotedNumbers));
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-06-11T10:00:00Z", "2024-06-12T10:00:00Z"),
    );
    let answer = world.client().get_data(request).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(answer.len(), 1_440);
}

#[tokio::test]
async fn everything_wrong_at_once_is_an_error_that_lists_what_each_said_and_poisons_nothing() {
    let world = World::new().await;
    world.sim.inject(Fault::new(Effect::Html));
    let request = Request::new(series("BTCUSDT", "1h", Market::Spot), range("2024-05-01", "2024-05-20"));
    let Err(Error::Unavailable(answer)) = world.client().get_data(request.clone()).await else {
        panic!("HTML is no kline")
    };
    let GapReason::NoUpstreamLeft(reasons) = &answer.gaps[0].reason else {
        panic!("{:?}", answer.gaps)
    };
    let named = |name: &str| reasons.iter().any(|(n, _)| n.as_str() == name);
    assert!(named("binance") && named("binance-vision"), "{reasons:?}");
    world.sim.faults().clear_all();
    let healed = world.client().get_data(request).await.unwrap();
    world.check(&healed, Upstreams::TellTheTruth);
    assert!(healed.gaps.is_empty());
}

#[tokio::test]
async fn an_unknown_symbol_is_named_quickly_whatever_the_range() {
    let world = World::new().await;
    for (span, market) in [
        (range("2024-05-01", "2024-05-02"), Market::Spot),
        (range("2015-01-01", "2024-06-01"), Market::Spot),
        (range("2024-01-01", "2024-06-01"), Market::Um),
        (range("2024-01-01", "2024-06-01"), Market::Cm),
    ] {
        world.forget_requests();
        let request = Request::new(series("BTCUSTD", "1m", market), span);
        let error = world.client().get_data(request).await.unwrap_err();
        assert!(matches!(error, Error::UnknownSymbol { .. }), "{error}");
        assert!(error.to_string().contains("BTCUSTD"), "{error}");
        assert!(
            world.requests("") <= 12,
            "{market} {span}: {} requests",
            world.requests("")
        );
    }
}

#[tokio::test]
async fn verified_archives_say_so_and_rest_says_it_is_not() {
    let world = World::new().await;
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-06-08", "2024-06-12T10:00:00Z"),
    );
    let answer = world.client().get_data(request).await.unwrap();
    for segment in &answer.segments {
        let verified = matches!(segment.origin.verification, Verification::Checksum { .. });
        assert_eq!(
            verified,
            segment.origin.provider.as_str() == "binance-vision",
            "{segment:?}"
        );
        assert_eq!(segment.origin.fetched_at, time(crate::support::NOW));
    }
}

/// Goal: an answer that is cut short or empty must not become knowledge that klines do not exist.
/// Method: the archive is down, REST lies; then both tell the truth.
#[tokio::test]
async fn short_and_empty_pages_prove_nothing_that_outlives_them() {
    for effect in [Effect::CapRows { rows: 100 }, Effect::EmptyArray] {
        let world = World::new().await;
        let down = world.down("binance-vision");
        let lie = world.sim.inject(Fault::new(effect.clone()).on("api").path("*klines*"));
        let request = best_effort(series("BTCUSDT", "5m", Market::Spot), range("2024-06-01", "2024-06-12"));
        let answer = any_answer(world.client().get_data(request.clone()).await);
        world.check(&answer, Upstreams::TellTheTruth);
        assert_eq!(
            answer.gaps.is_empty(),
            matches!(effect, Effect::CapRows { .. }),
            "{effect:?}: {:?}",
            answer.gaps
        );
        world.sim.faults().clear(down);
        world.sim.faults().clear(lie);
        let healed = world.client().get_data(request).await.unwrap();
        world.check(&healed, Upstreams::TellTheTruth);
        assert!(healed.gaps.is_empty(), "{effect:?}: {:?}", healed.gaps);
    }
}
