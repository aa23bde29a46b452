//! What the daemon tells of itself: health, metrics, events. Over real sockets and a pretend internet whose time is moved.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

mod health;

mod metrics;

mod stream;

mod candles;
mod described;
