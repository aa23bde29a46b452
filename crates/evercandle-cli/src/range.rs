//! Ranges, durations, sizes as options: what the command line adds to the ways of writing times.

use std::net::SocketAddr;
use std::time::Duration;

use evercandle::{Grid, Interval, TimeRange, Timestamp};
use evercandle_formats::time::count_and_unit;
pub(crate) use evercandle_formats::time::{Span, When, interval, nearest_interval};

use crate::args::RangeArgs;
use crate::exit::Failure;

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

/// Reads a duration such as `30s`, `500ms` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a number and a unit: 500ms, 30s or 2m";
    match time(text, expected)? {
        Duration::ZERO => Err(format!("no time at all; {expected}")),
        some => Ok(some),
    }
}

/// Reads a duration that may be none.
pub(crate) fn patience(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "0" => Ok(Duration::ZERO),
        text => time(text, "expected a number and a unit, such as 10m or 2h, or 0 for none"),
    }
}

fn time(text: &str, expected: &str) -> Result<Duration, String> {
    let (count, unit) = count_and_unit(text).ok_or(expected)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected.to_owned()),
    };
    Ok(Duration::from_millis(u64::from(count) * millis))
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

/// Reads an address to listen on, as the configuration does.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080".to_owned())
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
    fn durations_bytes_and_sizes() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("0s").is_err() && duration("5").is_err());
        assert_eq!(
            (patience("0"), patience("0s")),
            (Ok(Duration::ZERO), Ok(Duration::ZERO))
        );
        assert_eq!(patience("10m"), Ok(Duration::from_secs(600)));
        assert!(patience("5").is_err());
        assert_eq!(bytes("20G"), Ok(20 << 30));
        assert_eq!(bytes("512 MiB"), Ok(512 << 20));
        assert_eq!(bytes("0"), Ok(0));
        assert!(bytes("many").is_err() && bytes("99999999999T").is_err());
        assert_eq!(size("1200x640"), Ok((1200, 640)));
        assert!(size("1200").is_err() && size("0x5").is_err());
    }

    #[test]
    fn what_is_listened_on_is_an_address_and_a_port() {
        assert_eq!(address("127.0.0.1:8080").unwrap().port(), 8080);
        for text in ["localhost:8080", "127.0.0.1", ""] {
            assert!(address(text).unwrap_err().contains("127.0.0.1:8080"), "{text}");
        }
    }
}
