//! Klines, prices, readings and health for the outside: the only place that serialises them.
//!
//! A format is a [`Sink`] that takes batches as they come, so that a long range needs no more memory than one window of
//! it. What is only known at the end (gaps, segments) is written at the end where the format allows it.
//!
//! Column names are those of the store. A double is written in the fewest digits that give it back;
//! `--decimals exact` writes what the exchange printed, character by character, and in Arrow and Parquet a decimal type.

use std::io;

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{Batch, Series, TimeRange};

use crate::args::{DecimalFormat, Format, LatestFormat, TimeFormat};
use crate::exit::Failure;
use crate::screen::Screen;
use crate::story::Story;
use crate::text;

mod arrow;
mod cell;
mod csv;
pub(crate) mod health;
mod json;
pub(crate) mod list;
mod parquet;
pub(crate) mod place;
pub(crate) mod price;
pub(crate) mod sentiment;
pub(crate) mod table;

/// How klines are written, whatever the format.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) time: TimeFormat,
    pub(crate) decimals: DecimalFormat,
    /// Positions in the store's schema.
    pub(crate) columns: Vec<usize>,
    /// In a table, every row.
    pub(crate) all: bool,
}

/// What is known before the first kline is written.
pub(crate) struct Head<'a> {
    pub(crate) series: &'a Series,
    pub(crate) range: TimeRange,
    /// Everything, if everything is known already.
    pub(crate) story: Option<&'a Story>,
    /// For each column of the schema, the fraction digits that make every value exact, as far as is known.
    pub(crate) scales: [u8; COLUMN_NAMES.len()],
}

/// Takes klines in time order and writes them in one format. A sink that is dropped before `end` leaves no usable file.
pub(crate) trait Sink: Send {
    fn begin(&mut self, head: &Head<'_>) -> io::Result<()>;
    fn batch(&mut self, batch: &Batch) -> io::Result<()>;
    fn end(&mut self, story: &Story) -> io::Result<()>;
}

/// Where a sink writes.
pub(crate) type Out = Box<dyn io::Write + Send>;

/// The sink of a format.
///
/// `limit`: columns a table may take, if that is limited.
pub(crate) fn sink(format: Format, style: Style, out: Out, limit: Option<usize>, color: bool) -> Box<dyn Sink> {
    match format {
        Format::Table => Box::new(table::TableSink::new(out, style, limit, color)),
        Format::Csv => Box::new(csv::CsvSink::new(out, style)),
        Format::Json => Box::new(json::JsonSink::new(out, style)),
        Format::Ndjson => Box::new(json::NdjsonSink::new(out, style)),
        Format::Arrow => Box::new(arrow::ArrowSink::new(out, style)),
        Format::Parquet => Box::new(parquet::ParquetSink::new(out, style)),
    }
}

/// Positions of the columns asked for, or of all.
pub(crate) fn columns(names: &[String]) -> Result<Vec<usize>, Failure> {
    if names.is_empty() {
        return Ok((0..COLUMN_NAMES.len()).collect());
    }
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let name = name.trim();
        let Some(column) = COLUMN_NAMES.iter().position(|c| *c == name) else {
            let failure = Failure::bad_input(format!(
                "unknown column {name:?}: expected some of {}",
                COLUMN_NAMES.join(", ")
            ));
            return Err(match text::nearest(name, COLUMN_NAMES) {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => failure,
            });
        };
        if columns.contains(&column) {
            return Err(Failure::bad_input(format!("column {name} was asked for twice")));
        }
        columns.push(column);
    }
    Ok(columns)
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

/// Errors of the columnar writers, the underlying I/O error restored so that a closed pipe is recognised.
fn io_error(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return io::Error::new(io.kind(), error.to_string());
        }
        source = inner.source();
    }
    if error.to_string().to_ascii_lowercase().contains("broken pipe") {
        return io::Error::from(io::ErrorKind::BrokenPipe);
    }
    io::Error::other(error)
}

#[cfg(test)]
mod tests;
