//! Candles in characters.
//!
//! A character cell is two half-cells high: light lines are wicks, heavy lines are bodies, and Unicode has a glyph for
//! every combination of the two. Without colour, falling bodies are solid blocks instead.

use super::{Bar, Plot, ticks};
use crate::screen::{Ink, paint};

/// Lines of the volume bars.
const VOLUME_ROWS: usize = 3;
/// Characters between two labels of the time axis.
pub(super) const LABEL_SPACE: usize = 14;
pub(super) const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Empty,
    Wick,
    Body,
}

/// How many columns fit, so that the plot is made for them.
pub(crate) fn columns_max(width: usize) -> usize {
    width.saturating_sub(AXIS_WIDTH).max(10)
}

/// Axis, space and the longest usual price label.
const AXIS_WIDTH: usize = 13;

/// Lines of prices at the least.
const PRICE_ROWS_MIN: usize = 4;
/// Title, summary, axis and its labels.
const LINES_FIXED: usize = 4;

/// The chart as lines of text; `rows` counts those of the prices.
pub(crate) fn draw(plot: &Plot, width: usize, rows: usize, color: bool) -> String {
    lines(plot, width, rows.max(PRICE_ROWS_MIN), true, color)
}

/// The chart in no more than `height` lines, the volumes left out if there is no room for them. The error is the least
/// height.
pub(crate) fn fit(plot: &Plot, width: usize, height: usize, color: bool) -> Result<String, usize> {
    let unsettled = if plot.columns.iter().any(|c| c.unsettled) { 2 } else { 0 };
    let around = LINES_FIXED + unsettled + plot.legend.len();
    let with_volumes = around + 1 + VOLUME_ROWS;
    let rows = |around: usize| height.checked_sub(around).filter(|rows| *rows >= PRICE_ROWS_MIN);
    match (rows(with_volumes), rows(around)) {
        (Some(rows), _) => Ok(lines(plot, width, rows, true, color)),
        (None, Some(rows)) => Ok(lines(plot, width, rows, false, color)),
        (None, None) => Err(around + PRICE_ROWS_MIN),
    }
}

fn lines(plot: &Plot, width: usize, rows: usize, volumes: bool, color: bool) -> String {
    let mut lines = vec![format!(
        "{}  {}",
        paint(color, Ink::Title, &plot.title()),
        paint(color, Ink::Faint, &plot.subtitle())
    )];
    match (plot.prices(), plot.summary()) {
        (Some((low, high)), Some(summary)) => {
            lines.push(summary);
            let pitch = (columns_max(width) / plot.columns.len().max(1)).clamp(1, 3);
            let canvas = Canvas { plot, pitch, color };
            if volumes {
                lines.push(String::new());
            }
            canvas.prices(&mut lines, rows, low, high);
            if volumes {
                canvas.volumes(&mut lines);
            }
            canvas.times(&mut lines);
        }
        _ => lines.push("no klines".to_owned()),
    }
    legend(plot, color, &mut lines);
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

struct Canvas<'a> {
    plot: &'a Plot,
    /// Characters per column.
    pitch: usize,
    color: bool,
}

impl Canvas<'_> {
    fn prices(&self, lines: &mut Vec<String>, rows: usize, low: f64, high: f64) {
        let (tick_prices, digits) = ticks::prices(low, high, (rows / 3).max(2));
        let half = |price: f64| ((price - low) / (high - low) * (2 * rows - 1) as f64).round() as usize;
        let labels: Vec<(usize, String)> = tick_prices
            .iter()
            .map(|p| (half(*p) / 2, ticks::price(*p, digits)))
            .collect();
        for row in (0..rows).rev() {
            let mut line = Line::new(self.color);
            for column in &self.plot.columns {
                match (&column.bar, column.gap) {
                    (Some(bar), _) => {
                        let (glyph, ink) = candle(bar, row, &half, self.color);
                        line.push(glyph, ink);
                    }
                    (None, Some(_)) => line.push('┆', Some(Ink::Warning)),
                    (None, None) => line.push(' ', None),
                }
                line.pad(self.pitch - 1);
            }
            let label = labels.iter().find(|(at, _)| *at == row);
            line.end(&match label {
                Some((_, text)) => format!(" ┤ {text}"),
                None => " │".to_owned(),
            });
            lines.push(line.text);
        }
    }

    fn volumes(&self, lines: &mut Vec<String>) {
        let max = self.plot.volume_max();
        let eighths = |bar: &Bar| match bar.volume / max {
            share if share > 0.0 => ((share * (VOLUME_ROWS * 8) as f64).round() as usize).max(1),
            _ => 0,
        };
        for row in (0..VOLUME_ROWS).rev() {
            let mut line = Line::new(self.color);
            for column in &self.plot.columns {
                match (&column.bar, column.gap) {
                    (Some(bar), _) => {
                        let level = eighths(bar).saturating_sub(row * 8).min(8);
                        line.push(EIGHTHS[level], Some(ink(bar)));
                    }
                    (None, Some(_)) => line.push('┆', Some(Ink::Warning)),
                    (None, None) => line.push(' ', None),
                }
                line.pad(self.pitch - 1);
            }
            let unit = self.plot.series.market().volume_unit().as_str();
            line.end(&match row + 1 {
                VOLUME_ROWS => format!(" ┤ {} {unit}", crate::text::short(max)),
                _ => " │".to_owned(),
            });
            lines.push(line.text);
        }
    }

    fn times(&self, lines: &mut Vec<String>) {
        let width = self.plot.columns.len() * self.pitch;
        let ticks = ticks::times(self.plot, (width / LABEL_SPACE).max(1));
        let from = lines.len();
        axis(lines, &ticks, self.plot.columns.len(), self.pitch, self.color);
        let partial = |c: &super::Column| c.bar.is_some() && c.gap.is_some();
        if self.plot.columns.iter().any(partial) {
            let mut axis: Vec<char> = lines[from].chars().collect();
            for (i, _) in self.plot.columns.iter().enumerate().filter(|(_, c)| partial(c)) {
                axis[i * self.pitch] = '┆';
            }
            lines[from] = axis.into_iter().collect();
        }
        if self.plot.columns.iter().any(|c| c.unsettled) {
            let marks = self
                .plot
                .columns
                .iter()
                .map(|c| format!("{:<1$}", if c.unsettled { "~" } else { "" }, self.pitch));
            lines.push(paint(self.color, Ink::Accent, marks.collect::<String>().trim_end()));
        }
    }
}

