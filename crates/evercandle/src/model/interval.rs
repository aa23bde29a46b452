//! The sixteen kline intervals and the instants at which their klines may open.
//!
//! Sub-day intervals divide a day, so their grid is the Unix epoch's. Three do not: `1w` opens on Monday (the epoch was
//! a Thursday), `1M` opens on the first of a month and has no fixed length, and `3d` counts from each symbol's listing
//! day, which no clock knows: its phase is learned from the first kline seen. Until then the grid is *provisional* and
//! works in single days, so that ranges stay correct and are merely re-aligned once the phase is known.
//!
//! Sources: wire-format of `GET /api/v3/klines` (interval enum); the `3d` anchor was measured on eight symbols of the
//! exchange's published history (first 3d open = listing day in each).

use std::fmt;
use std::str::FromStr;

use super::range::{DAY, HOUR, MINUTE, SECOND, TimeRange, Timestamp};

/// Length of a kline. Ordered from short to long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it: unit, then count")]
pub enum Interval {
    S1,
    M1,
    M3,
    M5,
    M15,
    M30,
    H1,
    H2,
    H4,
    H6,
    H8,
    H12,
    D1,
    D3,
    W1,
    Mo1,
}

impl Interval {
    /// All of them, short to long.
    pub const ALL: [Interval; 16] = [
        Interval::S1,
        Interval::M1,
        Interval::M3,
        Interval::M5,
        Interval::M15,
        Interval::M30,
        Interval::H1,
        Interval::H2,
        Interval::H4,
        Interval::H6,
        Interval::H8,
        Interval::H12,
        Interval::D1,
        Interval::D3,
        Interval::W1,
        Interval::Mo1,
    ];

