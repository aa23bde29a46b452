//! Upstreams: what one must be able to do, and the catalogue of those there are.
//!
//! A provider translates: a [`Slice`] into a request, a response into a [`Batch`]. It never sleeps, retries, caches,
//! paginates or chooses; the engine does. Everything peculiar to an upstream (names, hosts, symbols, limits, quirks)
//! stays in its folder. Adding one means adding a folder, its `mod` line and its line in [`CATALOG`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::answer::{ProviderName, Verification};
use crate::config::{ConfigError, ProviderConfig};
use crate::model::batch::Batch;
use crate::model::builder::Repairs;
use crate::model::range::{TimeRange, Timestamp};
use crate::model::series::{Market, Series};

pub mod binance;
pub mod http;

/// Every upstream, in order of preference where nothing else decides.
pub const CATALOG: &[Entry] = &[binance::VISION, binance::REST];

/// One upstream as the catalogue knows it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name in configuration, logs, metrics and answers.
    pub name: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    /// Makes it from its configuration.
    pub build: fn(&ProviderConfig, &http::Http) -> Result<Roles, ConfigError>,
}

/// What an upstream can do for us; most can do one thing.
#[derive(Clone, Default)]
pub struct Roles {
    /// Serves klines.
    pub klines: Option<Arc<dyn KlineProvider>>,
}

/// The unit of work: what one upstream exchange can answer. Retry, breaker, quota, timeout and de-duplication count
/// slices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// Which klines.
    pub series: Series,
    /// Whole slots; for archives the file's whole period.
    pub range: TimeRange,
    /// How the upstream is asked.
    pub form: Form,
}

/// How an upstream is asked for a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// A query for a range of klines.
    Page,
    /// The file of one UTC day.
    Day,
    /// The file of one calendar month, UTC.
    Month,
}

impl Form {
    /// A stable word for machines and for the trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Form::Page => "page",
            Form::Day => "day",
            Form::Month => "month",
        }
    }
}

/// What an upstream can supply of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// In which form.
    pub supply: Supply,
    /// Whether a row missing between the rows of its answer proves that the exchange has none. An answer without any row
    /// proves nothing alone, and archives prove nothing by absence.
    pub authoritative: bool,
}

impl Offer {
    /// Whether any range can be asked for, rather than whole files.
    pub fn serves_pages(&self) -> bool {
        matches!(self.supply, Supply::Pages { .. })
    }
}

/// The forms in which an upstream supplies klines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// Any range, so many klines at a time.
    Pages {
        /// Klines per page at the most.
        rows_max: u32,
        /// Microseconds a page may span at the most, if that is limited too.
        span_max: Option<i64>,
    },
    /// Files of whole UTC days and months.
    Archives {
        /// Whether there are daily files of this interval.
        days: bool,
        /// Whether there are monthly files of this interval.
        months: bool,
        /// Microseconds after the end of a day when its file can be expected.
        day_lag: i64,
        /// Microseconds after the end of a month when its file can be expected.
        month_lag: i64,
    },
}

/// How requests to an upstream are counted against its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSpec {
    /// Series with the same group share one limit.
    pub group: &'static str,
    /// Weight per minute that the upstream allows.
    pub weight_per_minute: u32,
    /// Weight of this slice.
    pub weight: u32,
}

/// A slice's answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The klines, all inside the slice's range; possibly fewer than asked for.
    pub batch: Batch,
    /// The part of the slice this is the whole answer for: the slice's range, or less when a page was cut short.
    pub answered: TimeRange,
    /// What vouches for the klines.
    pub verification: Verification,
    /// What the parser had to put right or withhold.
    pub repairs: Repairs,
    /// The upstream's own count of the weight used in this minute, if it sent one.
    pub used_weight: Option<u32>,
}

/// An instrument, as the exchange lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The exchange's spelling.
    pub symbol: String,
    /// What is bought and sold.
    pub base: String,
    /// What it is paid in.
    pub quote: String,
    /// The exchange's word for whether it trades: `TRADING`, `BREAK`, `HALT`, …
    pub status: String,
    /// When it was listed, where the exchange says so.
    pub listed_at: Option<Timestamp>,
}

