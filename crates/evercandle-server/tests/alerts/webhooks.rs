//! Who is told what, and what a webhook that does not behave costs anybody.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Daemon, Webhook, status};

fn told(message: &Value) -> Vec<(&str, &str, &str)> {
    let kind = message["kind"].as_str().unwrap();
    let alerts = message["alerts"].as_array().unwrap().iter();
    alerts
        .map(|alert| {
            let text = |key: &str| alert[key].as_str().unwrap();
            (kind, text("name"), text("provider"))
        })
        .collect()
}

/// Goal: one outage from its first message to its last, in both shapes, and the address nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_escalated_and_resolved() {
    let (program, room) = (Webhook::well().await, Webhook::well().await);
    let daemon = Daemon::telling(&[
        ("program", "generic", program.url.clone()),
        ("room", "slack", room.url.clone()),
    ])
    .await;
    daemon
        .until("/metrics", "qt_provider_success_total{provider=\"binance\"}")
        .await;
    daemon.break_binance();
    daemon.until("/health", "\"state\":\"firing\"").await;
    let heard = program.until(2).await;
    assert_eq!(told(&heard[0]), [("alert", "ProviderFailing", "binance")]);
    assert_eq!(told(&heard[1]), [("escalation", "CircuitOpenLong", "binance")]);
    assert_eq!(heard[0]["version"], 1);
    // The circuit is open, and nobody calls: it goes on all the same.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(program.heard().len(), 2, "{:#?}", program.heard());
    let health: Value = serde_json::from_str(&daemon.get("/health").await).unwrap();
    let firing = health["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|alert| alert["state"] == "firing");
    assert_eq!(firing.count(), 2, "{health:#}");

    daemon.repair();
    // Until nothing fires any more the word and the sentences agree.
    for _ in 0..500 {
        let health: Value = serde_json::from_str(&daemon.get("/health").await).unwrap();
        let says_nothing = health["summary"].as_array().unwrap().is_empty();
        assert_eq!(health["status"] == "ok", says_nothing, "{health:#}");
        if !health["alerts"].to_string().contains("\"firing\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let heard = program.until_resolved(2).await;
    let mut ended: Vec<_> = heard[2..].iter().flat_map(told).collect();
    ended.sort_unstable();
    assert_eq!(
        ended,
        [
            ("resolved", "CircuitOpenLong", "binance"),
            ("resolved", "ProviderFailing", "binance")
        ]
    );
    let words: Vec<String> = room
        .until_resolved(2)
        .await
        .iter()
        .map(|m| m["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(words[0], "Alert: ProviderFailing: binance");
    assert_eq!(words[1], "Escalation: CircuitOpenLong: binance");
    assert!(words[2].starts_with("Resolved: "), "{words:?}");

    let delivered = format!(
        "qt_notifications_total{{webhook=\"program\",result=\"delivered\"}} {}",
        heard.len()
    );
    daemon.until("/metrics", &delivered).await;
    for path in ["/metrics", "/health", "/health/scheduler"] {
        assert!(!daemon.get(path).await.contains("very-secret"), "{path}");
    }
}

/// Goal: F36. A webhook that is dead, slow or angry costs nobody anything, and shows in the metrics.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_dead_slow_or_angry_delays_nobody_else() {
    let (well, slow) = (Webhook::well().await, Webhook::answering(|_| None).await);
    let angry = Webhook::answering(|_| Some(status(500, ""))).await;
    let daemon = Daemon::telling(&[
        ("dead", "generic", "http://127.0.0.1:1/very-secret".to_owned()),
        ("slow", "generic", slow.url.clone()),
        ("angry", "slack", angry.url.clone()),
        ("well", "generic", well.url.clone()),
    ])
    .await;
    daemon
        .until("/metrics", "qt_provider_success_total{provider=\"binance\"}")
        .await;
    daemon.break_binance();
    let heard = well.until(2).await;
    assert_eq!(told(&heard[1]), [("escalation", "CircuitOpenLong", "binance")]);
    for webhook in ["dead", "angry"] {
        let counted = format!("qt_notifications_total{{webhook=\"{webhook}\",result=\"failed\"}}");
        daemon.until("/metrics", &counted).await;
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let began = Instant::now();
        assert_eq!(daemon.get("/health/live").await, "ok\n");
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    daemon.repair();
    well.until_resolved(2).await;
    assert!(!daemon.get("/metrics").await.contains("very-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed_and_the_message_is_the_same() {
    let busy = Webhook::answering(|number| {
        Some(match number {
            0 => status(429, "Retry-After: 3\r\n"),
            _ => status(200, ""),
        })
    })
    .await;
    let daemon = Daemon::telling(&[("busy", "generic", busy.url.clone())]).await;
    daemon
        .until("/metrics", "qt_provider_success_total{provider=\"binance\"}")
        .await;
    daemon.break_binance();
    let messages = busy.until(2).await;
    assert_eq!(messages[0], messages[1]);
    let heard = busy.heard();
    let waited = heard[1].0 - heard[0].0;
    assert!(Duration::from_secs(3) <= waited, "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_refuses_or_sends_elsewhere_is_asked_once() {
    let elsewhere = Webhook::well().await;
    let location = format!("Location: {}\r\n", elsewhere.url);
    let moved = Webhook::answering(move |_| Some(status(307, &location))).await;
    let gone = Webhook::answering(|_| Some(status(404, ""))).await;
    let daemon = Daemon::telling(&[
        ("moved", "generic", moved.url.clone()),
        ("gone", "generic", gone.url.clone()),
    ])
    .await;
    daemon
        .until("/metrics", "qt_provider_success_total{provider=\"binance\"}")
        .await;
    daemon.break_binance();
    for webhook in ["moved", "gone"] {
        // The alert and the escalation, once each.
        let counted = format!("qt_notifications_total{{webhook=\"{webhook}\",result=\"refused\"}} 2");
        daemon.until("/metrics", &counted).await;
    }
    assert_eq!((moved.heard().len(), gone.heard().len()), (2, 2));
    assert_eq!(elsewhere.heard().len(), 0);
}

/// Goal: nothing that was to be told is lost because the daemon is told to stop.
/// Method: the webhook says no thrice; the daemon stops while it waits before the third try, and ends after the fourth.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_told_is_told_before_the_daemon_ends() {
    let busy = Webhook::answering(|number| {
        Some(match number {
            0..=2 => status(503, ""),
            _ => status(204, ""),
        })
    })
    .await;
    let mut daemon = Daemon::telling(&[("busy", "generic", busy.url.clone())]).await;
    daemon
        .until("/metrics", "qt_provider_success_total{provider=\"binance\"}")
        .await;
    daemon.break_binance();
    busy.until(2).await;
    daemon.stop().await;
    let heard = busy.heard();
    assert_eq!(heard[0].1, heard[3].1, "the same message again");
}

/// Goal: F36. Whoever looks at the daemon's health learns that a webhook is not told, since when, and why.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_fails_shows_in_health() {
    let (angry, well) = (
        Webhook::answering(|_| Some(status(500, ""))).await,
        Webhook::well().await,
    );
    let daemon = Daemon::telling(&[
        ("angry", "slack", angry.url.clone()),
        ("well", "generic", well.url.clone()),
    ])
    .await;
    daemon
        .until("/metrics", "qt_provider_success_total{provider=\"binance\"}")
        .await;
    let health: Value = serde_json::from_str(&daemon.get("/health").await).unwrap();
    assert_eq!(health["notifier"]["webhooks"]["angry"]["status"], "idle", "{health:#}");
    daemon.break_binance();
    daemon.until("/health", "webhook angry: not told since").await;
    daemon
        .until("/health", "\"status\":\"ok\",\"waiting\":0,\"last_success_at\":\"")
        .await;
    let health: Value = serde_json::from_str(&daemon.get("/health").await).unwrap();
    let angry = &health["notifier"]["webhooks"]["angry"];
    assert_eq!(
        (&angry["status"], &angry["last_failure"]["what"]),
        (&"failing".into(), &"it says no: 500".into())
    );
    assert!(
        angry["failing_since"].is_string() && angry["last_success_at"].is_null(),
        "{angry}"
    );
    assert!(!health.to_string().contains("very-secret"));
}
