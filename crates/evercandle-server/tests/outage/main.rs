//! Outages as callers see them, through HTTP: what is known is served and says what it is, what is not known is refused
//! with everybody's reason, and the daemon's own account of it is true, before, during and after.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../observe/support.rs"]
mod support;

mod one_by_one;

mod everybody;

mod restart;

mod told;
