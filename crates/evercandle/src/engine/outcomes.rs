//! How an upstream has done: counts, the last error, and how long its last calls took.

use std::collections::VecDeque;
use std::time::Duration;

use crate::health::{Latency, Probe};
use crate::model::range::{MINUTE, Timestamp};
use crate::provider::{FetchError, Verdict};

/// Calls whose duration is remembered: enough for a 99 % quantile that is not a single call.
const TOOK_MAX: usize = 256;

/// A probe that is answered so long after the last failure says that the failure is over, though nobody has asked a real
/// question since: an upstream that nobody needs would otherwise be called degraded for ever. In microseconds.
const FAILURES_LINGER: i64 = 5 * MINUTE;

/// How an upstream has done since the client was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) skipped: u64,
    pub(crate) last_error: Option<(Timestamp, String)>,
    pub(crate) last_success_at: Option<Timestamp>,
    pub(crate) last_probe: Option<Probe>,
    /// Whether its last word, to a call or to a probe, was an answer.
    pub(crate) answered_last: Option<bool>,
    took: VecDeque<Duration>,
}

impl Outcomes {
    /// A call ended, or was not made.
    pub(crate) fn add(&mut self, sent: bool, result: Result<(), &FetchError>, took: Duration, now: Timestamp) {
        let verdict = result.map_or_else(|e| e.policy().verdict, |()| Verdict::Success);
        if !sent {
            self.skipped += 1;
            return;
        }
        match verdict {
            Verdict::Success => {
                self.successes += 1;
                self.last_success_at = Some(now);
            }
            Verdict::Failure => self.failures += 1,
            Verdict::Ignored | Verdict::Throttled => {}
        }
        if verdict != Verdict::Ignored {
            self.answered_last = Some(verdict != Verdict::Failure);
        }
        // What was asked badly, or given up by the caller, is not the upstream's error.
        if let Err(error) = result
            && matches!(verdict, Verdict::Failure | Verdict::Throttled)
        {
            self.last_error = Some((now, error.to_string()));
        }
        self.remember(took);
    }

    /// A probe ended.
    pub(crate) fn probed(&mut self, failed: Option<String>, took: Duration, now: Timestamp) {
        self.answered_last = Some(failed.is_none());
        if let Some(why) = &failed {
            self.last_error = Some((now, why.clone()));
        }
        let result = failed.map_or(Ok(()), Err);
        self.last_probe = Some(Probe { at: now, result });
        self.remember(took);
    }

    /// Whether its last failure is long over, by an answered probe.
    pub(crate) fn is_long_over(&self) -> bool {
        match (&self.last_probe, &self.last_error) {
            (Some(probe), Some((failed_at, _))) => probe.is_answered() && FAILURES_LINGER <= probe.at.since(*failed_at),
            _ => false,
        }
    }

    fn remember(&mut self, took: Duration) {
        if self.took.len() == TOOK_MAX {
            self.took.pop_front();
        }
        self.took.push_back(took);
    }

    /// Quantiles of the last calls, by nearest rank.
    pub(crate) fn latency(&self) -> Option<Latency> {
        let mut took: Vec<Duration> = self.took.iter().copied().collect();
        took.sort();
        let rank = |percent: usize| took[(took.len() * percent).div_ceil(100).saturating_sub(1)];
        (!took.is_empty()).then(|| Latency {
            calls: took.len(),
            p50: rank(50),
            p90: rank(90),
            p99: rank(99),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_last_calls_sent() {
        let mut outcomes = Outcomes::default();
        assert_eq!(outcomes.latency(), None);
        let now = Timestamp::EPOCH;
        for millis in 0..TOOK_MAX as u64 + 100 {
            outcomes.add(true, Ok(()), Duration::from_millis(millis), now);
        }
        let refused = FetchError::Refused("resting".into());
        outcomes.add(false, Err(&refused), Duration::from_secs(9), now);
        let latency = outcomes.latency().unwrap();
        let millis = [latency.p50, latency.p90, latency.p99].map(|d| d.as_millis());
        assert_eq!((latency.calls, millis), (256, [227, 330, 353]));
        assert_eq!((outcomes.successes, outcomes.skipped, outcomes.failures), (356, 1, 0));
        let down = FetchError::TimedOut("no answer".into());
        outcomes.add(true, Err(&down), Duration::ZERO, now);
        assert_eq!(
            (outcomes.failures, outcomes.last_error),
            (1, Some((now, "no answer".into())))
        );
    }
}
