//! Arrow IPC: the store's schema, with series, segments and gaps as metadata.
//!
//! As a file for whoever keeps it: every tool that opens `.arrow` or Feather files reads it, and it is complete only when
//! its footer is. As a stream for whoever reads it as it arrives. The story is in the schema's metadata when it was known
//! before the first kline, and always in the file's footer; a stream has no footer, so a story that
//! came late is left to whoever carries the stream.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{ArrowError, DataType, Schema};
use evercandle::Batch;
use evercandle::model::batch::{COLUMN_NAMES, column_names, schema_of};

use crate::cell::{Kind, kind};
use crate::json;
use crate::sink::{Head, Out, Sink, io_error};
use crate::story::Story;
use crate::style::{DecimalFormat, Dialect, Style};

/// Fraction digits used when not all values are known yet: more than this no market prints.
const SCALE_STREAMED: u8 = 8;

pub(crate) struct ArrowSink {
    out: Option<Out>,
    open: fn(Out, &Schema) -> Result<Writer, ArrowError>,
    writer: Option<Writer>,
    shape: Shape,
}

enum Writer {
    File(FileWriter<Out>),
    Stream(StreamWriter<Out>),
}

impl ArrowSink {
    pub(crate) fn file(out: Out, style: Style) -> ArrowSink {
        ArrowSink::new(out, style, |out, schema| {
            FileWriter::try_new(out, schema).map(Writer::File)
        })
    }

    pub(crate) fn stream(out: Out, style: Style) -> ArrowSink {
        ArrowSink::new(out, style, |out, schema| {
            StreamWriter::try_new(out, schema).map(Writer::Stream)
        })
    }

    fn new(out: Out, style: Style, open: fn(Out, &Schema) -> Result<Writer, ArrowError>) -> ArrowSink {
        ArrowSink {
            out: Some(out),
            open,
            writer: None,
            shape: Shape::new(style),
        }
    }
}

impl Sink for ArrowSink {
    fn begin(&mut self, head: &Head<'_>) -> io::Result<()> {
        let schema = self.shape.begin(head);
        let out = self.out.take().ok_or_else(|| io::Error::other("begun twice"))?;
        self.writer = Some((self.open)(out, &schema).map_err(io_error)?);
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> io::Result<()> {
        let rows = self.shape.rows(batch)?;
        match &mut self.writer {
            Some(Writer::File(writer)) if rows.num_rows() > 0 => writer.write(&rows).map_err(io_error),
            Some(Writer::Stream(writer)) if rows.num_rows() > 0 => writer.write(&rows).map_err(io_error),
            _ => Ok(()),
        }
    }

    fn end(&mut self, story: &Story) -> io::Result<()> {
        let out = match self.writer.take() {
            None => return Ok(()),
            Some(Writer::File(mut writer)) => {
                for (key, value) in metadata(story, self.shape.dialect()) {
                    writer.write_metadata(key, value);
                }
                writer.finish().and_then(|()| writer.into_inner())
            }
            Some(Writer::Stream(mut writer)) => writer.finish().and_then(|()| writer.into_inner()),
        };
        out.map_err(io_error)?.flush()
    }
}

/// The columns that were asked for, doubles or decimals; shared with Parquet.
pub(crate) struct Shape {
    style: Style,
    schema: Arc<Schema>,
    scales: [u8; COLUMN_NAMES.len()],
}

impl Shape {
    pub(crate) fn new(style: Style) -> Shape {
        Shape {
            style,
            schema: Arc::new(Schema::empty()),
            scales: [0; COLUMN_NAMES.len()],
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.style.dialect
    }

    /// Fixes the schema.
    pub(crate) fn begin(&mut self, head: &Head<'_>) -> Arc<Schema> {
        self.scales = match head.story {
            Some(_) => head.scales,
            None => head.scales.map(|s| s.max(SCALE_STREAMED)),
        };
        let (stored, rows) = (schema_of(head.series), head.series.kind());
        let fields = self.style.columns.iter().map(|&column| {
            let field = stored.field(column).clone();
            match (kind(rows, column), self.style.decimals) {
                (Kind::Decimal, DecimalFormat::Exact) => {
                    field.with_data_type(DataType::Decimal128(38, self.scales[column] as i8))
                }
                _ => field,
            }
        });
        let series = head.series.to_string();
        let known = match head.story {
            Some(story) => metadata(story, self.dialect()),
            None => [("evercandle.series".to_owned(), series)].into(),
        };
        self.schema = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), known));
        self.schema.clone()
    }

    /// A batch's rows in that schema.
    pub(crate) fn rows(&self, batch: &Batch) -> io::Result<RecordBatch> {
        let columns: io::Result<Vec<ArrayRef>> = self
            .style
            .columns
            .iter()
            .map(
                |&column| match (kind(batch.series().kind(), column), self.style.decimals) {
                    (Kind::Decimal, DecimalFormat::Exact) => self.exact(batch, column),
                    _ => Ok(batch.rows().column(column).clone()),
                },
            )
            .collect();
        RecordBatch::try_new(self.schema.clone(), columns?).map_err(io_error)
    }

    fn exact(&self, batch: &Batch, column: usize) -> io::Result<ArrayRef> {
        let (name, scale) = (column_names(batch.series().kind())[column], self.scales[column]);
        let needed = batch.scale(column).unwrap_or_default();
        if needed > scale {
            let why = format!(
                "{name} needs {needed} fraction digits, more than the {scale} of the rows before; csv has no such limit"
            );
            return Err(io::Error::other(why));
        }
        match batch.decimal128(column, scale) {
            Some(decimals) => Ok(Arc::new(decimals)),
            None => Err(io::Error::other(format!(
                "{name} does not fit a decimal of {scale} fraction digits"
            ))),
        }
    }
}

/// Series, range, segments and gaps, as JSON under one key each.
pub(crate) fn metadata(story: &Story, dialect: Dialect) -> HashMap<String, String> {
    let mut told = HashMap::from([("evercandle.series".to_owned(), story.series.to_string())]);
    if let serde_json::Value::Object(parts) = json::story(story, dialect) {
        let parts = parts.into_iter().filter(|(name, _)| name != "series");
        told.extend(parts.map(|(name, value)| (format!("evercandle.{name}"), value.to_string())));
    }
    told
}
