//! Tells somebody: the rules are evaluated here, what comes of them is shown, and webhooks are told.
//!
//! Evaluating and telling are separate tasks with a bounded queue between them, so that a webhook which is dead, slow or
//! angry delays neither the next evaluation nor any answer; what it missed is counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evercandle::alert::{Alert, AlertState, Change, Evaluator, RuleName, Sample};
use parking_lot::Mutex;

use crate::app::App;

const FIRING: &str = "qt_alerts_firing";

/// The alerts as they stand, for whoever looks. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Vec<Alert>>>);

impl Board {
    /// Pending, firing, and those that ended a while ago.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.0.lock().clone()
    }

    fn show(&self, alerts: Vec<Alert>) {
        *self.0.lock() = alerts;
    }
}

/// Evaluates the rules for ever.
pub(crate) async fn watch(app: App, board: Board) {
    let config = app.client().config().alerts.clone();
    if !config.enabled {
        return;
    }
    let (clock, every) = (app.client().clock().clone(), Duration::from_millis(config.every_ms));
    let mut evaluator = Evaluator::new(&config);
    loop {
        let sample = Sample::new(&app.client().health(), Some(&app.schedule()), clock.instant());
        for change in evaluator.step(sample) {
            log(&change);
        }
        let alerts = evaluator.alerts();
        count(&alerts);
        board.show(alerts);
        clock.sleep(every).await;
    }
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
