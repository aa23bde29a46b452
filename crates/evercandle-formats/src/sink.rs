//! A format as something that takes batches as they come, so that a long range needs no more memory than one window.
//!
//! What is only known at the end (gaps, segments) is written at the end where the format allows it. Column names are
//! those of the store. A double is written in the fewest digits that give it back; exact decimals are what the exchange
//! printed, character by character, and in Arrow and Parquet a decimal type.

use std::io;

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{Batch, Series, TimeRange};

use crate::arrow::ArrowSink;
use crate::csv::CsvSink;
use crate::json::{JsonSink, NdjsonSink};
use crate::parquet::ParquetSink;
use crate::story::Story;
use crate::style::Style;

/// What klines can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One object with the story.
    Json,
    /// One object a line, a kline each.
    Ndjson,
    /// An Arrow IPC file, complete when its footer is there.
    Arrow,
    /// An Arrow IPC stream, read as it arrives.
    ArrowStream,
    /// Parquet, Zstandard-compressed.
    Parquet,
}

/// What is known before the first kline is written.
pub struct Head<'a> {
    /// Whose klines.
    pub series: &'a Series,
    /// Opening when.
    pub range: TimeRange,
    /// Everything, if everything is known already.
    pub story: Option<&'a Story>,
    /// For each column of the schema, the fraction digits that make every value exact, as far as is known.
    pub scales: Scales,
}

/// Fraction digits per column of the schema.
pub type Scales = [u8; COLUMN_NAMES.len()];

/// The fraction digits that make every value of these klines exact.
pub fn scales(batches: &[Batch]) -> Scales {
    std::array::from_fn(|column| batches.iter().filter_map(|b| b.scale(column)).max().unwrap_or(0))
}

/// Takes klines in time order and writes them in one format. A sink that is dropped before `end` leaves no usable file.
pub trait Sink: Send {
    /// What comes before the first kline.
    fn begin(&mut self, head: &Head<'_>) -> io::Result<()>;
    /// The next klines.
    fn batch(&mut self, batch: &Batch) -> io::Result<()>;
    /// What comes after the last.
    fn end(&mut self, story: &Story) -> io::Result<()>;
}

/// Where a sink writes.
pub type Out = Box<dyn io::Write + Send>;

/// The sink of a format.
pub fn sink(format: Format, style: Style, out: Out) -> Box<dyn Sink> {
    match format {
        Format::Csv => Box::new(CsvSink::new(out, style)),
        Format::Json => Box::new(JsonSink::new(out, style)),
        Format::Ndjson => Box::new(NdjsonSink::new(out, style)),
        Format::Arrow => Box::new(ArrowSink::file(out, style)),
        Format::ArrowStream => Box::new(ArrowSink::stream(out, style)),
        Format::Parquet => Box::new(ParquetSink::new(out, style)),
    }
}

/// Errors of the columnar writers, the underlying I/O error restored so that a closed pipe is recognised.
pub(crate) fn io_error(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
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
