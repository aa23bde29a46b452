//! How people write times, spans and intervals.
//!
//! Everything is read as UTC, because klines are; a zone may be named, and then it counts. Epoch numbers are told apart
//! by magnitude, which is unambiguous from 1973 on. What could be misread (`20240101`, `7d` for a start) is refused with
//! the spelling that was probably meant.

use std::str::FromStr;

use evercandle::model::range::{DAY, HOUR, MINUTE, SECOND};
use evercandle::{Interval, Timestamp};

/// An instant as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `now`
    Now,
    /// The last midnight.
    Today,
    /// One that does not depend on when it is read.
    At(Timestamp),
}

/// A length of time as written: months are calendar months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    months: u32,
    micros: i64,
}

/// How an option that counts back from the end is written on the command line.
const LAST_OPTION: &str = "--last ";

impl When {
    /// The instant that is meant, given what time it is.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            When::Now => now,
            When::Today => now.floor_day(),
            When::At(at) => at,
        }
    }

    /// Reads what a person wrote. `last` begins the spelling of a span back from now, for whoever wrote that here:
    /// `--last ` on a command line, `last=` in a URL.
    pub fn read(text: &str, last: &str) -> Result<When, String> {
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
            return wrong(&format!(
                "times before 1970 do not exist here, and a span back from now is written {last}7d"
            ));
        }
        if Span::from_str(text).is_ok() {
            return wrong(&format!("{text:?} is a span; did you mean {last}{text}?"));
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

const WHEN_EXPECTED: &str =
    "expected 2024-01-01, 2024-01, 2024-01-01T12:00[:00][Z|+02:00], epoch seconds, ms or µs, today or now";

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        When::read(text, LAST_OPTION)
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
    pub fn before(self, end: Timestamp) -> Timestamp {
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

/// A whole number and what follows it.
pub fn count_and_unit(text: &str) -> Option<(u32, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

/// Reads an interval; a near miss is told what it is near to.
pub fn interval(text: &str) -> Result<Interval, String> {
    text.parse::<Interval>().map_err(|error| match nearest_interval(text) {
        Some(near) => format!("did you mean {near}? {error}"),
        None => error.to_string(),
    })
}

/// The interval of the same length (`60m`, `24h`, `7d`), or the same in another case (`1H`).
pub fn nearest_interval(text: &str) -> Option<Interval> {
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
}
