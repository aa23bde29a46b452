//! Where a chunk lies and what its name says. Pure: no disk is touched here.
//!
//! `v1/<exchange>/<market>/<SYMBOL>/<interval>/<subject>.g<generation>.<rows>.<digest>.arrow`
//!
//! In the place of the interval stands `fundingRate` for funding rates. A version that knew only klines does not take
//! that for an interval, and leaves the folder alone.
//!
//! The name carries the digest of the content, so one rename publishes a file and its checksum together; with a sidecar
//! either could be there without the other. It carries a generation, so a rewritten chunk is another file and readers
//! of the old one are not disturbed; two processes that write the same content produce the same name.
//!
//! A chunk's subject is a calendar period, or the series itself (`series`: what is known of it as a whole). Periods come
//! in two sizes. A *live* one is small, because it is rewritten whenever a kline closes; a *sealed* one is large, because
//! it is written once and read often. Live periods nest in sealed ones.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, TimeRange, Timestamp};
use crate::model::series::{Exchange, Market, Series};
use crate::model::symbol::Symbol;

/// Version of the layout and of the files in it. A reader ignores versions it does not know, so that an older and a
/// newer program can share a folder.
pub(super) const FORMAT: u32 = 1;
/// Folder of this version.
pub(super) const FORMAT_FOLDER: &str = "v1";
/// What every chunk's name ends in.
const SUFFIX: &str = ".arrow";
/// The subject of a file that describes the series as a whole.
const FACTS: &str = "series";
/// No slot is longer than this; how far a slot may reach beyond the period it begins in.
const SLOT_MAX: i64 = 31 * DAY;

/// Size of a calendar period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Unit {
    Day,
    Month,
    Year,
}

/// A day, month or year of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Period {
    unit: Unit,
    start: Timestamp,
}

/// The size of the periods that are rewritten as klines close.
pub(super) fn live_unit(interval: Interval) -> Unit {
    if interval <= Interval::M30 {
        Unit::Day
    } else if interval <= Interval::H12 {
        Unit::Month
    } else {
        Unit::Year
    }
}

/// The size of the periods that are written once, when nothing in them can be missing any more.
pub(super) fn sealed_unit(interval: Interval) -> Unit {
    match interval {
        Interval::S1 => Unit::Day,
        other if other <= Interval::M30 => Unit::Month,
        _ => Unit::Year,
    }
}

impl Period {
    /// The period of this size that `t` lies in.
    pub(super) fn around(unit: Unit, t: Timestamp) -> Period {
        let (year, month, day) = t.date();
        let start = match unit {
            Unit::Day => Timestamp::from_date(year, month, day),
            Unit::Month => Timestamp::from_date(year, month, 1),
            Unit::Year => Timestamp::from_date(year, 1, 1),
        };
        Period {
            unit,
            start: start.unwrap_or(Timestamp::EPOCH),
        }
    }

    pub(super) fn unit(self) -> Unit {
        self.unit
    }

    pub(super) fn start(self) -> Timestamp {
        self.start
    }

    /// From the first instant to the first instant after.
    pub(super) fn range(self) -> TimeRange {
        let grid = match self.unit {
            Unit::Day => Grid::new(Interval::D1, None),
            Unit::Month => Grid::new(Interval::Mo1, None),
            Unit::Year => {
                let (year, ..) = self.start.date();
                let end = Timestamp::from_date(year.saturating_add(1), 1, 1).unwrap_or(Timestamp::MAX);
                return TimeRange::clamped(self.start, end);
            }
        };
        TimeRange::clamped(self.start, grid.next(self.start))
    }

    /// The slots that begin in the period: what its chunk is about. Weeks and three-day slots may end after it.
    pub(super) fn domain(self, grid: Grid) -> TimeRange {
        grid.align(self.range())
    }

    /// Every instant that may lie in a slot of the period, whatever the grid.
    pub(super) fn reach(self) -> TimeRange {
        let range = self.range();
        match self.unit {
            Unit::Year => TimeRange::clamped(range.start(), range.end().plus(SLOT_MAX)),
            Unit::Day | Unit::Month => range,
        }
    }

    /// The first and the last period of one size in which slots that overlap `range` may begin; `None` for the empty
    /// range.
    pub(super) fn bounds(unit: Unit, range: TimeRange) -> Option<(Period, Period)> {
        // Only years can hold slots that reach into the next period.
        let back = if unit == Unit::Year { SLOT_MAX } else { 0 };
        let first = Period::around(unit, range.start().plus(-back));
        (!range.is_empty()).then(|| (first, Period::around(unit, range.end().plus(-1))))
    }

