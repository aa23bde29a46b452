//! Request weight per minute, corrected by the upstream's own count.
//!
//! The limit belongs to our address, not to this process: others may be spending it too. So weight is charged before a
//! request is sent, and whatever higher number the upstream reports replaces our own. The window is the upstream's wall
//! minute, not sixty seconds from our first request.
//!
//! Not everybody may spend the last of it. A backfill of years would leave nothing for somebody who waits for a page,
//! and both together nothing for the probe that finds out whether the upstream works.
//!
//! The upstream's time is an estimate, and may step back: over a minute's edge by milliseconds, or by hours when a clock
//! is set. The count of one minute ago is remembered for the first, and nothing beyond for the second, so that a clock
//! set back costs a minute's wait at the most.

use std::time::Duration;

use crate::model::range::{MINUTE, Timestamp};

/// What probes alone may spend, as a share of the allowance; at least 1.
const PROBES_PERCENT: u32 = 1;

/// Who wants to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Nobody waits for it: a backfill, a refresh.
    Bulk,
    /// Somebody waits for it.
    Interactive,
    /// Finds out whether the upstream works, or what time it has.
    Probe,
}

/// Weight spent of one limit in the current minute.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    /// The upstream's limit, weight per minute.
    limit: u32,
    /// What is ours of the limit.
    percent: u32,
    /// What bulk leaves of ours.
    reserve_percent: u32,
    /// Since the epoch.
    minute: i64,
    /// Weight spent in it.
    used: u32,
    /// Weight spent in the minute before it.
    used_before: u32,
}

/// How much of a limit is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// Weight in this minute, by our count or the upstream's.
    pub(crate) used: u32,
    /// What we allow ourselves.
    pub(crate) allowed: u32,
    /// What the upstream allows our address.
    pub(crate) limit: u32,
}

impl Quota {
    /// `percent` of the upstream's `weight_per_minute` is ours to use, and `reserve_percent` of that is not for bulk.
    pub(crate) fn new(weight_per_minute: u32, percent: u32, reserve_percent: u32) -> Quota {
        Quota {
            limit: weight_per_minute,
            percent,
            reserve_percent,
            minute: 0,
            used: 0,
            used_before: 0,
        }
    }

    /// Charges `weight`, or says how long until the next minute. `now` is the upstream's wall time. A weight above the
    /// whole of what its class may use is let through in an unused minute rather than never.
    pub(crate) fn charge(&mut self, weight: u32, class: Class, now: Timestamp) -> Result<(), Duration> {
        self.turn(now);
        if self.used > 0 && self.used.saturating_add(weight) > self.open_to(class) {
            let wait = MINUTE - now.as_micros().rem_euclid(MINUTE);
            return Err(Duration::from_micros(wait.unsigned_abs()));
        }
        self.used = self.used.saturating_add(weight);
        Ok(())
    }

    /// The upstream reported its own count in an answer stamped `at`. Reports arrive out of order, so only a higher one
    /// counts, and none from an earlier minute than that of `now`.
    pub(crate) fn correct(&mut self, reported: u32, at: Timestamp, now: Timestamp) {
        self.turn(now);
        if minute(at) >= self.minute {
            self.used = self.used.max(reported);
        }
    }

    /// The upstream published its limit.
    pub(crate) fn publish(&mut self, weight_per_minute: u32) {
        self.limit = weight_per_minute;
    }

    /// How much is spent in the minute of `now`.
    pub(crate) fn used(&mut self, now: Timestamp) -> Used {
        self.turn(now);
        Used {
            used: self.used,
            allowed: self.allowed(),
            limit: self.limit,
        }
    }

    fn allowed(&self) -> u32 {
        share(self.limit, self.percent).max(1)
    }

    fn open_to(&self, class: Class) -> u32 {
        let allowed = self.allowed();
        let kept = match class {
            Class::Bulk => share(allowed, self.reserve_percent),
            Class::Interactive => share(allowed, PROBES_PERCENT).max(1),
            Class::Probe => 0,
        };
        allowed - kept
    }

    fn turn(&mut self, now: Timestamp) {
        let minute = minute(now);
        (self.used, self.used_before) = match minute - self.minute {
            0 => (self.used, self.used_before),
            1 => (0, self.used),
            -1 => (self.used_before, 0),
            _ => (0, 0),
        };
        self.minute = minute;
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MINUTE)
}

