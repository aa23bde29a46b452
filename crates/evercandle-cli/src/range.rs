//! How people write times, spans, sizes and intervals.
//!
//! Everything is read as UTC, because klines are; a zone may be named, and then it counts. Epoch numbers are told apart
//! by magnitude, which is unambiguous from 1973 on. What could be misread (`20240101`, `7d` for a start) is refused with
//! the spelling that was probably meant.

use std::str::FromStr;
use std::time::Duration;

use evercandle::model::range::{DAY, HOUR, MINUTE, SECOND};
use evercandle::{Grid, Interval, TimeRange, Timestamp};

use crate::args::RangeArgs;
use crate::exit::Failure;

/// An instant as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    Today,
    At(Timestamp),
}

/// A length of time as written: months are calendar months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    months: u32,
    micros: i64,
}

impl RangeArgs {
    /// The range that is meant, or the newest `newest` slots of `interval` when nothing was written.
    pub(crate) fn resolve(&self, now: Timestamp, newest: Option<(Interval, u32)>) -> Result<TimeRange, Failure> {
        let end = self.end.map_or(now, |end| end.at(now));
        let start = match (self.start, self.last, newest) {
            (Some(_), Some(_), _) => {
                return Err(Failure::bad_input("--start and --last both say where the range begins")
                    .hint("keep one of them; --last counts back from --end, or from now"));
            }
            (Some(start), None, _) => start.at(now),
            (None, Some(last), _) => last.before(end),
            (None, None, Some((interval, slots))) => {
                end.plus(-interval.nominal_micros().saturating_mul(i64::from(slots)))
            }
            (None, None, None) => {
                return Err(Failure::bad_input("no range was given")
                    .hint("say how far back with --last 30d, or from when with --start 2024-01-01"));
            }
        };
        if start >= end {
            let what = if self.end.is_some() { "--end" } else { "now" };
            return Err(Failure::bad_input(format!("the range is empty: it begins at {start} and ends at {end}"))
                .hint(format!("the start must lie before {what}; ends are exclusive, so --end 2024-02-01 stops before that day begins")));
        }
        Ok(TimeRange::clamped(start, end))
    }

    /// An end that was left open means "what has closed": the slot in progress is not asked for only to be reported as
    /// still open. A written end is taken at its word.
    pub(crate) fn closed(&self, range: TimeRange, interval: Interval) -> TimeRange {
        let left_open = matches!(self.end, None | Some(When::Now));
        let closed = Grid::new(interval, None).floor(range.end());
        if left_open && closed > range.start() {
            TimeRange::clamped(range.start(), closed)
        } else {
            range
        }
    }
}

impl When {
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            When::Now => now,
            When::Today => now.floor_day(),
            When::At(at) => at,
        }
    }
}

const WHEN_EXPECTED: &str =
    "expected 2024-01-01, 2024-01, 2024-01-01T12:00[:00][Z|+02:00], epoch seconds, ms or µs, today or now";

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        let text = text.trim();
        match text {
            "now" => return Ok(When::Now),
            "today" => return Ok(When::Today),
            _ => {}
        }
        let wrong = |why: &str| {
            Err(if why.is_empty() {
                WHEN_EXPECTED.to_owned()
            } else {
                format!("{why}; {WHEN_EXPECTED}")
            })
        };
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return number(text).map(When::At);
        }
        if text.starts_with('-') {
            return wrong("times before 1970 do not exist here, and a span back from now is written --last 7d");
        }
        if Span::from_str(text).is_ok() {
            return wrong(&format!("{text:?} is a span; did you mean --last {text}?"));
        }
        if offset(text).is_some_and(|seconds| seconds.abs() > OFFSET_MAX) {
            return wrong("no place is more than 14 hours away from UTC");
        }
        match calendar(text) {
            Some(at) if at.as_microsecond() >= 0 => Ok(When::At(Timestamp::from_micros(at.as_microsecond()))),
            Some(_) => wrong("times before 1970 do not exist here"),
            None => wrong(""),
        }
    }
}

/// A year, or an epoch number by its magnitude.
fn number(text: &str) -> Result<Timestamp, String> {
    let wrong = |why: String| Err(format!("{why}; {WHEN_EXPECTED}"));
    if text.len() == 4 {
        let year = text.parse().unwrap_or(0);
        return match Timestamp::from_date(year, 1, 1) {
            Some(at) if year >= 1970 => Ok(at),
            _ => wrong(format!("{text} is not a year from 1970 on")),
        };
    }
    let value: u64 = match text.parse() {
        Ok(value) => value,
        Err(_) => return wrong(format!("{text} is too large for a time")),
    };
    // 10^8 s is 1973, 10^11 s is the year 5138; 10^11 ms is 1973 again, and so on.
    let micros = match value {
        100_000_000..100_000_000_000 => value * 1_000_000,
        100_000_000_000..100_000_000_000_000 => value * 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => value,
        _ if text.len() == 8 => {
            return wrong(format!(
                "{text} could be a date or a number; write {}-{}-{}",
                &text[..4],
                &text[4..6],
                &text[6..]
            ));
        }
        0..100_000_000 => return wrong(format!("{text} is neither a date nor an epoch time after 1973")),
        _ => {
            return wrong(format!(
                "{text} looks like nanoseconds, and times here are whole microseconds"
            ));
        }
    };
    Ok(Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)))
}