    /// All periods within [`Period::bounds`].
    pub(super) fn touching(unit: Unit, range: TimeRange) -> impl Iterator<Item = Period> {
        let first = Period::bounds(unit, range).map(|bounds| bounds.0);
        std::iter::successors(first, |p| Some(Period::around(p.unit, p.range().end())))
            .take_while(move |p| p.start < range.end())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.start.date();
        match self.unit {
            Unit::Day => write!(f, "{year:04}-{month:02}-{day:02}"),
            Unit::Month => write!(f, "{year:04}-{month:02}"),
            Unit::Year => write!(f, "{year:04}"),
        }
    }
}

/// The text is not one this module writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotOurs;

impl FromStr for Period {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Period, NotOurs> {
        let mut parts = text.split('-').map(number::<i16>);
        let (year, month, day) = (parts.next(), parts.next(), parts.next());
        let unit = match (month, day, parts.next()) {
            (None, None, None) => Unit::Year,
            (Some(_), None, None) => Unit::Month,
            (Some(_), Some(_), None) => Unit::Day,
            _ => return Err(NotOurs),
        };
        let part = |p: Option<Option<i16>>| match p {
            None => Ok(1),
            Some(Some(n)) => i8::try_from(n).map_err(|_| NotOurs),
            Some(None) => Err(NotOurs),
        };
        let year = year.flatten().ok_or(NotOurs)?;
        let start = Timestamp::from_date(year, part(month)?, part(day)?).ok_or(NotOurs)?;
        let period = Period { unit, start };
        // What is not spelled as we spell it (signs, missing zeros, before 1970) is somebody else's.
        (period.to_string() == text).then_some(period).ok_or(NotOurs)
    }
}

/// What a chunk is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    /// The klines of a period.
    Period(Period),
    /// The series as a whole; such a file has no rows.
    Facts,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Period(period) => period.fmt(f),
            Subject::Facts => f.write_str(FACTS),
        }
    }
}

/// A chunk's file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChunkName {
    /// What it is about.
    pub(super) subject: Subject,
    /// How often the subject was written before, about; of two, the higher was written later.
    pub(super) generation: u32,
    /// How many klines are inside.
    pub(super) rows: u64,
    /// XXH3-128 of all its bytes.
    pub(super) digest: u128,
}

impl ChunkName {
    /// Whether klines of `range` may be inside.
    pub(super) fn is_about(&self, range: TimeRange) -> bool {
        match self.subject {
            Subject::Period(period) => period.reach().overlaps(range),
            Subject::Facts => false,
        }
    }
}

impl fmt::Display for ChunkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (generation, rows, digest) = (self.generation, self.rows, self.digest);
        write!(f, "{}.g{generation}.{rows}.{digest:032x}{SUFFIX}", self.subject)
    }
}

impl FromStr for ChunkName {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<ChunkName, NotOurs> {
        let mut parts = text.strip_suffix(SUFFIX).ok_or(NotOurs)?.split('.');
        let mut part = || parts.next().ok_or(NotOurs);
        let subject = match part()? {
            FACTS => Subject::Facts,
            period => Subject::Period(period.parse()?),
        };
        let generation = part()?.strip_prefix('g').and_then(number).ok_or(NotOurs)?;
        let rows = number(part()?).ok_or(NotOurs)?;
        let digest = u128::from_str_radix(part()?, 16).map_err(|_| NotOurs)?;
        let name = ChunkName {
            subject,
            generation,
            rows,
            digest,
        };
        (name.to_string() == text).then_some(name).ok_or(NotOurs)
    }
}

