//! The daemon is restarted in the middle of it.

use std::time::Duration;

use evercandle_simulator::{Effect, Fault};

use super::one_by_one::{HELD, brittle, warm};

/// Goal: a ban outlives the daemon that was banned: nothing is sent inside it, by nobody, and it ends when it is over.
/// What was known outlives it too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_and_the_cache_outlive_the_daemon() {
    let world = brittle().await;
    let first = world.serve().await;
    warm(&first).await;
    let live = first.json("/v1/price/BTCUSDT").await;
    for host in ["api.binance.com", "api1", "api2", "api3", "api4", "api-gcp", "data-api"] {
        world
            .sim
            .inject(Fault::new(Effect::Banned { retry_after: 120 }).on(host));
    }
    world.pass(Duration::from_secs(2));
    let price = first.json("/v1/price/BTCUSDT").await;
    assert_eq!(price["provider"], "coingecko");
    let binance = &first.json("/health/scheduler").await["providers"]["binance"];
    assert_eq!(
        (&binance["status"], &binance["circuit_open"]),
        (&"quarantined".into(), &false.into()),
        "{binance}"
    );
    assert_eq!(binance["failures_total"], 0, "an instruction is not a failure");
    first.end().await;

    world.up();
    world.sim.journal().clear();
    let second = world.serve().await;
    let asked = |world: &super::support::World| {
        let requests = world.sim.journal().requests();
        requests
            .iter()
            .filter(|entry| entry.target().contains("binance.com"))
            .count()
    };
    for _ in 0..5 {
        world.pass(Duration::from_secs(20));
        let price = second.json("/v1/price/BTCUSDT").await;
        assert_ne!(price["provider"], live["provider"], "{price}");
        let held = second.json(HELD).await;
        assert_eq!(held["complete"], true);
        assert!(
            held["segments"]
                .as_array()
                .unwrap()
                .iter()
                .all(|segment| segment["via"] == "cache")
        );
    }
    assert_eq!(asked(&world), 0, "nothing is sent during the ban");
    let binance = &second.json("/health/scheduler").await["providers"]["binance"];
    assert_eq!(binance["status"], "quarantined", "{binance}");
    assert!(binance["quarantine"].as_str().unwrap().contains("418"), "{binance}");
    let summary = second.json("/health").await["summary"].to_string();
    assert!(
        summary.contains("binance: quarantined since") && summary.contains("asked again 10:"),
        "{summary}"
    );
    world.pass(Duration::from_secs(25));
    let price = second.json("/v1/price/BTCUSDT").await;
    assert_eq!(
        (&price["state"], &price["provider"]),
        (&"live".into(), &"binance".into())
    );
    assert!(0 < asked(&world));
    assert_eq!(world.sim.calls_in_quarantine(), 0);
}

/// Goal: restarted while nobody answers, the daemon serves what the one before it knew, and says how old that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_is_served_by_the_next_daemon_while_nobody_answers() {
    let world = brittle().await;
    let first = world.serve().await;
    warm(&first).await;
    let live = first.json("/v1/price/BTCUSDT").await;
    let names: Vec<String> = first
        .client
        .health()
        .upstreams
        .iter()
        .map(|u| u.provider.to_string())
        .collect();
    first.end().await;
    for name in &names {
        world.down(name);
    }
    world.pass(Duration::from_secs(30));
    let second = world.serve().await;
    let price = second.json("/v1/price/BTCUSDT").await;
    assert_eq!(
        (&price["state"], &price["price"]),
        (&"last_known".into(), &live["price"])
    );
    assert!(30.0 <= price["age_seconds"].as_f64().unwrap(), "{price}");
    let held = second.json(HELD).await;
    assert_eq!(held["complete"], true);
    let ready = second.json("/health/ready").await;
    assert!(ready["why"].to_string().contains("the cache holds klines"), "{ready}");
}
