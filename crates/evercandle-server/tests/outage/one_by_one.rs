//! Each upstream in turn stops answering.

use std::time::Duration;

use serde_json::Value;

use super::support::{Daemon, World, until};

/// A world whose breakers open soon and stay open until the test moves the time.
pub(crate) async fn brittle() -> World {
    let mut world = World::new().await;
    world.config.breaker.failures = 2;
    world.config.breaker.consecutive = 2;
    world.config.breaker.cooldown_ms = 60_000;
    world.config.breaker.cooldown_max_ms = 60_000;
    world.config.engine.attempts = 1;
    world.config.latest.sentiment_fresh_ms = 1_000;
    world
}

pub(crate) const HELD: &str =
    "/v1/klines?symbol=BTCUSDT&interval=1h&start=2024-05-01T00:00:00Z&end=2024-06-12T00:00:00Z";

/// Asks for something of everything, so that it is known.
pub(crate) async fn warm(daemon: &Daemon) {
    for path in [
        HELD,
        "/v1/price/BTCUSDT",
        "/v1/price/BTCUSDT?market=um",
        "/v1/sentiment",
    ] {
        let reply = daemon.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
    }
}

/// A question that only this upstream is asked first; another one each time.
fn question(provider: &str, number: u32) -> String {
    match provider {
        "binance" => "/v1/price/BTCUSDT".to_owned(),
        "binance-futures" => "/v1/price/BTCUSDT?market=um".to_owned(),
        "alternative-me" => "/v1/sentiment".to_owned(),
        // A month that nobody has asked for yet.
        "binance-vision" => {
            let (this, next) = (number % 11 + 1, number % 11 + 2);
            format!(
                "/v1/klines?symbol=BTCUSDT&interval=5m&start=2022-{this:02}-01T00:00:00Z&end=2022-{next:02}-01T00:00:00Z"
            )
        }
        other => panic!("{other}?"),
    }
}

async fn status(daemon: &Daemon, provider: &str) -> Value {
    daemon.json("/health/scheduler").await["providers"][provider].clone()
}

/// Goal: while one upstream is down, everything is answered, labelled; the account of it is true; and all is well after.
async fn goes_and_comes_back(provider: &'static str) {
    let world = brittle().await;
    let daemon = world.serve().await;
    warm(&daemon).await;
    let failures = format!("qt_provider_failures_total{{provider=\"{provider}\"}}");
    let open = format!("qt_provider_circuit_open{{provider=\"{provider}\"}}");
    let (failed_before, open_before) = (daemon.metric(&failures).await, daemon.metric(&open).await);
    assert_eq!(open_before, 0.0);

    world.down(provider);
    let mut number = 0;
    while status(&daemon, provider).await["status"] != "down" {
        assert!(number < 10, "{provider}: {}", status(&daemon, provider).await);
        world.pass(Duration::from_secs(2));
        let reply = daemon.get(&question(provider, number)).await;
        assert_eq!(reply.status, 200, "{provider} is down, others are not: {reply:?}");
        number += 1;
    }

    // What is held is served as if nothing had happened, without asking anybody.
    let asked = world.sim.journal().len();
    let held = daemon.json(HELD).await;
    assert_eq!(world.sim.journal().len(), asked);
    assert_eq!(held["complete"], true);
    let segments = held["segments"].as_array().unwrap();
    assert!(segments.iter().all(|segment| segment["via"] == "cache"), "{segments:?}");

    // What stands in says so.
    world.pass(Duration::from_secs(2));
    labelled(provider, &daemon).await;

    // The account of it, for programs and for people.
    for (name, look) in daemon.json("/health/scheduler").await["providers"].as_object().unwrap() {
        match name == provider {
            true => {
                assert_eq!(
                    (&look["status"], &look["circuit_open"]),
                    (&"down".into(), &true.into()),
                    "{look}"
                );
                assert!(
                    look["last_error"]["what"].is_string() && look["retry_at"].is_string(),
                    "{look}"
                );
            }
            false => assert_eq!(look["status"], "ok", "{name}: {look}"),
        }
    }
    let health = daemon.json("/health").await;
    assert_eq!(health["status"], "degraded");
    let told = health["summary"].to_string();
    assert!(told.contains(&format!("{provider}: down since 10:3")), "{told}");
    assert_eq!(daemon.get("/health/ready").await.status, 200);
    assert!(failed_before + 2.0 <= daemon.metric(&failures).await);
    assert_eq!(daemon.metric(&open).await, 1.0);

    // And its end: a probe finds it, nobody has to do anything.
    world.up();
    world.pass(Duration::from_secs(61));
    let mut number = 10;
    until("its recovery", || {
        // What stands in is remembered for a while.
        world.pass(Duration::from_secs(21));
        number += 1;
        let question = question(provider, number);
        let daemon = &daemon;
        async move {
            let _ = daemon.get(&question).await;
            status(daemon, provider).await["status"] == "ok"
        }
    })
    .await;
    until("the gauge", || async { daemon.metric(&open).await == 0.0 }).await;
}

