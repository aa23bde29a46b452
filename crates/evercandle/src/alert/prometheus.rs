//! The rules as Prometheus reads them.
//!
//! Every metric named here is one that `telemetry.rs`, the scheduler or the daemon emits, with the labels it has there.
//! Calls are failures plus successes: what was throttled is neither, and would dilute the share. That is also the
//! answer to zero divided by zero: a share of no calls is no sample, and the open circuit speaks instead.

use std::fmt::Write as _;
use std::time::Duration;

use super::rule::{Condition, Rule, RuleName, STILL_FAILING, Severity, rules};
use crate::config::AlertsConfig;

/// The `job` under which Prometheus scrapes the daemon.
const JOB: &str = "evercandle";
/// What tells one series of the daemon from another; only what was asked is about an upstream.
const DAEMON: &str = "job, instance";
const VALUES: &str = "job, instance, cache_name";
const UPSTREAM: &str = "job, instance, provider";
const MARKET: &str = "job, instance, market";
/// Calls, without their window.
const FAILURES: &str = "increase(qt_provider_failures_total";
const SUCCESSES: &str = "increase(qt_provider_success_total";

/// A rule file with the configured thresholds. Reads well: it is committed, and operators change it.
pub fn prometheus_rules(config: &AlertsConfig) -> String {
    let mut file = format!(
        "# Written by `evercandle alerts --format prometheus`; change the settings in [alerts] rather than this file.\n\
         # The daemon decides the same by itself unless alerts.enabled = false.\n\
         groups:\n  - name: evercandle\n    interval: {}\n    rules:\n",
        promql(Duration::from_millis(config.every_ms))
    );
    for rule in rules(config) {
        let mut expression = begins(&rule);
        if rule.waits_for_common_cause {
            expression += &held_back();
        }
        if let Some((seen, about)) = seen_lately(&rule) {
            expression += &format!(
                "\nor\n{seen}\n  and on ({about}) ALERTS{{alertname=\"{}\", alertstate=\"firing\"}}",
                rule.name.as_str()
            );
        }
        write(&mut file, &rule, &expression);
    }
    file
}

/// When the rule holds of whom nobody was told yet.
fn begins(rule: &Rule) -> String {
    match rule.condition {
        Condition::Failing {
            window,
            share,
            calls_min,
        } => {
            let span = promql(window);
            format!(
                "(\n  {} > {share}\n  or\n  {} > {share}\n    \
                 and {FAILURES}[{span}]) + {SUCCESSES}[{span}]) >= {calls_min}\n)\n{}",
                share_of_time("qt_provider_circuit_open", window),
                share_of_calls(window),
                watched("qt_provider_circuit_open", window, share)
            )
        }
        Condition::CircuitOpen { window, share } => long("qt_provider_circuit_open", window, share),
        Condition::Quarantined { window, share } => long("qt_provider_quarantined", window, share),
        Condition::CommonCause { window } => {
            format!("max_over_time(qt_common_cause_suspected[{}]) == 1", promql(window))
        }
        Condition::StaleServed { window } => {
            let span = promql(window);
            let any = |offset: &str| {
                format!(
                    "(\n  increase(qt_stale_served_total[{span}]{offset}) > 0\n  or\n  \
                     increase(qt_stale_refused_total[{span}]{offset}) > 0\n)"
                )
            };
            format!(
                "{}\nand\n{}\nor\nqt_latest_not_fresh == 1\n  \
                 and on ({VALUES}) ALERTS{{alertname=\"{}\", alertstate=\"firing\"}}",
                any(""),
                any(&format!(" offset {span}")),
                rule.name.as_str()
            )
        }
        Condition::CacheReadonly { window, share } => long("qt_cache_readonly", window, share),
        Condition::WithoutPrices => "qt_scheduler_without_prices == 1".to_owned(),
        Condition::NoRun { periods, first_within } => {
            let first = first_within.as_millis() as f64 / 1_000.0;
            format!(
                "time() - (qt_scheduler_last_completed_timestamp_seconds > 0) > {periods} * qt_scheduler_period_seconds\nor\n\
                 (\n  time() - qt_scheduler_begun_timestamp_seconds\n    \
                 >= clamp_min({periods} * qt_scheduler_period_seconds, {first})\n    \
                 unless qt_scheduler_last_completed_timestamp_seconds > 0\n)"
            )
        }
        Condition::Unreachable => format!("up{{job=\"{JOB}\"}} == 0 or absent(up{{job=\"{JOB}\"}})"),
    }
}

