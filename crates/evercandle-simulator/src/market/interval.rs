//! Kline intervals and their grids.
//!
//! Most divide the day and sit on the epoch. Three do not: weeks open on Monday, months follow the calendar,
//! and three-day klines are anchored at each symbol's listing day, so their grid cannot be computed from a clock.

use std::fmt;

use crate::time::{DAY, HOUR, MINUTE, SECOND, month_floor, month_next};

/// Monday 1970-01-05, the first Monday of the epoch, in microseconds.
const FIRST_MONDAY: i64 = 4 * DAY;

/// The length of a kline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
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
    /// One calendar month: `1M` to REST, `1mo` to Vision.
    Mo1,
}

impl Interval {
    /// All of them, finest first.
    pub const ALL: [Interval; 16] = {
        use Interval::*;
        [S1, M1, M3, M5, M15, M30, H1, H2, H4, H6, H8, H12, D1, D3, W1, Mo1]
    };

    /// The REST spelling, case-sensitive: `1M` is a month and `1m` a minute.
    pub fn rest_name(self) -> &'static str {
        use Interval::*;
        match self {
            S1 => "1s",
            M1 => "1m",
            M3 => "3m",
            M5 => "5m",
            M15 => "15m",
            M30 => "30m",
            H1 => "1h",
            H2 => "2h",
            H4 => "4h",
            H6 => "6h",
            H8 => "8h",
            H12 => "12h",
            D1 => "1d",
            D3 => "3d",
            W1 => "1w",
            Mo1 => "1M",
        }
    }

    /// The Vision spelling.
    pub fn vision_name(self) -> &'static str {
        if self == Interval::Mo1 { "1mo" } else { self.rest_name() }
    }

    /// Reads the REST spelling.
    pub fn from_rest(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.rest_name() == text)
    }

    /// Reads the Vision spelling.
    pub fn from_vision(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.vision_name() == text)
    }

    /// The length in microseconds, or `None` for months, which have no fixed length.
    pub fn length(self) -> Option<i64> {
        use Interval::*;
        Some(match self {
            S1 => SECOND,
            M1 => MINUTE,
            M3 => 3 * MINUTE,
            M5 => 5 * MINUTE,
            M15 => 15 * MINUTE,
            M30 => 30 * MINUTE,
            H1 => HOUR,
            H2 => 2 * HOUR,
            H4 => 4 * HOUR,
            H6 => 6 * HOUR,
            H8 => 8 * HOUR,
            H12 => 12 * HOUR,
            D1 => DAY,
            D3 => 3 * DAY,
            W1 => 7 * DAY,
            Mo1 => return None,
        })
    }

    /// Whether the archive publishes it by day; coarser klines come by month only.
    pub fn has_daily_archives(self) -> bool {
        self <= Interval::D1
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rest_name())
    }
}

/// The legal open times of one series.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    interval: Interval,
    /// Where counting starts, for intervals with a fixed length.
    anchor: i64,
    /// The REST `timeZone` parameter: how far the zone's midnight precedes UTC's.
    offset: i64,
}

impl Grid {
    /// The grid of an interval for a symbol first traded at `listed`.
    pub fn new(interval: Interval, listed: i64) -> Self {
        let anchor = match interval {
            Interval::D3 => listed.div_euclid(DAY) * DAY,
            Interval::W1 => FIRST_MONDAY,
            _ => 0,
        };
        Self {
            interval,
            anchor,
            offset: 0,
        }
    }

    /// The same grid in a zone east of UTC by `offset` microseconds. Only hours and longer move.
    pub fn in_zone(self, offset: i64) -> Self {
        let offset = if self.interval < Interval::H1 { 0 } else { offset };
        Self { offset, ..self }
    }

    /// The open time of the kline containing `instant`.
    pub fn floor(&self, instant: i64) -> i64 {
        let local = instant + self.offset;
        let floor = match self.interval.length() {
            Some(length) => (local - self.anchor).div_euclid(length) * length + self.anchor,
            None => month_floor(local),
        };
        floor - self.offset
    }

    /// The first open time at or after `instant`.
    pub fn ceil(&self, instant: i64) -> i64 {
        let floor = self.floor(instant);
        if floor == instant { floor } else { self.next(floor) }
    }

    /// The open time after the one at `open_time`.
    pub fn next(&self, open_time: i64) -> i64 {
        match self.interval.length() {
            Some(length) => open_time + length,
            None => month_next(open_time + self.offset) - self.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_instant;

    fn at(text: &str) -> i64 {
        parse_instant(text).unwrap()
    }

    #[test]
    fn grids_open_where_the_exchange_opens_them() {
        let listed = at("2017-08-17T04:00:00Z");
        let cases = [
            (Interval::H4, "2024-02-29T05:59:00Z", "2024-02-29T04:00:00Z"),
            (Interval::D1, "2017-08-17T04:00:00Z", "2017-08-17"),
            (Interval::D3, "2017-08-21T00:00:00Z", "2017-08-20"),
            (Interval::W1, "2017-08-17T04:00:00Z", "2017-08-14"),
            (Interval::Mo1, "2024-02-29T23:00:00Z", "2024-02-01"),
        ];
        for (interval, instant, expected) in cases {
            assert_eq!(
                Grid::new(interval, listed).floor(at(instant)),
                at(expected),
                "{interval}"
            );
        }
    }

    #[test]
    fn a_zone_moves_the_boundaries_of_hours_and_longer() {
        let quarter_to_six = 5 * HOUR + 45 * MINUTE;
        let hours = Grid::new(Interval::H1, 0).in_zone(quarter_to_six);
        assert_eq!(hours.floor(at("2024-01-01T00:20:00Z")), at("2024-01-01T00:15:00Z"));
        let minutes = Grid::new(Interval::M5, 0).in_zone(quarter_to_six);
        assert_eq!(minutes.floor(at("2024-01-01T00:21:00Z")), at("2024-01-01T00:20:00Z"));
    }
}
