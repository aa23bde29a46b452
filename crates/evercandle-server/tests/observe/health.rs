//! `/health…` over real outages.

use std::time::Duration;

use evercandle::Status;
use serde_json::Value;

use super::support::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_daemon_is_alive_and_ready_and_says_why() {
    let daemon = World::new().await.serve().await;
    let live = daemon.get("/health/live").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    let ready = daemon.json("/health/ready").await;
    assert_eq!(ready["ready"], true);
    assert!(
        ready["why"]
            .as_array()
            .unwrap()
            .contains(&"binance was not asked yet".into()),
        "{ready}"
    );
    let health = daemon.json("/health").await;
    assert_eq!(
        (&health["status"], &health["summary"]),
        (&"ok".into(), &serde_json::json!([]))
    );
    assert_eq!(
        (&health["cache"]["dir_writable"], &health["cache"]["files"]),
        (&true.into(), &0.into())
    );
}

/// Goal: with nothing held and nobody answering there is nothing to serve, and the daemon says so, and lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_empty_cache_and_everybody_down_it_is_not_ready_but_alive() {
    let world = World::new().await;
    let daemon = world.serve().await;
    for upstream in daemon.client.health().upstreams {
        world.down(upstream.provider.as_str());
    }
    // Every one of them has to be found wanting.
    for _ in 0..6 {
        daemon.client.check().await;
    }
    let ready = daemon.get("/health/ready").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    let ready = ready.json();
    assert_eq!(
        (&ready["ready"], &ready["why"][0]),
        (&false.into(), &"the cache holds nothing".into())
    );
    assert_eq!(daemon.json("/health").await["status"], "down");
    assert_eq!(daemon.get("/health/live").await.status, 200);
    world.up();
    daemon.client.check().await;
    assert_eq!(daemon.get("/health/ready").await.status, 200);
}

/// Goal: what somebody reads at three in the morning: what is wrong, since when, why, and what happens next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_said_in_a_sentence_with_since_when_and_what_is_next() {
    let mut world = World::new().await;
    world.config.breaker.cooldown_ms = 600_000;
    world.config.breaker.cooldown_max_ms = 600_000;
    let daemon = world.serve().await;
    world.down("binance");
    let mut listener = daemon.listen("symbols=BTCUSDT&events=provider,price").await;
    listener
        .event_where("provider", |data| data["name"] == "binance" && data["status"] == "down")
        .await;
    world.pass(Duration::from_secs(120));
    let health = daemon.json("/health").await;
    assert_eq!(health["status"], "degraded");
    let sentence = health["summary"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s.as_str().unwrap());
    let sentence = sentence
        .into_iter()
        .find(|s| s.starts_with("binance:"))
        .unwrap()
        .to_owned();
    assert!(
        sentence.starts_with("binance: down since 10:30:") && sentence.contains(" (2 min): "),
        "{sentence}"
    );
    assert!(sentence.contains("; next probe 10:"), "{sentence}");
    let scheduler = daemon.json("/health/scheduler").await;
    let binance = &scheduler["providers"]["binance"];
    assert_eq!(
        (&binance["status"], &binance["circuit"]),
        (&"down".into(), &"open".into())
    );
    assert!(
        binance["since"].as_str().unwrap().starts_with("2024-06-12T10:30:"),
        "{binance}"
    );
    assert!(
        binance["retry_at"].is_string() && binance["last_error"]["what"].is_string(),
        "{binance}"
    );
}

/// Goal: an upstream whose last call failed is looked at again, and those who are well are not asked because of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_is_in_doubt_is_looked_at_again() {
    let world = World::new().await;
    let daemon = world.serve().await;
    world.down("coingecko");
    daemon.client.check_one("coingecko").await.unwrap();
    let upstream = |name: &str| {
        let health = daemon.client.health();
        health
            .upstreams
            .into_iter()
            .find(|u| u.provider.as_str() == name)
            .unwrap()
    };
    assert_eq!(upstream("coingecko").status, Status::Degraded);
    world.up();
    until("coingecko is well again", || async {
        world.pass(Duration::from_secs(61));
        upstream("coingecko").status == Status::Ok
    })
    .await;
    for name in ["binance", "binance-futures", "binance-vision", "alternative-me"] {
        assert!(upstream(name).last_probe.is_none(), "{name} was probed");
    }
}

/// Goal: the shape that dashboards and other programs rely on, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scheduler_is_described_with_its_settings_and_every_upstream_in_the_catalogues_order() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let reply = daemon.get("/health/scheduler").await;
    let body = reply.json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut expected = vec!["enabled", "running", "config", "job", "last_run", "providers"];
    expected.sort_unstable();
    let mut found = keys(&body);
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!((&body["enabled"], &body["last_run"]), (&false.into(), &Value::Null));
    assert_eq!(body["config"]["klines_ms"], 180_000);
    let names = [
        "binance-vision",
        "binance",
        "binance-futures",
        "coingecko",
        "alternative-me",
    ];
    let places = names.map(|name| reply.body.find(&format!("\"{name}\":")).unwrap());
    assert!(places.is_sorted(), "{names:?} are not in this order");
    for (name, provider) in body["providers"].as_object().unwrap() {
        assert_eq!(
            (
                &provider["status"],
                &provider["circuit_open"],
                &provider["failure_count"]
            ),
            (&"ok".into(), &false.into(), &0.into()),
            "{name}"
        );
    }
}

/// Goal: whoever asks often does not have a big folder walked each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_figure_of_the_cache_is_counted_once_for_many_who_ask() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let first = daemon.json("/health").await["cache"]["counted_at"].clone();
    assert!(first.is_string());
    world.clock.set(super::support::time("2024-06-12T10:30:21Z"));
    assert_eq!(daemon.json("/health").await["cache"]["counted_at"], first, "remembered");
    world.pass(Duration::from_secs(11));
    until("a new count", || async {
        daemon.json("/health").await["cache"]["counted_at"] != first
    })
    .await;
}
