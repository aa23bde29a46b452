//! What the data routes answer, over real sockets, against a simulated exchange whose truth is known.
//!
//! Bodies are read back by other readers than our writers: a JSON parser, a CSV reader, Arrow's and Parquet's own.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod documented;
mod formats;
mod kept;
mod labels;
mod long;
mod refusals;
mod support;
