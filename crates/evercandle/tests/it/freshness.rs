//! What is still open, what has just closed, and what can no longer change.

use evercandle::{Forming, GapReason, Market, Request, TimeRange, Verification, Via};
use evercandle_simulator::{Effect, Fault};

use crate::support::{Upstreams, World, range, series, time};

#[tokio::test]
async fn the_kline_in_progress_is_left_out_and_said_to_be_open() {
    let world = World::new().await;
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-06-12T10:00:00Z", "2024-06-12T11:00:00Z"),
    );
    let answer = world.client().get_data(request).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(answer.len(), 30);
    assert_eq!(answer.gaps.len(), 1);
    assert_eq!(
        (answer.gaps[0].range, &answer.gaps[0].reason),
        (
            range("2024-06-12T10:30:00Z", "2024-06-12T11:00:00Z"),
            &GapReason::NotYetClosed
        )
    );
}

/// Goal: whoever wants the kline in progress hears why it could not be had. Method: all that has closed is held; then
/// nobody answers.
#[tokio::test]
async fn a_kline_in_progress_that_could_not_be_had_is_told_of() {
    let world = World::new().await;
    let client = world.client();
    let mut request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-06-12T10:00:00Z", "2024-06-12T11:00:00Z"),
    );
    client.get_data(request.clone()).await.unwrap();
    world.down("");
    request.forming = Forming::Include;
    let answer = client.get_data(request).await.unwrap();
    assert_eq!(answer.len(), 30);
    let told = answer.notices.iter().find(|notice| notice.contains("in progress"));
    assert!(
        told.is_some_and(|notice| notice.contains("binance: ")),
        "{:?}",
        answer.notices
    );
}

/// Goal: nobody reads that a kline came before it had closed. Method: a series is refreshed minute by minute, which the
/// cache tells of as one run; then its newest klines are asked for, fetched now and remembered.
#[tokio::test]
async fn what_a_refresh_brought_is_not_said_to_have_come_with_what_was_there_before() {
    let world = World::new().await;
    let client = world.client();
    let asked = series("BTCUSDT", "1m", Market::Spot);
    for minute in 30..35 {
        world.set_time(&format!("2024-06-12T10:{minute}:20Z"));
        let all = range("2024-06-12T08:00:00Z", &format!("2024-06-12T10:{minute}:00Z"));
        let answer = client.get_data(Request::new(asked.clone(), all)).await.unwrap();
        let last = answer.segments.last().unwrap();
        assert_eq!((last.via, last.origin.fetched_at), (Via::Upstream, world.clock.now()));
        let newest = TimeRange::new(all.end().plus(-60_000_000), all.end()).unwrap();
        let answer = client.get_data(Request::new(asked.clone(), newest)).await.unwrap();
        let [only] = &answer.segments[..] else {
            panic!("{:?}", answer.segments)
        };
        assert_eq!(only.via, Via::Cache);
        assert!(
            (newest.end()..=world.clock.now()).contains(&only.origin.fetched_at),
            "{only:?}"
        );
    }
}

#[tokio::test]
async fn the_kline_in_progress_is_given_on_request_marked_and_never_stored() {
    let world = World::new().await;
    let asked = series("BTCUSDT", "1h", Market::Spot);
    let request = Request {
        forming: Forming::Include,
        ..Request::new(asked.clone(), range("2024-06-12T08:00:00Z", "2024-06-12T12:00:00Z"))
    };
    let answer = world.client().get_data(request).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(answer.len(), 3);
    let last = answer.segments.last().unwrap();
    assert_eq!(
        (last.range.start(), &last.origin.verification),
        (time("2024-06-12T10:00:00Z"), &Verification::Unsettled)
    );
    let held = world.client().store().read(&asked, range("2024-06-12", "2024-06-13"));
    assert_eq!(
        held.pieces.iter().map(|p| p.batch.len()).sum::<usize>(),
        2,
        "only the closed ones are stored"
    );
}

/// Goal: a value that still moves after the close must not become the stored truth.
/// Method: REST serves provisional values for two seconds after each close; ask one second after, then later.
#[tokio::test]
async fn a_kline_that_closed_a_moment_ago_is_served_but_not_stored_until_it_has_settled() {
    let world = World::new().await;
    world
        .sim
        .inject(Fault::new(Effect::UnsettledRows { milliseconds: 2_000 }));
    world.set_time("2024-06-12T10:30:01Z");
    let asked = series("BTCUSDT", "1m", Market::Spot);
    let request = Request::new(asked.clone(), range("2024-06-12T10:20:00Z", "2024-06-12T10:30:00Z"));
    let early = world.client().get_data(request.clone()).await.unwrap();
    assert_eq!(early.len(), 10);
    assert_eq!(
        early.segments.last().unwrap().origin.verification,
        Verification::Unsettled
    );
    world.set_time("2024-06-12T10:30:10Z");
    let later = world.client().get_data(request).await.unwrap();
    world.check(&later, Upstreams::TellTheTruth);
    assert_eq!(later.len(), 10);
    assert!(
        later
            .segments
            .iter()
            .all(|s| s.origin.verification == Verification::Structural)
    );
}

