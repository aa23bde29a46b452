//! Comma-separated values: one header, one line per row. No value needs quoting.

use std::io;

use evercandle::Batch;
use evercandle::model::batch::column_names;

use crate::cell;
use crate::sink::{Head, Out, Sink};
use crate::story::Story;
use crate::style::Style;

/// Bytes gathered before they are written.
const BUFFER: usize = 64 * 1024;

pub(crate) struct CsvSink {
    out: Out,
    style: Style,
    text: String,
}

impl CsvSink {
    pub(crate) fn new(out: Out, style: Style) -> CsvSink {
        CsvSink {
            out,
            style,
            text: String::with_capacity(BUFFER + 1024),
        }
    }
}

impl Sink for CsvSink {
    fn begin(&mut self, head: &Head<'_>) -> io::Result<()> {
        let all = column_names(head.series.kind());
        let names: Vec<&str> = self.style.columns.iter().map(|c| all[*c]).collect();
        writeln!(self.out, "{}", names.join(","))
    }

    fn batch(&mut self, batch: &Batch) -> io::Result<()> {
        for row in 0..batch.len() {
            for (i, column) in self.style.columns.iter().enumerate() {
                if i > 0 {
                    self.text.push(',');
                }
                cell::write(&mut self.text, batch, row, *column, &self.style);
            }
            self.text.push('\n');
            if self.text.len() >= BUFFER {
                self.out.write_all(self.text.as_bytes())?;
                self.text.clear();
            }
        }
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    fn end(&mut self, _: &Story) -> io::Result<()> {
        self.out.flush()
    }
}
