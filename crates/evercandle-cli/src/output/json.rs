//! JSON: one object with everything, or one line per kline.
//!
//! The object's klines come before its segments and gaps, so that it too is written as the klines arrive.

use std::io;

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{Batch, Gap, GapReason, Grid, Segment, Series, TimeRange, Verification, Via};
use serde_json::{Value, json};

use super::{Head, Out, Sink, Style, cell};
use crate::story::Story;

/// Bytes gathered before they are written.
const BUFFER: usize = 64 * 1024;

pub(super) struct NdjsonSink {
    out: Out,
    style: Style,
    text: String,
}

impl NdjsonSink {
    pub(super) fn new(out: Out, style: Style) -> NdjsonSink {
        NdjsonSink {
            out,
            style,
            text: String::new(),
        }
    }
}

impl Sink for NdjsonSink {
    fn begin(&mut self, _: &Head<'_>) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> io::Result<()> {
        for row in 0..batch.len() {
            kline(&mut self.text, batch, row, &self.style);
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

pub(super) struct JsonSink {
    out: Out,
    style: Style,
    text: String,
    first: bool,
}

impl JsonSink {
    pub(super) fn new(out: Out, style: Style) -> JsonSink {
        JsonSink {
            out,
            style,
            text: String::new(),
            first: true,
        }
    }
}

impl Sink for JsonSink {
    fn begin(&mut self, head: &Head<'_>) -> io::Result<()> {
        write!(
            self.out,
            "{{\n\"series\": {},\n\"range\": {},\n\"klines\": [",
            series(head.series),
            range(head.range)
        )
    }

    fn batch(&mut self, batch: &Batch) -> io::Result<()> {
        for row in 0..batch.len() {
            self.text.push_str(if self.first { "\n" } else { ",\n" });
            self.first = false;
            kline(&mut self.text, batch, row, &self.style);
            if self.text.len() >= BUFFER {
                self.out.write_all(self.text.as_bytes())?;
                self.text.clear();
            }
        }
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    fn end(&mut self, told: &Story) -> io::Result<()> {
        let list = |values: Vec<Value>| -> String {
            let lines: Vec<String> = values.iter().map(Value::to_string).collect();
            if lines.is_empty() {
                "[]".to_owned()
            } else {
                format!("[\n{}\n]", lines.join(",\n"))
            }
        };
        writeln!(
            self.out,
            "{}],\n\"segments\": {},\n\"gaps\": {},\n\"notices\": {},\n\"complete\": {}\n}}",
            if self.first { "" } else { "\n" },
            list(told.segments.iter().map(segment).collect()),
            list(told.gaps.iter().map(|g| gap(g, grid(told))).collect()),
            json!(told.notices),
            told.is_complete()
        )?;
        self.out.flush()
    }
}

fn kline(text: &mut String, batch: &Batch, row: usize, style: &Style) {
    text.push('{');
    for (i, column) in style.columns.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        text.push('"');
        text.push_str(COLUMN_NAMES[*column]);
        text.push_str("\": ");
        // Names, times and printed decimals hold nothing that JSON would need escaped.
        let quote = if cell::is_number(style, *column) { "" } else { "\"" };
        text.push_str(quote);
        cell::write(text, batch, row, *column, style);
        text.push_str(quote);
    }
    text.push('}');
}

/// Everything but the klines, as it is attached to Arrow and Parquet files.
pub(super) fn story(told: &Story) -> Value {
    json!({
        "series": series(&told.series),
        "range": range(told.range),
        "segments": told.segments.iter().map(segment).collect::<Vec<_>>(),
        "gaps": told.gaps.iter().map(|g| gap(g, grid(told))).collect::<Vec<_>>(),
        "notices": told.notices,
        "complete": told.is_complete(),
    })
}

/// Good enough to count slots; a `3d` grid of unknown anchor counts days.
fn grid(told: &Story) -> Grid {
    let anchor = told.segments.first().map(|s| s.range.start());
    Grid::new(told.series.interval(), anchor)
}

fn series(series: &Series) -> Value {
    json!({
        "exchange": series.exchange().as_str(),
        "market": series.market().as_str(),
        "symbol": series.symbol().as_str(),
        "interval": series.interval().as_str(),
        "volume_unit": series.market().volume_unit().as_str(),
        "quote_volume_unit": series.market().quote_volume_unit().as_str(),
    })
}

fn range(range: TimeRange) -> Value {
    json!({"start": range.start().to_string(), "end": range.end().to_string()})
}

fn segment(segment: &Segment) -> Value {
    let verification = match &segment.origin.verification {
        Verification::Checksum { sha256, etag } => json!({"kind": "checksum", "sha256": sha256, "etag": etag}),
        Verification::Structural => json!({"kind": "structural"}),
        Verification::Unsettled => json!({"kind": "unsettled"}),
    };
    json!({
        "start": segment.range.start().to_string(),
        "end": segment.range.end().to_string(),
        "provider": segment.origin.provider.as_str(),
        "via": match segment.via { Via::Cache => "cache", Via::Upstream => "upstream" },
        "fetched_at": segment.origin.fetched_at.to_string(),
        "verification": verification,
    })
}

fn gap(gap: &Gap, grid: Grid) -> Value {
    let tried: Vec<Value> = match &gap.reason {
        GapReason::NoUpstreamLeft(tried) => tried
            .iter()
            .map(|(name, why)| json!({"provider": name.as_str(), "why": why}))
            .collect(),
        _ => Vec::new(),
    };
    json!({
        "start": gap.range.start().to_string(),
        "end": gap.range.end().to_string(),
        "slots": grid.count(gap.range),
        "reason": gap.reason.as_str(),
        "final": gap.reason.is_final(),
        "tried": tried,
    })
}
