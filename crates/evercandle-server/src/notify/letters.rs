//! What is worth a message. Pure: the time is passed in.
//!
//! What begins or ends at the same look is one message, because five upstreams behind one dead line are one piece of news.
//! What goes on is told again after a while, because the first message may have been swept away.

use std::collections::BTreeMap;
use std::time::Duration;

use evercandle::Timestamp;
use evercandle::alert::{Alert, AlertState, Change, RuleName, Severity, Subject};
use tokio::time::Instant;

/// A message, before it is put into words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    /// The same however often it is sent, so that a receiver can tell a second delivery from a second alert.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// UTC.
    pub(crate) at: Timestamp,
    /// Never empty.
    pub(crate) alerts: Vec<Alert>,
}

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something began.
    Alert,
    /// Something went on for so long that somebody else must know.
    Escalation,
    /// Something still goes on.
    Repeat,
    /// Something ended.
    Resolved,
}

impl Kind {
    /// A stable word for machines.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Alert => "alert",
            Kind::Escalation => "escalation",
            Kind::Repeat => "repeat",
            Kind::Resolved => "resolved",
        }
    }

    /// Whether a message of this kind is the first that anybody hears of its alerts.
    pub(super) fn begins(self) -> bool {
        matches!(self, Kind::Alert | Kind::Escalation)
    }
}

impl Letter {
    /// Unless it is about nothing.
    pub(super) fn of(kind: Kind, alerts: Vec<Alert>, at: Timestamp) -> Option<Letter> {
        let id = format!("{:016x}", rand::random::<u64>());
        (!alerts.is_empty()).then_some(Letter { id, kind, at, alerts })
    }
}

/// Remembers what was told when.
pub(crate) struct Letters {
    repeat: Duration,
    told: BTreeMap<(RuleName, Subject), Instant>,
}

impl Letters {
    pub(crate) fn new(repeat: Duration) -> Letters {
        Letters {
            repeat,
            told: BTreeMap::new(),
        }
    }

    /// What is to be told after a look: what changed, and what has been silent for too long.
    pub(crate) fn after(&mut self, changes: Vec<Change>, alerts: &[Alert], at: Timestamp, now: Instant) -> Vec<Letter> {
        let (mut begun, mut escalated, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Fired(alert) => {
                    self.told.insert(key(&alert), now);
                    match alert.severity {
                        Severity::Escalate => escalated.push(alert),
                        Severity::Page | Severity::Warn => begun.push(alert),
                    }
                }
                Change::Resolved(alert) => {
                    self.told.remove(&key(&alert));
                    ended.push(alert);
                }
            }
        }
        let mut silent: Vec<Alert> = Vec::new();
        for alert in alerts.iter().filter(|alert| alert.state == AlertState::Firing) {
            let told = self.told.entry(key(alert)).or_insert(now);
            if self.repeat <= now.saturating_duration_since(*told) {
                *told = now;
                silent.push(alert.clone());
            }
        }
        [
            (Kind::Resolved, ended),
            (Kind::Alert, begun),
            (Kind::Escalation, escalated),
            (Kind::Repeat, silent),
        ]
        .into_iter()
        .filter_map(|(kind, alerts)| Letter::of(kind, alerts, at))
        .collect()
    }
}

fn key(alert: &Alert) -> (RuleName, Subject) {
    (alert.rule, alert.subject.clone())
}

#[cfg(test)]
mod tests {
    use evercandle::ProviderName;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn alert(rule: RuleName, severity: Severity, provider: &str) -> Alert {
        Alert {
            rule,
            severity,
            subject: Subject::Provider(ProviderName::new(provider)),
            state: AlertState::Firing,
            since: Timestamp::EPOCH,
            began_at: Timestamp::EPOCH,
            summary: "it failed".into(),
            runbook: "Look.",
        }
    }

    fn failing(provider: &str) -> Alert {
        alert(RuleName::ProviderFailing, Severity::Page, provider)
    }

    fn told(letters: Vec<Letter>) -> Vec<(&'static str, usize)> {
        letters.iter().map(|l| (l.kind.as_str(), l.alerts.len())).collect()
    }

    #[test]
    fn what_begins_together_is_one_message_and_what_goes_on_is_told_again() {
        let (mut letters, start) = (Letters::new(4 * HOUR), Instant::now());
        let both = [failing("binance"), failing("coingecko")];
        let mut after = |changes: Vec<Change>, alerts: &[Alert], hours: u32| {
            told(letters.after(changes, alerts, Timestamp::EPOCH, start + hours * HOUR))
        };
        let fired = both.iter().cloned().map(Change::Fired).collect();
        assert_eq!(after(fired, &both, 0), [("alert", 2)]);
        let escalated = alert(RuleName::CircuitOpenLong, Severity::Escalate, "binance");
        let three = [both[0].clone(), both[1].clone(), escalated.clone()];
        assert_eq!(after(vec![Change::Fired(escalated)], &three, 1), [("escalation", 1)]);
        assert_eq!(after(vec![], &three, 3), []);
        assert_eq!(after(vec![], &three, 4), [("repeat", 2)]);
        assert_eq!(after(vec![], &three, 5), [("repeat", 1)]);
        let ended = three.iter().cloned().map(Change::Resolved).collect();
        assert_eq!(after(ended, &[], 6), [("resolved", 3)]);
        assert_eq!(after(vec![], &[], 20), []);
    }
}
