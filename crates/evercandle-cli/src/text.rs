//! Numbers, times and other people's words, as people read them.

use std::time::Duration;

use evercandle::model::range::{DAY, HOUR, MINUTE, SECOND};
use evercandle::{TimeRange, Timestamp};

pub(crate) use evercandle_formats::words::{foreign, nearest};

/// `44,640`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// What a row of a series is called.
pub(crate) fn noun(series: &evercandle::Series) -> &'static str {
    series.kind().noun()
}

/// `1 kline`, `44,640 klines`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// How long something took: `0.4 ms`, `38 ms`, `1.24 s`, `2 min 5 s`.
pub(crate) fn took(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.2} s"),
        s => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
    }
}

/// How long a stretch of time is, in its two largest units: `3 d 4 h`, `90 s` as `1 min 30 s`.
pub(crate) fn span(micros: i64) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")];
    let mut rest = micros.max(0);
    let mut parts = Vec::new();
    for (unit, name) in units {
        if rest >= unit {
            parts.push(format!("{} {name}", thousands((rest / unit).unsigned_abs())));
        }
        rest %= unit;
    }
    parts.truncate(2);
    if parts.is_empty() {
        "0 s".to_owned()
    } else {
        parts.join(" ")
    }
}

/// How long ago something was: `0.3 s`, `42 s`, `3 d 4 h`.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs_f64() {
        s if s < 10.0 => format!("{s:.1} s"),
        _ => span(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)),
    }
}

/// An instant to the second: `2024-01-01 12:30:15`.
pub(crate) fn second(at: Timestamp) -> String {
    at.to_string().replace('T', " ").chars().take(19).collect()
}

/// `1.2 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{n} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// `1.23 M`.
pub(crate) fn short(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e12 => (v / 1e12, " T"),
        v if v >= 1e9 => (v / 1e9, " B"),
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e4 => (v / 1e3, " K"),
        v => (v, ""),
    };
    let digits = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}{unit}")
}

/// An instant without what is not needed: `2024-01-01`, `2024-01-01 12:30`, `2024-01-01 12:30:15`.
pub(crate) fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    match time.trim_end_matches('Z') {
        "00:00:00" => date.to_owned(),
        time if time.ends_with(":00") => format!("{date} {}", &time[..5]),
        time => format!("{date} {time}"),
    }
}

/// `2024-01-01 … 2024-02-01`.
pub(crate) fn range(range: TimeRange) -> String {
    format!("{} … {}", instant(range.start()), instant(range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_nouns_agree() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(
            (count(1, "gap"), count(1000, "gap")),
            ("1 gap".into(), "1,000 gaps".into())
        );
    }

    #[test]
    fn spans_and_times_show_what_matters() {
        assert_eq!(span(90 * SECOND), "1 min 30 s");
        assert_eq!(span(3 * DAY + 4 * HOUR + 5 * MINUTE), "3 d 4 h");
        assert_eq!(span(0), "0 s");
        assert_eq!(took(Duration::from_micros(420)), "0.4 ms");
        assert_eq!(took(Duration::from_millis(38)), "38 ms");
        assert_eq!(took(Duration::from_millis(1240)), "1.24 s");
        assert_eq!(took(Duration::from_secs(125)), "2 min 5 s");
        let at = |text: &str| Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        assert_eq!(instant(at("2024-01-01T00:00:00Z")), "2024-01-01");
        assert_eq!(instant(at("2024-01-01T12:30:00Z")), "2024-01-01 12:30");
        assert_eq!(instant(at("2024-01-01T12:30:15Z")), "2024-01-01 12:30:15");
        assert_eq!(
            (bytes(999), bytes(1 << 20), bytes(1_288_490_189)),
            ("999 B".into(), "1.0 MiB".into(), "1.2 GiB".into())
        );
    }

    #[test]
    fn volumes_are_short() {
        for (value, text) in [
            (0.0, "0.00"),
            (7.25, "7.25"),
            (9_999.0, "9999"),
            (12_345.0, "12.3 K"),
            (1.5e9, "1.50 B"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
