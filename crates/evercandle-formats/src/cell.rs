//! One value as text.

use std::fmt::Write;

use evercandle::model::batch::column_names;
use evercandle::model::funding;
use evercandle::{Batch, Timestamp};

use crate::style::{DecimalFormat, Style, TimeFormat};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An instant.
    Time,
    /// A whole number.
    Count,
    /// A price or a volume.
    Decimal,
}

/// What a column of the schema holds.
pub fn kind(rows: evercandle::Kind, column: usize) -> Kind {
    match column_names(rows).get(column) {
        Some(&"open_time" | &"close_time" | &"funding_time") => Kind::Time,
        Some(&"count" | &"interval_hours") => Kind::Count,
        _ => Kind::Decimal,
    }
}

/// Whether the text of a cell is a number to a reader of JSON. Exact decimals are strings, as at the exchange, because
/// most readers of JSON make doubles of numbers.
pub fn is_number(rows: evercandle::Kind, style: &Style, column: usize) -> bool {
    match kind(rows, column) {
        Kind::Time => style.time != TimeFormat::Rfc3339,
        Kind::Count => true,
        Kind::Decimal => style.decimals == DecimalFormat::Float,
    }
}

/// Appends one value; nothing where there is none.
pub fn write(text: &mut String, batch: &Batch, row: usize, column: usize, style: &Style) {
    let rows = batch.series().kind();
    if rows != evercandle::Kind::Klines && batch.is_null(row, column) {
        return;
    }
    match kind(rows, column) {
        Kind::Time => {
            let micros = if column == 0 {
                batch.open_times()[row]
            } else {
                batch.close_times()[row]
            };
            match style.time {
                TimeFormat::Rfc3339 => instant(text, micros),
                TimeFormat::Ms => whole(text, micros.div_euclid(1_000)),
                TimeFormat::Us => whole(text, micros),
            }
        }
        Kind::Count if rows == evercandle::Kind::Klines => whole(text, batch.counts()[row]),
        Kind::Count => whole(text, funding::interval_hours(batch, row).unwrap_or_default()),
        Kind::Decimal => match style.decimals {
            DecimalFormat::Exact => text.push_str(&batch.print(row, column).unwrap_or_default()),
            DecimalFormat::Float => double(text, batch.floats(column)[row]),
        },
    }
}

fn whole(text: &mut String, value: i64) {
    text.push_str(itoa::Buffer::new().format(value));
}

/// Microseconds since the epoch of the first instant that does not fit four digits of a year.
const YEAR_10_000: i64 = 253_402_300_800_000_000;

/// What `Display` of a timestamp prints, without the formatting machinery: two of a kline's eleven values are times, and
/// that way they would take longer than the other nine.
fn instant(text: &mut String, micros: i64) {
    if !(0..YEAR_10_000).contains(&micros) {
        write!(text, "{}", Timestamp::from_micros(micros)).expect("a String takes everything");
        return;
    }
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    let mut ascii = *b"0000-00-00T00:00:00.000000Z";
    let mut two = |at: usize, value: i64| {
        ascii[at] = b'0' + (value / 10) as u8;
        ascii[at + 1] = b'0' + (value % 10) as u8;
    };
    two(0, year / 100);
    two(2, year % 100);
    two(5, month);
    two(8, day);
    two(11, of_day / 3_600);
    two(14, of_day / 60 % 60);
    two(17, of_day % 60);
    two(20, fraction / 10_000);
    two(22, fraction / 100 % 100);
    two(24, fraction % 100);
    let end = match fraction {
        0 => 19,
        _ if fraction % 1_000 == 0 => 23,
        _ => 26,
    };
    ascii[end] = b'Z';
    text.push_str(std::str::from_utf8(&ascii[..=end]).expect("digits and marks"));
}

/// Year, month and day of a day counted from the epoch. Years begin in March, so that the odd day is their last; 400 of
/// them have 146,097 days, and five months from March on, like the five after, have 153.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// The shortest text that reads back as the double, without an exponent: what `Display` prints, four times as fast. (Of
/// two shortest texts that are equally near, this takes the even one and `Display` the larger one.) The few that the
/// fast way writes with an exponent are left to `Display`.
fn double(text: &mut String, value: f64) {
    let mut buffer = zmij::Buffer::new();
    match buffer.format(value) {
        short if short.contains('e') => write!(text, "{value}").expect("a String takes everything"),
        short => text.push_str(short.strip_suffix(".0").unwrap_or(short)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> String {
        let mut text = String::new();
        double(&mut text, value);
        text
    }

    #[test]
    fn doubles_of_every_size_have_no_exponent() {
        for value in [
            0.0,
            1.0,
            42_000.0,
            0.1,
            0.000_008_12,
            1e-12,
            5e-324,
            9_007_199_254_740_993.0,
            1e16,
            1e22,
            f64::MAX,
        ] {
            assert_eq!(written(value), value.to_string());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn doubles_are_given_back_by_texts_as_short_as_can_be(value in 0.0f64..1e18, small in 0.0f64..1.0, bits in any::<u64>()) {
            let some = f64::from_bits(bits).abs();
            prop_assume!(some.is_finite());
            for value in [value, small, small * 1e-6, value.trunc(), some] {
                let text = written(value);
                prop_assert_eq!(text.parse::<f64>().unwrap(), value);
                prop_assert_eq!(text.len(), value.to_string().len());
                prop_assert!(!text.contains('e'));
            }
        }

        #[test]
        fn instants_are_written_as_display_writes_them(micros in 0i64..YEAR_10_000, unit in 0usize..3) {
            let unit = [1, 1_000, 1_000_000][unit];
            let micros = micros / unit * unit;
            let mut text = String::new();
            instant(&mut text, micros);
            prop_assert_eq!(text, Timestamp::from_micros(micros).to_string());
        }

        #[test]
        fn fifteen_digits_are_written_as_display_writes_them(mantissa in 0u64..1_000_000_000_000_000, scale in 0u32..9) {
            let value: f64 = format!("{mantissa}e-{scale}").parse().unwrap();
            prop_assert_eq!(written(value), value.to_string());
        }
    }
}
