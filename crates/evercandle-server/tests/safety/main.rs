//! What the daemon does to those who are slow, many, or up to no good. Real sockets, times made short by configuration.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

mod administration;

mod patience;

mod malformed;

mod slowloris;
