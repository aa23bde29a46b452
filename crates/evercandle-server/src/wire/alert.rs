//! An alert as JSON: the same in `/health` and in what webhooks are told.

use evercandle::alert::Alert;
use serde::Serialize;
use utoipa::ToSchema;

/// Something that somebody must know of.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct AlertBody {
    /// The rule: `ProviderFailing`, `CircuitOpenLong`, …
    pub(crate) name: &'static str,
    /// Who is told: `warn`, `page` (whoever is on call), `escalate` (whoever comes after).
    pub(crate) severity: &'static str,
    /// The upstream it is about, if it is about one.
    pub(crate) provider: Option<String>,
    /// What it is about, if it is not about an upstream: `prices`, `klines`, …
    pub(crate) subject: Option<String>,
    /// `pending` (nobody is told yet), `firing`, `resolved` (a while ago).
    pub(crate) state: &'static str,
    /// When that state began; UTC.
    pub(crate) since: String,
    /// When what it is about began; UTC.
    pub(crate) began_at: String,
    /// What is wrong.
    pub(crate) summary: String,
    /// What to do about it.
    pub(crate) runbook: &'static str,
}

/// One alert.
pub(crate) fn alert(alert: &Alert) -> AlertBody {
    let provider = alert.subject.provider().map(ToString::to_string);
    let subject = match provider {
        Some(_) => None,
        None => alert.subject.label().map(|(_, value)| value.to_owned()),
    };
    AlertBody {
        name: alert.rule.as_str(),
        severity: alert.severity.as_str(),
        provider,
        subject,
        state: alert.state.as_str(),
        since: alert.since.to_string(),
        began_at: alert.began_at.to_string(),
        summary: alert.summary.clone(),
        runbook: alert.runbook,
    }
}
