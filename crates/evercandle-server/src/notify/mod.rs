//! Tells somebody: the rules are evaluated here, what comes of them is shown, and webhooks are told.
//!
//! In reading order: this loop, which evaluates; `letters`, which decides what is worth a message (pure); `webhook`, which
//! delivers it. Between them stands a bounded `queue` for each webhook, so that one which is dead, slow or angry delays
//! neither the next evaluation nor another webhook nor any answer; what it missed is counted. When the daemon stops,
//! nothing new is evaluated, and what waits is tried once more for as long as answers under way have. What fires and who
//! was told is in the `memory` of the next process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evercandle::alert::{Alert, AlertState, Change, Evaluator, RuleName, Sample, Subject};
use evercandle::{Client, UpstreamHealth};
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::supervision;

mod letters;

mod memory;

mod queue;

mod webhook;

pub use webhook::{WebhookError, Webhooks};

pub(crate) use letters::{Kind, Letter};
pub(crate) use queue::Standing;

use letters::Letters;
use memory::Memory;
use queue::Queue;

const FIRING: &str = "qt_alerts_firing";
/// Between two tries to ask those who may not be asked yet.
const AGAIN: Duration = Duration::from_secs(60);

/// How alerts and webhooks stand, for whoever looks. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Board {
    alerts: Arc<Mutex<Vec<Alert>>>,
    queues: Arc<Mutex<Vec<Queue>>>,
}

impl Board {
    /// Pending, firing, and those that ended a while ago.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.alerts.lock().clone()
    }

    /// Everybody who is told, by name.
    pub(crate) fn webhooks(&self) -> Vec<(String, Standing)> {
        let queues = self.queues.lock();
        queues.iter().map(|q| (q.name().to_owned(), q.standing())).collect()
    }

    /// Whether any of these still fires.
    fn any_fires(&self, alerts: &[Alert]) -> bool {
        let shown = self.alerts.lock();
        let fires = |alert: &Alert| shown.iter().any(|a| a.state == AlertState::Firing && is_same(a, alert));
        alerts.iter().any(fires)
    }

    fn show(&self, alerts: Vec<Alert>) {
        *self.alerts.lock() = alerts;
    }
}

/// Evaluates the rules, and tells. When the daemon is to stop, it ends once nothing waits to be told.
pub(crate) async fn watch(app: App, board: Board, webhooks: Webhooks) {
    let config = app.client().config().alerts.clone();
    if !config.enabled {
        return;
    }
    describe();
    let stopping = app.stopping().clone();
    let (clock, every) = (app.client().clock().clone(), Duration::from_millis(config.every_ms));
    let names: Vec<&str> = config.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
    let memory = Memory::open(app.client().store(), app.config().listen, &names).await;
    // Each ends with this task.
    let queues: Vec<_> = webhooks
        .into_iter()
        .map(|webhook| {
            let queue = webhook.queue();
            let (clock, board, stopping) = (clock.clone(), board.clone(), stopping.clone());
            let memory = memory.clone();
            let deliver = move || {
                let (clock, board) = (clock.clone(), board.clone());
                webhook.clone().deliver(clock, board, memory.clone(), stopping.clone())
            };
            (queue, supervision::spawn("webhook", deliver))
        })
        .collect();
    *board.queues.lock() = queues.iter().map(|(queue, _)| queue.clone()).collect();
    let mut evaluator = Evaluator::new(&config);
    let before = memory.firing(&evaluator);
    // Nobody may ask them for days: whether they are well again is for us to find out.
    let _recall = AbortOnDropHandle::new(tokio::spawn(probe(app.client().clone(), before.clone())));
    before.into_iter().for_each(|alert| evaluator.resume(alert));
    board.show(evaluator.alerts());
    for (queue, _) in &queues {
        let owed = memory.owed(queue.name(), &evaluator, clock.now());
        owed.into_iter().for_each(|letter| queue.push(letter));
    }
    let (kept, keeper) = (memory.clone(), clock.clone());
    let _keep = supervision::spawn("alerts-memory", move || kept.clone().keep(keeper.clone()));
    let mut letters = Letters::new(Duration::from_millis(config.repeat_ms));
    while !stopping.is_cancelled() {
        let sample = Sample::new(&app.client().health(), Some(&app.schedule()), clock.instant());
        let (at, now) = (sample.at, sample.instant);
        let changes = evaluator.step(sample);
        changes.iter().for_each(log);
        let alerts = evaluator.alerts();
        count(&alerts);
        // Shown before it is told: whoever delivers looks whether it still goes on.
        board.show(alerts.clone());
        memory.stands(&alerts);
        for letter in letters.after(changes, &alerts, at, now) {
            for (queue, _) in &queues {
                queue.push(letter.clone());
            }
        }
        stopping.run_until_cancelled(clock.sleep(every)).await;
    }
    for (queue, _) in &queues {
        queue.emptied().await;
    }
    memory.write().await;
}

/// Asks those whom what an earlier process told depends on how they are now, each until it was asked once: whoever is
/// silent then is looked after by `recheck`.
async fn probe(client: Client, alerts: Vec<Alert>) {
    loop {
        let health = client.health();
        let unasked = health.upstreams.iter().filter(|u| u.answered_last.is_none());
        let concerned: Vec<&str> = unasked
            .filter(|upstream| alerts.iter().any(|alert| concerns(alert, upstream)))
            .map(|upstream| upstream.provider.as_str())
            .collect();
        if concerned.is_empty() {
            return;
        }
        // Each is in the catalogue: it was read from there.
        futures::future::join_all(concerned.into_iter().map(|name| client.check_one(name))).await;
        client.clock().sleep(AGAIN).await;
    }
}

/// Whether an answer of this upstream may say that the alert has ended.
fn concerns(alert: &Alert, upstream: &UpstreamHealth) -> bool {
    match &alert.subject {
        Subject::Provider(name) => upstream.provider == *name,
        Subject::Values(what) => upstream.serves.contains(what),
        Subject::Ourselves => matches!(alert.rule, RuleName::CommonCause | RuleName::CommonCauseLong),
        // These are refreshed by a run, or end without one.
        Subject::Market(_) | Subject::Job(_) => false,
    }
}

/// Whether both are about the same, and began together.
fn is_same(one: &Alert, other: &Alert) -> bool {
    (one.rule, &one.subject, one.began_at) == (other.rule, &other.subject, other.began_at)
}

fn describe() {
    ::metrics::describe_gauge!(
        FIRING,
        ::metrics::Unit::Count,
        "Alerts that fire, by the name of their rule."
    );
    webhook::describe();
}

fn log(change: &Change) {
    match change {
        Change::Fired(alert) => tracing::error!(
            alert = alert.rule.as_str(), severity = alert.severity.as_str(), subject = %alert.subject,
            began_at = %alert.began_at, summary = %alert.summary, "alert fires"
        ),
        Change::Resolved(alert) => tracing::info!(
            alert = alert.rule.as_str(), severity = alert.severity.as_str(), subject = %alert.subject,
            began_at = %alert.began_at, "alert resolved"
        ),
    }
}

/// How many of each fire; those of which none does are zero, so that nobody has to guess whether they are counted.
fn count(alerts: &[Alert]) {
    let mut firing: BTreeMap<RuleName, u32> = RuleName::EVALUATED.map(|name| (name, 0)).into();
    for alert in alerts.iter().filter(|alert| alert.state == AlertState::Firing) {
        *firing.entry(alert.rule).or_default() += 1;
    }
    for (name, count) in firing {
        ::metrics::gauge!(FIRING, "name" => name.as_str()).set(f64::from(count));
    }
}
