//! Parquet, Zstandard-compressed: the schema of the Arrow output, with the story among the file's key-value metadata.

use std::io;

use evercandle::Batch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::arrow::{Shape, metadata};
use crate::sink::{Head, Out, Sink, io_error};
use crate::story::Story;
use crate::style::Style;

/// Rows per row group: what is held in memory while it is compressed, and what a reader can skip.
const ROW_GROUP_ROWS: usize = 128 * 1024;

pub(crate) struct ParquetSink {
    out: Option<Out>,
    writer: Option<ArrowWriter<Out>>,
    shape: Shape,
}

impl ParquetSink {
    pub(crate) fn new(out: Out, style: Style) -> ParquetSink {
        ParquetSink {
            out: Some(out),
            writer: None,
            shape: Shape::new(style),
        }
    }
}

impl Sink for ParquetSink {
    fn begin(&mut self, head: &Head<'_>) -> io::Result<()> {
        let schema = self.shape.begin(head);
        let out = self.out.take().ok_or_else(|| io::Error::other("begun twice"))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        self.writer = Some(ArrowWriter::try_new(out, schema, Some(properties)).map_err(io_error)?);
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> io::Result<()> {
        let rows = self.shape.rows(batch)?;
        match &mut self.writer {
            Some(writer) => writer.write(&rows).map_err(io_error),
            None => Ok(()),
        }
    }

    fn end(&mut self, story: &Story) -> io::Result<()> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        for (key, value) in metadata(story, self.shape.dialect()) {
            writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        let mut out = writer.into_inner().map_err(io_error)?;
        out.flush()
    }
}
