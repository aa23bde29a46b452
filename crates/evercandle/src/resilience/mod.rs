//! Mechanisms that keep a failing upstream from hurting anyone, as plain values.
//!
//! Nothing here waits, does I/O or reads a clock: time and randomness are passed in, so each is tested as a table. They
//! are composed in one place, `engine/attempt.rs`. Independent of the rest of the crate.

pub mod backoff;
pub mod breaker;
pub mod deadline;
pub mod quarantine;
pub mod quota;
