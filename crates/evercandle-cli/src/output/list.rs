//! Lists that are not klines (gaps, series, instruments): a table for people, CSV or JSON for programs.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

use crate::args::ListFormat;
use crate::screen::{Ink, Screen, paint};
use crate::text;

/// One column of a list.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) right: bool,
    /// Whether a narrow terminal does without.
    pub(crate) spare: bool,
}

impl Column {
    /// A column that a narrow terminal does without; the last such goes first.
    pub(crate) const fn spare(self) -> Column {
        Column { spare: true, ..self }
    }
}

pub(crate) const fn left(name: &'static str) -> Column {
    Column {
        name,
        right: false,
        spare: false,
    }
}

pub(crate) const fn right(name: &'static str) -> Column {
    Column {
        name,
        right: true,
        spare: false,
    }
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
        let mut text = table(self.columns, &self.shown, screen.stdout_limit);
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

/// A cell is one line of harmless characters, whoever wrote the words in it.
pub(super) fn csv_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(words) => match text::foreign(words) {
            words if words.contains([',', '"']) => format!("\"{}\"", words.replace('"', "\"\"")),
            words => words,
        },
        other => other.to_string(),
    }
}

/// JSON that does no harm on a terminal either, and still says the same: JSON itself lets DEL and the C1 controls pass.
pub(crate) fn json_text(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => text += &format!("\\u{:04x}", u32::from(c)),
            c => text.push(c),
        }
    }
    text
}

/// Colours one column of a table that was made by [`table`]: `ink` is told what each cell says.
pub(crate) fn tinted(text: &str, column: &str, ink: impl Fn(&str) -> Option<Ink>) -> String {
    let Some(at) = text
        .lines()
        .next()
        .and_then(|header| header.find(column).map(|byte| header[..byte].chars().count()))
    else {
        return text.to_owned();
    };
    let line = |line: &str| {
        let start = line.char_indices().nth(at).map_or(line.len(), |(byte, _)| byte);
        let (before, rest) = line.split_at(start);
        let cell = rest.find("  ").map_or(rest, |end| &rest[..end]);
        match ink(cell) {
            Some(ink) => format!("{before}{}{}\n", paint(true, ink, cell), &rest[cell.len()..]),
            None => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

/// Characters the last column is given at the least before spare columns are kept.
const PROSE_MIN: usize = 14;
/// Characters between two columns.
const SPACE: usize = 2;

/// A table without frames: a header, rows, each cell free of control characters. Within a limit it does without spare columns and wraps the last one.
pub(crate) fn table(columns: &[Column], rows: &[Vec<String>], limit: Option<usize>) -> String {
    let safe = |row: &Vec<String>| row.iter().map(|cell| text::foreign(cell)).collect();
    let rows: &[Vec<String>] = &rows.iter().map(safe).collect::<Vec<_>>();
    let shown = match limit {
        Some(limit) => fitting(columns, rows, limit),
        None => (0..columns.len()).collect(),
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(match limit {
        Some(_) => comfy_table::ContentArrangement::Dynamic,
        None => comfy_table::ContentArrangement::Disabled,
    });
    if let Some(limit) = limit {
        // The space after the last column is cut off.
        table.set_width(u16::try_from(limit + SPACE).unwrap_or(u16::MAX));
    }
    let align = |c: &Column| {
        if c.right {
            CellAlignment::Right
        } else {
            CellAlignment::Left
        }
    };
    let cell = |text: &str, i: usize| Cell::new(text).set_alignment(align(&columns[i]));
    table.set_header(shown.iter().map(|i| cell(columns[*i].name, *i)));
    for row in rows {
        table.add_row(shown.iter().map(|i| cell(&row[*i], *i)));
    }
    let last = shown.len().saturating_sub(1);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, SPACE as u16));
        // Only the last column is prose; broken times and numbers cannot be read.
        if i < last {
            column.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The columns for which there is room.
fn fitting(columns: &[Column], rows: &[Vec<String>], limit: usize) -> Vec<usize> {
    let width = |i: usize| {
        let cells = rows.iter().map(|row| row[i].chars().count());
        cells.max().unwrap_or(0).max(columns[i].name.chars().count())
    };
    let last = columns.len().saturating_sub(1);
    let needed = |shown: &[usize]| -> usize {
        let each = |i: &usize| {
            if *i == last {
                width(*i).min(PROSE_MIN)
            } else {
                width(*i)
            }
        };
        shown.iter().map(|i| each(i) + SPACE).sum()
    };
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    while needed(&shown) > limit + SPACE {
        let Some(spare) = shown.iter().rposition(|i| columns[*i].spare) else {
            break;
        };
        shown.remove(spare);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as no well-meaning upstream writes them.
    const HOSTILE: &str = "Greed\x1b]0;title\x07\nnext\u{9b}2J";

    #[test]
    fn no_control_character_reaches_a_table_or_a_file() {
        let columns = [left("symbol"), left("reason")];
        let rows = vec![vec!["BTCUSDT".to_owned(), HOSTILE.to_owned()]];
        for limit in [None, Some(80)] {
            let text = table(&columns, &rows, limit);
            assert_eq!(text.lines().count(), 2, "{text:?}");
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
        assert!(!csv_cell(&HOSTILE.into()).chars().any(char::is_control));
        let json = Value::from(HOSTILE);
        let shown = json_text(&json.to_string());
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), json);
    }

    #[test]
    fn a_narrow_terminal_does_without_spare_columns_and_wraps_the_prose() {
        let columns = [
            left("symbol"),
            right("klines").spare(),
            right("took").spare(),
            left("result"),
        ];
        let row = [
            "binance/spot/BTCUSDT/1h",
            "1,000,000",
            "12.5 ms",
            "the exchange had halted trading",
        ];
        let rows = vec![row.map(str::to_owned).to_vec()];
        for (limit, titles) in [
            (Some(75), "symbol klines took result"),
            (Some(50), "symbol klines result"),
            (Some(40), "symbol result"),
            (None, "symbol klines took result"),
        ] {
            let text = table(&columns, &rows, limit);
            let shown: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
            assert_eq!(shown.join(" "), titles, "{limit:?}: {text}");
            let widest = text.lines().map(|l| l.chars().count()).max().unwrap();
            assert!(limit.is_none_or(|limit| widest <= limit), "{limit:?}: {text}");
            assert_eq!(text.lines().count() == 2, limit.is_none(), "{text}");
        }
    }
}