/// Serves klines.
#[async_trait]
pub trait KlineProvider: Send + Sync + 'static {
    /// The name in the catalogue.
    fn name(&self) -> ProviderName;

    /// What it can supply of a series; `None`: nothing.
    fn offer(&self, series: &Series) -> Option<Offer>;

    /// How a slice counts against a limit; `None`: it does not.
    fn quota(&self, slice: &Slice) -> Option<QuotaSpec>;

    /// Asks once. Rows outside the slice's range are an error, never returned.
    async fn fetch(&self, slice: &Slice) -> Result<Fetched, FetchError>;

    /// An instant before which this upstream has no kline of the series: the first kline's open time, or earlier.
    /// `Ok(None)` when it cannot tell.
    async fn first_open(&self, series: &Series) -> Result<Option<Timestamp>, FetchError>;

    /// The exchange's clock, `Ok(None)` when this upstream does not show it.
    async fn server_time(&self, market: Market) -> Result<Option<Timestamp>, FetchError>;

    /// The instruments of a market; `Ok(None)` when this upstream does not list them.
    async fn instruments(&self, market: Market) -> Result<Option<Vec<Instrument>>, FetchError>;

    /// Halts of the exchange that are known beforehand, as ranges in which klines may be missing for good.
    fn known_halts(&self, series: &Series) -> &'static [TimeRange];

    /// The cheapest evidence that it answers at all.
    async fn probe(&self) -> Result<(), FetchError>;
}

/// Why a slice was not answered. The variant *is* the policy; see [`FetchError::policy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It answered that it does not have this: 404 for an archive.
    #[error("{0}")]
    Absent(String),
    /// It answered that there is no such symbol.
    #[error("{0}")]
    UnknownSymbol(String),
    /// It refused the question itself: probably our bug or configuration.
    #[error("{0}")]
    Rejected(String),
    /// It told us to stay away (429, 418, 403, 451).
    #[error("{why} (retry in {} s)", retry_after.as_secs())]
    Throttled {
        /// For how long.
        retry_after: Duration,
        /// What it said.
        why: String,
    },
    /// No usable answer came: DNS, connect, TLS, reset, timeout, 5xx.
    #[error("{why}")]
    Unreachable {
        /// What happened.
        why: String,
        /// Whether asking again at once may help; not for errors that a CDN keeps for seconds, nor for TLS failures.
        retry: bool,
    },
    /// An answer came and is wrong: checksum, truncated archive, HTML for JSON, bad rows.
    #[error("{0}")]
    Corrupt(String),
    /// We did not ask: quarantined, breaker open, quota or deadline spent.
    #[error("{0}")]
    Refused(String),
}

/// What follows from a [`FetchError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A stable word for machines.
    pub kind: &'static str,
    /// Whether the same upstream is asked again.
    pub retry: bool,
    /// What the breaker learns.
    pub verdict: Verdict,
}

/// What a breaker learns from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The upstream works.
    Success,
    /// The upstream does not work.
    Failure,
    /// Says nothing about the upstream.
    Ignored,
    /// The upstream works and wants to be left alone: a matter for the quarantine.
    Throttled,
}

impl FetchError {
    /// What follows: retry here or not, and what the breaker learns. The next upstream is always asked.
    pub fn policy(&self) -> Policy {
        let policy = |kind, retry, verdict| Policy { kind, retry, verdict };
        match self {
            FetchError::Absent(_) => policy("absent", false, Verdict::Success),
            FetchError::UnknownSymbol(_) => policy("unknown_symbol", false, Verdict::Success),
            FetchError::Rejected(_) => policy("rejected", false, Verdict::Ignored),
            FetchError::Throttled { .. } => policy("throttled", false, Verdict::Throttled),
            FetchError::Unreachable { retry, .. } => policy("unreachable", *retry, Verdict::Failure),
            FetchError::Corrupt(_) => policy("corrupt", true, Verdict::Failure),
            FetchError::Refused(_) => policy("refused", false, Verdict::Ignored),
        }
    }
}
