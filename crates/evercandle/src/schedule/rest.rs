//! Watches that failed, and for how long they are left alone.
//!
//! A watch that fails rests, twice as long each time. Whose fault it was decides when it may come back: a symbol that the
//! exchange does not know waits its time out, while a watch that failed because upstreams did is due again as soon as
//! one of them is heard to answer. Otherwise an outage of an hour would be followed by another hour of old data.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::range::Timestamp;
use crate::schedule::record::RunError;
use crate::schedule::watch::Watch;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// What is watched: nobody has it.
    Watch,
    /// Those who were asked, or could not be.
    Upstreams,
}

/// The watches of one kind that rest.
#[derive(Debug, Default)]
pub(super) struct Rests(HashMap<Watch, Rest>);

/// A watch that failed.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    until: Instant,
    since: Timestamp,
    fault: Fault,
    pub(super) error: RunError,
}

/// How long a rest is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Lengths {
    /// After so many failures in a row.
    fn after(self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

impl Rests {
    /// The rest of a watch, if it is not due yet.
    pub(super) fn of(&self, watch: &Watch, now: Instant) -> Option<&Rest> {
        self.0.get(watch).filter(|rest| rest.until > now)
    }

    /// How many rest.
    pub(super) fn count(&self, now: Instant) -> usize {
        self.0.values().filter(|rest| rest.until > now).count()
    }

    /// A watch went well.
    pub(super) fn end(&mut self, watch: &Watch) {
        self.0.remove(watch);
    }

    /// A watch failed: it rests from `now`, which is `since` on the wall. Completes the error.
    pub(super) fn begin(
        &mut self,
        watch: &Watch,
        fault: Fault,
        error: &mut RunError,
        lengths: Lengths,
        now: Instant,
        since: Timestamp,
    ) {
        let before = self.0.get(watch).map_or(0, |rest| rest.error.failures);
        error.failures = before.saturating_add(1);
        let wait = lengths.after(error.failures);
        error.retry_at = Some(since.plus(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)));
        let rest = Rest {
            until: now + wait,
            since,
            fault,
            error: error.clone(),
        };
        self.0.insert(watch.clone(), rest);
    }

    /// An upstream answered somebody at `heard`: whoever rests since before that because of upstreams is due. How often
    /// each failed stays known until it goes well.
    pub(super) fn wake(&mut self, heard: Timestamp, now: Instant) {
        for rest in self.0.values_mut() {
            if rest.fault == Fault::Upstreams && rest.since < heard {
                rest.until = rest.until.min(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: Lengths = Lengths {
        first: Duration::from_secs(60),
        longest: Duration::from_secs(3_600),
    };

    fn error() -> RunError {
        RunError {
            provider: None,
            market: None,
            symbol: None,
            interval: None,
            what: "nobody answered".to_owned(),
            reasons: Vec::new(),
            failures: 0,
            retry_at: None,
        }
    }

    #[test]
    fn a_rest_doubles_with_each_failure_up_to_the_longest() {
        let seconds = [1, 2, 3, 4, 5, 6, 7, 8, 32, 33, u32::MAX].map(|failures| LENGTHS.after(failures).as_secs());
        assert_eq!(
            seconds,
            [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600, 3_600, 3_600]
        );
    }

    #[test]
    fn a_watch_is_due_when_its_rest_ends_and_its_failures_are_forgotten_when_it_goes_well() {
        let (mut rests, now, second) = (Rests::default(), Instant::now(), Duration::from_secs(1));
        let (watch, wall) = (Watch::Sentiment, Timestamp::EPOCH);
        let mut told = error();
        rests.begin(&watch, Fault::Watch, &mut told, LENGTHS, now, wall);
        assert_eq!((told.failures, told.retry_at), (1, Some(wall.plus(60_000_000))));
        assert!(rests.of(&watch, now + 59 * second).is_some());
        assert!(rests.of(&watch, now + 60 * second).is_none());
        rests.begin(&watch, Fault::Watch, &mut told, LENGTHS, now, wall);
        assert_eq!((told.failures, rests.count(now + 119 * second)), (2, 1));
        rests.end(&watch);
        rests.begin(&watch, Fault::Watch, &mut told, LENGTHS, now, wall);
        assert_eq!(told.failures, 1);
    }

    /// Goal: what upstreams are to blame for ends with their outage, and what they are not does not.
    #[test]
    fn an_upstream_that_answers_wakes_those_it_failed() {
        let (now, fell_asleep) = (Instant::now(), Timestamp::EPOCH.plus(5));
        for (fault, heard, rests_on) in [
            (Fault::Upstreams, 4, true),
            (Fault::Upstreams, 5, true),
            (Fault::Upstreams, 6, false),
            (Fault::Watch, 6, true),
        ] {
            let mut rests = Rests::default();
            rests.begin(&Watch::Sentiment, fault, &mut error(), LENGTHS, now, fell_asleep);
            rests.wake(Timestamp::EPOCH.plus(heard), now);
            assert_eq!(
                rests.of(&Watch::Sentiment, now).is_some(),
                rests_on,
                "{fault:?}, {heard}"
            );
        }
    }
}
