//! Names of metrics and log events, and the only place that emits them.
//!
//! Metrics go to whatever recorder the program installed for the `metrics` facade, or nowhere. Labels never carry
//! symbols: their number must stay small. Every attempt is one log event, with facts in fields; what repeats by nature
//! (an upstream passed over again and again) is counted each time and logged at `debug`, beside one event for the change
//! that caused it.

use std::time::Duration;

use crate::answer::{Attempt, Outcome, ProviderName};
use crate::model::range::Timestamp;
use crate::model::series::Market;

const FAILURES: &str = "qt_provider_failures_total";
const SUCCESSES: &str = "qt_provider_success_total";
const CIRCUIT_OPEN: &str = "qt_provider_circuit_open";
const QUARANTINED: &str = "qt_provider_quarantined";
const STATE: &str = "qt_provider_state";
const LATENCY: &str = "qt_provider_latency_seconds";
const SKIPPED: &str = "qt_provider_skipped_total";
const PROBES: &str = "qt_provider_probe_total";
const THROTTLED: &str = "qt_provider_throttled_total";
const QUOTA_USED: &str = "qt_provider_quota_used_ratio";
const COMMON_CAUSE: &str = "qt_common_cause_suspected";
const CACHE_HITS: &str = "qt_cache_hits_total";
const CACHE_READ: &str = "qt_cache_read_seconds";
const CACHE_CORRUPTION: &str = "qt_cache_corruption_total";
const CACHE_WRITE_ERRORS: &str = "qt_cache_write_errors_total";
const CACHE_READONLY: &str = "qt_cache_readonly";
const CACHE_RESTATED: &str = "qt_cache_restated_rows_total";
const ARCHIVE_QUARANTINED: &str = "qt_archive_quarantined_total";
const STALE_SERVED: &str = "qt_stale_served_total";
const STALE_REFUSED: &str = "qt_stale_refused_total";
const LATEST_NOT_FRESH: &str = "qt_latest_not_fresh";
const SUBSTITUTES_SERVED: &str = "qt_substitutes_served_total";
const SCHEDULER_RUNNING: &str = "qt_scheduler_running";
const SCHEDULER_RUNS: &str = "qt_scheduler_runs_total";
const SCHEDULER_DURATION: &str = "qt_scheduler_run_duration_seconds";
const SCHEDULER_COMPLETED: &str = "qt_scheduler_last_completed_timestamp_seconds";
const SCHEDULER_BEGUN: &str = "qt_scheduler_begun_timestamp_seconds";
const SCHEDULER_PERIOD: &str = "qt_scheduler_period_seconds";
const SCHEDULER_WATCHES: &str = "qt_scheduler_watches";
const SCHEDULER_RESTING: &str = "qt_scheduler_watches_resting";
const SCHEDULER_FAILURES: &str = "qt_scheduler_watch_failures_total";
const SCHEDULER_SKIPPED: &str = "qt_scheduler_skipped_ticks_total";
const WITHOUT_PRICES: &str = "qt_scheduler_without_prices";

/// A breaker's states, as the `state` label of `qt_provider_state` says them.
const STATES: [&str; 3] = ["closed", "open", "half_open"];

/// What runs come to, as the `status` label of `qt_scheduler_runs_total` says it.
const RUN_STATUSES: [&str; 3] = ["ok", "degraded", "failed"];

