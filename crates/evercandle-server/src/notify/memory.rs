//! What fires and what each webhook believes to fire, for the next process.
//!
//! A daemon that forgets calls somebody a second time about what they know, and never tells them that it ended. So one
//! small file among the store's state holds both lists, by rule, subject and beginning. It is written after they change,
//! by a task of its own, because a disk may hang; what happened in the moment before a kill is told twice rather than
//! not at all. A file that is missing, damaged or another version's is no memory, and what goes on is told as new.
//!
//! Several daemons may share a cache folder, so the file is named after the configured address: it is the same after a
//! restart, and two on one machine cannot both have it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evercandle::alert::{Alert, AlertState, Evaluator, Severity, Subject};
use evercandle::store::Store;
use evercandle::{Clock, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::letters::{Kind, Letter};

/// How long the beginning waits for the disk.
const READ_MAX: Duration = Duration::from_secs(2);
/// Between two tries to write what could not be written.
const AGAIN: Duration = Duration::from_secs(15);

/// What fires, and who knows. Cheap to clone.
#[derive(Clone)]
pub(super) struct Memory {
    store: Store,
    file: Arc<str>,
    known: Arc<Mutex<Known>>,
    changed: Arc<Notify>,
    /// What is on disk, as far as we know; held while it is written.
    written: Arc<tokio::sync::Mutex<Known>>,
}

/// As it is on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    firing: Vec<Mark>,
    /// What each webhook believes to fire, by its name.
    told: BTreeMap<String, Vec<Mark>>,
}

/// What tells one alert from another, and since when it fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    rule: String,
    /// The subject's label and its value; absent: the daemon itself.
    subject: Option<(String, String)>,
    since_us: i64,
    began_us: i64,
    /// When it ended, where a webhook does not know yet.
    #[serde(default)]
    ended_us: Option<i64>,
}

impl Memory {
    /// What an earlier process at this address left, about these webhooks.
    pub(super) async fn open(store: &Store, address: SocketAddr, webhooks: &[&str]) -> Memory {
        let file = address.to_string().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let (file, reader): (Arc<str>, Store) = (format!("alerts-{file}").into(), store.clone());
        let name = file.clone();
        let read = tokio::task::spawn_blocking(move || reader.load_state::<Known>(&name));
        let known = tokio::time::timeout(READ_MAX, read).await;
        let mut known = known.ok().and_then(|read| read.ok().flatten()).unwrap_or_default();
        known.told.retain(|name, _| webhooks.contains(&name.as_str()));
        tracing::info!(file = &*file, firing = known.firing.len(), "alerts known from before");
        Memory {
            store: store.clone(),
            file,
            written: Arc::new(tokio::sync::Mutex::new(known.clone())),
            known: Arc::new(Mutex::new(known)),
            changed: Arc::default(),
        }
    }

    /// What fired when the last process ended.
    pub(super) fn firing(&self, evaluator: &Evaluator) -> Vec<Alert> {
        let known = self.known.lock();
        known.firing.iter().filter_map(|mark| mark.alert(evaluator)).collect()
    }

    /// What a webhook has still to be told after a restart: what fires and it has not heard of, and what has ended and it
    /// has not heard that.
    pub(super) fn owed(&self, webhook: &str, evaluator: &Evaluator, at: Timestamp) -> Vec<Letter> {
        let known = self.known.lock();
        let told = known.told.get(webhook).map_or(&[][..], Vec::as_slice);
        let missing = |these: &[Mark], those: &[Mark]| -> Vec<Alert> {
            let missing = these
                .iter()
                .filter(|mark| !those.iter().any(|other| mark.is_same(other)));
            missing.filter_map(|mark| mark.alert(evaluator)).collect()
        };
        let (escalated, begun) = missing(&known.firing, told)
            .into_iter()
            .partition(|alert| alert.severity == Severity::Escalate);
        let mut ended = missing(told, &known.firing);
        for alert in ended.iter_mut().filter(|alert| alert.state == AlertState::Firing) {
            (alert.state, alert.since) = (AlertState::Resolved, at);
        }
        let letters = [
            (Kind::Resolved, ended),
            (Kind::Alert, begun),
            (Kind::Escalation, escalated),
        ];
        letters
            .into_iter()
            .filter_map(|(kind, alerts)| Letter::of(kind, alerts, at))
            .collect()
    }

    /// So it stands after a look.
    pub(super) fn stands(&self, alerts: &[Alert]) {
        self.change(|known| {
            known.firing = alerts
                .iter()
                .filter(|a| a.state == AlertState::Firing)
                .map(Mark::of)
                .collect();
            for mark in known.told.values_mut().flatten() {
                let ended = alerts
                    .iter()
                    .find(|a| a.state == AlertState::Resolved && Mark::of(a).is_same(mark));
                mark.ended_us = ended.map(|alert| alert.since.as_micros()).or(mark.ended_us);
            }
        });
    }

    /// A webhook has taken this.
    pub(super) fn took(&self, webhook: &str, letter: &Letter) {
        self.change(|known| {
            let told = known.told.entry(webhook.to_owned()).or_default();
            let marks: Vec<Mark> = letter.alerts.iter().map(Mark::of).collect();
            told.retain(|mark| !marks.iter().any(|other| mark.is_same(other)));
            if letter.kind != Kind::Resolved {
                told.extend(marks);
            }
        });
    }

    fn change(&self, how: impl FnOnce(&mut Known)) {
        how(&mut self.known.lock());
        self.changed.notify_one();
    }

    /// Writes what changes, for ever.
    pub(super) async fn keep(self, clock: Clock) {
        loop {
            self.write().await;
            tokio::select! {
                () = self.changed.notified() => {}
                () = clock.sleep(AGAIN) => {}
            }
        }
    }

    /// Writes what has changed. Where the disk refuses, the store has said so already.
    pub(super) async fn write(&self) {
        let mut written = self.written.lock().await;
        let known = self.known.lock().clone();
        if *written == known {
            return;
        }
        let (store, file, new) = (self.store.clone(), self.file.clone(), known.clone());
        let saved = tokio::task::spawn_blocking(move || store.save_state(&file, &new)).await;
        if matches!(saved, Ok(Ok(()))) {
            *written = known;
        }
    }
}

impl Mark {
    fn of(alert: &Alert) -> Mark {
        let label = alert.subject.label();
        let (since, ended) = match alert.state {
            AlertState::Resolved => (alert.began_at, Some(alert.since.as_micros())),
            AlertState::Pending | AlertState::Firing => (alert.since, None),
        };
        Mark {
            rule: alert.rule.as_str().to_owned(),
            subject: label.map(|(kind, value)| (kind.to_owned(), value.to_owned())),
            since_us: since.as_micros(),
            began_us: alert.began_at.as_micros(),
            ended_us: ended,
        }
    }

    fn is_same(&self, other: &Mark) -> bool {
        (&self.rule, &self.subject, self.began_us) == (&other.rule, &other.subject, other.began_us)
    }

    /// In today's words; nothing, if the table has no such rule any more.
    fn alert(&self, evaluator: &Evaluator) -> Option<Alert> {
        let label = self
            .subject
            .as_ref()
            .map(|(kind, value)| (kind.as_str(), value.as_str()));
        let at = Timestamp::from_micros;
        let mut alert = evaluator.recalled(
            &self.rule,
            Subject::of_label(label)?,
            at(self.since_us),
            at(self.began_us),
        )?;
        if let Some(ended) = self.ended_us {
            (alert.state, alert.since) = (AlertState::Resolved, at(ended));
        }
        Some(alert)
    }
}
