//! JSON: one object with everything, or one line per row.
//!
//! The object's rows come before its segments and gaps, so that it too is written as the klines arrive.

use std::io;

use evercandle::model::batch::column_names;
use evercandle::{Batch, Gap, GapReason, Grid, Kind, Segment, Series, TimeRange, Verification};
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
    fn begin(&mut self, head: &Head<'_>) -> io::Result<()> {
        self.rows.begin(head.series.kind());
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
        self.rows.begin(head.series.kind());
        let rows = match head.series.kind() {
            Kind::Klines => "klines",
            Kind::FundingRates => "funding_rates",
        };
        let (series, range) = (series(head.series), range(head.range));
        match self.dialect {
            Dialect::Shell => write!(
                self.out,
                "{{\n\"series\": {series},\n\"range\": {range},\n\"{rows}\": ["
            ),
            Dialect::Wire => write!(self.out, "{{\"series\":{series},\"range\":{range},\"{rows}\":["),
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

/// Rows as objects, gathered before they are written.
struct Rows {
    style: Style,
    /// What stands before each value, and what after it.
    leads: Vec<String>,
    tails: Vec<&'static str>,
    text: String,
}

impl Rows {
    fn new(style: Style) -> Rows {
        let mut rows = Rows {
            style,
            leads: Vec::new(),
            tails: Vec::new(),
            text: String::new(),
        };
        rows.begin(Kind::Klines);
        rows
    }

    /// The rows to come are of this kind.
    fn begin(&mut self, kind: Kind) {
        // Names, times and printed decimals hold nothing that JSON would need escaped.
        let quote = |column: usize| match cell::is_number(kind, &self.style, column) {
            true => "",
            false => "\"",
        };
        let (comma, colon) = match self.style.dialect {
            Dialect::Shell => (", ", ": "),
            Dialect::Wire => (",", ":"),
        };
        let names = column_names(kind);
        let lead = |(n, column): (usize, &usize)| {
            let before = if n == 0 { "{" } else { comma };
            format!("{before}\"{}\"{colon}", names[*column])
        };
        self.leads = self.style.columns.iter().enumerate().map(lead).collect();
        self.tails = self.style.columns.iter().map(|column| quote(*column)).collect();
    }

    fn push(&mut self, batch: &Batch, row: usize) {
        let nullable = batch.series().kind() != Kind::Klines;
        for ((lead, quote), &column) in self.leads.iter().zip(&self.tails).zip(&self.style.columns) {
            self.text.push_str(lead);
            if nullable && batch.is_null(row, column) {
                self.text.push_str("null");
                continue;
            }
            self.text.push_str(quote);
            cell::write(&mut self.text, batch, row, column, &self.style);
            self.text.push_str(quote);
        }
        self.text.push('}');
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
    rows.begin(batch.series().kind());
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
    if series.kind() == Kind::FundingRates {
        return json!({
            "exchange": series.exchange().as_str(),
            "market": series.market().as_str(),
            "symbol": series.symbol().as_str(),
            "kind": "funding_rates",
        });
    }
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

/// A run of klines with one origin; `fetched_at` is when the first of them came.
pub fn segment(segment: &Segment) -> Value {
    let kind = segment.origin.verification.as_str();
    let verification = match &segment.origin.verification {
        Verification::Checksum { sha256, etag } => json!({"kind": kind, "sha256": sha256, "etag": etag}),
        Verification::Structural | Verification::Unsettled => json!({"kind": kind}),
    };
    json!({
        "start": segment.range.start().to_string(),
        "end": segment.range.end().to_string(),
        "provider": segment.origin.provider.as_str(),
        "via": segment.via.as_str(),
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
