//! What an operator must know: for every upstream whether it is asked, since when not, and when it will be again.

use std::time::Duration;

use crate::answer::ProviderName;
use crate::model::range::Timestamp;

/// A snapshot of everything that can go wrong.
#[derive(Clone, Debug)]
pub struct Health {
    /// When it was taken; UTC.
    pub at: Timestamp,
    /// In the catalogue's order.
    pub upstreams: Vec<UpstreamHealth>,
    /// Since when most remote upstreams fail together, which points at our own line rather than at them.
    pub common_cause_since: Option<Timestamp>,
    /// Why the cache is not written, if it is not.
    pub cache_readonly: Option<String>,
    /// What callers got of `prices` and `sentiment`.
    pub latest: Vec<LatestHealth>,
}

/// How one kind of latest values was answered, since the client was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestHealth {
    /// `prices`, `sentiment`.
    pub cache_name: &'static str,
    /// Answers that were fresh.
    pub fresh_served: u64,
    /// Answers from what was known last, because nobody answered.
    pub stale_served: u64,
    /// Answers refused, because nobody answered and what was known last was too old, or nothing was.
    pub stale_refused: u64,
    /// Whether the last answer of it was one of the latter two.
    pub not_fresh: bool,
}

/// One upstream.
#[derive(Clone, Debug)]
pub struct UpstreamHealth {
    /// Its name in the catalogue.
    pub provider: ProviderName,
    /// What it serves: `klines`, `prices`, `sentiment`.
    pub serves: Vec<&'static str>,
    /// All of the below in one word.
    pub status: Status,
    /// Since when the status is what it is; when the client was made, if it was so before.
    pub status_since: Timestamp,
    /// The breaker's state: `closed`, `open`, `half_open`.
    pub state: CircuitState,
    /// Whether the breaker keeps calls back, or lets them through one by one.
    pub circuit_open: bool,
    /// Whether the state was set by hand.
    pub forced: bool,
    /// Failures since the last success.
    pub failure_count: u32,
    /// Calls that succeeded, since the client was made.
    pub success_count: u64,
    /// Calls that failed, since the client was made.
    pub failures_total: u64,
    /// Calls not made, since the client was made: circuit open, quarantine, quota, deadline.
    pub skipped_total: u64,
    /// When the breaker opened; `None` while it is closed.
    pub opened_at: Option<Timestamp>,
    /// How long it stays open this time.
    pub cooldown: Option<Duration>,
    /// When it is asked again: by a probe, or when a quarantine ends.
    pub retry_at: Option<Timestamp>,
    /// Why it is left alone although it works (429, 418, 403, 451), if it is.
    pub quarantine: Option<String>,
    /// Whether its last word, to a call or to a probe, was an answer; `None`: it was not asked yet.
    pub answered_last: Option<bool>,
    /// The last failure, of a call or of a probe, and when.
    pub last_error: Option<(Timestamp, String)>,
    /// When it last answered.
    pub last_success_at: Option<Timestamp>,
    /// Its last probe.
    pub last_probe: Option<Probe>,
    /// How long its last answers and failures took.
    pub latency: Option<Latency>,
    /// What was used of its limit in this minute.
    pub quota: Option<QuotaUse>,
}

/// A look at whether an upstream answers at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it ended; UTC.
    pub at: Timestamp,
    /// What is wrong, if it was not answered.
    pub result: Result<(), String>,
}

impl Probe {
    /// Whether it was answered.
    pub fn is_answered(&self) -> bool {
        self.result.is_ok()
    }

    /// What came of it, in words: `answered`, or what is wrong.
    pub fn what(&self) -> &str {
        match &self.result {
            Ok(()) => "answered",
            Err(why) => why,
        }
    }
}

/// What can be done to a breaker by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Nothing is sent to the upstream until it is closed by hand or reset.
    ForceOpen,
    /// Everything is sent, however much fails. Quarantines are still obeyed.
    ForceClosed,
    /// As after a restart, and any quarantine is lifted.
    Reset,
}

/// An upstream's condition in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Asked and answering, or not asked yet.
    Ok,
    /// Asked, but it failed lately or has yet to prove itself.
    Degraded,
    /// Not asked: it failed.
    Down,
    /// Not asked: it wants to be left alone.
    Quarantined,
}

impl Status {
    /// A stable word for machines: `ok`, `degraded`, `down`, `quarantined`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Degraded => "degraded",
            Status::Down => "down",
            Status::Quarantined => "quarantined",
        }
    }
}

/// A breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// No call goes through.
    Open,
    /// A probe is under way, or calls go through on probation.
    HalfOpen,
}

impl CircuitState {
    /// A stable word for machines: `closed`, `open`, `half_open`.
    pub fn as_str(self) -> &'static str {
        match self {
            CircuitState::Closed => "closed",
            CircuitState::Open => "open",
            CircuitState::HalfOpen => "half_open",
        }
    }
}

/// Quantiles over the last calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// How many calls.
    pub calls: usize,
    /// Half took no longer.
    pub p50: Duration,
    /// 90 % took no longer.
    pub p90: Duration,
    /// 99 % took no longer.
    pub p99: Duration,
}

/// What a question counts for against a limit, if it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// In the upstream's own measure.
    pub weight: u64,
    /// Against which limit, and how it stands.
    pub quota: QuotaUse,
}

/// Weight used of a limit in the current minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// Which limit; upstreams with the same group share it.
    pub group: &'static str,
    /// Used, by us and others behind our address.
    pub used: u32,
    /// What we allow ourselves.
    pub allowed: u32,
    /// What the upstream allows.
    pub limit: u32,
}
