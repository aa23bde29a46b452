//! An answer: rows plus their story.
//!
//! Never just rows. Every slot that was asked for is either in a batch, and then in exactly one [`Segment`] that says
//! where it came from, or in exactly one [`Gap`] that says why it is missing. The [`Attempt`]s say what was tried.
//!
//! Most slots of funding rates are quiet: nothing was due in them. They are in no gap, and in the segment of the rates
//! around them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::batch::Batch;
use crate::model::interval::Grid;
use crate::model::range::{TimeRange, Timestamp};
use crate::model::series::Series;

/// The path by which data reaches us: `binance-vision` (archives), `binance` (REST), …
///
/// Not the exchange: two providers may carry the same exchange's klines.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderName(Arc<str>);

impl ProviderName {
    /// Takes a name as it appears in the catalogue, in logs and in metrics.
    pub fn new(name: &str) -> ProviderName {
        ProviderName(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Klines of one series, with where each part came from and what is missing.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked for.
    pub series: Series,
    /// The slots that were asked for: the request's range, rounded up to the grid at both ends.
    pub range: TimeRange,
    /// When klines of the series may open. Provisional for a `3d` series of which no kline was ever seen.
    pub grid: Grid,
    /// The klines, in time order across and within batches. Parts of the cache are mapped, not copied.
    pub batches: Vec<Batch>,
    /// Where the klines came from, in time order.
    pub segments: Vec<Segment>,
    /// What is missing and why, in time order.
    pub gaps: Vec<Gap>,
    /// Whether everybody who might have what is missing rests, so that asking again is of no use before its end.
    pub resting: Option<Resting>,
    /// Every upstream call and every upstream passed over, in order of time.
    pub trail: Vec<Attempt>,
    /// Things the caller should know that are neither rows nor gaps: a cache that could not be written, klines whose
    /// source repeated or contradicted itself, a clock that is off.
    pub notices: Vec<String>,
}

impl Answer {
    /// How many klines there are.
    pub fn len(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }

    /// Whether there is no kline.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether everything that exists was delivered: nobody has anything for any gap ([`GapReason::is_final`]). What has
    /// not closed yet does not exist yet.
    pub fn is_complete(&self) -> bool {
        self.gaps.iter().all(|g| g.reason.is_final())
    }
}

/// A run of klines with one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The slots.
    pub range: TimeRange,
    /// Who supplied them.
    pub origin: Origin,
    /// Whether they were asked for now or remembered.
    pub via: Via,
}

/// Who supplied klines, when, and how they were verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The provider that answered.
    pub provider: ProviderName,
    /// When it answered. Klines that came bit by bit are told as one run, and then it is when the first of them came: an
    /// answer may be younger than it says, and is never older.
    pub fetched_at: Timestamp,
    /// What was checked beyond the structure of the rows.
    pub verification: Verification,
}

/// Whether klines were asked for now or remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Read from the local store.
    Cache,
    /// Fetched for this answer.
    Upstream,
}

impl Via {
    /// A stable word for machines: `cache`, `upstream`.
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Cache => "cache",
            Via::Upstream => "upstream",
        }
    }
}

/// What vouches for klines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verification {
    /// The archive's published SHA-256 matched its bytes (integrity; TLS is what vouches for the publisher).
    Checksum {
        /// Lower-case hex of the archive's SHA-256.
        sha256: String,
        /// The archive's entity tag, if one was sent.
        etag: Option<String>,
    },
    /// Only the structure and the values were checked.
    Structural,
    /// As [`Verification::Structural`], and the kline had closed too recently to be final, or not yet at all; such
    /// klines are never stored.
    Unsettled,
}

impl Verification {
    /// A stable word for machines: `checksum`, `structural`, `unsettled`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verification::Checksum { .. } => "checksum",
            Verification::Structural => "structural",
            Verification::Unsettled => "unsettled",
        }
    }
}

