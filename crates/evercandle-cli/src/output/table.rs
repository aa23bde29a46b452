//! For people: aligned columns, the head and the tail of a long answer, times once in the unit they need.

use std::collections::VecDeque;
use std::io;

use evercandle::Batch;
use evercandle::model::batch::column_names;

use evercandle_formats::cell::{self, Kind};
use evercandle_formats::{DecimalFormat, Head, Out, Sink, Story, Style, TimeFormat};

use crate::screen::{Ink, paint};
use crate::text;

/// Rows shown of the beginning and of the end.
const HEAD_ROWS: usize = 12;
const TAIL_ROWS: usize = 12;
/// Left out when the terminal is too narrow, in this order; the open time and the close are what remains.
const EXPENDABLE: [usize; 9] = [6, 10, 9, 7, 8, 5, 1, 2, 3];
/// As above, of funding rates: the time and the rate remain.
const EXPENDABLE_OF_RATES: [usize; 2] = [2, 3];

type Row = Vec<String>;

/// How much of a table is shown, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    /// Every row.
    pub(crate) all: bool,
    /// Columns of the terminal, if it goes to one.
    pub(crate) limit: Option<usize>,
    pub(crate) color: bool,
}

pub(super) struct TableSink {
    out: Out,
    style: Style,
    shown: Shown,
    head: Vec<Row>,
    tail: VecDeque<Row>,
    rows: usize,
}

impl TableSink {
    pub(super) fn new(out: Out, style: Style, shown: Shown) -> TableSink {
        TableSink {
            out,
            style,
            shown,
            head: Vec::new(),
            tail: VecDeque::new(),
            rows: 0,
        }
    }

    /// Leaves out the zeros after the point that every row shown ends in: they take the room of whole columns.
    fn trim(&mut self, rows: evercandle::Kind, column: usize) {
        if cell::kind(rows, self.style.columns[column]) != Kind::Decimal || self.style.decimals != DecimalFormat::Float
        {
            return;
        }
        let zeros = |text: &String| match text.split_once('.') {
            Some((_, fraction)) => (fraction.len() - fraction.trim_end_matches('0').len()).min(fraction.len() - 1),
            None => 0,
        };
        let shown = self.head.iter().chain(&self.tail).map(|row| &row[column]);
        let common = shown.filter(|text| !text.is_empty()).map(zeros).min();
        for row in self.head.iter_mut().chain(&mut self.tail) {
            if row[column].is_empty() {
                continue;
            }
            let keep = row[column].len() - common.unwrap_or(0);
            row[column].truncate(keep);
        }
    }

    fn row(&self, batch: &Batch, row: usize) -> Row {
        let rows = batch.series().kind();
        let mut cells = Vec::with_capacity(self.style.columns.len());
        for &column in &self.style.columns {
            let mut text = String::new();
            cell::write(&mut text, batch, row, column, &self.style);
            if cell::kind(rows, column) == Kind::Time && self.style.time == TimeFormat::Rfc3339 {
                text = text.replace('T', " ").trim_end_matches('Z').to_owned();
            } else if cell::kind(rows, column) == Kind::Decimal
                && !text.is_empty()
                && self.style.decimals == DecimalFormat::Float
                && let Some(scale) = batch.scale(column)
            {
                // Zeros to the column's scale, so that the points stand below each other; never digits that are not the
                // double's own.
                let padded = format!("{:.*}", usize::from(scale), batch.floats(column)[row]);
                if padded.starts_with(&text) {
                    text = padded;
                }
            }
            cells.push(text);
        }
        cells
    }
}

impl Sink for TableSink {
    fn begin(&mut self, _: &Head<'_>) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> io::Result<()> {
        let len = batch.len();
        let keep_all = self.shown.all;
        for row in 0..len {
            if keep_all || self.rows + row < HEAD_ROWS {
                self.head.push(self.row(batch, row));
            } else if row + TAIL_ROWS >= len {
                if self.tail.len() == TAIL_ROWS {
                    self.tail.pop_front();
                }
                self.tail.push_back(self.row(batch, row));
            }
        }
        self.rows += len;
        Ok(())
    }

    fn end(&mut self, story: &Story) -> io::Result<()> {
        let mut columns: Vec<usize> = (0..self.style.columns.len()).collect();
        let rows = story.series.kind();
        let names = column_names(rows);
        for column in 0..self.style.columns.len() {
            self.trim(rows, column);
        }
        let titles: Row = self.style.columns.iter().map(|c| names[*c].to_owned()).collect();
        let widths: Vec<usize> = (0..titles.len())
            .map(|i| {
                self.head
                    .iter()
                    .chain(&self.tail)
                    .map(|r| r[i].len())
                    .max()
                    .unwrap_or(0)
                    .max(titles[i].len())
            })
            .collect();
        let total = |columns: &[usize]| columns.iter().map(|c| widths[*c] + 2).sum::<usize>();
        let mut left_out = Vec::new();
        let expendable = match rows {
            evercandle::Kind::Klines => &EXPENDABLE[..],
            evercandle::Kind::FundingRates => &EXPENDABLE_OF_RATES,
        };
        for &column in expendable {
            let too_wide = self.shown.limit.is_some_and(|limit| total(&columns) > limit + 2);
            if too_wide && columns.len() > 1 {
                let before = columns.len();
                columns.retain(|c| self.style.columns[*c] != column);
                left_out.extend((columns.len() < before).then_some(names[column]));
            }
        }
        let line = |row: &Row| {
            let cells = columns.iter().map(|c| match cell::kind(rows, self.style.columns[*c]) {
                Kind::Time => format!("{:<width$}", row[*c], width = widths[*c]),
                _ => format!("{:>width$}", row[*c], width = widths[*c]),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        writeln!(self.out, "{}", paint(self.shown.color, Ink::Title, &line(&titles)))?;
        for row in &self.head {
            writeln!(self.out, "{}", line(row))?;
        }
        let hidden = self.rows - self.head.len() - self.tail.len();
        if hidden > 0 {
            let note = format!("… {} more (--all shows them)", text::thousands(hidden as u64));
            writeln!(self.out, "{}", paint(self.shown.color, Ink::Faint, &note))?;
        }
        for row in &self.tail {
            writeln!(self.out, "{}", line(row))?;
        }
        for note in footer(story, &left_out) {
            writeln!(self.out, "{}", paint(self.shown.color, Ink::Faint, &note))?;
        }
        self.out.flush()
    }
}

fn footer(story: &Story, left_out: &[&str]) -> Vec<String> {
    let mut notes = vec![format!(
        "{}, {}, {}",
        story.series,
        text::range(story.range),
        text::count(story.rows, text::noun(&story.series))
    )];
    let open = story.gaps.iter().filter(|g| !g.reason.is_final()).count();
    if !story.gaps.is_empty() {
        let what = text::count(story.gaps.len() as u64, "gap");
        let open = if open > 0 {
            format!(", {open} of them might still be filled")
        } else {
            String::new()
        };
        notes.push(format!("{what}{open}: see `evercandle gaps` or --explain"));
    }
    if !left_out.is_empty() {
        notes.push(format!("not shown for lack of room: {}", left_out.join(", ")));
    }
    notes
}