/// Seconds between UTC and any place on Earth at the most (the Line Islands).
const OFFSET_MAX: i32 = 14 * 3_600;

/// Seconds of the offset from UTC that is written, if one is.
fn offset(text: &str) -> Option<i32> {
    let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
    pieces.to_numeric_offset().map(jiff::tz::Offset::seconds)
}

fn calendar(text: &str) -> Option<jiff::Timestamp> {
    use jiff::civil::{Date, DateTime};
    let utc = |at: DateTime| at.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp());
    if let Some((year, month)) = text.split_once('-')
        && text.len() == 7
    {
        return utc(Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?.into());
    }
    if text.len() == 10 {
        return utc(text.parse::<Date>().ok()?.into());
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => Some(at),
        Err(_) => utc(text.parse::<DateTime>().ok()?),
    }
}

impl Span {
    /// The instant this long before `end`.
    pub(crate) fn before(self, end: Timestamp) -> Timestamp {
        let end = end.plus(-self.micros);
        if self.months == 0 {
            return end;
        }
        let back = jiff::Span::new().months(i64::from(self.months));
        let moved = jiff::Timestamp::from_microsecond(end.as_micros())
            .map(|t| t.to_zoned(jiff::tz::TimeZone::UTC))
            .and_then(|zoned| zoned.checked_sub(back));
        moved.map_or(Timestamp::EPOCH, |t| {
            Timestamp::from_micros(t.timestamp().as_microsecond())
        })
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let expected = "expected a number and a unit: 90s, 90m, 12h, 7d, 2w, 3mo (or 3M) or 1y";
        let (count, unit) = count_and_unit(text).ok_or(expected)?;
        let micros = |unit: i64| {
            i64::from(count)
                .checked_mul(unit)
                .map(|micros| Span { months: 0, micros })
        };
        let months = |each: u32| count.checked_mul(each).map(|months| Span { months, micros: 0 });
        let span = match unit {
            "s" => micros(SECOND),
            "m" | "min" => micros(MINUTE),
            "h" => micros(HOUR),
            "d" => micros(DAY),
            "w" => micros(7 * DAY),
            "mo" | "M" => months(1),
            "y" => months(12),
            _ => return Err(expected.to_owned()),
        };
        match span {
            _ if count == 0 => Err(format!("a span of nothing; {expected}")),
            Some(span) if span.months < 12 * 1000 => Ok(span),
            _ => Err(format!("longer than time itself; {expected}")),
        }
    }
}

fn count_and_unit(text: &str) -> Option<(u32, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

/// Reads a duration such as `30s`, `500ms` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a number and a unit: 500ms, 30s or 2m";
    let (count, unit) = count_and_unit(text).ok_or(expected)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected.to_owned()),
    };
    match u64::from(count) * millis {
        0 => Err(format!("no time at all; {expected}")),
        millis => Ok(Duration::from_millis(millis)),
    }
}

/// Reads an amount of bytes such as `20G`, `512MiB` or `0`; units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let expected = "expected bytes such as 500M, 20G or 0 (units are powers of 1024)";
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: u64 = text[..digits].parse().map_err(|_| expected)?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(expected.to_owned()),
    };
    count.checked_mul(1 << shift).ok_or_else(|| expected.to_owned())
}

/// Reads a size such as `1200x640`.
pub(crate) fn size(text: &str) -> Result<(u32, u32), String> {
    let expected = "expected width and height such as 1200x640, each from 20 to 8000";
    let (width, height) = text.split_once('x').ok_or(expected)?;
    let side = |text: &str| text.trim().parse().ok().filter(|n| (10..=8000).contains(n));
    Ok((
        side(width).filter(|w| *w >= 20).ok_or(expected)?,
        side(height).ok_or(expected)?,
    ))
}

/// Reads an interval; a near miss is told what it is near to.
pub(crate) fn interval(text: &str) -> Result<Interval, String> {
    text.parse::<Interval>().map_err(|error| match nearest_interval(text) {
        Some(near) => format!("did you mean {near}? {error}"),
        None => error.to_string(),
    })
}

