//! Errors of the engine as Python exceptions.
//!
//! The classes are Python's (`evercandle/errors.py`), because people subclass, pickle and document them there; here is
//! only which one it is, and with what inside.
//!
//! A panic is a mistake of ours, and an error all the same. PyO3 would make a `PanicException` of it, which no `except
//! Exception` catches; and in a task nobody would be told, so that whoever awaits it would wait for ever.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use evercandle::{Answer, Error};
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
    /// Takes an error apart.
    pub(crate) fn of(error: Error) -> Failure {
        let message = error.to_string();
        let retry_after = error.retry_after().map(|wait| wait.as_secs_f64());
        let limited = error.is_rate_limited();
        let (kind, details, partial) = match error {
            Error::BadRequest(_) => ("bad_request", json!({}), None),
            Error::UnknownSymbol { market, symbol, why } => {
                let details = json!({"market": market.as_str(), "symbol": symbol.as_str(), "why": why});
                ("unknown_symbol", details, None)
            }
            Error::Incomplete(answer) => ("incomplete", lacking(&answer, retry_after), Some(answer)),
            Error::Unavailable(answer) => {
                let kind = if limited { "rate_limited" } else { "unavailable" };
                (kind, lacking(&answer, retry_after), Some(answer))
            }
            Error::NoUpstream { what, reasons, .. } => {
                let details = json!({
                    "what": what,
                    "reasons": story::reasons(&reasons),
                    "retry_after": retry_after,
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

    /// What a panic comes to.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Failure {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let what = text.unwrap_or_else(|| "it did not say what".to_owned());
        Failure {
            kind: "internal",
            message: format!(
                "a mistake in evercandle itself, not in the question: {what} (please report it, with what was asked and \
                 what stderr says of a panic; the client can still be used)"
            ),
            details: json!({"panic": what}),
            partial: None,
        }
    }

    /// What a question to a client that was closed comes to.
    pub(crate) fn closed() -> Failure {
        Failure {
            kind: "closed",
            message: "this client was closed: make a new Client".to_owned(),
            details: json!({}),
            partial: None,
        }
    }

    /// The exception.
    pub(crate) fn raise(self, py: Python<'_>) -> PyErr {
        let partial = self.partial.map(|answer| NativeKlines::new(*answer));
        build(py, self.kind, &self.message, &self.details.to_string(), partial)
    }
}

/// Does what the engine or its tables do for Python; if that panics, it is an exception like others.
pub(crate) fn guarded<T>(py: Python<'_>, work: impl FnOnce() -> T) -> PyResult<T> {
    // Nothing that the work could have left half done is used again, but what the engine keeps, which is made for it.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Failure::of_panic(panic.as_ref()).raise(py))
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

fn lacking(answer: &Answer, retry_after: Option<f64>) -> Value {
    json!({
        "series": answer.series.to_string(),
        "gaps": answer.gaps.iter().map(|gap| story::gap(gap, answer.grid)).collect::<Vec<_>>(),
        "retry_after": retry_after,
    })
}