/// The time axis and its labels.
pub(super) fn axis(lines: &mut Vec<String>, ticks: &[ticks::TimeTick], columns: usize, pitch: usize, color: bool) {
    let width = columns * pitch;
    let mut axis: Vec<char> = vec!['─'; width + 1];
    let mut labels = String::new();
    for tick in ticks {
        let at = tick.column * pitch;
        let used = labels.chars().count();
        if at < used || at > width {
            continue;
        }
        axis[at] = '┬';
        labels.push_str(&" ".repeat(at - used));
        labels.push_str(&tick.label);
        labels.push(' ');
    }
    lines.push(format!("{}╯", axis.into_iter().collect::<String>()));
    lines.push(paint(color, Ink::Faint, labels.trim_end()));
}

fn legend(plot: &Plot, color: bool, lines: &mut Vec<String>) {
    for missing in &plot.legend {
        lines.push(format!("{} {}", paint(color, Ink::Warning, "┆"), missing.sentence()));
    }
    if plot.columns.iter().any(|c| c.unsettled) {
        lines.push(format!("{} may still change", paint(color, Ink::Accent, "~")));
    }
}

fn ink(bar: &Bar) -> Ink {
    if bar.rises() { Ink::Good } else { Ink::Bad }
}

fn candle(bar: &Bar, row: usize, half: &impl Fn(f64) -> usize, color: bool) -> (char, Option<Ink>) {
    // What the exchange published strangely (a close above the high) is drawn as published.
    let (bottom, top) = (half(bar.open.min(bar.close)), half(bar.open.max(bar.close)));
    let (low, high) = (
        half(bar.low.min(bar.high)).min(bottom),
        half(bar.high.max(bar.low)).max(top),
    );
    let state = |at: usize| match at {
        at if (bottom..=top).contains(&at) => Half::Body,
        at if (low..=high).contains(&at) => Half::Wick,
        _ => Half::Empty,
    };
    let halves = (state(2 * row + 1), state(2 * row));
    let glyph = match halves {
        (Half::Empty, Half::Empty) => return (' ', None),
        (Half::Wick, Half::Wick) => '│',
        (Half::Wick, Half::Empty) => '╵',
        (Half::Empty, Half::Wick) => '╷',
        _ if !color && !bar.rises() => match halves {
            (Half::Body, Half::Body) => '█',
            (Half::Body, _) => '▀',
            _ => '▄',
        },
        (Half::Body, Half::Body) => '┃',
        (Half::Body, Half::Empty) => '╹',
        (Half::Empty, Half::Body) => '╻',
        (Half::Wick, Half::Body) => '╽',
        (Half::Body, Half::Wick) => '╿',
    };
    (glyph, Some(ink(bar)))
}

/// One line, colours changed only where they change.
pub(super) struct Line {
    pub(super) text: String,
    color: bool,
    ink: Option<Ink>,
}

impl Line {
    pub(super) fn new(color: bool) -> Line {
        Line {
            text: String::new(),
            color,
            ink: None,
        }
    }

    pub(super) fn push(&mut self, glyph: char, ink: Option<Ink>) {
        if self.color && ink != self.ink {
            if self.ink.is_some() {
                self.text.push_str("\x1b[0m");
            }
            if let Some(ink) = ink {
                self.text.push_str(ink.code());
            }
            self.ink = ink;
        }
        self.text.push(glyph);
    }

    pub(super) fn pad(&mut self, n: usize) {
        for _ in 0..n {
            self.push(' ', self.ink);
        }
    }

    pub(super) fn end(&mut self, text: &str) {
        if self.color && self.ink.take().is_some() {
            self.text.push_str("\x1b[0m");
        }
        self.text.push_str(text);
    }
}