/// Goal: edge case 86. Method: our clock runs 70 s ahead of the exchange's.
#[tokio::test]
async fn the_exchanges_clock_decides_what_has_closed() {
    let world = World::new().await;
    world.clock.set(time("2024-06-12T10:31:30Z"));
    let asked = series("BTCUSDT", "1m", Market::Spot);
    let request = Request::new(asked.clone(), range("2024-06-12T10:00:00Z", "2024-06-12T10:31:00Z"));
    let answer = world.client().get_data(request).await.unwrap();
    assert_eq!(answer.len(), 30, "10:30 is still open there");
    assert_eq!(answer.gaps[0].reason, GapReason::NotYetClosed);
    assert!(
        answer.notices.iter().any(|n| n.contains("ahead of the exchange")),
        "{:?}",
        answer.notices
    );
    let held = world.client().store().read(&asked, range("2024-06-12", "2024-06-13"));
    assert_eq!(held.pieces.iter().map(|p| p.batch.len()).sum::<usize>(), 30);
}

#[tokio::test]
async fn a_range_in_the_future_is_empty_open_and_costs_nothing() {
    let world = World::new().await;
    let request = Request::new(series("BTCUSDT", "1m", Market::Spot), range("2025-01-01", "2025-01-02"));
    let answer = world.client().get_data(request).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert!(answer.is_empty() && answer.gaps[0].reason == GapReason::NotYetClosed);
    assert_eq!(world.requests("klines"), 0);
}

#[tokio::test]
async fn only_what_is_new_is_asked_for_when_time_goes_on() {
    let world = World::new().await;
    let asked = series("ETHUSDT", "1m", Market::Um);
    let until = |end: &str| Request::new(asked.clone(), range("2024-06-12", end));
    world.client().get_data(until("2024-06-12T10:30:00Z")).await.unwrap();
    world.forget_requests();
    world.set_time("2024-06-12T10:33:10Z");
    let answer = world.client().get_data(until("2024-06-12T10:33:00Z")).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    let pages = world.sim.journal().matching("/klines?");
    assert_eq!(pages.len(), 1);
    assert!(pages[0].query.contains("limit=3"), "{}", pages[0].query);
}

/// Goal: a clock that is days ahead must neither store the kline in progress nor take the future for holes.
#[tokio::test]
async fn a_clock_that_is_days_ahead_stores_nothing_wrong() {
    let world = World::new().await;
    world.clock.set(time("2024-06-15T10:30:20Z"));
    let request = Request::new(series("BTCUSDT", "1h", Market::Spot), range("2024-06-12", "2024-06-13"));
    let early = world.client().get_data(request.clone()).await.unwrap();
    assert_eq!(early.len(), 10);
    assert!(
        early.gaps.iter().all(|g| g.reason == GapReason::NotYetClosed),
        "{:?}",
        early.gaps
    );
    world.set_time("2024-06-15T10:30:20Z");
    let later = world.client().get_data(request).await.unwrap();
    world.check(&later, Upstreams::TellTheTruth);
    assert_eq!(later.len(), 24);
}

/// Goal: a hole is looked at again, after pauses that double, and heals when the exchange backfills it.
#[tokio::test]
async fn a_hole_is_asked_about_again_and_heals() {
    let world = World::new().await;
    let lie = world
        .sim
        .inject(Fault::new(Effect::MissingRow).on("api").path("*klines*"));
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-06-12T05:00:00Z", "2024-06-12T06:00:00Z"),
    );
    let with_hole = world.client().get_data(request.clone()).await.unwrap();
    assert_eq!(
        (with_hole.len(), &with_hole.gaps[0].reason),
        (59, &GapReason::AbsentUpstream)
    );
    world.sim.faults().clear(lie);
    world.forget_requests();
    world.set_time("2024-06-12T10:35:00Z");
    assert_eq!(world.client().get_data(request.clone()).await.unwrap().len(), 59);
    assert_eq!(world.requests("klines"), 0, "not yet");
    world.set_time("2024-06-12T10:45:00Z");
    let healed = world.client().get_data(request).await.unwrap();
    world.check(&healed, Upstreams::TellTheTruth);
    assert_eq!(healed.len(), 60);
}

/// Goal: what the exchange prints about one kline must not depend on who was asked.
#[tokio::test]
async fn since_2025_spot_close_times_are_printed_alike_by_both_sources() {
    let world = World::at("2025-06-12T10:30:20Z", 7).await;
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2025-06-09", "2025-06-12T10:00:00Z"),
    );
    let answer = world.client().get_data(request).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(crate::support::suppliers(&answer), ["binance-vision", "binance"]);
    for batch in &answer.batches {
        assert!(
            batch
                .open_times()
                .iter()
                .zip(batch.close_times())
                .all(|(open, close)| close - open == 59_999_999)
        );
    }
}
