//! Serving klines: the unit of work, what can be offered, what comes back.

use async_trait::async_trait;

use super::{FetchError, Provider};
use crate::answer::Verification;
use crate::model::batch::Batch;
use crate::model::builder::Repairs;
use crate::model::range::{TimeRange, Timestamp};
use crate::model::series::{Market, Series};

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
pub trait KlineProvider: Provider {
    /// What it can supply of a series; `None`: nothing.
    fn offer(&self, series: &Series) -> Option<Offer>;

    /// Asks once. Rows outside the slice's range are an error, never returned.
    async fn fetch(&self, slice: &Slice) -> Result<Fetched, FetchError>;

    /// An instant before which this upstream has no kline of the series: the first kline's open time, or earlier.
    /// `Ok(None)` when it cannot tell.
    async fn first_open(&self, series: &Series) -> Result<Option<Timestamp>, FetchError>;

    /// The exchange's clock, `Ok(None)` when this upstream does not show it.
    async fn server_time(&self, market: Market) -> Result<Option<Timestamp>, FetchError>;

    /// Whether it lists the instruments of a market.
    fn lists(&self, market: Market) -> bool;

    /// The instruments of a market that it lists.
    async fn instruments(&self, market: Market) -> Result<Vec<Instrument>, FetchError>;

    /// Halts of the exchange that are known beforehand, as ranges in which klines may be missing for good.
    fn known_halts(&self, series: &Series) -> &'static [TimeRange];
}
