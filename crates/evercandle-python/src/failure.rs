//! Errors of the engine as Python exceptions.
//!
//! The classes are Python's (`evercandle/errors.py`), because people subclass, pickle and document them there; here is
//! only which one it is, and with what inside.

use std::time::Duration;

use evercandle::{Answer, Client, Error, Outcome, Status};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::klines::NativeKlines;
use crate::story;

/// What Python needs to know of an error, without Python.
pub(crate) struct Failure {
    kind: &'static str,
    message: String,
    details: Value,
    partial: Option<Box<Answer>>,
}

impl Failure {
    /// Takes an error apart. The client says when a limit that was met ends.
    pub(crate) fn of(error: Error, client: &Client) -> Failure {
        let message = error.to_string();
        let (kind, details, partial) = match error {
            Error::BadRequest(_) => ("bad_request", json!({}), None),
            Error::UnknownSymbol { market, symbol, why } => {
                let details = json!({"market": market.as_str(), "symbol": symbol.as_str(), "why": why});
                ("unknown_symbol", details, None)
            }
            Error::Incomplete(answer) => ("incomplete", lacking(&answer, client), Some(answer)),
            Error::Unavailable(answer) if is_limited(&answer) => {
                ("rate_limited", lacking(&answer, client), Some(answer))
            }
            Error::Unavailable(answer) => ("unavailable", lacking(&answer, client), Some(answer)),
            Error::NoUpstream {
                what,
                reasons,
                retry_after,
            } => {
                let details = json!({
                    "what": what,
                    "reasons": story::reasons(&reasons),
                    "retry_after": retry_after.map(|d| d.as_secs_f64()),
                });
                ("no_upstream", details, None)
            }
            Error::Cache(_) => ("cache", json!({}), None),
            Error::Config(_) => ("config", json!({}), None),
        };
        Failure {
            kind,
            message,
            details,
            partial,
        }
    }

    /// The exception.
    pub(crate) fn raise(self, py: Python<'_>) -> PyErr {
        let partial = self.partial.map(|answer| NativeKlines::new(*answer));
        build(py, self.kind, &self.message, &self.details.to_string(), partial)
    }
}

/// An exception that is about no question.
pub(crate) fn raise(py: Python<'_>, kind: &str, message: &str) -> PyErr {
    build(py, kind, message, "{}", None)
}

fn build(py: Python<'_>, kind: &str, message: &str, details: &str, partial: Option<NativeKlines>) -> PyErr {
    let made = py
        .import("evercandle.errors")
        .and_then(|module| module.getattr("from_native"))
        .and_then(|make| make.call1((kind, message, details, partial)));
    made.map_or_else(|error| error, PyErr::from_value)
}

fn lacking(answer: &Answer, client: &Client) -> Value {
    json!({
        "series": answer.series.to_string(),
        "gaps": answer.gaps.iter().map(|gap| story::gap(gap, answer.grid)).collect::<Vec<_>>(),
        "retry_after": retry_after(client).map(|d| d.as_secs_f64()),
    })
}

/// Whether limits are why nothing came: nobody failed in another way.
fn is_limited(answer: &Answer) -> bool {
    let failures = answer.trail.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Failed { kind, .. } => Some(*kind),
        _ => None,
    });
    let mut limited = false;
    for kind in failures {
        match kind {
            "throttled" => limited = true,
            "refused" | "absent" => {}
            _ => return false,
        }
    }
    limited
}

/// In how long the first upstream that wants to be left alone may be asked again.
fn retry_after(client: &Client) -> Option<Duration> {
    let health = client.health();
    let quarantined = health.upstreams.iter().filter(|u| u.status == Status::Quarantined);
    let waits = quarantined.filter_map(|u| u.retry_at);
    let micros = waits.map(|at| at.since(health.at).max(0)).min()?;
    Some(Duration::from_micros(micros.unsigned_abs()))
}
