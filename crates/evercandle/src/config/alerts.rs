//! When somebody is told, and who.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::schedule::{RUN_PERIODS_MAX, WEEK_MS};

/// How often a window is looked at, at the most: what is remembered of one is bounded.
const LOOKS_MAX: u64 = 10_000;
/// A run that is allowed to last is not stuck: it may take its periods, and begin and be seen a period late.
const STUCK_PERIODS_MIN: u32 = RUN_PERIODS_MAX + 2;
/// Letters of a webhook's name.
const NAME_MAX: usize = 40;
/// How a message may be written.
const FORMATS: [&str; 2] = ["generic", "slack"];

/// Alerts. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Whether the rules are evaluated in the daemon; Prometheus can do the same with the rules in `ops/`.
    pub enabled: bool,
    /// Between two evaluations.
    pub every_ms: u64,
    /// An upstream that fails at more than this share of its calls, or is not asked because it failed for more than this
    /// share of the time…
    pub failure_ratio: f64,
    /// …calls of which there are at least so many…
    pub failure_calls_min: u32,
    /// …over this time is told to whoever is on call.
    pub failure_window_ms: u64,
    /// When most upstreams fail together for this long, our own line is suspected: one alert instead of one for each.
    pub common_cause_ms: u64,
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
            // Shorter than any upstream's own alert, so that it comes instead of them and not after them.
            common_cause_ms: 120_000,
            circuit_open_ms: 900_000,
            stale_ms: 300_000,
            readonly_ms: 300_000,
            stuck_periods: STUCK_PERIODS_MIN,
            repeat_ms: 14_400_000,
            webhooks: Vec::new(),
        }
    }
}

impl AlertsConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |name: &str, found: &dyn std::fmt::Display, expected: &str| {
            Err(ConfigError(format!("alerts.{name} = {found}: expected {expected}")))
        };
        if self.every_ms == 0 {
            return refuse("every_ms", &0, "at least 1");
        }
        if self.every_ms > WEEK_MS / 2 {
            let expected = format!("at most {}, which is half a week", WEEK_MS / 2);
            return refuse("every_ms", &self.every_ms, &expected);
        }
        // Nothing fails at more than all of its calls, and at more than none of them everybody does.
        if !(0.0 < self.failure_ratio && self.failure_ratio < 1.0) {
            return refuse("failure_ratio", &self.failure_ratio, "more than 0 and less than 1");
        }
        if self.stuck_periods < STUCK_PERIODS_MIN {
            let expected = format!("at least {STUCK_PERIODS_MIN}: a run may take {RUN_PERIODS_MAX} periods");
            return refuse("stuck_periods", &self.stuck_periods, &expected);
        }
        let (shortest, longest) = (2 * self.every_ms, LOOKS_MAX.saturating_mul(self.every_ms).min(WEEK_MS));
        for (name, window) in [
            ("failure_window_ms", self.failure_window_ms),
            ("common_cause_ms", self.common_cause_ms),
            ("circuit_open_ms", self.circuit_open_ms),
            ("stale_ms", self.stale_ms),
            ("readonly_ms", self.readonly_ms),
        ] {
            if window < shortest || longest < window {
                let expected = format!("{shortest} to {longest}: 2 to {LOOKS_MAX} times every_ms, a week at the most");
                return refuse(name, &window, &expected);
            }
        }
        if self.common_cause_ms > self.failure_window_ms {
            let expected = format!("at most failure_window_ms, which is {}", self.failure_window_ms);
            return refuse("common_cause_ms", &self.common_cause_ms, &expected);
        }
        if self.repeat_ms < self.every_ms {
            return refuse(
                "repeat_ms",
                &self.repeat_ms,
                &format!("at least every_ms, which is {}", self.every_ms),
            );
        }
        for (number, webhook) in self.webhooks.iter().enumerate() {
            let at = format!("webhooks[{number}]");
            // It becomes a label of a metric and a word in the log.
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if webhook.name.is_empty() || webhook.name.len() > NAME_MAX || !webhook.name.chars().all(plain) {
                let expected = format!("1 to {NAME_MAX} letters, digits, dashes and underscores");
                return refuse(&format!("{at}.name"), &format!("{:?}", webhook.name), &expected);
            }
            if self.webhooks[..number].iter().any(|other| other.name == webhook.name) {
                return refuse(
                    &format!("{at}.name"),
                    &format!("{:?}", webhook.name),
                    "a name of its own",
                );
            }
            // An address written here by mistake must not be repeated in a message.
            if webhook.url_variable.is_empty()
                || !webhook
                    .url_variable
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_')
            {
                let message =
                    "expected the name of an environment variable that holds the address, not the address itself";
                return Err(ConfigError(format!("alerts.{at}.url_variable: {message}")));
            }
            if !FORMATS.contains(&webhook.format.as_str()) {
                let expected = format!("one of {}", FORMATS.join(", "));
                return refuse(&format!("{at}.format"), &format!("{:?}", webhook.format), &expected);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(change: impl FnOnce(&mut AlertsConfig), message: &str) {
        let mut config = AlertsConfig::default();
        change(&mut config);
        assert_eq!(config.validate().unwrap_err().0, message);
    }

    fn webhook(name: &str, url_variable: &str, format: &str) -> WebhookConfig {
        WebhookConfig {
            name: name.into(),
            url_variable: url_variable.into(),
            format: format.into(),
        }
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        AlertsConfig::default().validate().unwrap();
        refused(|c| c.every_ms = 0, "alerts.every_ms = 0: expected at least 1");
        refused(
            |c| c.failure_ratio = 1.0,
            "alerts.failure_ratio = 1: expected more than 0 and less than 1",
        );
        refused(
            |c| c.failure_ratio = f64::NAN,
            "alerts.failure_ratio = NaN: expected more than 0 and less than 1",
        );
        refused(
            |c| c.stale_ms = 15_000,
            "alerts.stale_ms = 15000: expected 30000 to 150000000: 2 to 10000 times every_ms, a week at the most",
        );
        refused(
            |c| c.every_ms = u64::MAX,
            "alerts.every_ms = 18446744073709551615: expected at most 302400000, which is half a week",
        );
        refused(
            |c| (c.every_ms, c.readonly_ms) = (60_000, u64::MAX),
            "alerts.readonly_ms = 18446744073709551615: expected 120000 to 600000000: 2 to 10000 times every_ms, a week at \
             the most",
        );
        refused(
            |c| c.stuck_periods = 6,
            "alerts.stuck_periods = 6: expected at least 7: a run may take 5 periods",
        );
        refused(
            |c| c.common_cause_ms = 700_000,
            "alerts.common_cause_ms = 700000: expected at most failure_window_ms, which is 600000",
        );
        refused(
            |c| c.webhooks = vec![webhook("ops", "OPS_URL", "generic"), webhook("ops", "B", "slack")],
            "alerts.webhooks[1].name = \"ops\": expected a name of its own",
        );
        refused(
            |c| c.webhooks = vec![webhook("ops", "OPS_URL", "teams")],
            "alerts.webhooks[0].format = \"teams\": expected one of generic, slack",
        );
    }

    #[test]
    fn an_address_written_where_its_variable_belongs_is_refused_without_repeating_it() {
        let config = AlertsConfig {
            webhooks: vec![webhook("ops", "https://hooks.example/secret", "slack")],
            ..AlertsConfig::default()
        };
        let message = config.validate().unwrap_err().0;
        assert!(
            message.contains("webhooks[0].url_variable") && !message.contains("secret"),
            "{message}"
        );
    }
}
