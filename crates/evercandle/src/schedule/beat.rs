//! When a kind of refresh is due: every so often, a little earlier or later each time.
//!
//! A tick that comes while a run is under way, or that nobody was there for (a machine that slept), is skipped and
//! counted. It is never made up for: the next run brings the newest there is anyway, and a queue of runs would only be
//! asked of upstreams that are slow already.

use std::time::Duration;

use tokio::time::Instant;

/// Clocks end somewhere; no pause is longer than ten years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// How often, and how exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    pub(super) every: Duration,
    /// By how much a pause is longer or shorter at the most, as a share of it.
    pub(super) jitter: f64,
}

/// The next tick, and how many passed unnoticed before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) due: Instant,
    pub(super) missed: u64,
}

impl Beat {
    /// The tick after the one at `last`; `roll` is from 0 to 1.
    pub(super) fn after(self, last: Instant, now: Instant, roll: f64) -> Next {
        let pause = self
            .every
            .min(LONGEST)
            .mul_f64((1.0 + self.jitter * (2.0 * roll - 1.0)).max(0.0));
        let due = last + pause;
        if due > now {
            return Next { due, missed: 0 };
        }
        let every = self.every.as_nanos().max(1);
        let missed = now.duration_since(due).as_nanos() / every + 1;
        Next {
            due: now + pause,
            missed: u64::try_from(missed).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_vary_by_the_jitter_and_what_was_slept_through_is_counted_not_made_up_for() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let beat = Beat {
            every: 180 * second,
            jitter: 0.1,
        };
        for (now, roll, due, missed) in [
            (0, 0.5, 180, 0),
            (0, 0.0, 162, 0),
            (0, 1.0, 198, 0),
            (179, 0.5, 180, 0),
            // The tick of this very instant, then one more, then twenty.
            (180, 0.5, 360, 1),
            (361, 0.5, 541, 2),
            (3_600, 0.5, 3_780, 20),
        ] {
            let next = beat.after(start, start + now * second, roll);
            let expected = Next {
                due: start + due * second,
                missed,
            };
            assert_eq!(next, expected, "at {now} s, roll {roll}");
        }
    }

    #[test]
    fn no_jitter_however_large_makes_a_pause_negative() {
        let start = Instant::now();
        let beat = Beat {
            every: Duration::from_secs(10),
            jitter: 9.0,
        };
        assert!(beat.after(start, start, 0.0).due >= start);
    }

    #[test]
    fn a_pause_beyond_the_end_of_clocks_is_a_long_one() {
        let start = Instant::now();
        for every in [Duration::from_millis(u64::MAX), Duration::MAX] {
            let beat = Beat { every, jitter: 0.1 };
            assert!(beat.after(start, start, 1.0).due > start + Duration::from_secs(365 * 24 * 3_600));
        }
    }
}
