//! Lists that are not klines (gaps, series, instruments): a table for people, CSV or JSON for programs.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

use crate::args::ListFormat;
use crate::screen::Screen;

/// One column of a list.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) right: bool,
}

pub(crate) const fn left(name: &'static str) -> Column {
    Column { name, right: false }
}

pub(crate) const fn right(name: &'static str) -> Column {
    Column { name, right: true }
}

/// Prints rows as the format says: tables show `shown`, programs get `values`.
pub(crate) struct List<'a> {
    pub(crate) columns: &'a [Column],
    /// What people read, row by row.
    pub(crate) shown: Vec<Vec<String>>,
    /// What programs read, row by row.
    pub(crate) values: Vec<Vec<Value>>,
    /// Said below a table.
    pub(crate) footer: Option<String>,
}

impl List<'_> {
    /// Prints on stdout.
    pub(crate) fn print(&self, format: Option<ListFormat>, screen: &Screen) -> io::Result<()> {
        let default = if screen.stdout_is_terminal {
            ListFormat::Table
        } else {
            ListFormat::Csv
        };
        let text = match format.unwrap_or(default) {
            ListFormat::Table => self.table(screen),
            ListFormat::Csv => self.csv(),
            ListFormat::Json => self.json(),
        };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn table(&self, screen: &Screen) -> String {
        let mut text = table(self.columns, &self.shown, screen.width);
        if let Some(footer) = &self.footer {
            text.push_str(footer);
            text.push('\n');
        }
        text
    }

    fn csv(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|c| c.name).collect();
        let mut text = names.join(",") + "\n";
        for row in &self.values {
            let cells: Vec<String> = row.iter().map(csv_cell).collect();
            text.push_str(&cells.join(","));
            text.push('\n');
        }
        text
    }

    fn json(&self) -> String {
        let rows = self.values.iter().map(|row| {
            let fields = self
                .columns
                .iter()
                .zip(row)
                .map(|(c, v)| (c.name.to_owned(), v.clone()));
            Value::Object(fields.collect()).to_string()
        });
        let rows: Vec<String> = rows.collect();
        if rows.is_empty() {
            "[]\n".to_owned()
        } else {
            format!("[\n{}\n]\n", rows.join(",\n"))
        }
    }
}

fn csv_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.contains([',', '"', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A table without frames: a header, a rule, rows.
pub(crate) fn table(columns: &[Column], rows: &[Vec<String>], width: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    let align = |c: &Column| {
        if c.right {
            CellAlignment::Right
        } else {
            CellAlignment::Left
        }
    };
    table.set_header(columns.iter().map(|c| Cell::new(c.name).set_alignment(align(c))));
    for row in rows {
        table.add_row(
            columns
                .iter()
                .zip(row)
                .map(|(c, text)| Cell::new(text).set_alignment(align(c))),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
