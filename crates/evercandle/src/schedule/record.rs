//! What came of refreshing: the record that operators read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::ProviderName;
use crate::model::interval::Interval;
use crate::model::range::Timestamp;
use crate::model::series::Market;

/// A kind of thing that is kept warm; each has its own period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKind {
    /// The newest klines of the watched series.
    Klines,
    /// The newest prices.
    Prices,
    /// The sentiment.
    Sentiment,
}

impl JobKind {
    /// In the order they are reported.
    pub const ALL: [JobKind; 3] = [JobKind::Klines, JobKind::Prices, JobKind::Sentiment];

    /// A stable word for machines: `klines`, `prices`, `sentiment`.
    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::Klines => "klines",
            JobKind::Prices => "prices",
            JobKind::Sentiment => "sentiment",
        }
    }
}

/// The scheduler as it stands.
#[derive(Clone, Debug)]
pub struct ScheduleStatus {
    /// Whether anything is to be refreshed at all.
    pub enabled: bool,
    /// Whether its loop is alive.
    pub running: bool,
    /// One per kind that has a watch, in the order of [`JobKind::ALL`].
    pub jobs: Vec<JobStatus>,
}

/// One kind of refresh.
#[derive(Clone, Debug)]
pub struct JobStatus {
    /// Which.
    pub kind: JobKind,
    /// Between the beginnings of two runs.
    pub every: Duration,
    /// How many series or instruments are watched.
    pub watches: usize,
    /// How many of them rest because they failed.
    pub resting: usize,
    /// When the run under way began, if one is.
    pub running_since: Option<Timestamp>,
    /// When the next run begins; `None` while one is under way or the scheduler does not run.
    pub next_run_at: Option<Timestamp>,
    /// Runs completed since the scheduler was made.
    pub runs: u64,
    /// Ticks that were skipped because the run before had not ended.
    pub skipped: u64,
    /// The last run that completed.
    pub last_run: Option<Arc<Run>>,
}

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// Of which kind.
    pub kind: JobKind,
    /// Which one, from 1.
    pub number: u64,
    /// When it began; UTC.
    pub started_at: Timestamp,
    /// When it ended; UTC.
    pub completed_at: Timestamp,
    /// How long it took, by the monotonic clock.
    pub duration: Duration,
    /// All in one word.
    pub status: RunStatus,
    /// Distinct symbols that were to be refreshed.
    pub symbols: usize,
    /// Distinct symbols for which everything went well.
    pub successful_symbols: usize,
    /// What went wrong.
    pub errors: Vec<RunError>,
    /// Upstreams that supplied something, and how many answers each.
    pub providers: BTreeMap<ProviderName, u64>,
    /// Answers for which nobody had to be asked.
    pub cached: u64,
    /// Watches passed over because they rest after failures.
    pub resting: u64,
    /// Whether anything of a market was refreshed, of each that was asked for.
    pub served: BTreeMap<Market, bool>,
}

/// A run in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Everything was refreshed.
    Ok,
    /// Something was not, or all of it only because others stood in for an upstream that did not answer.
    Degraded,
    /// Nothing was.
    Failed,
}

impl RunStatus {
    /// A stable word for machines: `ok`, `degraded`, `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Ok => "ok",
            RunStatus::Degraded => "degraded",
            RunStatus::Failed => "failed",
        }
    }
}

/// One watch that could not be refreshed, or not as it should be; or, with `provider`, an upstream that others stood in
/// for.
#[derive(Clone, Debug, PartialEq)]
pub struct RunError {
    /// The upstream that others stood in for, if this is about one.
    pub provider: Option<ProviderName>,
    /// Of which market; `None` for the sentiment and for an upstream.
    pub market: Option<Market>,
    /// Which instrument; `None` for the sentiment and for an upstream.
    pub symbol: Option<String>,
    /// Which interval, for klines.
    pub interval: Option<Interval>,
    /// What is wrong, in words.
    pub what: String,
    /// What every upstream said.
    pub reasons: Vec<(ProviderName, String)>,
    /// Failures in a row, this one included; for an upstream, answers that had to do without it.
    pub failures: u32,
    /// When it is tried again; `None`: in the next run.
    pub retry_at: Option<Timestamp>,
}