/// Tells the recorder what every metric means, and begins the series of `providers` at zero, so that "nothing happened
/// yet" differs from "nobody is counting".
pub(crate) fn describe<'a>(providers: impl Iterator<Item = &'a ProviderName>) {
    use metrics::{Unit, describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    counter!(
        FAILURES,
        Unit::Count,
        "Calls that failed: no usable answer, or a wrong one."
    );
    counter!(SUCCESSES, Unit::Count, "Calls that were answered.");
    gauge!(
        CIRCUIT_OPEN,
        Unit::Count,
        "1 while the circuit breaker is open or half open, else 0."
    );
    gauge!(
        QUARANTINED,
        Unit::Count,
        "1 while an upstream is left alone because it asked for that, else 0."
    );
    gauge!(
        STATE,
        Unit::Count,
        "1 for the circuit breaker's present state, 0 for the others."
    );
    histogram!(LATENCY, Unit::Seconds, "How long calls took, failed ones included.");
    counter!(SKIPPED, Unit::Count, "Times an upstream was passed over, by reason.");
    counter!(
        PROBES,
        Unit::Count,
        "Probes of resting upstreams, by what came of them."
    );
    counter!(THROTTLED, Unit::Count, "Times an upstream asked to be left alone.");
    gauge!(
        QUOTA_USED,
        Unit::Count,
        "Share of an upstream's limit used in its present minute, when it was last looked at."
    );
    gauge!(
        COMMON_CAUSE,
        Unit::Count,
        "1 while most upstreams fail together, which points at our own line."
    );
    counter!(CACHE_HITS, Unit::Count, "Reads of a cache: hit, partial, miss, stale.");
    histogram!(CACHE_READ, Unit::Seconds, "How long reads of the cache took.");
    counter!(
        CACHE_CORRUPTION,
        Unit::Count,
        "Stored files that were not what they said they were."
    );
    counter!(CACHE_WRITE_ERRORS, Unit::Count, "Writes to the cache that failed.");
    gauge!(CACHE_READONLY, Unit::Count, "1 while the cache is not written, else 0.");
    counter!(
        CACHE_RESTATED,
        Unit::Count,
        "Klines that arrived again with other values."
    );
    counter!(
        ARCHIVE_QUARANTINED,
        Unit::Count,
        "Archives that did not match their checksum, twice."
    );
    counter!(
        STALE_SERVED,
        Unit::Count,
        "Last known values served because nobody answered."
    );
    counter!(
        STALE_REFUSED,
        Unit::Count,
        "Answers refused because nobody answered and what was known last was too old, or nothing was."
    );
    gauge!(
        LATEST_NOT_FRESH,
        Unit::Count,
        "1 while the last answer was a last known value or refused for want of one, else 0."
    );
    counter!(
        SUBSTITUTES_SERVED,
        Unit::Count,
        "Values of another instrument or measure served, labelled."
    );
    gauge!(
        SCHEDULER_RUNNING,
        Unit::Count,
        "1 while the scheduler's loop is alive, else 0."
    );
    counter!(
        SCHEDULER_RUNS,
        Unit::Count,
        "Runs that completed, by kind and by what they came to."
    );
    histogram!(SCHEDULER_DURATION, Unit::Seconds, "How long runs took.");
    gauge!(
        SCHEDULER_COMPLETED,
        Unit::Seconds,
        "When the last run completed, in seconds since 1970; 0 before the first."
    );
    gauge!(
        SCHEDULER_BEGUN,
        Unit::Seconds,
        "When the schedule was set up, in seconds since 1970."
    );
    gauge!(
        SCHEDULER_PERIOD,
        Unit::Seconds,
        "From the beginning of a run to that of the next."
    );
    gauge!(
        SCHEDULER_WATCHES,
        Unit::Count,
        "Series or instruments that are watched."
    );
    gauge!(SCHEDULER_RESTING, Unit::Count, "Watches that rest because they failed.");
    counter!(SCHEDULER_FAILURES, Unit::Count, "Times a watch could not be refreshed.");
    counter!(
        SCHEDULER_SKIPPED,
        Unit::Count,
        "Ticks that were skipped because the run before had not ended."
    );
    gauge!(
        WITHOUT_PRICES,
        Unit::Count,
        "1 while the last refresh brought no price at all of a watched market, else 0."
    );
    metrics::gauge!(COMMON_CAUSE).set(0.0);
    // An increase from nothing is none: the first stale answer must be seen as one more than zero.
    for cache in ["prices", "sentiment"] {
        metrics::counter!(STALE_SERVED, "cache_name" => cache).absolute(0);
        metrics::counter!(STALE_REFUSED, "cache_name" => cache).absolute(0);
        latest_not_fresh(cache, false);
    }
    for provider in providers {
        for name in [FAILURES, SUCCESSES] {
            metrics::counter!(name, "provider" => provider.to_string()).absolute(0);
        }
        circuit_gauges(provider, "closed");
        left_alone(provider, false);
    }
}

/// One try at an upstream ended, or it was passed over, for the reason in `skipped`.
pub(crate) fn attempt(subject: &dyn std::fmt::Display, attempt: &Attempt, skipped: Option<&'static str>) {
    if let Some(reason) = skipped {
        return passed_over(&attempt.provider, reason);
    }
    let provider = attempt.provider.to_string();
    let outcome = match &attempt.outcome {
        Outcome::Rows(_) | Outcome::Answered => "ok",
        Outcome::Failed { kind, .. } => kind,
    };
    metrics::histogram!(LATENCY, "provider" => provider.clone(), "outcome" => outcome)
        .record(attempt.took.as_secs_f64());
    match outcome {
        // It does not have what was asked for; that is an answer.
        "ok" | "absent" | "unknown_symbol" => metrics::counter!(SUCCESSES, "provider" => provider).increment(1),
        // Told to stay away, asked badly, or given up by the caller: not the upstream's failures.
        "throttled" => metrics::counter!(THROTTLED, "provider" => provider).increment(1),
        "rejected" | "refused" => {}
        _ => metrics::counter!(FAILURES, "provider" => provider).increment(1),
    }
    let range = attempt.range.map(tracing::field::display);
    let (form, number, took_ms) = (attempt.form, attempt.number, attempt.took.as_millis() as u64);
    // A daemon makes thousands of calls an hour: those that went well are for whoever looks for them.
    macro_rules! settled {
        ($event:ident) => {
            tracing::$event!(
                upstream = %attempt.provider, %subject, range, form, number, took_ms, outcome = %attempt.outcome,
                "attempt settled"
            )
        };
    }
    match outcome {
        "ok" => settled!(debug),
        _ => settled!(info),
    }
}

/// An upstream was not asked. The event that made it so was logged when it happened.
pub(crate) fn passed_over(provider: &ProviderName, reason: &'static str) {
    metrics::counter!(SKIPPED, "provider" => provider.to_string(), "reason" => reason).increment(1);
    match reason {
        "circuit_open" => tracing::debug!(upstream = %provider, reason, "skipped_due_to_circuit"),
        _ => tracing::debug!(upstream = %provider, reason, "skipped"),
    }
}

/// A breaker changed its state to `closed`, `open` or `half_open`.
pub(crate) fn circuit_changed(provider: &ProviderName, state: &'static str, wait: Option<Duration>) {
    circuit_gauges(provider, state);
    match wait {
        Some(cooldown) => tracing::warn!(
            upstream = %provider, state, cooldown_ms = cooldown.as_millis() as u64,
            "circuit changed; calls are skipped_due_to_circuit until a probe is answered"
        ),
        None => tracing::info!(upstream = %provider, state, "circuit changed"),
    }
}

fn circuit_gauges(provider: &ProviderName, now: &'static str) {
    let open = if now == "closed" { 0.0 } else { 1.0 };
    metrics::gauge!(CIRCUIT_OPEN, "provider" => provider.to_string()).set(open);
    for state in STATES {
        let is = if state == now { 1.0 } else { 0.0 };
        metrics::gauge!(STATE, "provider" => provider.to_string(), "state" => state).set(is);
    }
}

/// A resting upstream was probed; `failed` is the error's kind.
pub(crate) fn probed(provider: &ProviderName, failed: Option<&'static str>, took: Duration) {
    let result = failed.unwrap_or("ok");
    metrics::counter!(PROBES, "provider" => provider.to_string(), "result" => result).increment(1);
    tracing::info!(upstream = %provider, result, took_ms = took.as_millis() as u64, "probe settled");
}

/// So much of a limit is used in the present minute.
pub(crate) fn quota_used(group: &'static str, used: u32, limit: u32) {
    metrics::gauge!(QUOTA_USED, "group" => group).set(f64::from(used) / f64::from(limit.max(1)));
}

/// An upstream asked to be left alone.
pub(crate) fn quarantined(provider: &ProviderName, why: &str, wait: Duration) {
    tracing::warn!(upstream = %provider, why, wait_s = wait.as_secs(), "upstream quarantined");
}

/// Whether an upstream is left alone because it asked for that.
pub(crate) fn left_alone(provider: &ProviderName, alone: bool) {
    let is = if alone { 1.0 } else { 0.0 };
    metrics::gauge!(QUARANTINED, "provider" => provider.to_string()).set(is);
}

/// Most upstreams fail together, or no longer do.
pub(crate) fn common_cause(suspected: bool) {
    metrics::gauge!(COMMON_CAUSE).set(if suspected { 1.0 } else { 0.0 });
    match suspected {
        true => tracing::error!("most upstreams fail together: the fault may be our own line, resolver or clock"),
        false => tracing::info!("an upstream answered again: the line works"),
    }
}

/// A read of the local store: `hit` (everything held), `partial` or `miss`.
pub(crate) fn cache_read(result: &'static str, took: Duration) {
    metrics::counter!(CACHE_HITS, "cache_name" => "klines", "result" => result).increment(1);
    metrics::histogram!(CACHE_READ, "cache_name" => "klines").record(took.as_secs_f64());
}

/// A look at the last known prices or sentiments: `hit` (young enough not to ask), `miss`, `stale` (served because
/// nobody answered).
pub(crate) fn latest_read(cache: &'static str, result: &'static str) {
    metrics::counter!(CACHE_HITS, "cache_name" => cache, "result" => result).increment(1);
    if result == "stale" {
        metrics::counter!(STALE_SERVED, "cache_name" => cache).increment(1);
        tracing::warn!(cache, "last known value served");
    }
}

/// Nobody answered, and nothing that is young enough was known.
pub(crate) fn latest_refused(cache: &'static str) {
    metrics::counter!(STALE_REFUSED, "cache_name" => cache).increment(1);
    tracing::warn!(cache, "nobody answers, and nothing young enough is known");
}

/// Whether the last answer was a last known value, or refused for want of one.
pub(crate) fn latest_not_fresh(cache: &'static str, not_fresh: bool) {
    metrics::gauge!(LATEST_NOT_FRESH, "cache_name" => cache).set(if not_fresh { 1.0 } else { 0.0 });
}

/// A value of another instrument or measure was served.
pub(crate) fn substitute_served(provider: &ProviderName) {
    metrics::counter!(SUBSTITUTES_SERVED, "provider" => provider.to_string()).increment(1);
}

/// A stored file was not what it said it was, and was moved out of the way.
pub(crate) fn cache_corruption(reason: &'static str, file: &str) {
    metrics::counter!(CACHE_CORRUPTION, "reason" => reason).increment(1);
    tracing::warn!(reason, file, "cache file quarantined");
}

/// A write to the local store failed; the answer was served all the same.
pub(crate) fn cache_write_failed(kind: &str, error: &str) {
    metrics::counter!(CACHE_WRITE_ERRORS, "kind" => kind.to_owned()).increment(1);
    tracing::warn!(kind, error, "cache write failed");
}

/// Whether writes to the local store are off.
pub(crate) fn cache_readonly(readonly: bool) {
    metrics::gauge!(CACHE_READONLY).set(if readonly { 1.0 } else { 0.0 });
}

/// Klines arrived for open times that were held already, with other values.
pub(crate) fn cache_restated(rows: usize) {
    if rows > 0 {
        metrics::counter!(CACHE_RESTATED).increment(rows as u64);
        tracing::warn!(rows, "klines restated");
    }
}

/// An archive whose bytes did not match its published checksum, twice.
pub(crate) fn archive_quarantined(provider: &ProviderName, archive: &str, why: &str) {
    metrics::counter!(ARCHIVE_QUARANTINED, "provider" => provider.to_string()).increment(1);
    tracing::warn!(upstream = %provider, archive, why, "archive quarantined");
}

/// The scheduler's loop began or ended.
pub(crate) fn scheduler_running(running: bool) {
    metrics::gauge!(SCHEDULER_RUNNING).set(if running { 1.0 } else { 0.0 });
}

/// A kind of thing is watched. Begins its series at zero.
pub(crate) fn scheduler_job(kind: &'static str, period: Duration, watches: usize, begun: Timestamp) {
    metrics::gauge!(SCHEDULER_BEGUN, "kind" => kind).set(begun.as_micros() as f64 / 1e6);
    metrics::gauge!(SCHEDULER_PERIOD, "kind" => kind).set(period.as_secs_f64());
    metrics::gauge!(SCHEDULER_WATCHES, "kind" => kind).set(watches as f64);
    metrics::gauge!(SCHEDULER_RESTING, "kind" => kind).set(0.0);
    metrics::gauge!(SCHEDULER_COMPLETED, "kind" => kind).set(0.0);
    metrics::counter!(SCHEDULER_FAILURES, "kind" => kind).absolute(0);
    metrics::counter!(SCHEDULER_SKIPPED, "kind" => kind).absolute(0);
    for status in RUN_STATUSES {
        metrics::counter!(SCHEDULER_RUNS, "kind" => kind, "status" => status).absolute(0);
    }
}

/// A run of the scheduler, as it is told.
pub(crate) struct ScheduledRun {
    pub(crate) kind: &'static str,
    pub(crate) status: &'static str,
    pub(crate) took: Duration,
    pub(crate) completed_at: Timestamp,
    /// Watches that could not be refreshed.
    pub(crate) failed: u64,
    /// Watches that rest now.
    pub(crate) resting: usize,
}

/// A run completed.
pub(crate) fn scheduler_run(run: ScheduledRun) {
    let ScheduledRun { kind, status, took, .. } = run;
    metrics::counter!(SCHEDULER_RUNS, "kind" => kind, "status" => status).increment(1);
    metrics::histogram!(SCHEDULER_DURATION, "kind" => kind).record(took.as_secs_f64());
    metrics::gauge!(SCHEDULER_COMPLETED, "kind" => kind).set(run.completed_at.as_micros() as f64 / 1e6);
    metrics::gauge!(SCHEDULER_RESTING, "kind" => kind).set(run.resting as f64);
    metrics::counter!(SCHEDULER_FAILURES, "kind" => kind).increment(run.failed);
    let (took_ms, failed, resting) = (took.as_millis() as u64, run.failed, run.resting);
    match status {
        "ok" => tracing::info!(kind, status, took_ms, failed, resting, "scheduled run completed"),
        _ => tracing::warn!(kind, status, took_ms, failed, resting, "scheduled run completed"),
    }
}

/// Whether the last refresh brought no price at all of a watched market.
pub(crate) fn without_prices(market: Market, is_without: bool) {
    metrics::gauge!(WITHOUT_PRICES, "market" => market.as_str()).set(if is_without { 1.0 } else { 0.0 });
}

/// Ticks came while a run was under way.
pub(crate) fn scheduler_skipped(kind: &'static str, ticks: u64) {
    metrics::counter!(SCHEDULER_SKIPPED, "kind" => kind).increment(ticks);
    tracing::warn!(kind, ticks, "scheduled ticks skipped: the run before has not ended");
}