/// Slots that are missing from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The slots.
    pub range: TimeRange,
    /// Why they are missing.
    pub reason: GapReason,
}

/// Why slots are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The instrument was not traded yet.
    BeforeListing,
    /// The kline has not closed (or opens in the future).
    NotYetClosed,
    /// The exchange is known to have halted trading: no kline was ever made.
    VenueHalt,
    /// The exchange itself, asked now or earlier, has no kline here.
    AbsentUpstream,
    /// Nobody that could have it could be asked, or each that was asked failed; what each said.
    NoUpstreamLeft(Vec<(ProviderName, String)>),
}

impl GapReason {
    /// Whether nobody has anything for the gap, so that an answer with it is as complete as can be. For
    /// [`GapReason::NotYetClosed`] that is so until the kline has closed; for the others, for good.
    pub fn is_final(&self) -> bool {
        !matches!(self, GapReason::NoUpstreamLeft(_))
    }

    /// A stable word for machines: `before_listing`, `not_yet_closed`, `venue_halt`, `absent_upstream`,
    /// `no_upstream_left`.
    pub fn as_str(&self) -> &'static str {
        match self {
            GapReason::BeforeListing => "before_listing",
            GapReason::NotYetClosed => "not_yet_closed",
            GapReason::VenueHalt => "venue_halt",
            GapReason::AbsentUpstream => "absent_upstream",
            GapReason::NoUpstreamLeft(_) => "no_upstream_left",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GapReason::BeforeListing => f.write_str("before the symbol was listed"),
            GapReason::NotYetClosed => f.write_str("not yet closed"),
            GapReason::VenueHalt => f.write_str("the exchange had halted trading"),
            GapReason::AbsentUpstream => f.write_str("the exchange has no kline here"),
            GapReason::NoUpstreamLeft(tried) if tried.is_empty() => f.write_str("no upstream could be asked"),
            GapReason::NoUpstreamLeft(tried) => {
                f.write_str("no upstream left")?;
                for (i, (name, why)) in tried.iter().enumerate() {
                    write!(f, "{} {name}: {why}", if i == 0 { ":" } else { ";" })?;
                }
                Ok(())
            }
        }
    }
}

/// Everybody who might have what is missing rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// In how long the first of them may be asked again.
    pub retry_after: Duration,
    /// Why they rest.
    pub reason: RestingReason,
}

/// What work that nobody waits for ([`Priority::Bulk`](crate::Priority::Bulk)) waits for: that somebody who rests may be
/// asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// When the first of them may be asked again.
    pub until: Timestamp,
    /// When it is given up, unless something arrives before.
    pub gives_up_at: Timestamp,
    /// Why each of them cannot be asked now.
    pub reasons: Vec<(ProviderName, String)>,
}

/// Why upstreams rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestingReason {
    /// Each of them wants to be left alone: a limit was met, or we are banned.
    Limited,
    /// At least one of them failed again and again.
    Failing,
}

/// One decision about one upstream and one range: asked, with what result, or passed over.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who.
    pub provider: ProviderName,
    /// For which slots, when klines were asked for.
    pub range: Option<TimeRange>,
    /// What was asked for: `page`, `day`, `month`, `listing`, `time`, `prices`, `readings`, …
    pub form: &'static str,
    /// Which try this was, from 1; 0 when nothing was sent.
    pub number: u32,
    /// Wall time when it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an [`Attempt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many klines.
    Rows(usize),
    /// Something else than klines was asked for and answered.
    Answered,
    /// It failed or was not sent.
    Failed {
        /// A stable word for machines: the fetch error's kind (`absent`, `unreachable`, …).
        kind: &'static str,
        /// What happened.
        why: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Rows(rows) => write!(f, "{rows} klines"),
            Outcome::Answered => f.write_str("answered"),
            Outcome::Failed { kind, why } => write!(f, "{kind}: {why}"),
        }
    }
}