/// When something of what a rule is about was seen lately, and what tells one subject from another: what was told goes
/// on for so long.
fn seen_lately(rule: &Rule) -> Option<(String, &'static str)> {
    let any = |gauge: &str| format!("max_over_time({gauge}[{}]) == 1", promql(rule.clear));
    match rule.condition {
        Condition::Failing { share, .. } => {
            let failing = format!("{} > {}", share_of_calls(rule.clear), share * STILL_FAILING);
            Some((
                format!("(\n  {}\n  or\n  {failing}\n)", any("qt_provider_circuit_open")),
                UPSTREAM,
            ))
        }
        Condition::CircuitOpen { .. } => Some((any("qt_provider_circuit_open"), UPSTREAM)),
        Condition::Quarantined { .. } => Some((any("qt_provider_quarantined"), UPSTREAM)),
        Condition::CacheReadonly { .. } => Some((any("qt_cache_readonly"), DAEMON)),
        Condition::CommonCause { .. } => Some((any("qt_common_cause_suspected"), DAEMON)),
        Condition::WithoutPrices => Some((any("qt_scheduler_without_prices"), MARKET)),
        Condition::StaleServed { .. } | Condition::NoRun { .. } | Condition::Unreachable => None,
    }
}

/// Of an upstream's calls, those that failed; nothing where there were none.
fn share_of_calls(window: Duration) -> String {
    let span = promql(window);
    format!("{FAILURES}[{span}])\n    / ({FAILURES}[{span}]) + {SUCCESSES}[{span}]))")
}

/// A gauge that was 1 for more than a share of the window.
fn long(gauge: &str, window: Duration, share: f64) -> String {
    format!(
        "{} > {share}\n{}",
        share_of_time(gauge, window),
        watched(gauge, window, share)
    )
}

/// Not `avg_over_time`: it adds up shares, whose last digit then decides what is exactly on the limit.
fn share_of_time(gauge: &str, window: Duration) -> String {
    let span = promql(window);
    format!("sum_over_time({gauge}[{span}]) / count_over_time({gauge}[{span}])")
}

/// Whether this share of the window has been watched: the average of one sample is that sample.
fn watched(gauge: &str, window: Duration, share: f64) -> String {
    let ago = Duration::from_millis((window.as_millis() as f64 * share).round() as u64);
    format!("and last_over_time({gauge}[{}] offset {})", promql(window), promql(ago))
}

/// Begins nothing while a common cause is told.
fn held_back() -> String {
    format!(
        "\nunless on ({DAEMON}) ALERTS{{alertname=\"{}\", alertstate=\"firing\"}}",
        RuleName::CommonCause.as_str()
    )
}

fn write(file: &mut String, rule: &Rule, expression: &str) {
    let _ = writeln!(file, "      - alert: {}\n        expr: |-", rule.name.as_str());
    for line in expression.lines() {
        let _ = writeln!(file, "          {line}");
    }
    if !rule.hold.is_zero() {
        let _ = writeln!(file, "        for: {}", promql(rule.hold));
    }
    let subject = match rule.condition {
        Condition::Failing { .. } | Condition::CircuitOpen { .. } | Condition::Quarantined { .. } => {
            "{{ $labels.provider }}"
        }
        Condition::StaleServed { .. } => "{{ $labels.cache_name }}",
        Condition::WithoutPrices => "{{ $labels.market }}",
        Condition::NoRun { .. } => "{{ $labels.kind }}",
        Condition::CommonCause { .. } | Condition::CacheReadonly { .. } | Condition::Unreachable => "evercandle",
    };
    let severity: Severity = rule.severity;
    let _ = writeln!(
        file,
        "        labels:\n          severity: {}\n        annotations:\n          summary: {}\n          runbook: {}",
        severity.as_str(),
        quoted(&rule.summary.replace("{subject}", subject)),
        quoted(rule.runbook)
    );
}

/// In YAML's single quotes, where nothing but the quote itself is special.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `10m`, `1m30s`, `500ms`: Prometheus takes whole numbers only.
fn promql(duration: Duration) -> String {
    let mut left = duration.as_millis();
    let mut text = String::new();
    for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= millis {
            let _ = write!(text, "{}{unit}", left / millis);
            left %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_prometheus_reads_them() {
        let written = [0, 1, 1_500, 60_000, 90_000, 3_600_000, 5_400_001].map(|ms| promql(Duration::from_millis(ms)));
        assert_eq!(written, ["0s", "1ms", "1s500ms", "1m", "1m30s", "1h", "1h30m1ms"]);
    }

    #[test]
    fn the_committed_rule_file_is_the_table_with_default_settings() {
        let committed = include_str!("../../../../ops/prometheus/evercandle.rules.yml");
        assert_eq!(
            committed,
            prometheus_rules(&AlertsConfig::default()),
            "write it anew: evercandle alerts --format prometheus > ops/prometheus/evercandle.rules.yml"
        );
    }
}
