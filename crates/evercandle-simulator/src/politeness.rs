//! Whether those who asked kept to the limits: the weight of every minute, and calls made while told to wait.
//!
//! A library that stays under a quota by luck looks like one that stays under it by design, until the day it matters.
//! So the simulator remembers the peak of every window, and counts whoever knocks before the `Retry-After` it was given
//! has passed by the simulator's clock. Over a socket a caller needs a moment to hear of a refusal; what it had sent by
//! then does not count.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use crate::time::SECOND;

/// Windows remembered; older ones are forgotten.
const WINDOWS_MAX: usize = 100_000;

/// How much of a quota one window saw used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeakWeight {
    /// Who shares the quota: `binance-spot`, `binance-market-data`, `binance-futures`, `binance-futures-data`,
    /// `binance-futures-funding`,
    /// `coingecko`, or `coingecko:` and a key.
    pub pool: String,
    /// When the minute began (or the five minutes, for `binance-futures-data` and `-funding`), in microseconds.
    pub minute: i64,
    /// The weight used in it, refused calls included.
    pub used: u32,
    /// The weight allowed.
    pub limit: u32,
}

impl PeakWeight {
    /// The share used, 1 being the limit.
    pub fn share(&self) -> f64 {
        f64::from(self.used) / f64::from(self.limit.max(1))
    }
}

/// What a pool has been told.
#[derive(Debug, Clone, Copy)]
struct Quarantine {
    /// By the simulator's clock: when the wait is over.
    until: i64,
    /// By the machine's: from when on the caller knows. A call that was under way before is no offence.
    heard: i64,
}

/// The record of one simulator.
#[derive(Debug, Default)]
pub(crate) struct Politeness {
    peaks: Mutex<BTreeMap<(i64, String), (u32, u32)>>,
    quarantines: Mutex<HashMap<String, Quarantine>>,
    knocks: AtomicUsize,
}

impl Politeness {
    /// Notes what a window has seen used so far.
    pub(crate) fn used(&self, pool: &str, minute: i64, used: u32, limit: u32) {
        let mut peaks = self.peaks.lock();
        if peaks.len() >= WINDOWS_MAX {
            peaks.pop_first();
        }
        let peak = peaks.entry((minute, pool.to_owned())).or_default();
        *peak = (peak.0.max(used), limit);
    }

    pub(crate) fn peaks(&self) -> Vec<PeakWeight> {
        let row = |((minute, pool), (used, limit)): (&(i64, String), &(u32, u32))| PeakWeight {
            pool: pool.clone(),
            minute: *minute,
            used: *used,
            limit: *limit,
        };
        self.peaks.lock().iter().map(row).collect()
    }

    /// Whether a call arrives at a pool that knows it has to wait; counted if so.
    pub(crate) fn knocks(&self, pool: &str, now: i64, elapsed: i64) -> bool {
        let quarantines = self.quarantines.lock();
        let told = quarantines.get(pool);
        let early = told.is_some_and(|told| now < told.until && elapsed >= told.heard);
        if early {
            self.knocks.fetch_add(1, Ordering::Relaxed);
        }
        early
    }

    /// A pool has been told to wait for so many seconds, and will have heard of it at `heard`.
    pub(crate) fn told_to_wait(&self, pool: &str, now: i64, seconds: i64, heard: i64) {
        let until = now.saturating_add(seconds.saturating_mul(SECOND));
        let mut quarantines = self.quarantines.lock();
        match quarantines.get_mut(pool) {
            Some(told) if now < told.until => told.until = until.max(told.until),
            _ => drop(quarantines.insert(pool.to_owned(), Quarantine { until, heard })),
        }
    }

    pub(crate) fn calls_in_quarantine(&self) -> usize {
        self.knocks.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_before_the_wait_is_over_counts_and_one_after_it_does_not() {
        let record = Politeness::default();
        assert!(!record.knocks("a", 0, 0));
        record.told_to_wait("a", 0, 5, 0);
        assert!(record.knocks("a", 5 * SECOND - 1, 1));
        assert!(!record.knocks("b", 1, 1) && !record.knocks("a", 5 * SECOND, 1));
        assert_eq!(record.calls_in_quarantine(), 1);
    }

    #[test]
    fn a_call_under_way_before_the_refusal_was_heard_is_no_offence() {
        let record = Politeness::default();
        record.told_to_wait("a", 0, 5, 100);
        assert!(!record.knocks("a", 1, 99));
        // A second refusal makes the wait longer, not the news newer.
        record.told_to_wait("a", 1, 9, 200);
        assert!(record.knocks("a", 6 * SECOND, 100));
    }

    #[test]
    fn the_peak_of_a_minute_is_its_highest_reading() {
        let record = Politeness::default();
        for used in [2, 7, 4] {
            record.used("a", 60, used, 10);
        }
        assert_eq!(record.peaks()[0].share(), 0.7);
    }
}
