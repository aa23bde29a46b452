//! Files that are not worth asking for now: they were absent or corrupt a while ago.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::model::range::DAY;
use crate::model::series::Series;
use crate::provider::{FetchError, Slice};

/// How long a file that was not there is not asked for again: young ones may be published any minute.
const ABSENT_YOUNG: Duration = Duration::from_secs(600);
const ABSENT_OLD: Duration = Duration::from_secs(6 * 3_600);
/// A file counts as young for so long after the end of its period: publication has been late by a week, but rarely.
const YOUNG: i64 = 3 * DAY;
/// How long a file whose bytes were wrong, twice, is left alone.
const CORRUPT_RESTS: Duration = Duration::from_secs(3_600);
/// Files remembered at the most; beyond, all are forgotten, which costs a request each.
const POOR_FILES_MAX: usize = 10_000;

/// Until when each of them is left alone, and why.
#[derive(Default)]
pub(crate) struct PoorFiles(Mutex<HashMap<Slice, (Instant, FetchError)>>);

impl PoorFiles {
    /// Remembers that a file is absent or corrupt, so that not every request asks for it again. Other errors say nothing
    /// of the file.
    pub(crate) fn add(&self, slice: &Slice, error: &FetchError, clock: &Clock) {
        let rests = match error {
            FetchError::Absent(_) if clock.now().since(slice.range.end()) < YOUNG => ABSENT_YOUNG,
            FetchError::Absent(_) => ABSENT_OLD,
            FetchError::Corrupt(_) => CORRUPT_RESTS,
            _ => return,
        };
        let mut files = self.0.lock();
        if files.len() >= POOR_FILES_MAX {
            files.clear();
        }
        files.insert(slice.clone(), (clock.instant() + rests, error.clone()));
    }

    /// Those of a series, and why.
    pub(crate) fn of(&self, series: &Series, clock: &Clock) -> Vec<(Slice, FetchError)> {
        let (mut files, now) = (self.0.lock(), clock.instant());
        files.retain(|_, (until, _)| *until > now);
        files
            .iter()
            .filter(|(s, _)| s.series == *series)
            .map(|(s, (_, e))| (s.clone(), e.clone()))
            .collect()
    }
}
