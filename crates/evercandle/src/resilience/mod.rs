//! Mechanisms that keep a failing upstream from hurting anyone, as plain values.
//!
//! Nothing here waits, does I/O or reads a clock: time and randomness are passed in, so each is tested as a table. They
//! are composed in the engine: `attempt.rs` for calls, `probe.rs` for probes. Independent of the rest of the crate.

pub(crate) mod backoff;
pub(crate) mod breaker;
pub(crate) mod common_cause;
pub(crate) mod deadline;
pub(crate) mod quarantine;
pub(crate) mod quota;
