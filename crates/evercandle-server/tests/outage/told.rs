//! Somebody is told: by alerts, by the records of refreshes, by events.

use std::time::Duration;

use evercandle::config::PriceWatch;
use serde_json::Value;

use super::one_by_one::brittle;
use super::support::{Daemon, World, until};

async fn alert(daemon: &Daemon, name: &str) -> Option<Value> {
    let alerts = daemon.json("/health").await["alerts"].as_array().unwrap().clone();
    alerts
        .into_iter()
        .find(|alert| alert["name"] == name && alert["provider"] == "binance")
}

/// Asks for a price every few seconds of the world's time until something holds.
async fn while_asked<F: Future<Output = bool>>(
    world: &World,
    daemon: &Daemon,
    what: &str,
    mut holds: impl FnMut() -> F,
) {
    until(what, || {
        world.pass(Duration::from_secs(2));
        let held = holds();
        async move {
            let _ = daemon.get("/v1/price/BTCUSDT").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            held.await
        }
    })
    .await;
}

/// Goal: an outage fires the alert about failures and, when it lasts, the one about the circuit; both end with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_fire_in_an_outage_and_resolve_after_it() {
    let mut world = brittle().await;
    let alerts = &mut world.config.alerts;
    alerts.every_ms = 1_000;
    alerts.failure_window_ms = 20_000;
    alerts.common_cause_ms = 20_000;
    alerts.failure_calls_min = 2;
    alerts.circuit_open_ms = 30_000;
    let daemon = world.serve().await;
    assert_eq!(daemon.get("/v1/price/BTCUSDT").await.status, 200);
    assert_eq!(daemon.json("/health").await["alerts"], serde_json::json!([]));
    world.down("binance");
    let fires = async |name| {
        alert(&daemon, name)
            .await
            .is_some_and(|alert| alert["state"] == "firing")
    };
    for name in ["ProviderFailing", "CircuitOpenLong"] {
        while_asked(&world, &daemon, name, || fires(name)).await;
        let alert = alert(&daemon, name).await.unwrap();
        assert!(
            alert["since"].is_string() && alert["summary"].as_str().unwrap().contains("binance"),
            "{alert}"
        );
    }
    let health = daemon.json("/health").await;
    assert_eq!(health["status"], "degraded");
    assert!(
        health["summary"]
            .to_string()
            .contains("alert: CircuitOpenLong of binance fires since 10:"),
        "{health}"
    );
    world.up();
    world.pass(Duration::from_secs(61));
    for name in ["ProviderFailing", "CircuitOpenLong"] {
        while_asked(&world, &daemon, name, async || !fires(name).await).await;
    }
}

/// Goal: a watched market that has no prices is told though nobody fails and another market has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_market_without_prices_is_told() {
    let mut world = brittle().await;
    let watch = |symbol: &str, market: &str| PriceWatch {
        symbols: vec![symbol.to_owned()],
        market: Some(market.to_owned()),
    };
    let schedule = &mut world.config.schedule;
    schedule.enabled = true;
    schedule.jitter_percent = 0;
    schedule.sentiment = false;
    schedule.prices_ms = 10_000;
    schedule.klines = Vec::new();
    schedule.prices = vec![watch("BTCUSDT", "spot"), watch("NOSUCHUSDT", "um")];
    world.config.alerts.every_ms = 1_000;
    world.config.alerts.stale_ms = 20_000;
    let daemon = world.serve().await;
    let alerts = async || daemon.json("/health").await["alerts"].clone();
    until("the alert", || {
        world.pass(Duration::from_secs(2));
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            alerts().await[0]["state"] == "firing"
        }
    })
    .await;
    let alerts = alerts().await;
    assert_eq!(
        (&alerts[0]["name"], &alerts[0]["subject"]),
        (&"NoPrices".into(), &"um".into())
    );
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts}");
    assert_eq!(daemon.metric("qt_scheduler_without_prices{market=\"um\"}").await, 1.0);
    assert_eq!(daemon.metric("qt_scheduler_without_prices{market=\"spot\"}").await, 0.0);
}

/// Goal: a refresh in an outage is recorded with what each upstream said, and told to whoever listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_in_an_outage_is_recorded_with_everybodys_reason() {
    let mut world = brittle().await;
    let schedule = &mut world.config.schedule;
    schedule.enabled = true;
    schedule.jitter_percent = 0;
    schedule.sentiment = false;
    schedule.prices_ms = 30_000;
    schedule.klines_ms = 30_000;
    schedule.backoff_ms = 1_000;
    schedule.backoff_max_ms = 1_000;
    let daemon = world.serve().await;
    let last_run = async || daemon.json("/health/scheduler").await["last_run"].clone();
    until("the first runs", || async {
        last_run().await["runs"].as_array().is_some_and(|runs| runs.len() == 2)
    })
    .await;
    let first = last_run().await;
    assert_eq!(
        (&first["status"], &first["errors"]),
        (&"ok".into(), &serde_json::json!([])),
        "{first}"
    );
    assert_eq!(first["symbols"], first["successful_symbols"]);

    let mut listener = daemon.listen("events=run").await;
    let (_, snapshot) = listener.event("snapshot").await;
    assert_eq!(snapshot["runs"].as_array().unwrap().len(), 2);
    world.down("binance");
    world.down("binance-vision");
    world.down("coingecko");
    for _ in 0..3 {
        world.pass(Duration::from_secs(31));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What was missing since the last run cannot be had.
    let (_, run) = listener
        .event_where("run", |run| run["kind"] == "klines" && run["status"] != "ok")
        .await;
    let errors = run["errors"].as_array().unwrap();
    let error = errors.iter().find(|error| error["symbol"] == "BTCUSDT");
    let error = error.unwrap_or_else(|| panic!("{run}"));
    assert_eq!(
        (&error["interval"], &error["market"]),
        (&"1m".into(), &"spot".into()),
        "{run}"
    );
    let reasons = error["reasons"].as_array().unwrap();
    assert!(
        reasons
            .iter()
            .any(|reason| reason["provider"] == "binance" && reason["what"].is_string()),
        "{run}"
    );
    let scheduler = daemon.json("/health/scheduler").await;
    assert_eq!(scheduler["running"], true);
    assert_ne!(scheduler["last_run"]["status"], "ok");
    let summary = daemon.json("/health").await["summary"].to_string();
    assert!(
        summary.contains("scheduler: the last refresh of klines ended 10:"),
        "{summary}"
    );

    world.up();
    until("a run that is well again", || {
        world.pass(Duration::from_secs(31));
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            last_run().await["status"] == "ok"
        }
    })
    .await;
}
