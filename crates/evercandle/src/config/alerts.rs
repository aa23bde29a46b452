//! When somebody is told, and who.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Alerts. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Whether the rules are evaluated in the daemon; Prometheus can do the same with the rules in `ops/`.
    pub enabled: bool,
    /// Between two evaluations.
    pub every_ms: u64,
    /// An upstream that fails at this share of its calls…
    pub failure_ratio: f64,
    /// …of which there are at least so many…
    pub failure_calls_min: u32,
    /// …over this time is told to whoever is on call.
    pub failure_window_ms: u64,
    /// A circuit that is open for this long is escalated.
    pub circuit_open_ms: u64,
    /// Last known values served for this long are told.
    pub stale_ms: u64,
    /// A cache that cannot be written for this long is told.
    pub readonly_ms: u64,
    /// A scheduler that has completed no run for so many of its periods is told.
    pub stuck_periods: u32,
    /// An alert that goes on is told again after this.
    pub repeat_ms: u64,
    /// Who is told.
    pub webhooks: Vec<WebhookConfig>,
}

/// Somebody to be told by HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// For logs and metrics.
    pub name: String,
    /// The environment variable that holds the address: it is a secret where the address alone opens the door.
    pub url_variable: String,
    /// `generic` or `slack`.
    #[serde(default = "generic")]
    pub format: String,
}

fn generic() -> String {
    "generic".to_owned()
}

impl Default for AlertsConfig {
    fn default() -> AlertsConfig {
        AlertsConfig {
            enabled: true,
            every_ms: 15_000,
            failure_ratio: 0.8,
            failure_calls_min: 10,
            failure_window_ms: 600_000,
            circuit_open_ms: 900_000,
            stale_ms: 300_000,
            readonly_ms: 300_000,
            stuck_periods: 3,
            repeat_ms: 14_400_000,
            webhooks: Vec::new(),
        }
    }
}

impl AlertsConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.every_ms == 0 {
            return Err(ConfigError("alerts.every_ms = 0: expected at least 1".into()));
        }
        if !(0.0..=1.0).contains(&self.failure_ratio) {
            let found = self.failure_ratio;
            return Err(ConfigError(format!("alerts.failure_ratio = {found}: expected 0 to 1")));
        }
        Ok(())
    }
}
