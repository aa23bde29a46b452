//! Klines, prices, readings and health for the outside: what the command line prints.
//!
//! Klines go through the sinks of `evercandle-formats`, which the daemon uses too; the table for people is added here.

use std::io;

use evercandle_formats::style::{self, ColumnError, Dialect};
use evercandle_formats::{Out, Sink, Style};

use crate::args::{DecimalFormat, Format, LatestFormat, TimeFormat};
use crate::exit::Failure;
use crate::screen::Screen;

pub(crate) mod health;
pub(crate) mod list;
pub(crate) mod place;
pub(crate) mod price;
pub(crate) mod sentiment;
pub(crate) mod table;

/// How rows of a kind are written, as the options say.
pub(crate) fn style(
    kind: evercandle::Kind,
    time: TimeFormat,
    decimals: DecimalFormat,
    names: &[String],
) -> Result<Style, Failure> {
    let columns = style::columns_of(kind, names.iter().map(String::as_str)).map_err(|error| {
        let failure = Failure::bad_input(error.to_string());
        match error {
            ColumnError::Unknown { near: Some(near), .. } => failure.hint(format!("did you mean {near}?")),
            _ => failure,
        }
    })?;
    Ok(Style {
        time: match time {
            TimeFormat::Rfc3339 => evercandle_formats::TimeFormat::Rfc3339,
            TimeFormat::Ms => evercandle_formats::TimeFormat::Ms,
            TimeFormat::Us => evercandle_formats::TimeFormat::Us,
        },
        decimals: match decimals {
            DecimalFormat::Float => evercandle_formats::DecimalFormat::Float,
            DecimalFormat::Exact => evercandle_formats::DecimalFormat::Exact,
        },
        columns,
        dialect: Dialect::Shell,
    })
}

/// The sink of a format; `shown`: how much of a table, should it be one.
pub(crate) fn sink(format: Format, style: Style, out: Out, shown: table::Shown) -> Box<dyn Sink> {
    let format = match format {
        Format::Table => return Box::new(table::TableSink::new(out, style, shown)),
        Format::Csv => evercandle_formats::Format::Csv,
        Format::Json => evercandle_formats::Format::Json,
        Format::Ndjson => evercandle_formats::Format::Ndjson,
        Format::Arrow => evercandle_formats::Format::Arrow,
        Format::Parquet => evercandle_formats::Format::Parquet,
    };
    evercandle_formats::sink::sink(format, style, out)
}

/// A duration as a number, to the millisecond.
fn seconds(duration: std::time::Duration) -> f64 {
    duration.as_millis() as f64 / 1e3
}

/// As asked for, else for whoever reads stdout.
pub(crate) fn latest_format(asked: Option<LatestFormat>, screen: &Screen) -> LatestFormat {
    asked.unwrap_or(match screen.stdout_is_terminal {
        true => LatestFormat::Table,
        false => LatestFormat::Csv,
    })
}

/// Text on stdout, out at once.
pub(crate) fn print(text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests;
