//! Closed candles on the stream are the exchange's, each exactly once, in order, whatever happens between.

use std::time::Duration;

use evercandle_simulator as sim;
use serde_json::Value;

use super::support::{Heard, Listener, World, time, until};

const MINUTE: Duration = Duration::from_secs(60);

/// Goal: an event's candle is the simulator's truth, to the digit.
#[track_caller]
fn check(world: &World, candle: &Value, opens: &str) {
    let kline = &candle["kline"];
    assert_eq!(kline["open_time"], opens);
    let symbol = candle["series"]["symbol"].as_str().unwrap();
    let interval = sim::Interval::from_rest(candle["series"]["interval"].as_str().unwrap()).unwrap();
    let series = sim::Series::new(sim::ExchangeMarket::Spot, symbol, interval);
    let open = time(opens).as_micros();
    let truth = world.sim.market().klines(&series, open..open + 1);
    let fields = truth[0].fields(sim::TimeUnit::Microseconds);
    for (name, field) in [
        ("open", 1),
        ("high", 2),
        ("low", 3),
        ("close", 4),
        ("volume", 5),
        ("quote_volume", 7),
        ("count", 8),
        ("taker_buy_volume", 9),
        ("taker_buy_quote_volume", 10),
    ] {
        let expected: f64 = fields[field].parse().unwrap();
        assert_eq!(kline[name].as_f64(), Some(expected), "{name} of {candle}");
    }
}

async fn opens_of(listener: &mut Listener, count: usize) -> Vec<(String, Value)> {
    let mut candles = Vec::new();
    for _ in 0..count {
        let (_, candle) = listener.event("candle").await;
        candles.push((candle["kline"]["open_time"].as_str().unwrap().to_owned(), candle));
    }
    candles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_closed_candle_is_told_once_in_order_and_is_the_truth() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("symbols=BTCUSDT,ETHUSDT&interval=1m&events=candle").await;
    listener.event("snapshot").await;
    let mut heard: Vec<(String, String)> = Vec::new();
    for minute in 0..4 {
        world.pass(MINUTE);
        for _ in 0..2 {
            let (_, candle) = listener.event("candle").await;
            let opens = format!("2024-06-12T10:{}:00Z", 30 + minute);
            check(&world, &candle, &opens);
            heard.push((opens, candle["series"]["symbol"].as_str().unwrap().to_owned()));
        }
    }
    heard.sort();
    let in_all = heard.len();
    heard.dedup();
    assert_eq!((in_all, heard.len()), (8, 8));
}

/// Goal: the candle in progress, and one whose values may still change, are nobody's business.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_candle_is_told_before_its_values_are_final() {
    let mut world = World::at("2024-06-12T10:30:20Z").await;
    world.config.server.stream_heartbeat_ms = 300;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("symbols=BTCUSDT&interval=1m&events=candle").await;
    listener.event("snapshot").await;
    // Closed four seconds ago; it settles for five.
    world.pass(Duration::from_secs(44));
    for _ in 0..3 {
        assert_eq!(listener.next().await, Heard::Comment);
    }
    assert_eq!(world.sim.journal().count("klines"), 0);
    world.pass(Duration::from_secs(1));
    let (_, candle) = listener.event("candle").await;
    check(&world, &candle, "2024-06-12T10:30:00Z");
}

/// Goal: after an outage of everybody who has them, what was missed is told, in order, before what is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_delays_candles_and_loses_none() {
    let mut world = World::new().await;
    world.config.breaker.cooldown_ms = 200;
    world.config.breaker.cooldown_max_ms = 400;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("symbols=BTCUSDT&interval=1m&events=candle").await;
    listener.event("snapshot").await;
    world.pass(MINUTE);
    let first = opens_of(&mut listener, 1).await;
    check(&world, &first[0].1, "2024-06-12T10:30:00Z");
    world.down("binance");
    world.down("binance-vision");
    for _ in 0..3 {
        world.pass(MINUTE);
        let failed = async || {
            world
                .sim
                .journal()
                .matching("klines")
                .iter()
                .any(|call| !call.faults.is_empty())
        };
        until("a call that fails", failed).await;
    }
    world.up();
    world.pass(MINUTE);
    let after = opens_of(&mut listener, 4).await;
    for (minute, (_, candle)) in after.iter().enumerate() {
        check(&world, candle, &format!("2024-06-12T10:{}:00Z", 31 + minute));
    }
}