/// The interval of the same length (`60m`, `24h`, `7d`), or the same in another case (`1H`).
pub(crate) fn nearest_interval(text: &str) -> Option<Interval> {
    let folded = Interval::ALL
        .into_iter()
        .find(|i| *i != Interval::Mo1 && i.as_str().eq_ignore_ascii_case(text));
    let same_length = || {
        let span = Span::from_str(&text.to_ascii_lowercase()).ok()?;
        Interval::ALL
            .into_iter()
            .find(|i| i.micros() == Some(span.micros) && span.months == 0)
    };
    folded.or_else(same_length)
}

/// Cuts a range into the windows that are asked for one after the other, so that memory stays flat however long it is.
///
/// Cuts fall on the first of a month, where archives begin and end. A month of seconds is too much to hold, but asking
/// for less would forgo the monthly archive, so seconds are cut by days and the rest by months or years.
pub(crate) fn windows(range: TimeRange, interval: Interval) -> Vec<TimeRange> {
    let cut: fn(Timestamp) -> Timestamp = match interval {
        Interval::S1 => |t| t.floor_day().plus(DAY),
        i if i < Interval::M15 => |t| Grid::new(Interval::Mo1, None).next(t),
        i if i < Interval::D1 => |t| {
            let (year, _, _) = t.date();
            Timestamp::from_date(year + 1, 1, 1).unwrap_or(Timestamp::MAX)
        },
        _ => return vec![range],
    };
    let mut windows = Vec::new();
    let mut start = range.start();
    while start < range.end() {
        let end = cut(start).min(range.end());
        windows.push(TimeRange::clamped(start, end));
        if end <= start {
            break;
        }
        start = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        match text.parse::<When>() {
            Ok(When::At(at)) => at,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn times_are_read_the_ways_people_write_them() {
        for (typed, meant) in [
            ("2024-01-01", "2024-01-01T00:00:00Z"),
            ("2024-02", "2024-02-01T00:00:00Z"),
            ("2024", "2024-01-01T00:00:00Z"),
            ("2024-01-01T12:30", "2024-01-01T12:30:00Z"),
            ("2024-01-01 12:30:15", "2024-01-01T12:30:15Z"),
            ("2024-01-01T12:30:15Z", "2024-01-01T12:30:15Z"),
            ("2024-01-01T12:30:15.123456Z", "2024-01-01T12:30:15.123456Z"),
            ("2024-01-01T00:30:00+02:00", "2023-12-31T22:30:00Z"),
            ("2024-01-01T14:00+14:00", "2024-01-01T00:00:00Z"),
            ("1704067200", "2024-01-01T00:00:00Z"),
            ("1704067200000", "2024-01-01T00:00:00Z"),
            ("1704067200000001", "2024-01-01T00:00:00.000001Z"),
        ] {
            assert_eq!(at(typed).to_string(), meant, "{typed:?}");
        }
        assert_eq!("now".parse(), Ok(When::Now));
        let noon = at("2024-05-06T12:00");
        assert_eq!("today".parse::<When>().unwrap().at(noon), at("2024-05-06"));
    }

    #[test]
    fn times_that_could_be_misread_are_refused_with_what_was_expected() {
        for (typed, named) in [
            ("20240101", "write 2024-01-01"),
            ("7d", "did you mean --last 7d?"),
            ("12345", "neither a date nor an epoch time"),
            ("1704067200000000000", "nanoseconds"),
            ("99999999999999999999999", "too large"),
            ("-5", "--last 7d"),
            ("1969-12-31", "before 1970"),
            ("0001", "not a year from 1970"),
            ("2024-13", "expected"),
            ("2024-02-30", "expected"),
            ("2024-01-01T00:00+25:00", "14 hours away from UTC"),
            ("2024-01-01T00:00:00-14:01", "14 hours away from UTC"),
            ("yesterday", "expected"),
            ("", "expected"),
        ] {
            let error = typed.parse::<When>().unwrap_err();
            assert!(
                error.contains(named) && error.contains("expected"),
                "{typed:?}: {error}"
            );
        }
    }

    #[test]
    fn spans_count_back_and_months_are_calendar_months() {
        let end = at("2024-03-31T10:00");
        for (typed, start) in [
            ("90s", "2024-03-31T09:58:30Z"),
            ("90m", "2024-03-31T08:30:00Z"),
            ("12h", "2024-03-30T22:00:00Z"),
            ("7d", "2024-03-24T10:00:00Z"),
            ("2w", "2024-03-17T10:00:00Z"),
            ("1mo", "2024-02-29T10:00:00Z"),
            ("1M", "2024-02-29T10:00:00Z"),
            ("1y", "2023-03-31T10:00:00Z"),
            ("900y", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                typed.parse::<Span>().unwrap().before(end).to_string(),
                start,
                "{typed:?}"
            );
        }
        for wrong in [
            "",
            "7",
            "d",
            "0d",
            "7 parsecs",
            "-7d",
            "1.5h",
            "99999999999d",
            "4000000000y",
        ] {
            assert!(wrong.parse::<Span>().unwrap_err().contains("expected"), "{wrong:?}");
        }
    }

    fn resolve(start: Option<&str>, end: Option<&str>, last: Option<&str>) -> Result<String, String> {
        let args = RangeArgs {
            start: start.map(|t| t.parse().unwrap()),
            end: end.map(|t| t.parse().unwrap()),
            last: last.map(|t| t.parse().unwrap()),
        };
        let range = args.resolve(at("2024-06-15T12:00"), Some((Interval::H1, 100)));
        range.map(|r| r.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn an_end_left_open_stops_before_the_slot_in_progress_and_a_written_one_does_not() {
        let closed = |end: Option<&str>, until: &str| {
            let args = RangeArgs {
                start: None,
                end: end.map(|t| t.parse().unwrap()),
                last: Some("3h".parse().unwrap()),
            };
            let range = args.resolve(at("2024-06-15T12:07"), None).unwrap();
            assert_eq!(args.closed(range, Interval::H1).end(), at(until), "{end:?}");
        };
        closed(None, "2024-06-15T12:00");
        closed(Some("now"), "2024-06-15T12:00");
        closed(Some("2024-06-15T12:07"), "2024-06-15T12:07");
        let short = RangeArgs {
            start: None,
            end: None,
            last: Some("1m".parse().unwrap()),
        };
        let range = short.resolve(at("2024-06-15T12:07"), None).unwrap();
        assert_eq!(
            short.closed(range, Interval::H1),
            range,
            "nothing has closed: say that instead"
        );
    }

    #[test]
    fn a_range_has_one_beginning_and_an_open_end_is_now() {
        let ok = |start, end, last| resolve(start, end, last).unwrap();
        assert_eq!(
            ok(Some("2024-01-01"), Some("2024-02-01"), None),
            "[2024-01-01T00:00:00Z, 2024-02-01T00:00:00Z)"
        );
        assert_eq!(
            ok(Some("2024-06"), None, None),
            "[2024-06-01T00:00:00Z, 2024-06-15T12:00:00Z)"
        );
        assert_eq!(
            ok(None, None, Some("1d")),
            "[2024-06-14T12:00:00Z, 2024-06-15T12:00:00Z)"
        );
        assert_eq!(
            ok(None, Some("2024-01-08"), Some("7d")),
            "[2024-01-01T00:00:00Z, 2024-01-08T00:00:00Z)"
        );
        assert_eq!(ok(None, None, None), "[2024-06-11T08:00:00Z, 2024-06-15T12:00:00Z)");
        for (start, end, last, named) in [
            (Some("2024-01-02"), Some("2024-01-01"), None, "the range is empty"),
            (Some("2024-01-01"), Some("2024-01-01"), None, "ends are exclusive"),
            (Some("2030-01-01"), None, None, "before now"),
            (Some("2024-01-01"), None, Some("7d"), "--start and --last both"),
        ] {
            let error = resolve(start, end, last).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn windows_follow_each_other_and_cut_where_archives_do() {
        let range = TimeRange::clamped(at("2023-12-30T05:00"), at("2024-02-02"));
        for (interval, count) in [
            (Interval::S1, 34),
            (Interval::M1, 3),
            (Interval::H1, 2),
            (Interval::D1, 1),
        ] {
            let windows = windows(range, interval);
            assert_eq!(windows.len(), count, "{interval}");
            assert!(windows.windows(2).all(|w| w[0].end() == w[1].start()));
            assert_eq!(
                (windows[0].start(), windows[count - 1].end()),
                (range.start(), range.end())
            );
        }
    }

    #[test]
    fn intervals_written_otherwise_are_recognised_in_the_error() {
        for (typed, near) in [
            ("60m", "1h"),
            ("1H", "1h"),
            ("24h", "1d"),
            ("7d", "1w"),
            ("1D", "1d"),
            ("1S", "1s"),
        ] {
            let error = interval(typed).unwrap_err();
            assert!(error.starts_with(&format!("did you mean {near}?")), "{typed}: {error}");
        }
        assert!(interval("7x").unwrap_err().contains("expected one of"));
        assert_eq!(interval("1M"), Ok(Interval::Mo1));
    }

    #[test]
    fn durations_bytes_and_sizes() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("0s").is_err() && duration("5").is_err());
        assert_eq!(bytes("20G"), Ok(20 << 30));
        assert_eq!(bytes("512 MiB"), Ok(512 << 20));
        assert_eq!(bytes("0"), Ok(0));
        assert!(bytes("many").is_err() && bytes("99999999999T").is_err());
        assert_eq!(size("1200x640"), Ok((1200, 640)));
        assert!(size("1200").is_err() && size("0x5").is_err());
    }
}