    /// The exchange's spelling. Case matters: `1m` is a minute, `1M` a month.
    pub const fn as_str(self) -> &'static str {
        match self {
            Interval::S1 => "1s",
            Interval::M1 => "1m",
            Interval::M3 => "3m",
            Interval::M5 => "5m",
            Interval::M15 => "15m",
            Interval::M30 => "30m",
            Interval::H1 => "1h",
            Interval::H2 => "2h",
            Interval::H4 => "4h",
            Interval::H6 => "6h",
            Interval::H8 => "8h",
            Interval::H12 => "12h",
            Interval::D1 => "1d",
            Interval::D3 => "3d",
            Interval::W1 => "1w",
            Interval::Mo1 => "1M",
        }
    }

    /// A spelling that survives a file system that folds case: as [`Interval::as_str`], but `1mo` for the month.
    pub const fn file_str(self) -> &'static str {
        match self {
            Interval::Mo1 => "1mo",
            other => other.as_str(),
        }
    }

    /// Length in microseconds; `None` for the month, which has no fixed one.
    pub const fn micros(self) -> Option<i64> {
        match self {
            Interval::Mo1 => None,
            other => Some(other.nominal_micros()),
        }
    }

    /// Length in microseconds, counting a month as 30 days: for sizing and display, never for finding a slot.
    pub const fn nominal_micros(self) -> i64 {
        match self {
            Interval::S1 => SECOND,
            Interval::M1 => MINUTE,
            Interval::M3 => 3 * MINUTE,
            Interval::M5 => 5 * MINUTE,
            Interval::M15 => 15 * MINUTE,
            Interval::M30 => 30 * MINUTE,
            Interval::H1 => HOUR,
            Interval::H2 => 2 * HOUR,
            Interval::H4 => 4 * HOUR,
            Interval::H6 => 6 * HOUR,
            Interval::H8 => 8 * HOUR,
            Interval::H12 => 12 * HOUR,
            Interval::D1 => DAY,
            Interval::D3 => 3 * DAY,
            Interval::W1 => 7 * DAY,
            Interval::Mo1 => 30 * DAY,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text was not one of the sixteen intervals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown interval {0:?}: expected one of 1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M (or 1mo)")]
pub struct UnknownInterval(String);

impl FromStr for Interval {
    type Err = UnknownInterval;

    /// The exchange's spelling, or `1mo`. Case is significant and never folded.
    fn from_str(text: &str) -> Result<Interval, UnknownInterval> {
        Interval::ALL
            .into_iter()
            .find(|i| i.as_str() == text || i.file_str() == text)
            .ok_or_else(|| UnknownInterval(text.to_owned()))
    }
}

/// The instants at which klines of one series may open, and the slots between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid(Steps);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Steps {
    /// Every `step` from `phase` (both microseconds, `0 <= phase < step`).
    Fixed { step: i64, phase: i64 },
    /// The first of each month.
    Months,
    /// Three-day klines of unknown anchor: any day may open one.
    UnknownAnchor,
}

/// 1970-01-05, the first Monday of Unix time.
const FIRST_MONDAY: i64 = 4 * DAY;

impl Grid {
    /// The grid of an interval. `anchor` is any open time of a `3d` kline of the series and is ignored elsewhere.
    pub fn new(interval: Interval, anchor: Option<Timestamp>) -> Grid {
        Grid(match (interval, anchor) {
            (Interval::Mo1, _) => Steps::Months,
            (Interval::D3, None) => Steps::UnknownAnchor,
            (Interval::D3, Some(anchor)) => Steps::Fixed {
                step: 3 * DAY,
                phase: anchor.floor_day().as_micros().rem_euclid(3 * DAY),
            },
            (Interval::W1, _) => Steps::Fixed {
                step: 7 * DAY,
                phase: FIRST_MONDAY,
            },
            (other, _) => Steps::Fixed {
                step: other.nominal_micros(),
                phase: 0,
            },
        })
    }

    /// Whether the anchor is still unknown, so that slots are single days standing in for three-day ones.
    pub fn is_provisional(self) -> bool {
        self.0 == Steps::UnknownAnchor
    }

    /// The slot `t` lies in begins here.
    pub fn floor(self, t: Timestamp) -> Timestamp {
        match self.0 {
            Steps::Fixed { step, phase } => t.plus(-(t.as_micros() - phase).rem_euclid(step)),
            Steps::UnknownAnchor => t.floor_day(),
            Steps::Months => {
                let (year, month, _) = t.date();
                Timestamp::from_date(year, month, 1).unwrap_or(Timestamp::EPOCH)
            }
        }
    }

    /// The first slot that begins at `t` or later.
    pub fn ceil(self, t: Timestamp) -> Timestamp {
        let floor = self.floor(t);
        if floor == t { t } else { self.next(t) }
    }

    /// The first slot that begins after `t`.
    pub fn next(self, t: Timestamp) -> Timestamp {
        match self.0 {
            Steps::Fixed { step, .. } => self.floor(t).plus(step),
            Steps::UnknownAnchor => t.floor_day().plus(DAY),
            Steps::Months => {
                let (year, month, _) = t.date();
                let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                Timestamp::from_date(year, month, 1).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The slot `n` slots after the one `t` lies in.
    pub fn advance(self, t: Timestamp, n: u32) -> Timestamp {
        match self.0 {
            Steps::Fixed { step, .. } => self.floor(t).plus(step.saturating_mul(i64::from(n))),
            Steps::UnknownAnchor => t.floor_day().plus(DAY.saturating_mul(i64::from(n))),
            Steps::Months => (0..n).fold(self.floor(t), |slot, _| self.next(slot)),
        }
    }

    /// Whether a kline opening at `t` is where the grid expects one. Provisional grids accept any midnight.
    pub fn contains(self, t: Timestamp) -> bool {
        self.floor(t) == t
    }

    /// The whole slots that begin inside `range`: both ends rounded up to the grid.
    ///
    /// ```
    /// use evercandle::model::{interval::{Grid, Interval}, range::{TimeRange, Timestamp}};
    /// let minute = |n: i64| Timestamp::from_micros(n * 60_000_000);
    /// let asked = TimeRange::new(minute(1).plus(1), minute(3).plus(1)).unwrap();
    /// let slots = Grid::new(Interval::M1, None).align(asked);
    /// assert_eq!((slots.start(), slots.end()), (minute(2), minute(4)));
    /// ```
    pub fn align(self, range: TimeRange) -> TimeRange {
        TimeRange::clamped(self.ceil(range.start()), self.ceil(range.end()))
    }

    /// How many slots begin inside `range`. Of a provisional grid, as many three-day ones as can: there may be one less.
    pub fn count(self, range: TimeRange) -> u64 {
        let range = self.align(range);
        match self.0 {
            Steps::Fixed { step, .. } => (range.micros() / step).unsigned_abs(),
            Steps::UnknownAnchor => (range.micros() / DAY).unsigned_abs().div_ceil(3),
            Steps::Months => self.slots(range).count() as u64,
        }
    }

    /// The slots that begin inside `range`, earliest first.
    pub fn slots(self, range: TimeRange) -> impl Iterator<Item = Timestamp> {
        let range = self.align(range);
        std::iter::successors(Some(range.start()), move |t| Some(self.next(*t))).take_while(move |t| *t < range.end())
    }

    /// The slot that `open_time` fills, as a range. A kline that opened off the grid fills the slot it opened in.
    pub fn slot(self, open_time: Timestamp) -> TimeRange {
        TimeRange::clamped(self.floor(open_time), self.next(open_time))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(year: i16, month: i8, day: i8) -> Timestamp {
        Timestamp::from_date(year, month, day).unwrap()
    }

    #[test]
    fn intervals_are_read_as_the_exchange_spells_them_and_case_is_never_folded() {
        for interval in Interval::ALL {
            assert_eq!(interval.as_str().parse(), Ok(interval));
            assert_eq!(interval.file_str().parse(), Ok(interval));
        }
        assert_eq!("1m".parse(), Ok(Interval::M1));
        assert_eq!("1M".parse(), Ok(Interval::Mo1));
        for wrong in ["1H", "1S", "60m", "", "1mO", " 1m"] {
            assert!(
                wrong
                    .parse::<Interval>()
                    .unwrap_err()
                    .to_string()
                    .contains("expected one of"),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn weeks_open_on_monday_and_months_on_the_first() {
        let week = Grid::new(Interval::W1, None);
        // BTCUSDT was listed on Thursday 2017-08-17; its first weekly kline opens on the Monday before.
        assert_eq!(week.floor(day(2017, 8, 17)), day(2017, 8, 14));
        let month = Grid::new(Interval::Mo1, None);
        assert_eq!(month.floor(day(2017, 8, 17)), day(2017, 8, 1));
        assert_eq!(month.next(day(2023, 12, 31)), day(2024, 1, 1));
        assert_eq!(month.count(TimeRange::clamped(day(2023, 11, 1), day(2024, 3, 2))), 5);
        assert_eq!(month.advance(day(2024, 1, 31), 13), day(2025, 2, 1));
    }

    #[test]
    fn three_day_klines_follow_their_anchor_and_single_days_until_it_is_known() {
        let unknown = Grid::new(Interval::D3, None);
        assert!(unknown.is_provisional());
        assert!(unknown.contains(day(2020, 9, 22)) && unknown.contains(day(2020, 9, 23)));
        // Days since the epoch modulo three differ by symbol: 1 for BTCUSDT, 2 for AVAXUSDT, 0 for DOTUSDT.
        for (listed, remainder) in [(day(2017, 8, 17), 1), (day(2020, 9, 22), 2), (day(2020, 8, 18), 0)] {
            let grid = Grid::new(Interval::D3, Some(listed.plus(4 * HOUR)));
            assert!(grid.contains(listed) && grid.contains(listed.plus(300 * DAY)));
            assert!(!grid.contains(listed.plus(DAY)));
            assert_eq!(listed.as_micros() / DAY % 3, remainder);
            for days in 0..10 {
                let range = TimeRange::clamped(day(2024, 1, 1), day(2024, 1, 1).plus(days * DAY));
                let (known, at_most) = (grid.count(range), unknown.count(range));
                assert!(
                    known <= at_most && at_most <= known + 1,
                    "{days} days: {known}, {at_most}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn floor_ceil_next_and_count_agree(
            index in 0usize..16,
            anchor in 0i64..20_000,
            t in 0i64..(60 * 365 * DAY),
            slots in 0u32..40,
        ) {
            let grid = Grid::new(Interval::ALL[index], Some(Timestamp::from_micros(anchor * DAY)));
            let t = Timestamp::from_micros(t);
            // The first days of 1970 may precede the grid's first slot; nothing was traded then.
            prop_assume!(t.as_micros() > 40 * DAY);
            let (floor, ceil, next) = (grid.floor(t), grid.ceil(t), grid.next(t));
            prop_assert!(floor <= t && t <= ceil && t < next);
            prop_assert!(grid.contains(floor) && grid.contains(ceil) && grid.contains(next));
            prop_assert_eq!(grid.next(floor), next);
            prop_assert!(grid.slot(t).contains(t));
            let range = TimeRange::clamped(t, grid.advance(ceil, slots));
            prop_assert_eq!(grid.count(range), u64::from(slots));
            prop_assert_eq!(grid.slots(range).count(), slots as usize);
        }
    }
}