/// `percent` of `whole`, rounded down, and never more than the whole.
fn share(whole: u32, percent: u32) -> u32 {
    let share = u64::from(whole) * u64::from(percent.min(100)) / 100;
    u32::try_from(share).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Bulk, Interactive, Probe};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn used(quota: &mut Quota, seconds: i64) -> u32 {
        quota.used(at(seconds)).used
    }

    /// How much weight each class can spend in a minute when it asks for one at a time.
    fn spendable(mut quota: Quota, class: Class) -> usize {
        (0..10_000)
            .take_while(|_| quota.charge(1, class, at(0)).is_ok())
            .count()
    }

    #[test]
    fn weight_is_charged_up_to_the_margin_and_again_in_the_next_wall_minute() {
        let mut quota = Quota::new(10, 80, 0);
        assert_eq!(quota.charge(5, Probe, at(50)), Ok(()));
        assert_eq!(quota.charge(3, Probe, at(51)), Ok(()));
        assert_eq!(quota.charge(1, Probe, at(51)), Err(Duration::from_secs(9)));
        assert_eq!(quota.charge(1, Probe, at(60)), Ok(()));
        let expected = Used {
            used: 1,
            allowed: 8,
            limit: 10,
        };
        assert_eq!(quota.used(at(60)), expected);
        assert_eq!(quota.charge(8, Probe, at(60)), Err(Duration::from_secs(60)));
    }

    /// Goal: a backfill leaves room for somebody who waits, and both leave room for a probe.
    #[test]
    fn each_class_leaves_something_to_those_more_urgent() {
        for (limit, percent, reserve, [bulk, interactive, probe]) in [
            (6_000, 80, 25, [3_600, 4_752, 4_800]),
            (6_000, 80, 0, [4_800, 4_752, 4_800]),
            (1_000, 100, 50, [500, 990, 1_000]),
            (10, 80, 50, [4, 7, 8]),
            (10, 200, 0, [10, 9, 10]),
            // With next to nothing allowed, or nothing, the first of a minute still goes.
            (10, 100, 100, [1, 9, 10]),
            (10, 100, 900, [1, 9, 10]),
            (1, 80, 25, [1, 1, 1]),
            (0, 80, 25, [1, 1, 1]),
        ] {
            let quota = Quota::new(limit, percent, reserve);
            let spendable = [Bulk, Interactive, Probe].map(|class| spendable(quota.clone(), class));
            assert_eq!(
                spendable,
                [bulk, interactive, probe],
                "{percent} % of {limit}, {reserve} % kept"
            );
        }
    }

    #[test]
    fn the_upstreams_count_corrects_ours_upward_only() {
        let mut quota = Quota::new(10, 80, 0);
        assert_eq!(quota.charge(2, Bulk, at(1)), Ok(()));
        quota.correct(7, at(2), at(2));
        quota.correct(3, at(2), at(2));
        assert_eq!(used(&mut quota, 2), 7);
        assert!(quota.charge(2, Bulk, at(3)).is_err());
    }

    /// Goal: an answer sent before the minute turned does not fill the new one.
    #[test]
    fn a_report_from_an_earlier_minute_is_ignored() {
        let mut quota = Quota::new(10, 80, 0);
        quota.correct(7, at(59), at(60));
        assert_eq!(used(&mut quota, 60), 0);
        quota.correct(6, at(60), at(60));
        assert_eq!(used(&mut quota, 60), 6);
        // The upstream's clock may be ahead of our estimate of it.
        quota.correct(7, at(120), at(119));
        assert_eq!(used(&mut quota, 119), 7);
    }

    #[test]
    fn a_weight_above_the_whole_limit_is_sent_alone_rather_than_never() {
        for class in [Bulk, Interactive, Probe] {
            let mut quota = Quota::new(10, 80, 50);
            assert_eq!(quota.charge(50, class, at(1)), Ok(()));
            assert!(quota.charge(1, Probe, at(2)).is_err());
            assert!(quota.charge(50, class, at(60)).is_ok());
            assert!(quota.charge(u32::MAX, class, at(60)).is_err());
        }
    }

    #[test]
    fn a_published_limit_replaces_the_one_assumed() {
        let mut quota = Quota::new(10, 80, 0);
        assert_eq!(quota.charge(8, Probe, at(0)), Ok(()));
        quota.publish(20);
        assert_eq!(quota.charge(8, Probe, at(0)), Ok(()));
        let expected = Used {
            used: 16,
            allowed: 16,
            limit: 20,
        };
        assert_eq!(quota.used(at(0)), expected);
        quota.publish(u32::MAX);
        assert_eq!(quota.used(at(0)).allowed, 3_435_973_836);
    }

    /// Goal: an estimate of the upstream's time that wavers around a full minute does not spend a minute twice.
    #[test]
    fn a_step_back_over_the_edge_finds_the_earlier_minutes_count() {
        let mut quota = Quota::new(10, 80, 0);
        assert_eq!(quota.charge(8, Probe, at(59)), Ok(()));
        assert_eq!(quota.charge(2, Probe, at(60)), Ok(()));
        assert_eq!(used(&mut quota, 59), 8);
        assert_eq!(quota.charge(1, Probe, at(59)), Err(Duration::from_secs(1)));
        assert_eq!(used(&mut quota, 60), 0);
        assert_eq!(used(&mut quota, 120), 0);
        assert_eq!(used(&mut quota, 60), 0);
        assert_eq!(used(&mut quota, 59), 0);
    }

    /// Goal: a wall clock that is set back locks nobody out for longer than a minute.
    #[test]
    fn a_clock_set_back_costs_a_minute_at_the_most() {
        for back in 1..=300 {
            let mut quota = Quota::new(10, 80, 0);
            assert_eq!(quota.charge(8, Probe, at(939)), Ok(()));
            assert_eq!(quota.charge(8, Probe, at(999)), Ok(()));
            let (set_to, mut waited) = (999 - back, 0);
            while let Err(wait) = quota.charge(8, Probe, at(set_to + waited)) {
                waited += i64::try_from(wait.as_secs()).unwrap();
                assert!((1..=60).contains(&waited), "set back by {back} s, waited {waited} s");
            }
        }
    }
}
