//! What was told is known to the next process, however the one before it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evercandle_simulator::{Fault, Upstream};
use serde_json::Value;

use super::support::{Daemon, Webhook, status};

/// A second is the time after which an outage is over.
const OVER: Duration = Duration::from_secs(1);

async fn telling(webhook: &Webhook) -> Daemon {
    let daemon = Daemon::telling(&[("ops", "generic", webhook.url.clone())]).await;
    daemon
        .until("/metrics", "qt_provider_success_total{provider=\"binance\"}")
        .await;
    daemon.break_binance();
    daemon
}

/// One for each alert: the kind of the message, the rule, and when it began.
fn told(heard: &[Value]) -> Vec<(&str, &str, &str)> {
    let alerts = heard.iter().flat_map(|message| {
        let alerts = message["alerts"].as_array().unwrap().iter();
        alerts.map(move |alert| (text(&message["kind"]), text(&alert["name"]), text(&alert["began_at"])))
    });
    alerts.collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Of all that was heard in the end, who was told how often.
async fn heard_in_the_end(webhook: &Webhook) -> Vec<Value> {
    webhook.until_resolved(2).await;
    tokio::time::sleep(2 * OVER).await;
    webhook.heard().into_iter().map(|(_, message)| message).collect()
}

fn times(heard: &[Value], kind: &str, rule: &str) -> usize {
    told(heard).iter().filter(|(k, r, _)| (*k, *r) == (kind, rule)).count()
}

/// Waits until so many alerts are known to have been taken.
async fn remembered(daemon: &Daemon, alerts: usize) {
    let began = Instant::now();
    loop {
        let file = std::fs::read(daemon.memory()).unwrap_or_default();
        let known: Value = serde_json::from_slice(&file).unwrap_or_default();
        if known["told"]["ops"].as_array().is_some_and(|told| told.len() == alerts) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{known}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn firing(daemon: &Daemon) -> Vec<Value> {
    let health: Value = serde_json::from_str(&daemon.get("/health").await).unwrap();
    let alerts = health["alerts"].as_array().unwrap().iter();
    alerts.filter(|alert| alert["state"] == "firing").cloned().collect()
}

/// Goal: nobody is called twice about one outage because the daemon was killed in the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_in_which_the_daemon_is_killed_is_told_once_and_resolved_once() {
    let ops = Webhook::well().await;
    let mut daemon = telling(&ops).await;
    ops.until(2).await;
    remembered(&daemon, 2).await;
    let before = firing(&daemon).await;
    daemon.kill().await;
    daemon.begin().await;
    daemon.until("/health", "\"state\":\"firing\"").await;
    tokio::time::sleep(4 * OVER).await;
    assert_eq!(firing(&daemon).await, before, "since then, and not since the restart");
    assert_eq!(ops.heard().len(), 2, "{:#?}", ops.heard());
    daemon.repair();
    let heard = heard_in_the_end(&ops).await;
    for (kind, rule) in [
        ("alert", "ProviderFailing"),
        ("escalation", "CircuitOpenLong"),
        ("resolved", "ProviderFailing"),
        ("resolved", "CircuitOpenLong"),
    ] {
        assert_eq!(times(&heard, kind, rule), 1, "{kind} {rule}: {heard:#?}");
    }
    assert_eq!(told(&heard).len(), 4, "{heard:#?}");
}

/// Goal: what ended while no daemon ran is resolved once, and not before the next one has looked.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_the_daemon_is_down_is_resolved_once_it_has_looked() {
    let ops = Webhook::well().await;
    let mut daemon = telling(&ops).await;
    ops.until(2).await;
    daemon.stop().await;
    daemon.repair();
    let begun = Instant::now();
    daemon.begin().await;
    daemon.until("/health", "\"state\":\"firing\"").await;
    let heard = heard_in_the_end(&ops).await;
    assert!(OVER <= ops.heard()[2].0 - begun, "{heard:#?}");
    for rule in ["ProviderFailing", "CircuitOpenLong"] {
        assert_eq!(times(&heard, "resolved", rule), 1, "{heard:#?}");
    }
    assert_eq!(told(&heard).len(), 4, "{heard:#?}");
}

/// Goal: neither a beginning nor an end is lost that a webhook had not taken when the daemon was killed.
/// Method: it refuses for now what comes before the first kill, and what comes between the second outage's end and the second kill.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_had_not_taken_is_told_by_the_next_daemon() {
    let is_well = Arc::new(AtomicBool::new(false));
    let answers = is_well.clone();
    let ops = Webhook::answering(move |_| {
        let code = if answers.load(Ordering::Relaxed) { 204 } else { 503 };
        Some(status(code, ""))
    })
    .await;
    let mut daemon = telling(&ops).await;
    ops.until(1).await;
    daemon.until("/health", "CircuitOpenLong").await;
    let began = firing(&daemon).await[0]["began_at"].clone();
    daemon.kill().await;
    let refused = ops.heard().len();
    is_well.store(true, Ordering::Relaxed);
    daemon.begin().await;
    ops.until(refused + 2).await;
    remembered(&daemon, 2).await;
    let taken: Vec<Value> = ops
        .heard()
        .into_iter()
        .skip(refused)
        .map(|(_, message)| message)
        .collect();
    assert!(
        told(&taken).contains(&("alert", "ProviderFailing", began.as_str().unwrap())),
        "{taken:#?}"
    );

    is_well.store(false, Ordering::Relaxed);
    daemon.repair();
    ops.until_resolved(1).await;
    daemon.kill().await;
    let refused = ops.heard().len();
    is_well.store(true, Ordering::Relaxed);
    daemon.begin().await;
    tokio::time::sleep(4 * OVER).await;
    let taken: Vec<Value> = ops
        .heard()
        .into_iter()
        .skip(refused)
        .map(|(_, message)| message)
        .collect();
    for rule in ["ProviderFailing", "CircuitOpenLong"] {
        assert_eq!(times(&taken, "resolved", rule), 1, "{taken:#?}");
    }
    assert_eq!(told(&taken).len(), 2, "{taken:#?}");
    remembered(&daemon, 0).await;
}

