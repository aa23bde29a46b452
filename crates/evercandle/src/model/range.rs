//! Points and spans of UTC time, and the set arithmetic that finds what is missing.
//!
//! Everything the engine decides is a question about ranges: what is wanted, held, failed, still open.
//! One unit serves everywhere, microseconds since the Unix epoch, because spot archives have been printed in
//! microseconds since 2025 and every other source converts to it without loss. Ranges are half-open, so adjacent
//! ranges neither overlap nor leave a seam, and an empty range is never a member of a set.

use std::fmt;

use jiff::tz::TimeZone;

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a UTC day; Unix time has no leap seconds and no daylight saving.
pub const DAY: i64 = 24 * HOUR;

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z, the earliest instant the engine reasons about.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// 9999-12-31T00:00:00Z, the latest; far enough that arithmetic on sane input never reaches it.
    pub const MAX: Timestamp = Timestamp(253_402_214_400 * SECOND);

    /// From microseconds since the epoch, clamped to [`Timestamp::EPOCH`]..=[`Timestamp::MAX`].
    pub const fn from_micros(micros: i64) -> Timestamp {
        if micros < 0 {
            Timestamp::EPOCH
        } else if micros > Timestamp::MAX.0 {
            Timestamp::MAX
        } else {
            Timestamp(micros)
        }
    }

    /// From milliseconds since the epoch, clamped like [`Timestamp::from_micros`].
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis.saturating_mul(1_000))
    }

    /// Midnight UTC of a calendar day; `None` when there is no such day.
    pub fn from_date(year: i16, month: i8, day: i8) -> Option<Timestamp> {
        let date = jiff::civil::Date::new(year, month, day).ok()?;
        let zoned = date.to_zoned(TimeZone::UTC).ok()?;
        Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This instant moved by `micros`, clamped to the supported span.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to here; negative when `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }

    /// Midnight UTC of the day this instant lies in.
    #[must_use]
    pub const fn floor_day(self) -> Timestamp {
        Timestamp(self.0 - self.0.rem_euclid(DAY))
    }

    /// Year, month and day in UTC.
    pub fn date(self) -> (i16, i8, i8) {
        let date = self.civil().date();
        (date.year(), date.month(), date.day())
    }

    fn civil(self) -> jiff::civil::DateTime {
        jiff::Timestamp::from_microsecond(self.0)
            .map(|t| t.to_zoned(TimeZone::UTC).datetime())
            .unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with a fraction only where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil();
        let (h, m, s) = (c.hour(), c.minute(), c.second());
        write!(
            f,
            "{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}",
            c.year(),
            c.month(),
            c.day()
        )?;
        match self.0.rem_euclid(SECOND) {
            0 => f.write_str("Z"),
            micros if micros % 1_000 == 0 => write!(f, ".{:03}Z", micros / 1_000),
            micros => write!(f, ".{micros:06}Z"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A half-open span of open times, `[start, end)`, UTC. May be empty, never inverted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    start: Timestamp,
    end: Timestamp,
}

impl TimeRange {
    /// `None` when `start > end`; equal ends make the empty range.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<TimeRange> {
        (start <= end).then_some(TimeRange { start, end })
    }

    /// From `start` for as long as `end` is later; empty at `start` otherwise.
    pub fn clamped(start: Timestamp, end: Timestamp) -> TimeRange {
        TimeRange {
            start,
            end: end.max(start),
        }
    }

    /// The first instant inside.
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// The first instant after.
    pub const fn end(self) -> Timestamp {
        self.end
    }

    /// Length in microseconds.
    pub const fn micros(self) -> i64 {
        self.end.since(self.start)
    }

    /// Whether nothing is inside.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Whether `t` is inside.
    pub fn contains(self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }

    /// Whether all of `other` is inside; an empty range always is.
    pub fn covers(self, other: TimeRange) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }

    /// The common part; empty where there is none.
    #[must_use]
    pub fn intersect(self, other: TimeRange) -> TimeRange {
        TimeRange::clamped(self.start.max(other.start), self.end.min(other.end))
    }

    /// Whether some instant is in both.
    pub fn overlaps(self, other: TimeRange) -> bool {
        !self.intersect(other).is_empty()
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

impl fmt::Debug for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of instants, kept as sorted, disjoint, non-touching, non-empty ranges: equal sets are equal values.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RangeSet(Vec<TimeRange>);

impl RangeSet {
    /// The set of nothing.
    pub const fn empty() -> RangeSet {
        RangeSet(Vec::new())
    }

    /// The ranges, earliest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TimeRange> + DoubleEndedIterator + '_ {
        self.0.iter().copied()
    }

    /// How many separate ranges there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set holds no instant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Total length in microseconds.
    pub fn micros(&self) -> i64 {
        self.iter().map(TimeRange::micros).sum()
    }

    /// From the first instant inside to the end of the last range; `None` when empty.
    pub fn hull(&self) -> Option<TimeRange> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        Some(TimeRange::clamped(first.start, last.end))
    }

    /// Whether `t` is in the set.
    pub fn contains(&self, t: Timestamp) -> bool {
        let after = self.0.partition_point(|r| r.end <= t);
        self.0.get(after).is_some_and(|r| r.contains(t))
    }

    /// Whether every instant of `range` is in the set.
    pub fn covers(&self, range: TimeRange) -> bool {
        let after = self.0.partition_point(|r| r.end <= range.start);
        range.is_empty() || self.0.get(after).is_some_and(|r| r.covers(range))
    }

    /// Adds a range, joining what it touches.
    pub fn insert(&mut self, range: TimeRange) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|r| r.end < range.start);
        let past = self.0.partition_point(|r| r.start <= range.end);
        let joined = self.0[first..past].iter().fold(range, |joined, r| {
            TimeRange::clamped(joined.start.min(r.start), joined.end.max(r.end))
        });
        self.0.splice(first..past, [joined]);
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: TimeRange) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|r| r.end <= range.start);
        let past = self.0.partition_point(|r| r.start < range.end);
        let rest: Vec<TimeRange> = self.0[first..past]
            .iter()
            .flat_map(|r| {
                [
                    TimeRange::clamped(r.start, range.start.min(r.end)),
                    TimeRange::clamped(range.end.max(r.start), r.end),
                ]
            })
            .filter(|r| !r.is_empty())
            .collect();
        self.0.splice(first..past, rest);
    }

    /// Everything in either.
    #[must_use]
    pub fn union(&self, other: &RangeSet) -> RangeSet {
        other.iter().fold(self.clone(), |mut all, r| {
            all.insert(r);
            all
        })
    }

    /// Everything here that is not in `other`.
    #[must_use]
    pub fn difference(&self, other: &RangeSet) -> RangeSet {
        let mut rest = Vec::with_capacity(self.0.len());
        let mut cuts = other.0.iter().peekable();
        for range in self.iter() {
            let mut start = range.start;
            while let Some(cut) = cuts.peek() {
                if cut.start >= range.end {
                    break;
                }
                if cut.end > start {
                    if cut.start > start {
                        rest.push(TimeRange::clamped(start, cut.start));
                    }
                    start = cut.end;
                }
                if cut.end > range.end {
                    break;
                }
                cuts.next();
            }
            if start < range.end {
                rest.push(TimeRange::clamped(start, range.end));
            }
        }
        RangeSet(rest)
    }

    /// Everything in both.
    #[must_use]
    pub fn intersection(&self, other: &RangeSet) -> RangeSet {
        let (mut common, mut i, mut j) = (Vec::new(), 0, 0);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let both = a.intersect(*b);
            if !both.is_empty() {
                common.push(both);
            }
            if a.end <= b.end { i += 1 } else { j += 1 }
        }
        RangeSet(common)
    }

    /// The part of the set inside `range`.
    #[must_use]
    pub fn within(&self, range: TimeRange) -> RangeSet {
        let first = self.0.partition_point(|r| r.end <= range.start);
        RangeSet(
            self.0[first..]
                .iter()
                .take_while(|r| r.start < range.end)
                .map(|r| r.intersect(range))
                .filter(|r| !r.is_empty())
                .collect(),
        )
    }
}

impl From<TimeRange> for RangeSet {
    fn from(range: TimeRange) -> RangeSet {
        RangeSet(if range.is_empty() { vec![] } else { vec![range] })
    }
}

impl FromIterator<TimeRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> RangeSet {
        let mut ranges: Vec<TimeRange> = ranges.into_iter().filter(|r| !r.is_empty()).collect();
        ranges.sort_by_key(|r| r.start);
        let mut joined: Vec<TimeRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        RangeSet(joined)
    }
}

impl fmt::Debug for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::clamped(Timestamp::from_micros(start), Timestamp::from_micros(end))
    }

    #[test]
    fn timestamps_print_as_rfc_3339_with_no_more_digits_than_they_have() {
        let day = Timestamp::from_date(2024, 2, 29).unwrap();
        assert_eq!(day.to_string(), "2024-02-29T00:00:00Z");
        assert_eq!(day.plus(1_500_000).to_string(), "2024-02-29T00:00:01.500Z");
        assert_eq!(day.plus(1).to_string(), "2024-02-29T00:00:00.000001Z");
        assert_eq!(Timestamp::from_date(2023, 2, 29), None);
        assert_eq!(day.plus(DAY).date(), (2024, 3, 1));
    }

    #[test]
    fn time_outside_the_supported_span_is_clamped_not_wrapped() {
        assert_eq!(Timestamp::from_micros(i64::MIN), Timestamp::EPOCH);
        assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.plus(i64::MAX), Timestamp::MAX);
    }

    /// The independent truth: a set of small integers.
    fn members(set: &RangeSet) -> Vec<i64> {
        (0..64).filter(|t| set.contains(Timestamp::from_micros(*t))).collect()
    }

    fn assert_canonical(set: &RangeSet) {
        for pair in set.0.windows(2) {
            assert!(pair[0].end < pair[1].start, "ranges touch or are unsorted: {set:?}");
        }
        assert!(set.iter().all(|r| !r.is_empty()));
    }

    fn ranges() -> impl Strategy<Value = Vec<TimeRange>> {
        prop::collection::vec((0i64..50, 0i64..12).prop_map(|(s, n)| range(s, s + n)), 0..8)
    }

    proptest! {
        #[test]
        fn set_arithmetic_agrees_with_sets_of_instants(a in ranges(), b in ranges(), window in (0i64..60, 0i64..20)) {
            let (x, y): (RangeSet, RangeSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            let within = range(window.0, window.0 + window.1);
            let (mx, my) = (members(&x), members(&y));
            let mut inserted = x.clone();
            let mut removed = x.clone();
            for r in &b {
                inserted.insert(*r);
                removed.remove(*r);
            }
            let union: Vec<i64> = (0..64).filter(|t| mx.contains(t) || my.contains(t)).collect();
            let difference: Vec<i64> = mx.iter().copied().filter(|t| !my.contains(t)).collect();
            let intersection: Vec<i64> = mx.iter().copied().filter(|t| my.contains(t)).collect();
            let inside: Vec<i64> = mx.iter().copied().filter(|t| within.contains(Timestamp::from_micros(*t))).collect();
            for (set, expected) in [
                (x.union(&y), &union),
                (inserted, &union),
                (x.difference(&y), &difference),
                (removed, &difference),
                (x.intersection(&y), &intersection),
                (x.within(within), &inside),
            ] {
                assert_canonical(&set);
                prop_assert_eq!(&members(&set), expected);
                prop_assert_eq!(set.micros(), expected.len() as i64);
            }
            prop_assert_eq!(x.covers(within), (window.0..window.0 + window.1).all(|t| mx.contains(&t) || t >= 64));
        }
    }
}
