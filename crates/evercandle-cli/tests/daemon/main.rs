//! The daemon as a process, with the programs it works with: `evercandle serve` as it is shipped, an exchange under the
//! test's control behind it, and real clients in front of it.
//!
//! What needs a program that cargo does not bring (see [`tools`]) says in one line that it was skipped where there is
//! none, except under `cargo xtask test`, which installs them all.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod browser;
mod installed;
mod life;
mod prometheus;
mod schemathesis;
mod supervised;
mod support;
mod tools;
