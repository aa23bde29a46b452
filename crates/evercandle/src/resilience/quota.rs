//! Request weight per minute, corrected by the upstream's own count.
//!
//! The limit belongs to our address, not to this process: others may be spending it too. So weight is charged before a
//! request is sent, and whatever higher number the upstream reports replaces our own. The window is the upstream's wall
//! minute, not sixty seconds from our first request.

use std::time::Duration;

use crate::model::range::{MINUTE, Timestamp};

/// Weight spent of one limit in the current minute.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    limit: u32,
    minute: i64,
    used: u32,
}

impl Quota {
    /// `percent` of the upstream's published `weight_per_minute` is ours to use.
    pub(crate) fn new(weight_per_minute: u32, percent: u32) -> Quota {
        let limit = u64::from(weight_per_minute) * u64::from(percent.min(100)) / 100;
        Quota {
            limit: u32::try_from(limit).unwrap_or(u32::MAX).max(1),
            minute: 0,
            used: 0,
        }
    }

    /// Charges `weight`, or says how long until the next minute. A weight above the whole limit is let through in an
    /// unused minute rather than never.
    pub(crate) fn charge(&mut self, weight: u32, now: Timestamp) -> Result<(), Duration> {
        self.turn(now);
        if self.used > 0 && self.used.saturating_add(weight) > self.limit {
            let wait = MINUTE - now.as_micros().rem_euclid(MINUTE);
            return Err(Duration::from_micros(wait.unsigned_abs()));
        }
        self.used = self.used.saturating_add(weight);
        Ok(())
    }

    /// The upstream reported its own count for this minute. Reports arrive out of order, so only a higher one counts.
    pub(crate) fn correct(&mut self, reported: u32, now: Timestamp) {
        self.turn(now);
        self.used = self.used.max(reported);
    }

    #[cfg(test)]
    /// Weight used in the minute of `now`, and the weight we allow ourselves.
    pub(crate) fn used(&mut self, now: Timestamp) -> (u32, u32) {
        self.turn(now);
        (self.used, self.limit)
    }

    fn turn(&mut self, now: Timestamp) {
        let minute = now.as_micros() / MINUTE;
        // A wall clock that jumped back must not bring a spent minute's weight with it for ever.
        if minute != self.minute {
            (self.minute, self.used) = (minute, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn weight_is_charged_up_to_the_margin_and_again_in_the_next_wall_minute() {
        let mut quota = Quota::new(10, 80);
        assert_eq!(quota.charge(5, at(50)), Ok(()));
        assert_eq!(quota.charge(3, at(51)), Ok(()));
        assert_eq!(quota.charge(1, at(51)), Err(Duration::from_secs(9)));
        assert_eq!(quota.charge(1, at(60)), Ok(()));
        assert_eq!(quota.used(at(60)), (1, 8));
    }

    #[test]
    fn the_upstreams_count_corrects_ours_upward_only() {
        let mut quota = Quota::new(10, 80);
        assert_eq!(quota.charge(2, at(1)), Ok(()));
        quota.correct(7, at(2));
        quota.correct(3, at(2));
        assert_eq!(quota.used(at(2)), (7, 8));
        assert!(quota.charge(2, at(3)).is_err());
    }

    #[test]
    fn a_weight_above_the_whole_limit_is_sent_alone_rather_than_never() {
        let mut quota = Quota::new(10, 80);
        assert_eq!(quota.charge(50, at(1)), Ok(()));
        assert!(quota.charge(1, at(2)).is_err());
        assert!(quota.charge(50, at(60)).is_ok());
    }
}