/// What a caller gets instead, and how it is told.
async fn labelled(provider: &str, daemon: &Daemon) {
    match provider {
        "binance" | "binance-futures" => {
            let reply = daemon.get(&question(provider, 0)).await;
            let price = reply.json();
            assert_eq!(
                (&price["nature"], &price["provider"]),
                (&"substitute".into(), &"coingecko".into()),
                "{price}"
            );
            assert!(
                price["substitute"].is_string() && price["age_seconds"].is_number(),
                "{price}"
            );
            assert_eq!(reply.header("evercandle-nature"), Some("substitute"));
        }
        "alternative-me" => {
            let sentiment = daemon.json("/v1/sentiment").await;
            assert_ne!(sentiment["state"], "live", "{sentiment}");
        }
        "binance-vision" => {
            let klines = daemon.json(&question(provider, 0)).await;
            let segments = klines["segments"].as_array().unwrap();
            assert!(
                segments.iter().all(|segment| segment["provider"] == "binance"),
                "{segments:?}"
            );
        }
        other => panic!("{other}?"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exchange_goes_and_comes_back() {
    goes_and_comes_back("binance").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_futures_go_and_come_back() {
    goes_and_comes_back("binance-futures").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_archive_goes_and_comes_back() {
    goes_and_comes_back("binance-vision").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sentiment_goes_and_comes_back() {
    goes_and_comes_back("alternative-me").await;
}

/// Goal: the substitute is only asked when the exchange is not there; gone as well, what was known last is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_substitute_goes_too_and_comes_back() {
    let world = brittle().await;
    let daemon = world.serve().await;
    warm(&daemon).await;
    let live = daemon.json("/v1/price/BTCUSDT").await;
    world.down("binance");
    world.down("coingecko");
    let mut number = 0;
    while status(&daemon, "coingecko").await["status"] != "down" {
        assert!(number < 10, "{}", status(&daemon, "coingecko").await);
        world.pass(Duration::from_secs(2));
        assert_eq!(daemon.get("/v1/price/BTCUSDT").await.status, 200);
        number += 1;
    }
    let reply = daemon.get("/v1/price/BTCUSDT").await;
    let price = reply.json();
    assert_eq!(
        (&price["state"], &price["price"]),
        (&"last_known".into(), &live["price"])
    );
    assert!(2.0 <= price["age_seconds"].as_f64().unwrap(), "{price}");
    assert!(reply.header("age").is_some(), "{reply:?}");
    assert_eq!(reply.header("evercandle-state"), Some("last_known"));
    assert!(1.0 <= daemon.metric("qt_stale_served_total{cache_name=\"prices\"}").await);
    world.up();
    world.pass(Duration::from_secs(61));
    until("a live price", || {
        world.pass(Duration::from_secs(21));
        async { daemon.json("/v1/price/BTCUSDT").await["state"] == "live" }
    })
    .await;
}
