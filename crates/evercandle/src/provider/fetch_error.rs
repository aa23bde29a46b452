//! Why an upstream did not give what it was asked for, and what follows.
//!
//! The variant *is* the policy: whether the same upstream is asked again, and what its breaker learns. A provider picks
//! the variant, the engine obeys it, and nobody else looks at status codes.

use std::time::Duration;

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
        /// Whether it said for how long; otherwise `retry_after` is our guess, which grows when it was too short.
        told: bool,
        /// What it said.
        why: String,
    },
    /// No usable answer came: DNS, connect, TLS, reset, 5xx.
    #[error("{why}")]
    Unreachable {
        /// What happened.
        why: String,
        /// Whether asking again at once may help; not for errors that a CDN keeps for seconds, nor for TLS failures.
        retry: bool,
    },
    /// It kept us waiting longer than anything useful takes: for a connection, for headers, within a body. What is left
    /// of the caller's time is better spent on the next upstream.
    #[error("{0}")]
    TimedOut(String),
    /// An answer came and is wrong: checksum, truncated archive, HTML for JSON, bad rows.
    #[error("{0}")]
    Corrupt(String),
    /// Our own code failed on the answer. What it was is in the log.
    #[error("{0}")]
    Panicked(String),
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
    /// The same, saying nothing of a secret.
    pub fn without(self, secret: &str) -> FetchError {
        let hide = |text: String| text.replace(secret, "***");
        match self {
            FetchError::Absent(why) => FetchError::Absent(hide(why)),
            FetchError::UnknownSymbol(why) => FetchError::UnknownSymbol(hide(why)),
            FetchError::Rejected(why) => FetchError::Rejected(hide(why)),
            FetchError::Throttled { retry_after, told, why } => FetchError::Throttled {
                retry_after,
                told,
                why: hide(why),
            },
            FetchError::Unreachable { why, retry } => FetchError::Unreachable { why: hide(why), retry },
            FetchError::TimedOut(why) => FetchError::TimedOut(hide(why)),
            FetchError::Corrupt(why) => FetchError::Corrupt(hide(why)),
            FetchError::Panicked(why) => FetchError::Panicked(hide(why)),
            FetchError::Refused(why) => FetchError::Refused(hide(why)),
        }
    }

    /// What follows: retry here or not, and what the breaker learns. The next upstream is always asked.
    pub fn policy(&self) -> Policy {
        let policy = |kind, retry, verdict| Policy { kind, retry, verdict };
        match self {
            FetchError::Absent(_) => policy("absent", false, Verdict::Success),
            FetchError::UnknownSymbol(_) => policy("unknown_symbol", false, Verdict::Success),
            FetchError::Rejected(_) => policy("rejected", false, Verdict::Ignored),
            FetchError::Throttled { .. } => policy("throttled", false, Verdict::Throttled),
            FetchError::Unreachable { retry, .. } => policy("unreachable", *retry, Verdict::Failure),
            FetchError::TimedOut(_) => policy("timed_out", false, Verdict::Failure),
            FetchError::Corrupt(_) => policy("corrupt", true, Verdict::Failure),
            FetchError::Panicked(_) => policy("panicked", false, Verdict::Failure),
            FetchError::Refused(_) => policy("refused", false, Verdict::Ignored),
        }
    }
}
