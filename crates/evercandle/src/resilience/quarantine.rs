//! "Do not call before T": an instruction from the upstream, apart from its failures.
//!
//! A throttled answer shows that the upstream works; counting it as a failure would open the breaker, and the breaker's
//! probe would then call during a ban and lengthen it. So the two are separate, and this one is never shortened by
//! success. Instants are wall time, because a ban outlives the process.

use std::time::Duration;

use crate::model::range::Timestamp;

/// The longest instruction obeyed: the exchange's longest ban. More is a garbled header.
const LONGEST: Duration = Duration::from_secs(3 * 24 * 3600);
/// The shortest: a zero would make us come back at once.
const SHORTEST: Duration = Duration::from_secs(1);

/// Until when an upstream wants to be left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quarantine {
    until: Option<(Timestamp, String)>,
}

impl Quarantine {
    /// The upstream asked to be left alone for `retry_after`. A later end is kept over an earlier one.
    pub(crate) fn extend(&mut self, retry_after: Duration, why: &str, now: Timestamp) {
        let wait = retry_after.clamp(SHORTEST, LONGEST);
        let until = now.plus(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
        if self.until.as_ref().is_none_or(|(end, _)| *end < until) {
            self.until = Some((until, why.to_owned()));
        }
    }

    /// Until when, and why, if that is still to come.
    pub(crate) fn until(&self, now: Timestamp) -> Option<(Timestamp, &str)> {
        self.until
            .as_ref()
            .filter(|(end, _)| *end > now)
            .map(|(end, why)| (*end, why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_end_counts_and_absurd_ones_are_bounded() {
        let now = Timestamp::from_micros(1_000_000_000);
        let mut quarantine = Quarantine::default();
        assert_eq!(quarantine.until(now), None);
        quarantine.extend(Duration::from_secs(60), "429", now);
        quarantine.extend(Duration::from_secs(5), "429 again", now);
        assert_eq!(quarantine.until(now), Some((now.plus(60_000_000), "429")));
        assert_eq!(quarantine.until(now.plus(60_000_000)), None);
        quarantine.extend(Duration::from_secs(u64::MAX), "garbled", now);
        assert_eq!(quarantine.until(now).unwrap().0, now.plus(3 * 24 * 3_600_000_000));
    }
}
