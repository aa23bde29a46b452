//! How long an answer may take.

use std::time::{Duration, Instant};

use evercandle::{Market, Request};
use evercandle_simulator::{Effect, Fault};

use crate::support::{Upstreams, World, any_answer, best_effort, range, series, until};

#[tokio::test]
async fn a_deadline_in_the_request_is_strict_and_names_itself() {
    let world = World::new().await;
    world.sim.inject(Fault::new(Effect::BlackHole));
    let request = Request {
        deadline: Some(Duration::from_millis(300)),
        ..best_effort(series("BTCUSDT", "1m", Market::Spot), range("2024-05-01", "2024-06-01"))
    };
    let began = Instant::now();
    let answer = any_answer(world.client().get_data(request).await);
    assert!(began.elapsed() < Duration::from_millis(2_900), "{:?}", began.elapsed());
    world.check(&answer, Upstreams::TellTheTruth);
    let reasons = answer.gaps[0].reason.to_string();
    assert!(reasons.contains("deadline"), "{reasons}");
}

/// Goal: a line that is slow but moves must not lose what it brought.
/// Method: several times the usual deadline passes while an archive trickles in, at a rate above the least allowed.
#[tokio::test]
async fn a_slow_archive_that_moves_is_waited_for() {
    let world = World::new().await;
    let slowly = Effect::Trickle {
        bytes_per_second: 120_000,
    };
    world.sim.inject(Fault::new(slowly).on("binance-vision").path("*.zip"));
    world.down("api");
    let request = best_effort(series("BTCUSDT", "5m", Market::Spot), range("2024-04-01", "2024-05-01"));
    let client = world.client();
    let asked = tokio::spawn(async move { any_answer(client.get_data(request).await) });
    until("the archive to be asked for", || {
        world
            .sim
            .journal()
            .requests()
            .iter()
            .any(|r| r.target().ends_with(".zip"))
    })
    .await;
    world
        .clock
        .advance(Duration::from_millis(5 * world.config.engine.deadline_ms));
    let answer = asked.await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(answer.len(), 30 * 288);
}

/// Goal: what is down must not hold up what is up for longer than its own timeouts.
#[tokio::test]
async fn everything_silent_ends_within_a_few_timeouts() {
    let mut world = World::new().await;
    world.impatient(700);
    world.sim.inject(Fault::new(Effect::BlackHole));
    let request = Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2023-01-01", "2024-06-12T10:00:00Z"),
    );
    let began = Instant::now();
    let answer = any_answer(world.client().get_data(request).await);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert!(answer.is_empty() && !answer.is_complete());
}
