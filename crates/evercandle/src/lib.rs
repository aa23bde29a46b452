//! Market data that never goes dark.

pub mod answer;
pub mod client;
pub mod clock;
pub mod config;
mod engine;
pub mod error;
pub mod model;
pub mod provider;
pub mod request;
mod resilience;
pub mod store;
mod telemetry;

pub use answer::{Answer, Attempt, Gap, GapReason, Origin, Outcome, ProviderName, Segment, Verification, Via};
pub use client::Client;
pub use clock::Clock;
pub use config::{Config, ConfigError};
pub use error::Error;
pub use model::batch::{Batch, Oddity, OddityKind};
pub use model::interval::{Grid, Interval};
pub use model::range::{RangeSet, TimeRange, Timestamp};
pub use model::series::{Exchange, Market, Series, VolumeUnit};
pub use model::symbol::Symbol;
pub use request::{Completeness, Forming, Priority, Request, Sources};
