//! Every interval of every market: grids that no clock knows, listings in mid-period, contracts that expire.

use evercandle::{GapReason, Interval, Market, Request};
use evercandle_simulator::{Effect, Fault};

use crate::support::{Upstreams, World, any_answer, best_effort, range, series, suppliers};

/// Goal: every interval and market agrees with the truth, cold and cached, whoever answers.
#[tokio::test]
async fn every_interval_of_every_market_is_the_truth_from_either_source() {
    let world = World::new().await;
    for market in Market::ALL {
        let symbol = if market == Market::Cm { "BTCUSD_PERP" } else { "BTCUSDT" };
        for interval in Interval::ALL
            .into_iter()
            .filter(|i| market == Market::Spot || *i != Interval::S1)
        {
            let span = match interval {
                Interval::S1 => range("2024-05-01", "2024-05-01T01:00:00Z"),
                i if i < Interval::H1 => range("2024-05-01T07:31:00Z", "2024-05-04T11:00:01Z"),
                i if i < Interval::D1 => range("2024-03-05", "2024-05-09T01:00:00Z"),
                _ => range("2023-02-03", "2024-06-03"),
            };
            let request = Request::new(series(symbol, interval.as_str(), market), span);
            let cold = world.client().get_data(request.clone()).await.unwrap();
            world.check(&cold, Upstreams::TellTheTruth);
            world.forget_requests();
            let warm = world.client().get_data(request).await.unwrap();
            world.check(&warm, Upstreams::TellTheTruth);
            assert_eq!(
                world.requests("klines"),
                0,
                "{}: asked again although held",
                warm.series
            );
            assert_eq!(cold.len(), warm.len());
        }
    }
}

#[tokio::test]
async fn archives_alone_serve_every_interval_of_every_market() {
    let world = World::new().await;
    world.down("api");
    for market in Market::ALL {
        let symbol = if market == Market::Cm { "ETHUSD_PERP" } else { "ETHUSDT" };
        for interval in [
            Interval::M3,
            Interval::H4,
            Interval::D1,
            Interval::D3,
            Interval::W1,
            Interval::Mo1,
        ] {
            let request = best_effort(
                series(symbol, interval.as_str(), market),
                range("2024-01-10", "2024-05-01"),
            );
            let answer = any_answer(world.client().get_data(request).await);
            world.check(&answer, Upstreams::TellTheTruth);
            assert!(
                !answer.is_empty() && answer.gaps.iter().all(|g| g.reason.is_final()),
                "{}: {:?}",
                answer.series,
                answer.gaps
            );
        }
    }
}

#[tokio::test]
async fn before_the_listing_is_a_reason_and_is_not_asked_for_again() {
    let world = World::new().await;
    let request = Request::new(series("BTCUSDT", "1m", Market::Spot), range("2017-08-10", "2017-08-20"));
    let answer = world.client().get_data(request.clone()).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(answer.gaps[0].reason, GapReason::BeforeListing);
    assert_eq!(answer.gaps[0].range, range("2017-08-10", "2017-08-17T04:00:00Z"));
    world.forget_requests();
    let again = world.client().get_data(request).await.unwrap();
    assert_eq!((again.gaps, world.requests("")), (answer.gaps, 0));

    // Coarse klines open before the first trade: Monday for the week, the first for the month.
    for (interval, first) in [
        ("1d", "2017-08-17"),
        ("3d", "2017-08-17"),
        ("1w", "2017-08-14"),
        ("1M", "2017-08-01"),
    ] {
        let request = Request::new(
            series("BTCUSDT", interval, Market::Spot),
            range("2017-05-01", "2018-01-01"),
        );
        let answer = world.client().get_data(request).await.unwrap();
        world.check(&answer, Upstreams::TellTheTruth);
        assert_eq!(
            answer.segments[0].range.start(),
            crate::support::time(first),
            "{interval}"
        );
    }
}

#[tokio::test]
async fn a_range_that_is_over_long_before_the_listing_costs_a_handful_of_requests() {
    let world = World::new().await;
    let request = Request::new(
        series("CANDLEUSDT", "1m", Market::Spot),
        range("2010-01-01", "2024-01-01"),
    );
    world.set_time("2026-11-20T12:00:00Z");
    let answer = world.client().get_data(request).await.unwrap();
    assert!(answer.is_empty() && answer.is_complete());
    assert_eq!(answer.gaps.len(), 1);
    assert!(world.requests("") <= 3, "{:?}", world.sim.journal().requests());
}

#[tokio::test]
async fn halts_of_the_exchange_are_gaps_with_a_reason_that_are_never_asked_for_twice() {
    let world = World::new().await;
    let request = Request::new(series("BTCUSDT", "1m", Market::Spot), range("2023-03-20", "2023-03-27"));
    let answer = world.client().get_data(request.clone()).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert!(
        answer.gaps.iter().any(|g| g.reason == GapReason::VenueHalt),
        "{:?}",
        answer.gaps
    );
    world.forget_requests();
    let again = world.client().get_data(request).await.unwrap();
    assert_eq!((again.gaps, world.requests("")), (answer.gaps, 0));
}

