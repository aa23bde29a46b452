//! The native half of the Python package: what must be fast, or needs the engine.
//!
//! Python code in `python/evercandle` is what users see: names, times, tables, pictures, exceptions. This module gives it
//! the engine in the plainest terms: instants are microseconds since the epoch, stories are JSON, rows are Arrow. So
//! there is one place where Python objects are made of answers, and it is written in the language it is about.

mod runtime;

mod client;

mod klines;

mod story;

mod failure;

mod simulation;

/// `evercandle._native`; described for type checkers in `_native.pyi`.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::client::{NativeClient, Pending};

    #[pymodule_export]
    use crate::klines::{Column, NativeKlines};

    #[pymodule_export]
    use crate::simulation::NativeSimulator;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Whether it was built for tests, and has what only they ask.
    #[pymodule_export]
    const DEBUG: bool = cfg!(debug_assertions);

    /// Microseconds since the epoch of an ISO 8601 date or date and time; without an offset it is UTC. `None` for
    /// anything else, a zone without an offset too. What calendars have and time has not, is earlier or later than all.
    #[pyfunction]
    fn parse_instant(text: &str) -> Option<i64> {
        let written = jiff::fmt::temporal::Pieces::parse(text.trim()).ok()?;
        let offset = match (written.to_numeric_offset(), written.time_zone_annotation()) {
            (Some(offset), _) => offset,
            (None, None) => jiff::tz::Offset::UTC,
            (None, Some(_)) => return None,
        };
        // A date is midnight.
        let civil = written.date().to_datetime(written.time().unwrap_or_default());
        let micros = offset.to_timestamp(civil).map(jiff::Timestamp::as_microsecond);
        Some(micros.unwrap_or(if civil.year() < 1970 { i64::MIN } else { i64::MAX }))
    }

    /// How instants are written everywhere: RFC 3339 in UTC.
    #[pyfunction]
    fn format_instant(micros: i64) -> String {
        evercandle::Timestamp::from_micros(micros).to_string()
    }
}