/// Goal: what is too much to make up for is named, with where to ask for it, and the stream goes on with now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_absence_is_told_as_a_gap_that_says_where_to_ask() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("symbols=BTCUSDT&interval=1m&events=candle").await;
    listener.event("snapshot").await;
    world.pass(MINUTE * 600);
    let (_, skipped) = listener.event("gap").await;
    assert_eq!(skipped["gap"]["start"], "2024-06-12T10:30:00Z");
    assert_eq!(skipped["gap"]["end"], "2024-06-12T12:10:00Z");
    assert!(skipped["gap"]["what"].as_str().unwrap().contains("/v1/klines"));
    let (_, candle) = listener.event("candle").await;
    check(&world, &candle, "2024-06-12T12:10:00Z");
}

/// Goal: a symbol that there is not is no silence, and costs the exchange next to nothing. Method: let twenty minutes
/// pass; it is asked for three times, and told once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_symbol_is_refused_once_and_seldom_asked_for_again() {
    let mut world = World::new().await;
    world.config.server.stream_heartbeat_ms = 50;
    let daemon = world.serve().await;
    let query = "symbols=NOSUCHUSDT&interval=1m&events=candle";
    let mut listener = daemon.listen(query).await;
    listener.event("snapshot").await;
    world.pass(MINUTE);
    let (id, refused) = listener.event("refused").await;
    assert!(id.is_some());
    assert_eq!(refused["series"]["symbol"], "NOSUCHUSDT");
    let problem = &refused["problem"];
    assert_eq!(
        (&problem["type"], &problem["status"], &problem["retry_after_seconds"]),
        (
            &"urn:evercandle:problem:unknown-symbol".into(),
            &404.into(),
            &600.into()
        )
    );
    let asked = || world.sim.journal().count("NOSUCHUSDT");
    let once = asked();
    for _ in 0..9 {
        world.pass(MINUTE);
        assert_eq!(listener.next().await, Heard::Comment);
    }
    assert_eq!(asked(), once, "it rests");
    until("another question", async || {
        world.pass(MINUTE);
        once < asked()
    })
    .await;
    for _ in 0..5 {
        assert_eq!(listener.next().await, Heard::Comment, "told once");
    }
    // Whoever comes later hears of it at once, and with the listing known there is no stream to wait at.
    let (_, snapshot) = daemon.listen(query).await.event("snapshot").await;
    assert_eq!(snapshot["refused"][0]["series"]["symbol"], "NOSUCHUSDT");
    daemon.json("/v1/symbols?limit=1").await;
    let reply = daemon.get(&format!("/v1/stream?{query},price")).await;
    assert_eq!(reply.status, 404, "{reply:?}");
    assert!(reply.body.contains("spot NOSUCHUSDT"), "{reply:?}");
    for more in [&format!("{query},run"), "symbols=NOSUCHUSDT,BTCUSDT&events=candle"] {
        daemon.listen(more).await.event("snapshot").await;
    }
}

/// Goal: a series counts as refused for exactly as long as its symbol is unknown: an outage does not say that it is known,
/// and it is known before there is a candle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_is_refused_until_its_symbol_is_known_and_no_longer() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let query = "symbols=NOSUCHUSDT&interval=1m&events=candle";
    let refused = async || {
        let (_, snapshot) = daemon.listen(query).await.event("snapshot").await;
        snapshot["refused"].as_array().unwrap().len()
    };
    let mut listener = daemon.listen(query).await;
    world.pass(MINUTE);
    listener.event("refused").await;
    world.down("binance");
    world.down("binance-vision");
    for _ in 0..30 {
        world.pass(MINUTE);
        assert_eq!(refused().await, 1);
    }
    world.up();
    world
        .sim
        .inject(sim::Fault::new(sim::Effect::EmptyArray).path("klines"));
    let known = async || {
        world.pass(MINUTE);
        refused().await == 0
    };
    until("an answer without klines", known).await;
}
