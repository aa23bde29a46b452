//! One value as text.

use std::fmt::Write;

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{Batch, Timestamp};

use super::Style;
use crate::args::{DecimalFormat, TimeFormat};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Time,
    Count,
    Decimal,
}

pub(super) fn kind(column: usize) -> Kind {
    match COLUMN_NAMES.get(column) {
        Some(&"open_time" | &"close_time") => Kind::Time,
        Some(&"count") => Kind::Count,
        _ => Kind::Decimal,
    }
}

/// Whether the text of a cell is a number to a reader of JSON. Exact decimals are strings, as at the exchange, because
/// most readers of JSON make doubles of numbers.
pub(super) fn is_number(style: &Style, column: usize) -> bool {
    match kind(column) {
        Kind::Time => style.time != TimeFormat::Rfc3339,
        Kind::Count => true,
        Kind::Decimal => style.decimals == DecimalFormat::Float,
    }
}

/// Appends one value.
pub(super) fn write(text: &mut String, batch: &Batch, row: usize, column: usize, style: &Style) {
    let written = match kind(column) {
        Kind::Time => {
            let micros = if column == 0 {
                batch.open_times()[row]
            } else {
                batch.close_times()[row]
            };
            match style.time {
                TimeFormat::Rfc3339 => write!(text, "{}", Timestamp::from_micros(micros)),
                TimeFormat::Ms => write!(text, "{}", micros.div_euclid(1_000)),
                TimeFormat::Us => write!(text, "{micros}"),
            }
        }
        Kind::Count => write!(text, "{}", batch.counts()[row]),
        Kind::Decimal => match style.decimals {
            DecimalFormat::Exact => {
                text.push_str(&batch.print(row, column).unwrap_or_default());
                Ok(())
            }
            // Display of a double is the shortest text that reads back as it, without an exponent.
            DecimalFormat::Float => write!(text, "{}", batch.floats(column)[row]),
        },
    };
    written.expect("a String takes everything");
}
