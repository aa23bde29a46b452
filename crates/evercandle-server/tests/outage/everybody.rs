//! Nobody answers any more (F38): what is known and young enough is served and says how old it is; what was never known,
//! or is too old, is refused with every upstream's reason and when to come back.

use std::time::Duration;

use serde_json::Value;

use super::one_by_one::{HELD, brittle, warm};
use super::support::{Daemon, Reply, World};

async fn dark() -> (World, Daemon) {
    let world = brittle().await;
    let daemon = world.serve().await;
    warm(&daemon).await;
    for upstream in daemon.client.health().upstreams {
        world.down(upstream.provider.as_str());
    }
    world.pass(Duration::from_secs(5));
    (world, daemon)
}

/// Goal: a refusal tells what each tier said and when asking again is worth a try.
#[track_caller]
fn refused(reply: &Reply, tiers: &[&str]) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(0 < seconds, "{reply:?}");
    let body = reply.json();
    assert_eq!(body["retry_after_seconds"], seconds);
    for tier in tiers {
        let reasons = body["reasons"].as_array().unwrap();
        let reason = reasons.iter().find(|reason| reason["provider"] == *tier);
        let what = reason.unwrap_or_else(|| panic!("{tier} is missing: {body}"));
        assert!(what["what"].as_str().is_some_and(|what| !what.is_empty()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_and_young_enough_is_served_and_says_how_old_it_is() {
    let (world, daemon) = dark().await;
    let held = daemon.json(HELD).await;
    assert_eq!(held["complete"], true);
    assert!(
        held["segments"]
            .as_array()
            .unwrap()
            .iter()
            .all(|segment| segment["via"] == "cache")
    );
    for _ in 0..2 {
        world.pass(Duration::from_secs(60));
        for path in ["/v1/price/BTCUSDT", "/v1/price/BTCUSDT?market=um"] {
            let reply = daemon.get(path).await;
            let price = reply.json();
            assert_eq!(price["state"], "last_known", "{path}: {price}");
            assert!(60.0 <= price["age_seconds"].as_f64().unwrap(), "{price}");
            let age: u64 = reply.header("age").unwrap().parse().unwrap();
            assert!(60 <= age, "{reply:?}");
        }
        let sentiment = daemon.get("/v1/sentiment").await;
        assert_eq!(sentiment.status, 200, "{sentiment:?}");
        assert!(sentiment.header("age").is_some(), "{sentiment:?}");
    }
    assert_eq!(daemon.get("/health/ready").await.status, 200, "it can serve something");
    assert_eq!(daemon.json("/health").await["status"], "degraded");
    assert_eq!(daemon.get("/health/live").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_known_is_refused_with_everybodys_reason() {
    let (_world, daemon) = dark().await;
    refused(&daemon.get("/v1/price/ETHUSDT").await, &["binance", "coingecko"]);
    let never = "/v1/klines?symbol=ETHUSDT&interval=1h&start=2024-05-01T00:00:00Z&end=2024-05-02T00:00:00Z";
    refused(&daemon.get(never).await, &["binance-vision", "binance"]);
    // Half of it is held: that half is given to whoever says that it will do, and the rest is named.
    let half = HELD.replace("2024-05-01", "2024-04-30");
    refused(&daemon.get(&half).await, &["binance-vision", "binance"]);
    let partial = daemon.json(&format!("{half}&completeness=best_effort")).await;
    assert_eq!(partial["complete"], false);
    assert_eq!(partial["klines"].as_array().unwrap().len(), 42 * 24);
    let gap = &partial["gaps"][0];
    assert_eq!(
        (&gap["reason"], &gap["slots"]),
        (&"no_upstream_left".into(), &24.into())
    );
    assert!(2 <= gap["tried"].as_array().unwrap().len(), "{gap}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_is_refused_rather_than_served() {
    let (world, daemon) = dark().await;
    let price = daemon.json("/v1/price/BTCUSDT").await;
    assert_eq!(price["state"], "last_known");
    world.pass(Duration::from_millis(world.config.latest.price_stale_if_error_ms));
    refused(&daemon.get("/v1/price/BTCUSDT").await, &["binance", "coingecko"]);
    // In a list, what cannot be had is named beside what can.
    let prices = daemon.get("/v1/prices?symbols=BTCUSDT,ETHUSDT").await;
    let missing: Value = match prices.status {
        200 => prices.json()["missing"].clone(),
        503 => prices.json()["reasons"].clone(),
        other => panic!("{other}: {prices:?}"),
    };
    assert!(!missing.as_array().unwrap().is_empty(), "{prices:?}");
    world.pass(Duration::from_millis(world.config.latest.sentiment_stale_if_error_ms));
    let sentiment = daemon.get("/v1/sentiment").await;
    refused(&sentiment, &["alternative-me"]);
}

/// Goal: when most fail together the daemon says that it may be us, once, and that is over with the first answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_everybody_is_gone_at_once_is_said_as_what_it_probably_is() {
    let (world, daemon) = dark().await;
    let mut suspected = false;
    for _ in 0..12 {
        world.pass(Duration::from_secs(2));
        for path in ["/v1/price/BTCUSDT", "/v1/price/BTCUSDT?market=um", "/v1/sentiment"] {
            let _ = daemon.get(path).await;
        }
        let never = "/v1/klines?symbol=ETHUSDT&interval=1h&start=2024-05-01T00:00:00Z&end=2024-05-02T00:00:00Z";
        let _ = daemon.get(never).await;
        suspected = daemon.json("/health").await["common_cause_since"].is_string();
        if suspected {
            break;
        }
    }
    assert!(suspected, "{}", daemon.json("/health").await);
    let summary = daemon.json("/health").await["summary"].to_string();
    assert!(summary.contains("look at our own line"), "{summary}");
    assert_eq!(daemon.metric("qt_common_cause_suspected").await, 1.0);
    world.up();
    world.pass(Duration::from_secs(61));
    super::support::until("the end of it", || async {
        let _ = daemon.get("/v1/price/BTCUSDT").await;
        daemon.json("/health").await["common_cause_since"].is_null()
    })
    .await;
    assert_eq!(daemon.metric("qt_common_cause_suspected").await, 0.0);
}
