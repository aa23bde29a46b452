//! What is wanted, and what is acceptable.
//!
//! The switches are orthogonal enums, so that every combination means something; contradictions cannot be said.

use std::time::Duration;

use crate::answer::ProviderName;
use crate::model::range::TimeRange;
use crate::model::series::Series;

/// A question: klines of `series` that open in `range`; or the funding rates settled in it.
///
/// ```
/// use evercandle::{Completeness, Request, Series, Interval, TimeRange, Timestamp};
/// let series = Series::parse("BTC/USDT", Interval::M1, None)?;
/// let day = |d| Timestamp::from_date(2024, 1, d).unwrap();
/// let request = Request::new(series, TimeRange::new(day(1), day(2)).unwrap());
/// assert_eq!(request.completeness, Completeness::Required);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    /// Which klines.
    pub series: Series,
    /// Opening when: half-open, UTC. Ends off the grid are rounded up, so a kline is wanted when it *opens* inside.
    pub range: TimeRange,
    /// Whether an incomplete answer is an error.
    pub completeness: Completeness,
    /// Who may be asked.
    pub sources: Sources,
    /// Whether the kline still open is wanted.
    pub forming: Forming,
    /// How long the whole answer may take; absent: the configured default.
    pub deadline: Option<Duration>,
    /// Who is waiting.
    pub priority: Priority,
}

impl Request {
    /// Everything that exists in `range`, from anywhere, closed klines only, within the default deadline.
    pub fn new(series: Series, range: TimeRange) -> Request {
        Request {
            series,
            range,
            completeness: Completeness::Required,
            sources: Sources::All,
            forming: Forming::Exclude,
            deadline: None,
            priority: Priority::Interactive,
        }
    }
}

/// Whether an incomplete answer is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Completeness {
    /// Anything missing that an upstream might still have is an error that carries the partial answer.
    #[default]
    Required,
    /// The partial answer is returned; its gaps say what is missing.
    BestEffort,
}

/// Who may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Sources {
    /// The cache, then every upstream.
    #[default]
    All,
    /// The cache only: nothing is sent.
    CacheOnly,
    /// These upstreams only; the cache is neither read nor trusted, but what they answer is stored.
    Named(Vec<ProviderName>),
}

/// Whether the kline still open is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Forming {
    /// Only closed klines.
    #[default]
    Exclude,
    /// The kline in progress too, in a segment of its own marked [`Unsettled`](crate::Verification::Unsettled).
    Include,
}

/// Who is waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Priority {
    /// Somebody: small gaps may be asked of whoever answers fastest.
    #[default]
    Interactive,
    /// Nobody yet: what is kept warm for whoever asks next, and looked at again in minutes. As [`Priority::Bulk`] it
    /// waits for its share of the quota; as [`Priority::Interactive`] it asks for little where little is asked for.
    Refresh,
    /// Nobody: prefer what costs the exchange's quota least, and outlast outages (`engine.patience_ms`).
    Bulk,
}
