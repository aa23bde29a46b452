//! The table of rules: what each means, when it holds, for how long it must, and what to do about it.
//!
//! A share of a window plus a time to hold make the stated duration exact: an upstream whose circuit opens is beyond
//! 80 % of ten minutes after eight, so the rule then waits two more.
//!
//! What begins by a share must not end by it: an upstream that flaps is at 79 % and 81 % by turns, and whose calls fail
//! opens its circuit and then has no calls; and a line comes and goes. So what was told goes on until nothing of it was
//! seen for a while (`clear`), and whoever is called at night is called once.

use std::time::Duration;

use crate::config::AlertsConfig;

/// Of the time that a circuit was open, or a cache not written, one lucky moment may be missing.
const STEADY_SHARE: f64 = 0.9;
/// Of the share at which an upstream is told to fail: below this part of it, it has stopped failing.
pub(super) const STILL_FAILING: f64 = 0.5;
/// The daemon may be restarted without anybody being told.
const UNREACHABLE_FOR: Duration = Duration::from_secs(120);

/// What to do about an upstream that sent us away.
const BANNED: &str = "See its quarantine in /health/scheduler for the reason and the end. 429 and 418: this address asks too \
                      much, perhaps somebody else behind it does; nothing shortens a ban, and asking lengthens it. 403 and \
                      451: it does not serve this address or this country; use another line, or disable it. This ends some time after the ban has.";

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Which.
    pub name: RuleName,
    /// Who is told.
    pub severity: Severity,
    /// What is wrong, in words; `{subject}` stands for who or what it is about.
    pub summary: String,
    /// What to do about it.
    pub runbook: &'static str,
    /// When it holds.
    pub condition: Condition,
    /// For how long it must hold before somebody is told.
    pub hold: Duration,
    /// Once told, it goes on until nothing of it was seen for so long: a share begins it, and any moment keeps it up. Zero:
    /// it ends when the condition does.
    pub clear: Duration,
    /// While a common cause is told this rule begins nothing: one alert instead of one for each upstream.
    pub waits_for_common_cause: bool,
}

/// The rules' names, as they stand in alerts, metrics and routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the table says what each means")]
pub enum RuleName {
    CommonCause,
    CommonCauseLong,
    ProviderFailing,
    CircuitOpenLong,
    Quarantined,
    QuarantinedLong,
    ServingStale,
    CacheReadOnly,
    NoPrices,
    SchedulerStuck,
    DaemonUnreachable,
}

impl RuleName {
    /// Those that the daemon can decide itself.
    pub const EVALUATED: [RuleName; 10] = [
        RuleName::CommonCause,
        RuleName::CommonCauseLong,
        RuleName::ProviderFailing,
        RuleName::CircuitOpenLong,
        RuleName::Quarantined,
        RuleName::QuarantinedLong,
        RuleName::ServingStale,
        RuleName::CacheReadOnly,
        RuleName::NoPrices,
        RuleName::SchedulerStuck,
    ];

    /// `ProviderFailing`, …
    pub fn as_str(self) -> &'static str {
        match self {
            RuleName::CommonCause => "CommonCause",
            RuleName::CommonCauseLong => "CommonCauseLong",
            RuleName::ProviderFailing => "ProviderFailing",
            RuleName::CircuitOpenLong => "CircuitOpenLong",
            RuleName::Quarantined => "Quarantined",
            RuleName::QuarantinedLong => "QuarantinedLong",
            RuleName::ServingStale => "ServingStale",
            RuleName::CacheReadOnly => "CacheReadOnly",
            RuleName::NoPrices => "NoPrices",
            RuleName::SchedulerStuck => "SchedulerStuck",
            RuleName::DaemonUnreachable => "DaemonUnreachable",
        }
    }
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Whoever looks in the morning.
    Warn,
    /// Whoever is on call.
    Page,
    /// Whoever is called when the first one did not end it.
    Escalate,
}

impl Severity {
    /// `warn`, `page`, `escalate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warn => "warn",
            Severity::Page => "page",
            Severity::Escalate => "escalate",
        }
    }
}

