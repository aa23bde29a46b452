//! Names of metrics and log events, and the only place that emits them.
//!
//! Metrics go to whatever recorder the program installed for the `metrics` facade, or nowhere. Labels never carry
//! symbols: their number must stay small.

use std::time::Duration;

use crate::answer::{Attempt, Outcome, ProviderName};

/// One try at an upstream ended.
pub(crate) fn attempt(subject: &dyn std::fmt::Display, attempt: &Attempt) {
    let provider = attempt.provider.to_string();
    let outcome = match &attempt.outcome {
        Outcome::Rows(_) | Outcome::Answered => "ok",
        Outcome::Failed { kind, .. } => kind,
    };
    if attempt.number == 0 {
        metrics::counter!("qt_provider_skipped_total", "provider" => provider, "reason" => outcome).increment(1);
    } else {
        metrics::histogram!("qt_provider_latency_seconds", "provider" => provider.clone(), "outcome" => outcome)
            .record(attempt.took.as_secs_f64());
        let name = if outcome == "ok" {
            "qt_provider_success_total"
        } else {
            "qt_provider_failures_total"
        };
        metrics::counter!(name, "provider" => provider).increment(1);
    }
    tracing::info!(
        upstream = %attempt.provider, %subject, range = attempt.range.map(tracing::field::display), form = attempt.form, number = attempt.number,
        took_ms = attempt.took.as_millis() as u64, outcome = %attempt.outcome, "attempt settled"
    );
}

/// A read of the local store: `hit` (everything held), `partial` or `miss`.
pub(crate) fn cache_read(result: &'static str, took: Duration) {
    metrics::counter!("qt_cache_hits_total", "cache_name" => "klines", "result" => result).increment(1);
    metrics::histogram!("qt_cache_read_seconds", "cache_name" => "klines").record(took.as_secs_f64());
}

/// A stored file was not what it said it was, and was moved out of the way.
pub(crate) fn cache_corruption(reason: &'static str, file: &str) {
    metrics::counter!("qt_cache_corruption_total", "reason" => reason).increment(1);
    tracing::warn!(reason, file, "cache file quarantined");
}

/// A write to the local store failed; the answer was served all the same.
pub(crate) fn cache_write_failed(kind: &str, error: &str) {
    metrics::counter!("qt_cache_write_errors_total", "kind" => kind.to_owned()).increment(1);
    tracing::warn!(kind, error, "cache write failed");
}

/// Klines arrived for open times that were held already, with other values.
pub(crate) fn cache_restated(rows: usize) {
    if rows > 0 {
        metrics::counter!("qt_cache_restated_rows_total").increment(rows as u64);
        tracing::warn!(rows, "klines restated");
    }
}

/// An archive whose bytes did not match its published checksum, twice.
pub(crate) fn archive_quarantined(provider: &ProviderName, archive: &str, why: &str) {
    metrics::counter!("qt_archive_quarantined_total", "provider" => provider.to_string()).increment(1);
    tracing::warn!(upstream = %provider, archive, why, "archive quarantined");
}
