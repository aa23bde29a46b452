//! Instants are integers: microseconds since 1970-01-01T00:00Z, the finest unit the exchange prints.
//!
//! Civil time appears in two places only, months and file names; everything else is division.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// One second, in microseconds.
pub const SECOND: i64 = 1_000_000;
/// One minute, in microseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour, in microseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day, in microseconds. The exchange knows neither summer time nor leap seconds.
pub const DAY: i64 = 24 * HOUR;

/// The unit in which an upstream writes its instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Thirteen digits today: REST, futures archives, spot archives before 2025.
    Milliseconds,
    /// Sixteen digits today: spot archives from 2025-01-01, and REST on request.
    Microseconds,
}

impl TimeUnit {
    /// The instant as a number of these units, rounded down, so `…999_999` µs prints as `…999` ms.
    pub fn count(self, instant: i64) -> i64 {
        match self {
            TimeUnit::Milliseconds => instant.div_euclid(1000),
            TimeUnit::Microseconds => instant,
        }
    }
}

/// The instant at which a UTC day starts.
pub fn instant_of(day: Date) -> i64 {
    day.to_zoned(TimeZone::UTC)
        .map_or(0, |zoned| zoned.timestamp().as_microsecond())
}

/// The UTC day an instant falls in.
pub fn day_of(instant: i64) -> Date {
    Timestamp::from_microsecond(instant)
        .unwrap_or_default()
        .to_zoned(TimeZone::UTC)
        .date()
}

/// Parses `2024-01-01` or `2024-01-01T00:00:00Z`.
pub fn parse_instant(text: &str) -> Option<i64> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_microsecond());
    }
    text.parse::<Date>().ok().map(instant_of)
}

/// `2024-01-01T00:00:00Z`, as S3 listings and people write it.
pub fn iso(instant: i64) -> String {
    Timestamp::from_microsecond(instant)
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
        .to_string()
}

/// `Mon, 01 Jan 2024 00:00:00 GMT`, as HTTP headers write it.
pub fn http_date(instant: i64) -> String {
    Timestamp::from_microsecond(instant)
        .unwrap_or_default()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// The first day of the month an instant falls in.
pub(crate) fn month_floor(instant: i64) -> i64 {
    instant_of(day_of(instant).first_of_month())
}

/// The first day of the month after the one an instant falls in.
pub(crate) fn month_next(instant: i64) -> i64 {
    let first = day_of(instant).first_of_month();
    first.checked_add(Span::new().months(1)).map_or(i64::MAX, instant_of)
}