fn number<N: FromStr>(digits: &str) -> Option<N> {
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// A series' folder, relative to the cache's.
pub(super) fn series_folder(series: &Series) -> PathBuf {
    let mut path = PathBuf::from(FORMAT_FOLDER);
    path.push(series.exchange().as_str());
    path.push(series.market().as_str());
    path.push(series.symbol().encoded());
    path.push(series.file_label());
    path
}

/// The series whose folder this is, given the four names below the format's folder.
pub(super) fn series_of(names: [&str; 4]) -> Option<Series> {
    let [exchange, market, symbol, interval] = names;
    let market: Market = market.parse().ok()?;
    let symbol = Symbol::new(&percent_decode_str(symbol).decode_utf8().ok()?).ok()?;
    let series = match interval.parse() {
        Ok(interval) => Series::new(market, symbol, interval).ok()?,
        Err(_) => Series::funding_rates(market, symbol).ok()?,
    };
    let ours = Exchange::Binance.as_str() == exchange
        && series_folder(&series)
            == [FORMAT_FOLDER, exchange, names[1], names[2], interval]
                .iter()
                .collect::<PathBuf>();
    ours.then_some(series)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(year: i16, month: i8, day: i8) -> Timestamp {
        Timestamp::from_date(year, month, day).unwrap()
    }

    #[test]
    fn a_name_says_what_is_inside() {
        let name = ChunkName {
            subject: Subject::Period(Period::around(Unit::Month, day(2024, 2, 29))),
            generation: 3,
            rows: 41_760,
            digest: 0xabc,
        };
        let text = "2024-02.g3.41760.00000000000000000000000000000abc.arrow";
        assert_eq!(name.to_string(), text);
        assert_eq!(text.parse(), Ok(name));
    }

    #[test]
    fn what_is_not_spelled_as_we_spell_it_is_not_ours() {
        let digest = "0".repeat(32);
        for wrong in [
            "",
            ".arrow",
            "2024.arrow",
            "notes.txt",
            ".tmp.0.1.2",
            &format!("2024-1.g1.1.{digest}.arrow"),
            &format!("2024-13.g1.1.{digest}.arrow"),
            &format!("2023-02-29.g1.1.{digest}.arrow"),
            &format!("+2024.g1.1.{digest}.arrow"),
            &format!("2024-01-01-01.g1.1.{digest}.arrow"),
            &format!("1969.g1.1.{digest}.arrow"),
            &format!("2024.g01.1.{digest}.arrow"),
            &format!("2024.g+1.1.{digest}.arrow"),
            &format!("2024.1.1.{digest}.arrow"),
            &format!("2024.g1.1.{digest}0.arrow"),
            &format!("2024.g1.1.{}.arrow", "A".repeat(32)),
            &format!("2024.g1.1.{digest}.arrow.bak"),
            &format!("2024.g1.1.{digest}.x.arrow"),
            &format!("2024.g4294967296.1.{digest}.arrow"),
        ] {
            assert_eq!(wrong.parse::<ChunkName>(), Err(NotOurs), "{wrong:?}");
        }
    }

    #[test]
    fn every_series_has_its_own_folder_even_where_case_is_folded() {
        let mut folders = std::collections::BTreeSet::new();
        for market in Market::ALL {
            for symbol in ["BTCUSDT", "BTCUSD_PERP", "币安人生USDT"] {
                for interval in Interval::ALL {
                    let Ok(series) = Series::new(market, Symbol::new(symbol).unwrap(), interval) else {
                        continue;
                    };
                    let folder = series_folder(&series);
                    let names: Vec<&str> = folder.iter().map(|n| n.to_str().unwrap()).collect();
                    assert_eq!(series_of([names[1], names[2], names[3], names[4]]), Some(series));
                    assert!(
                        folders.insert(folder.to_str().unwrap().to_ascii_lowercase()),
                        "{folder:?}"
                    );
                }
            }
        }
        for foreign in [
            ["kraken", "spot", "BTCUSDT", "1m"],
            ["binance", "SPOT", "BTCUSDT", "1m"],
            ["binance", "spot", "btcusdt", "1m"],
            ["binance", "spot", "..", "1m"],
            ["binance", "spot", "BTC%55SDT", "1m"],
            ["binance", "spot", "BTCUSDT", "1M"],
            ["binance", "um", "BTCUSDT", "1s"],
        ] {
            assert_eq!(series_of(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn live_periods_nest_in_sealed_ones_and_weeks_belong_to_the_year_they_begin_in() {
        for interval in Interval::ALL {
            assert!(live_unit(interval) <= sealed_unit(interval), "{interval}");
        }
        let year = Period::around(Unit::Year, day(2025, 6, 1));
        let weeks = year.domain(Grid::new(Interval::W1, None));
        assert_eq!((weeks.start(), weeks.end()), (day(2025, 1, 6), day(2026, 1, 5)));
        // The week of Monday 2024-12-30 is asked for with the first days of 2025.
        let asked = TimeRange::clamped(day(2025, 1, 2), day(2025, 1, 3));
        let years: Vec<String> = Period::touching(Unit::Year, asked).map(|p| p.to_string()).collect();
        assert_eq!(years, ["2024", "2025"]);
        assert_eq!(Period::touching(Unit::Day, asked).count(), 1);
        assert_eq!(
            Period::touching(Unit::Day, TimeRange::clamped(asked.end(), asked.end())).count(),
            0
        );
    }

    proptest! {
        #[test]
        fn names_and_periods_are_read_as_they_were_written(
            t in 0i64..(200 * 365 * DAY), unit in 0usize..3, generation: u32, rows: u64, digest: u128, facts: bool,
        ) {
            let t = Timestamp::from_micros(t);
            let period = Period::around([Unit::Day, Unit::Month, Unit::Year][unit], t);
            prop_assert!(period.range().contains(t));
            prop_assert_eq!(Period::around(period.unit(), period.range().end().plus(-1)), period);
            prop_assert_ne!(Period::around(period.unit(), period.range().end()), period);
            let subject = if facts { Subject::Facts } else { Subject::Period(period) };
            let name = ChunkName { subject, generation, rows, digest };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }
}
