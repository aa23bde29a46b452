//! One value as text.

use std::fmt::Write;

use evercandle::model::batch::COLUMN_NAMES;
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
pub fn kind(column: usize) -> Kind {
    match COLUMN_NAMES.get(column) {
        Some(&"open_time" | &"close_time") => Kind::Time,
        Some(&"count") => Kind::Count,
        _ => Kind::Decimal,
    }
}

/// Whether the text of a cell is a number to a reader of JSON. Exact decimals are strings, as at the exchange, because
/// most readers of JSON make doubles of numbers.
pub fn is_number(style: &Style, column: usize) -> bool {
    match kind(column) {
        Kind::Time => style.time != TimeFormat::Rfc3339,
        Kind::Count => true,
        Kind::Decimal => style.decimals == DecimalFormat::Float,
    }
}

/// Appends one value.
pub fn write(text: &mut String, batch: &Batch, row: usize, column: usize, style: &Style) {
    match kind(column) {
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
        Kind::Count => whole(text, batch.counts()[row]),
        Kind::Decimal => match style.decimals {
            DecimalFormat::Exact => text.push_str(&batch.print(row, column).unwrap_or_default()),
            DecimalFormat::Float => double(text, batch.floats(column)[row]),
        },
    }
}

fn whole(text: &mut String, value: i64) {
    text.push_str(itoa::Buffer::new().format(value));
}

fn instant(text: &mut String, micros: i64) {
    write!(text, "{}", Timestamp::from_micros(micros)).expect("a String takes everything");
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
        fn fifteen_digits_are_written_as_display_writes_them(mantissa in 0u64..1_000_000_000_000_000, scale in 0u32..9) {
            let value: f64 = format!("{mantissa}e-{scale}").parse().unwrap();
            prop_assert_eq!(written(value), value.to_string());
        }
    }
}
