//! Klines for the outside: one home for what the command line prints and the daemon sends.
//!
//! A range is asked for window by window ([`gather`]), so that any length fits in memory; its [`story`] (segments, gaps,
//! notices) is put together on the way; the rows go through a [`Sink`] of some [`Format`] as they come. What only one of
//! the two has is not here: tables, colours and charts are the command line's, status codes and headers the daemon's.
//!
//! [`time`] reads times, spans and intervals as people write them; [`words`] is for texts that are not ours.

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod time;

pub mod gather;

pub mod story;

pub mod style;

pub mod sink;

pub mod cell;

mod csv;

pub mod json;

mod arrow;

mod parquet;

pub mod words;

pub use gather::{Gathered, Query, Window};
pub use sink::{Format, Head, Out, Sink};
pub use story::Story;
pub use style::{ColumnError, DecimalFormat, Dialect, Style, TimeFormat};