#[tokio::test]
async fn a_symbol_the_exchange_forgot_lives_on_in_the_archives() {
    let world = World::new().await;
    // The exchange denies it; the archives still have it.
    world
        .sim
        .inject(Fault::new(Effect::ApiError { code: -1121 }).on("binance-spot"));
    world
        .sim
        .inject(Fault::new(Effect::ApiError { code: -1121 }).on("binance-market-data"));
    let request = best_effort(
        series("NANOUSDT", "1h", Market::Spot),
        range("2021-11-01", "2022-03-01"),
    );
    let answer = any_answer(world.client().get_data(request).await);
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(suppliers(&answer), ["binance-vision"]);
}

/// Goal: the phase of a three-day grid comes from a kline, never from when an archive or a listing begins.
/// Method: only the archives' listing can be asked at first, and it names the beginning of a file.
#[tokio::test]
async fn the_beginning_of_an_archive_is_not_taken_for_a_three_day_kline() {
    let world = World::new().await;
    let rest = world.down("api");
    let files = world.sim.inject(Fault::new(Effect::NotFound).on("binance-vision"));
    let wide = best_effort(series("ETHUSDT", "3d", Market::Spot), range("2015-01-01", "2024-05-01"));
    let nothing = any_answer(world.client().get_data(wide.clone()).await);
    world.check(&nothing, Upstreams::TellTheTruth);
    let nothing = any_answer(world.client().get_data(wide.clone()).await);
    world.check(&nothing, Upstreams::TellTheTruth);
    world.sim.faults().clear(rest);
    world.sim.faults().clear(files);
    let answer = world.client().get_data(wide).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert!(!answer.is_empty());
}

/// Goal: a range in which no three-day kline opens is empty and lacks nothing, though nothing is known of the grid.
/// Method: every two days in a row, too young for archives, of a client that knows nothing; one in three has no slot.
#[tokio::test]
async fn between_two_three_day_klines_nothing_is_missing() {
    for market in Market::ALL {
        let symbol = if market == Market::Cm { "BTCUSD_PERP" } else { "BTCUSDT" };
        let mut empty = 0;
        for day in 3..6 {
            let world = World::new().await;
            let span = range(&format!("2024-06-0{day}"), &format!("2024-06-0{}", day + 2));
            let request = Request::new(series(symbol, "3d", market), span);
            let answer = world.client().get_data(request).await.unwrap();
            world.check(&answer, Upstreams::TellTheTruth);
            assert_eq!(answer.gaps, [], "{market} {span}");
            empty += usize::from(answer.is_empty());
        }
        assert_eq!(empty, 1, "{market}");
    }
}

/// Goal: three-day klines that cannot be had are counted as such: at most one too many while nothing is known of the
/// grid, exactly once any kline of the series was seen.
/// Method: a range in the future, and one of which nobody answers, before and after some klines were fetched.
#[tokio::test]
async fn three_day_klines_that_are_missing_are_not_counted_in_days() {
    let world = World::new().await;
    let client = world.client();
    let wanted = |from: &str, to: &str| best_effort(series("BTCUSDT", "3d", Market::Spot), range(from, to));
    let future = || wanted("2024-07-01", "2024-08-01");
    let down = world.sim.inject(Fault::new(Effect::Refuse));
    for request in [future(), wanted("2024-05-01", "2024-06-01")] {
        let answer = any_answer(client.get_data(request).await);
        assert!(answer.grid.is_provisional());
        let [gap] = &answer.gaps[..] else {
            panic!("{:?}", answer.gaps)
        };
        assert_eq!(answer.grid.count(gap.range), 11, "31 days: ten or eleven");
    }
    world.sim.faults().clear(down);
    let other = world.client();
    assert_eq!(
        other.get_data(wanted("2024-01-01", "2024-01-10")).await.unwrap().len(),
        3
    );
    let answer = other.get_data(future()).await.unwrap();
    assert_eq!(
        (answer.grid.is_provisional(), answer.grid.count(answer.gaps[0].range)),
        (false, 10)
    );
}

/// Goal: the three-day kline in progress is found on its second and third day, by a client that knows nothing.
#[tokio::test]
async fn a_three_day_kline_in_progress_is_found_on_each_of_its_days() {
    for day in 10..13 {
        let world = World::at(&format!("2024-06-{day}T10:30:20Z"), 7).await;
        let request = Request {
            forming: evercandle::Forming::Include,
            ..Request::new(series("BTCUSDT", "3d", Market::Spot), range("2024-06-07", "2024-06-14"))
        };
        let answer = world.client().get_data(request).await.unwrap();
        world.check(&answer, Upstreams::TellTheTruth);
        let last = answer.segments.last().unwrap().range;
        assert!(last.contains(world.clock.now()), "{last} on the {day}th");
    }
}

/// Goal: whoever means "no end" by the last day there is gets a clear answer, whatever the interval.
#[tokio::test]
async fn an_end_beyond_all_calendars_is_refused() {
    let world = World::new().await;
    let client = world.client();
    for interval in [Interval::M1, Interval::D1, Interval::W1, Interval::Mo1] {
        let end = evercandle::Timestamp::from_micros(253_402_214_400_000_000); // 9999-12-31
        let range = evercandle::TimeRange::new(evercandle::Timestamp::from_date(2_024, 6, 1).unwrap(), end).unwrap();
        let series =
            evercandle::Series::new(Market::Spot, evercandle::Symbol::new("BTCUSDT").unwrap(), interval).unwrap();
        let error = client
            .get_data(evercandle::Request::new(series, range))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("expected an end before"), "{error}");
    }
}