/// When a rule holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// Within the window an upstream failed at more than this share of its calls, of which there were enough; or its
    /// circuit was open for more than this share of the time.
    Failing {
        /// What is looked at.
        window: Duration,
        /// Of the calls, or of the time.
        share: f64,
        /// Calls without which their share says nothing.
        calls_min: u32,
    },
    /// A circuit was open for more than this share of the window.
    CircuitOpen {
        /// What is looked at.
        window: Duration,
        /// Of the time.
        share: f64,
    },
    /// An upstream was left alone, because it asked for that, for more than this share of the window.
    Quarantined {
        /// What is looked at.
        window: Duration,
        /// Of the time.
        share: f64,
    },
    /// Most upstreams failed together at some moment of the window.
    CommonCause {
        /// What is looked at.
        window: Duration,
    },
    /// Last known values were served, or refused as too old, in this window and in the one before. What is told goes on
    /// until somebody answers: whoever asks seldom, or not at all meanwhile, has learnt nothing better.
    StaleServed {
        /// What is looked at, twice.
        window: Duration,
    },
    /// The cache could not be written for more than this share of the window.
    CacheReadonly {
        /// What is looked at.
        window: Duration,
        /// Of the time.
        share: f64,
    },
    /// The last refresh brought no price at all of a watched market.
    WithoutPrices,
    /// A kind of refresh completed no run for so many of its periods.
    NoRun {
        /// Between the beginnings of two runs of its kind.
        periods: u32,
        /// The first run must have completed by then, or within so many periods if that is longer.
        first_within: Duration,
    },
    /// The daemon does not answer. Only somebody else can tell.
    Unreachable,
}

/// The table, with the configured thresholds. A common cause comes first: it quiets others.
pub fn rules(config: &AlertsConfig) -> Vec<Rule> {
    let millis = Duration::from_millis;
    let (failing, open) = (millis(config.failure_window_ms), millis(config.circuit_open_ms));
    let (common, readonly, stale) = (
        millis(config.common_cause_ms),
        millis(config.readonly_ms),
        millis(config.stale_ms),
    );
    let share = config.failure_ratio;
    let percent = percent(share);
    vec![
        Rule {
            name: RuleName::CommonCause,
            severity: Severity::Page,
            summary: format!(
                "Most upstreams have failed together for {}: suspect our own line before all of them",
                words(common)
            ),
            runbook: "Check name resolution, the route and the clock of this machine, then its proxy and firewall; \
                      evercandle status asks every upstream anew. Callers are served from the cache meanwhile. \
                      Alerts about single upstreams are held back. This ends once the line has held for a while.",
            condition: Condition::CommonCause { window: common / 2 },
            hold: common,
            clear: failing,
            waits_for_common_cause: false,
        },
        Rule {
            name: RuleName::CommonCauseLong,
            severity: Severity::Escalate,
            summary: format!("Most upstreams have failed together for {}", words(open)),
            runbook: "Whoever was told first has not ended it, and last known prices expire. Move the daemon to another \
                      line, or point `internet` at a relay that still gets out.",
            condition: Condition::CommonCause { window: common / 2 },
            hold: open,
            clear: failing,
            waits_for_common_cause: false,
        },
        Rule {
            name: RuleName::ProviderFailing,
            severity: Severity::Page,
            summary: format!(
                "{{subject}} failed at more than {percent} of its calls over {}, or is not asked because it failed",
                words(failing)
            ),
            runbook: "Look at its last_error in /health/scheduler. Callers are served by the next upstream or from the \
                      cache. An upstream's own outage needs nobody: it is probed, and asked again when it answers. \
                      A refused key, a proxy or a firewall is ours to repair. This ends once its circuit has stayed \
                      closed and most of its calls were answered for as long as is looked at.",
            condition: Condition::Failing {
                window: failing,
                share,
                calls_min: config.failure_calls_min,
            },
            hold: rest_of(failing, share),
            clear: failing,
            waits_for_common_cause: true,
        },
        Rule {
            name: RuleName::CircuitOpenLong,
            severity: Severity::Escalate,
            summary: format!(
                "{{subject}} has not been asked for {}: its circuit is open",
                words(open)
            ),
            runbook: "Decide whether to go on without it: see which watches have no other upstream under errors in \
                      /health/scheduler, and the upstream's own status page. If it answers elsewhere, our address may be \
                      blocked. This ends once its circuit has stayed closed for a while.",
            condition: Condition::CircuitOpen {
                window: open,
                share: STEADY_SHARE,
            },
            hold: rest_of(open, STEADY_SHARE),
            clear: failing,
            waits_for_common_cause: true,
        },
        Rule {
            name: RuleName::Quarantined,
            severity: Severity::Page,
            summary: format!(
                "{{subject}} has been left alone for most of {}: it asked for that, or sent us away",
                words(failing)
            ),
            runbook: BANNED,
            condition: Condition::Quarantined { window: failing, share },
            hold: rest_of(failing, share),
            clear: failing,
            waits_for_common_cause: false,
        },
        Rule {
            name: RuleName::QuarantinedLong,
            severity: Severity::Escalate,
            summary: format!("{{subject}} has been left alone for {}: it sent us away", words(open)),
            runbook: BANNED,
            condition: Condition::Quarantined {
                window: open,
                share: STEADY_SHARE,
            },
            hold: rest_of(open, STEADY_SHARE),
            clear: failing,
            waits_for_common_cause: false,
        },
        Rule {
            name: RuleName::ServingStale,
            severity: Severity::Page,
            summary: format!(
                "Nobody answers for {{subject}}: for {}, what was known last was served, or refused as too old",
                words(stale)
            ),
            runbook: "The answers say so themselves, with their age; once the values are too old to be served, callers \
                      get none. It ends when somebody answers. Look at /health/scheduler for the upstreams that serve them.",
            condition: Condition::StaleServed { window: stale },
            hold: Duration::ZERO,
            clear: Duration::ZERO,
            waits_for_common_cause: false,
        },
        Rule {
            name: RuleName::CacheReadOnly,
            severity: Severity::Warn,
            summary: format!("The cache could not be written for {}", words(readonly)),
            runbook: "See cache.readonly in /health for the reason: free space, remount, or repair the folder's owner. \
                      Everything is still served, and asked for anew each time; writing resumes by itself. \
                      This ends once that has gone well for a while.",
            condition: Condition::CacheReadonly {
                window: readonly,
                share: STEADY_SHARE,
            },
            hold: rest_of(readonly, STEADY_SHARE),
            clear: readonly,
            waits_for_common_cause: false,
        },
        Rule {
            name: RuleName::NoPrices,
            // Whoever is needed at once is called by what is wrong with upstreams, or by what callers get.
            severity: Severity::Warn,
            summary: format!(
                "No watched price of the market {{subject}} could be refreshed for {}",
                words(stale)
            ),
            runbook: "See last_run in /health/scheduler for what is wrong with each. Nobody answers, the symbols are \
                      misspelt or no longer listed, or no upstream that is enabled has prices of this market; klines \
                      are refreshed apart from them. This ends once prices have come for a while.",
            condition: Condition::WithoutPrices,
            hold: stale,
            clear: stale,
            waits_for_common_cause: true,
        },
        Rule {
            name: RuleName::SchedulerStuck,
            severity: Severity::Page,
            summary: format!(
                "The refresh of {{subject}} has completed no run for {} of its periods",
                config.stuck_periods
            ),
            runbook: "Look at job and last_run in /health/scheduler: a run that never ends names its upstreams there. \
                      Users are still answered. A restart loses nothing; keep the log.",
            condition: Condition::NoRun {
                periods: config.stuck_periods,
                first_within: failing,
            },
            // Whatever is late by less than two looks may only have been looked at between two steps.
            hold: millis(config.every_ms.saturating_mul(2)),
            clear: Duration::ZERO,
            waits_for_common_cause: false,
        },
        Rule {
            name: RuleName::DaemonUnreachable,
            severity: Severity::Page,
            summary: format!("The daemon has not answered for {}", words(UNREACHABLE_FOR)),
            runbook: "See whether it runs (systemctl status evercandle), why it stopped (journalctl -u evercandle), and \
                      whether Prometheus may reach it. Nothing else here can alert while it is down.",
            condition: Condition::Unreachable,
            hold: UNREACHABLE_FOR,
            clear: Duration::ZERO,
            waits_for_common_cause: false,
        },
    ]
}

