//! Candles from wherever they can be had: a local Arrow cache, Binance's bulk archives, its REST interface.
//!
//! Every [`Answer`] says where each part came from, what is missing and why. Nothing is filled in or made up.
//!
//! ```no_run
//! use evercandle::{Client, Config, Interval, Request, Series, TimeRange, Timestamp};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Config::from_environment()?)?;
//! let series = Series::parse("BTC/USDT", Interval::M1, None)?;
//! let start = Timestamp::from_date(2024, 1, 1).ok_or("no such day")?;
//! let end = Timestamp::from_date(2024, 2, 1).ok_or("no such day")?;
//! let range = TimeRange::new(start, end).ok_or("the end is before the start")?;
//!
//! let answer = client.get_data(Request::new(series, range)).await?;
//! for batch in &answer.batches {
//!     let (opens, closes) = (batch.open_times(), batch.floats(4));
//!     println!("{} candles from {}, last close {:?}", batch.len(), opens[0], closes.last());
//! }
//! for gap in &answer.gaps {
//!     println!("{} missing: {}", gap.range, gap.reason);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The modules, in reading order. What one says: [`client`] (the entry point), [`request`] (a question), [`answer`]
//! (rows plus their story), [`error`]. The vocabulary: [`model`] (ranges, intervals, series, batches). How it works:
//! `engine` (the loop, the planner, one attempt, the answer under construction), `resilience` (breaker, quarantine,
//! quota, backoff, deadline), [`provider`] (upstreams, one folder each), [`store`] (the cache). What asks by itself:
//! [`schedule`]. When somebody must be told: [`alert`]. Leaves: [`config`], [`clock`], `telemetry`. `ARCHITECTURE.md` has the map and what must stay true.

#![warn(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests may look at clocks, files and the environment"
    )
)]

pub mod client;

pub mod request;

pub mod answer;

pub mod price;

pub mod sentiment;

pub mod health;

pub mod error;

pub mod model;

mod engine;

mod resilience;

pub mod provider;

pub mod store;

pub mod schedule;

pub mod alert;

pub mod config;

pub mod clock;

mod telemetry;

pub use answer::{
    Answer, Attempt, Gap, GapReason, Origin, Outcome, ProviderName, Resting, RestingReason, Segment, Verification, Via,
    Waiting,
};
pub use client::Client;
pub use clock::Clock;
pub use config::{Config, ConfigError};
pub use error::Error;
pub use health::{
    CircuitState, Control, Health, Latency, LatestHealth, Probe, QuotaUse, Status, UpstreamHealth, Weight,
};
pub use model::batch::{Batch, Oddity, OddityKind};
pub use model::interval::{Grid, Interval};
pub use model::range::{RangeSet, TimeRange, Timestamp};
pub use model::series::{Exchange, Kind, Market, Series, VolumeUnit};
pub use model::symbol::Symbol;
pub use price::{DayStatistics, Decimal, MissingPrice, Nature, Price, PriceRequest, PriceState, Prices, Substitutes};
pub use request::{Completeness, Forming, Priority, Request, Sources};
pub use schedule::Scheduler;
pub use sentiment::{Measure, Reading, Secondary, Sentiment, SentimentAnswer, SentimentRequest, SentimentState};

/// The README's examples are compiled too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
