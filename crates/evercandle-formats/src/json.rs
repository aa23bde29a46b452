//! JSON: one object with everything, or one line per kline.
//!
//! The object's klines come before its segments and gaps, so that it too is written as the klines arrive.

use std::io;

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{Batch, Gap, GapReason, Grid, Segment, Series, TimeRange, Verification, Via};
use serde_json::{Value, json};

use crate::cell;
use crate::sink::{Head, Out, Sink};
use crate::story::Story;
use crate::style::{Dialect, Style};

/// Bytes gathered before they are written.
const BUFFER: usize = 64 * 1024;

pub(crate) struct NdjsonSink {
    out: Out,
    rows: Rows,
}

impl NdjsonSink {
    pub(crate) fn new(out: Out, style: Style) -> NdjsonSink {
        NdjsonSink {
            out,
            rows: Rows::new(style),
        }
    }
}

impl Sink for NdjsonSink {
    fn begin(&mut self, _: &Head<'_>) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> io::Result<()> {
        for row in 0..batch.len() {
            self.rows.push(batch, row);
            self.rows.text.push('\n');
            self.rows.write(&mut self.out, BUFFER)?;
        }
        self.rows.write(&mut self.out, 0)
    }

    fn end(&mut self, _: &Story) -> io::Result<()> {
        self.out.flush()
    }
}

pub(crate) struct JsonSink {
    out: Out,
    rows: Rows,
    dialect: Dialect,
    first: bool,
}

impl JsonSink {
    pub(crate) fn new(out: Out, style: Style) -> JsonSink {
        JsonSink {
            out,
            dialect: style.dialect,
            rows: Rows::new(style),
            first: true,
        }
    }
}

impl Sink for JsonSink {
    fn begin(&mut self, head: &Head<'_>) -> io::Result<()> {
        let (series, range) = (series(head.series), range(head.range));
        match self.dialect {
            Dialect::Shell => write!(
                self.out,
                "{{\n\"series\": {series},\n\"range\": {range},\n\"klines\": ["
            ),
            Dialect::Wire => write!(self.out, "{{\"series\":{series},\"range\":{range},\"klines\":["),
        }
    }

    fn batch(&mut self, batch: &Batch) -> io::Result<()> {
        let between = match self.dialect {
            Dialect::Shell => ",\n",
            Dialect::Wire => ",",
        };
        for row in 0..batch.len() {
            let lead = if self.first { &between[1..] } else { between };
            self.rows.text.push_str(lead);
            self.first = false;
            self.rows.push(batch, row);
            self.rows.write(&mut self.out, BUFFER)?;
        }
        self.rows.write(&mut self.out, 0)
    }

    fn end(&mut self, told: &Story) -> io::Result<()> {
        let list = |values: Vec<Value>| -> String {
            let lines: Vec<String> = values.iter().map(Value::to_string).collect();
            match self.dialect {
                Dialect::Wire => format!("[{}]", lines.join(",")),
                Dialect::Shell if lines.is_empty() => "[]".to_owned(),
                Dialect::Shell => format!("[\n{}\n]", lines.join(",\n")),
            }
        };
        let segments = list(told.segments.iter().map(segment).collect());
        let gaps = list(told.gaps.iter().map(|g| gap(g, told.grid, self.dialect)).collect());
        let (notices, complete) = (json!(told.notices), told.is_complete());
        match self.dialect {
            Dialect::Shell => writeln!(
                self.out,
                "{}],\n\"segments\": {segments},\n\"gaps\": {gaps},\n\"notices\": {notices},\n\"complete\": {complete}\n}}",
                if self.first { "" } else { "\n" },
            ),
            Dialect::Wire => writeln!(
                self.out,
                "],\"segments\":{segments},\"gaps\":{gaps},\"notices\":{notices},\"complete\":{complete}}}"
            ),
        }?;
        self.out.flush()
    }
}

/// Klines as objects, gathered before they are written.
struct Rows {
    style: Style,
    /// What stands before each value and after the last.
    leads: Vec<String>,
    text: String,
}

impl Rows {
    fn new(style: Style) -> Rows {
        // Names, times and printed decimals hold nothing that JSON would need escaped.
        let quote = |column: usize| if cell::is_number(&style, column) { "" } else { "\"" };
        let (comma, colon) = match style.dialect {
            Dialect::Shell => (", ", ": "),
            Dialect::Wire => (",", ":"),
        };
        let mut leads = Vec::with_capacity(style.columns.len() + 1);
        let mut before = "{".to_owned();
        for &column in &style.columns {
            leads.push(format!("{before}\"{}\"{colon}{}", COLUMN_NAMES[column], quote(column)));
            before = format!("{}{comma}", quote(column));
        }
        leads.push(format!("{}}}", before.trim_end_matches(comma)));
        Rows {
            style,
            leads,
            text: String::new(),
        }
    }

    fn push(&mut self, batch: &Batch, row: usize) {
        for (lead, &column) in self.leads.iter().zip(&self.style.columns) {
            self.text.push_str(lead);
            cell::write(&mut self.text, batch, row, column, &self.style);
        }
        self.text.push_str(self.leads.last().map_or("", String::as_str));
    }

    /// Writes what was gathered, once it is more than `above` bytes.
    fn write(&mut self, out: &mut Out, above: usize) -> io::Result<()> {
        if self.text.len() > above {
            out.write_all(self.text.as_bytes())?;
            self.text.clear();
        }
        Ok(())
    }
}

/// One kline as an object.
pub fn kline(batch: &Batch, row: usize, style: &Style) -> String {
    let mut rows = Rows::new(style.clone());
    rows.push(batch, row);
    rows.text
}

/// Everything but the klines, as it is attached to Arrow and Parquet files.
pub(crate) fn story(told: &Story, dialect: Dialect) -> Value {
    json!({
        "series": series(&told.series),
        "range": range(told.range),
        "segments": told.segments.iter().map(segment).collect::<Vec<_>>(),
        "gaps": told.gaps.iter().map(|g| gap(g, told.grid, dialect)).collect::<Vec<_>>(),
        "notices": told.notices,
        "complete": told.is_complete(),
    })
}

/// What identifies a series, with the units of its volumes.
pub fn series(series: &Series) -> Value {
    json!({
        "exchange": series.exchange().as_str(),
        "market": series.market().as_str(),
        "symbol": series.symbol().as_str(),
        "interval": series.interval().as_str(),
        "volume_unit": series.market().volume_unit().as_str(),
        "quote_volume_unit": series.market().quote_volume_unit().as_str(),
    })
}

/// Both ends of a range.
pub fn range(range: TimeRange) -> Value {
    json!({"start": range.start().to_string(), "end": range.end().to_string()})
}

/// A run of klines with one origin.
pub fn segment(segment: &Segment) -> Value {
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

/// What is missing and why.
pub fn gap(gap: &Gap, grid: Grid, dialect: Dialect) -> Value {
    let tried: Vec<Value> = match &gap.reason {
        GapReason::NoUpstreamLeft(tried) => tried
            .iter()
            .map(|(name, why)| json!({"provider": name.as_str(), dialect.said(): why}))
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