/// Goal: values do not become fresh, nor a line sound, because nobody asks the next daemon for anything; and what was
/// repaired meanwhile is noticed without anybody asking.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_nobody_asks_the_next_daemon_about_goes_on_until_upstreams_answer() {
    let serving_prices = [Upstream::BinanceSpot, Upstream::BinanceMarketData, Upstream::CoinGecko];
    for (rule, down) in [("ServingStale", &serving_prices[..]), ("CommonCause", &Upstream::ALL)] {
        let ops = Webhook::well().await;
        let mut daemon = Daemon::unscheduled(&[("ops", "generic", ops.url.clone())]).await;
        for upstream in down {
            daemon.exchange.inject(Fault::down(*upstream));
        }
        let told_of = |kind: &str| {
            let heard: Vec<Value> = ops.heard().into_iter().map(|(_, message)| message).collect();
            times(&heard, kind, rule)
        };
        let began = Instant::now();
        while told_of("alert") == 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "{rule}: {:#?}", ops.heard());
            daemon.get("/v1/price/BTCUSDT").await;
        }
        daemon.stop().await;
        daemon.begin().await;
        tokio::time::sleep(4 * OVER).await;
        let health: Value = serde_json::from_str(&daemon.get("/health").await).unwrap();
        assert_eq!(told_of("resolved"), 0, "{rule}: {health:#}");
        for provider in ["binance", "coingecko"] {
            assert_eq!(
                health["providers"][provider]["status"], "degraded",
                "{rule}: {health:#}"
            );
        }

        daemon.repair();
        // Those that failed are asked again after a while.
        daemon.clock.advance(Duration::from_secs(61));
        let repaired = Instant::now();
        while told_of("resolved") == 0 {
            assert!(
                repaired.elapsed() < Duration::from_secs(20),
                "{rule}: {:#?}",
                ops.heard()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(2 * OVER).await;
        assert_eq!(
            (told_of("alert"), told_of("resolved")),
            (1, 1),
            "{rule}: {:#?}",
            ops.heard()
        );
    }
}

/// Goal: a file that is damaged is no memory, and no obstacle.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_memory_counts_as_none() {
    let ops = Webhook::well().await;
    let mut daemon = telling(&ops).await;
    ops.until(2).await;
    remembered(&daemon, 2).await;
    daemon.kill().await;
    let whole = std::fs::read(daemon.memory()).unwrap();
    std::fs::remove_file(daemon.memory()).unwrap();
    std::fs::write(daemon.memory(), &whole[..whole.len() / 2]).unwrap();
    daemon.begin().await;
    let heard = ops.until(4).await;
    assert_eq!(times(&heard, "alert", "ProviderFailing"), 2, "{heard:#?}");
    remembered(&daemon, 2).await;
}
