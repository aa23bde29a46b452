//! Alerts from outside: who is told what and when, and whether the rules' two forms agree.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod forms;
mod ops;
mod restart;
mod support;
mod webhooks;
