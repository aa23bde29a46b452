//! What webhooks are told, as JSON: a documented shape for programs, and the one that chat rooms understand.

use evercandle::alert::{Alert, AlertState, Severity};
use serde::Serialize;
use serde_json::{Value, json};

use crate::notify::{Kind, Letter};
use crate::wire::alert::{AlertBody, alert};

/// Of the shape below; a field that is added does not change it.
const VERSION: u32 = 1;
/// Alerts spelled out in a chat room; it refuses what is endless.
const SPELLED_OUT: usize = 20;

/// For programs.
#[derive(Serialize)]
struct Generic<'a> {
    version: u32,
    /// The same for every delivery of this message.
    id: &'a str,
    /// `alert`, `escalation`, `repeat`, `resolved`.
    kind: &'static str,
    /// UTC.
    at: String,
    /// Who tells.
    sender: &'static str,
    sender_version: &'static str,
    alerts: Vec<AlertBody>,
}

/// For programs.
pub(crate) fn generic(letter: &Letter) -> Value {
    let body = Generic {
        version: VERSION,
        id: &letter.id,
        kind: letter.kind.as_str(),
        at: letter.at.to_string(),
        sender: "evercandle",
        sender_version: env!("CARGO_PKG_VERSION"),
        alerts: letter.alerts.iter().map(alert).collect(),
    };
    // Strings and numbers cannot fail to be written.
    serde_json::to_value(body).unwrap_or_default()
}

/// For Slack, and for what understands Slack's incoming webhooks (Mattermost, Rocket.Chat, Discord under `/slack`):
/// `text` for the notification, one attachment for each alert.
pub(crate) fn slack(letter: &Letter) -> Value {
    let title = |alert: &Alert| escaped(&format!("{}: {}", alert.rule.as_str(), alert.subject));
    let names: Vec<String> = letter.alerts.iter().take(SPELLED_OUT).map(title).collect();
    let what = match letter.kind {
        Kind::Alert => "Alert",
        Kind::Escalation => "Escalation",
        Kind::Repeat => "Still firing",
        Kind::Resolved => "Resolved",
    };
    let more = letter.alerts.len().saturating_sub(SPELLED_OUT);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let attachments = letter.alerts.iter().take(SPELLED_OUT).map(|alert| {
        let mut text = escaped(&alert.summary);
        text += &match alert.state {
            AlertState::Resolved => format!("\nFrom {} to {}.", alert.began_at, alert.since),
            _ => format!("\nSince {}. {}", alert.began_at, escaped(alert.runbook)),
        };
        json!({
            "color": color(alert),
            "title": title(alert),
            "text": text,
            "fallback": text,
            "ts": alert.since.as_micros().div_euclid(1_000_000),
        })
    });
    json!({
        "text": format!("{what}: {}{more}", names.join(", ")),
        "attachments": attachments.collect::<Vec<_>>(),
    })
}

fn color(alert: &Alert) -> &'static str {
    match (alert.state, alert.severity) {
        (AlertState::Resolved, _) => "good",
        (_, Severity::Warn) => "warning",
        (_, Severity::Page | Severity::Escalate) => "danger",
    }
}

/// Three characters mean something in a message there.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use evercandle::alert::{RuleName, Subject};
    use evercandle::{ProviderName, Timestamp};

    use super::*;

    fn letter(kind: Kind, state: AlertState) -> Letter {
        Letter {
            id: "00ff".into(),
            kind,
            at: Timestamp::EPOCH.plus(900_000_000),
            alerts: vec![Alert {
                rule: RuleName::ProviderFailing,
                severity: Severity::Page,
                subject: Subject::Provider(ProviderName::new("binance")),
                state,
                since: Timestamp::EPOCH.plus(600_000_000),
                began_at: Timestamp::EPOCH,
                summary: "binance <failed>".into(),
                runbook: "Look.",
            }],
        }
    }

    #[test]
    fn programs_get_a_versioned_shape() {
        assert_eq!(
            generic(&letter(Kind::Alert, AlertState::Firing)),
            json!({
                "version": 1, "id": "00ff", "kind": "alert", "at": "1970-01-01T00:15:00Z",
                "sender": "evercandle", "sender_version": env!("CARGO_PKG_VERSION"),
                "alerts": [{
                    "name": "ProviderFailing", "severity": "page", "provider": "binance", "subject": null,
                    "state": "firing", "since": "1970-01-01T00:10:00Z", "began_at": "1970-01-01T00:00:00Z",
                    "summary": "binance <failed>", "runbook": "Look.",
                }],
            })
        );
    }

    #[test]
    fn chat_rooms_get_words_that_cannot_be_taken_for_markup() {
        assert_eq!(
            slack(&letter(Kind::Resolved, AlertState::Resolved)),
            json!({
                "text": "Resolved: ProviderFailing: binance",
                "attachments": [{
                    "color": "good", "title": "ProviderFailing: binance", "ts": 600,
                    "text": "binance &lt;failed&gt;\nFrom 1970-01-01T00:00:00Z to 1970-01-01T00:10:00Z.",
                    "fallback": "binance &lt;failed&gt;\nFrom 1970-01-01T00:00:00Z to 1970-01-01T00:10:00Z.",
                }],
            })
        );
    }
}