/// What is left of a window once a share of it has gone by.
fn rest_of(window: Duration, share: f64) -> Duration {
    // Whole milliseconds, as the rule file can say them.
    Duration::from_millis((window.as_millis() as f64 * (1.0 - share)).round() as u64)
}

/// `80 %`, `99.5 %`.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1_000.0).round() / 10.0)
}

/// `10 minutes`, `90 seconds`.
fn words(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (count, unit) = match millis {
        m if m != 0 && m.is_multiple_of(3_600_000) => (m / 3_600_000, "hour"),
        m if m != 0 && m.is_multiple_of(60_000) => (m / 60_000, "minute"),
        m if m.is_multiple_of(1_000) => (m / 1_000, "second"),
        m => (m, "millisecond"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_and_the_time_to_hold_add_up_to_the_configured_time() {
        let rules = rules(&AlertsConfig::default());
        let rule = |name| rules.iter().find(|rule| rule.name == name).unwrap();
        let minutes = |m: u64| Duration::from_secs(60 * m);
        assert_eq!(rule(RuleName::ProviderFailing).hold, minutes(2));
        assert_eq!(rule(RuleName::CircuitOpenLong).hold, Duration::from_secs(90));
        assert_eq!(
            rule(RuleName::ProviderFailing).summary,
            "{subject} failed at more than 80 % of its calls over 10 minutes, or is not asked because it failed"
        );
    }

    #[test]
    fn every_rule_says_what_is_wrong_and_what_to_do() {
        for rule in rules(&AlertsConfig::default()) {
            assert!(!rule.summary.ends_with('.') && rule.runbook.ends_with('.'), "{rule:?}");
        }
    }
}
