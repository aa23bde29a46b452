//! The vocabulary everything else is written in: what is asked for, when, and what a row is.
//!
//! Pure values: no I/O, no clock, no `async`, and no dependency on any other part of this crate.

pub mod range;

pub mod interval;

pub mod symbol;

pub mod series;

pub mod decimals;

pub mod batch;

pub mod builder;

pub mod funding;
