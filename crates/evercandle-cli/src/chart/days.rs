//! One value a day on a fixed scale: bars in the terminal, a line in a picture.
//!
//! Where there are more days than columns, a column is the mean of its days. A column none of whose days has a value is a
//! gap and is drawn as one.

use evercandle::model::range::DAY;
use evercandle::{TimeRange, Timestamp};

use super::{svg, ticks};
use crate::args::Theme;
use crate::screen::{Ink, paint};

/// What is drawn: values from 0 to 100, day by day.
#[derive(Debug)]
pub(crate) struct Days {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// The first day.
    start: Timestamp,
    /// Day by day; `None` where none was published.
    values: Vec<Option<f64>>,
}

/// Days drawn as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) mean: Option<f64>,
}

impl Days {
    /// Values at the beginnings of days, in any order.
    pub(crate) fn new(title: String, subtitle: String, readings: &[(Timestamp, f64)]) -> Days {
        let day = |at: Timestamp| at.as_micros().div_euclid(DAY);
        let first = readings.iter().map(|r| day(r.0)).min().unwrap_or_default();
        let last = readings.iter().map(|r| day(r.0)).max().unwrap_or_default();
        let mut values = vec![None; usize::try_from(last - first + 1).unwrap_or_default()];
        for (at, value) in readings {
            values[usize::try_from(day(*at) - first).unwrap_or_default()] = Some(*value);
        }
        Days {
            title,
            subtitle,
            start: Timestamp::from_micros(first * DAY),
            values,
        }
    }

    pub(super) fn range(&self) -> TimeRange {
        TimeRange::clamped(self.start, self.start.plus(self.values.len() as i64 * DAY))
    }

    /// Days per column, and the columns, no more than `most`.
    pub(super) fn columns(&self, most: usize) -> (usize, Vec<Column>) {
        let per = self.values.len().div_ceil(most.max(1)).max(1);
        let column = |days: &[Option<f64>]| {
            let known: Vec<f64> = days.iter().flatten().copied().collect();
            let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
            Column { mean }
        };
        (per, self.values.chunks(per).map(column).collect())
    }

    pub(super) fn column_of(&self, at: Timestamp, per: usize) -> usize {
        usize::try_from(at.since(self.start).div_euclid(DAY)).unwrap_or_default() / per
    }

    pub(super) fn missing(&self) -> u64 {
        self.values.iter().filter(|v| v.is_none()).count() as u64
    }
}

/// Levels that are labelled.
pub(super) const LEVELS: [u32; 5] = [0, 25, 50, 75, 100];

/// The days as lines of text; `rows` counts those of the bars.
pub(crate) fn draw(days: &Days, width: usize, rows: usize, color: bool, ink: impl Fn(f64) -> Ink) -> String {
    let room = super::terminal::columns_max(width);
    let (per, columns) = days.columns(room);
    let pitch = (room / columns.len().max(1)).clamp(1, 3);
    let mut lines = vec![
        paint(color, Ink::Title, &days.title),
        days.subtitle.clone(),
        String::new(),
    ];
    for row in (0..rows).rev() {
        let mut line = super::terminal::Line::new(color);
        for column in &columns {
            match column.mean {
                Some(value) => {
                    let eighths = (value / 100.0 * (rows * 8) as f64).round() as usize;
                    let level = eighths.max(1).saturating_sub(row * 8).min(8);
                    line.push(super::terminal::EIGHTHS[level], Some(ink(value)));
                }
                None => line.push('┆', Some(Ink::Faint)),
            }
            line.pad(pitch - 1);
        }
        let labelled = LEVELS.iter().find(|level| {
            let at = (f64::from(**level) / 100.0 * rows as f64).round() as usize;
            at.min(rows - 1) == row
        });
        line.end(&match labelled {
            Some(level) => format!(" ┤ {level}"),
            None => " │".to_owned(),
        });
        lines.push(line.text);
    }
    let ticks = ticks::times_at(
        days.range(),
        |at| days.column_of(at, per),
        (columns.len() * pitch / super::terminal::LABEL_SPACE).max(1),
    );
    super::terminal::axis(&mut lines, &ticks, columns.len(), pitch, color);
    if days.missing() > 0 {
        let missing = crate::text::count(days.missing(), "day");
        lines.push(format!("{} {missing} without a reading", paint(color, Ink::Faint, "┆")));
    }
    if per > 1 {
        lines.push(format!("each column is the mean of {per} days"));
    }
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Size of a picture in pixels.
const SIZE: (f64, f64) = (1200.0, 480.0);
/// Where the scale lies in it: left, top, right, bottom.
const FRAME: (f64, f64, f64, f64) = (18.0, 74.0, 1140.0, 440.0);

/// The days as a document: a line with its days, broken where none was published, above bands of fear and greed.
pub(crate) fn picture(days: &Days, theme: Theme) -> String {
    let (left, top, right, bottom) = FRAME;
    let width = right - left;
    let (per, columns) = days.columns(width as usize);
    let x = |column: f64| left + column * width / columns.len().max(1) as f64;
    let y = |value: f64| bottom - value.clamp(0.0, 100.0) / 100.0 * (bottom - top);
    let mut out = svg::head(SIZE, &days.title, theme);
    let mut put = |line: String| {
        out += &line;
        out.push('\n');
    };
    let text = |class: &str, x: f64, y: f64, size: f64, anchor: &str, text: &str| {
        let text = svg::escape(text);
        format!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}">{text}</text>"#
        )
    };
    put(text("title", left, 30.0, 20.0, "start", &days.title));
    let missing = match (days.missing(), per) {
        (0, 1) => String::new(),
        (0, per) => format!("; each point is the mean of {per} days"),
        (n, 1) => format!("; {} without a reading", crate::text::count(n, "day")),
        (n, per) => format!(
            "; {} without a reading; each point is the mean of {per} days",
            crate::text::count(n, "day")
        ),
    };
    put(text(
        "text",
        left,
        53.0,
        13.5,
        "start",
        &format!("{}{missing}", days.subtitle),
    ));
    for (class, low, high) in [("down", 0.0, 25.0), ("up", 75.0, 100.0)] {
        let (from, height) = (y(high), y(low) - y(high));
        put(format!(
            r#"<rect class="{class} wide" x="{left}" y="{from:.1}" width="{width}" height="{height:.1}"/>"#
        ));
    }
    for level in LEVELS {
        let at = y(f64::from(level));
        put(format!(r#"<path class="rule" d="M{left} {at:.1}H{right}"/>"#));
        put(text("text", right + 10.0, at + 4.5, 13.0, "start", &level.to_string()));
    }
    for tick in ticks::times_at(days.range(), |at| days.column_of(at, per), (width / 96.0) as usize) {
        let at = x(tick.column as f64 + 0.5);
        put(format!(r#"<path class="rule" d="M{at:.1} {top}V{bottom}"/>"#));
        put(text(
            "text",
            at.max(left + 14.0),
            bottom + 20.0,
            13.0,
            "middle",
            &tick.label,
        ));
    }
    let (mut line, mut dots, mut drawn) = (String::new(), String::new(), false);
    for (i, column) in columns.iter().enumerate() {
        let Some(value) = column.mean else {
            drawn = false;
            continue;
        };
        let (x, y) = (x(i as f64 + 0.5), y(value));
        line += &format!("{}{x:.1} {y:.1}", if drawn { "L" } else { "M" });
        // A day between two that are missing would be a line of no length.
        if !drawn {
            dots += &format!(r#"<circle class="last" cx="{x:.1}" cy="{y:.1}" r="2"/>"#);
        }
        drawn = true;
    }
    put(format!(
        r#"<path class="last-line" fill="none" stroke-width="2" stroke-linejoin="round" d="{line}"/>{dots}"#
    ));
    if let Some((i, value)) = columns.iter().enumerate().rev().find_map(|(i, c)| Some((i, c.mean?))) {
        let (x, y) = (x(i as f64 + 0.5), y(value));
        put(format!(r#"<circle class="last" cx="{x:.1}" cy="{y:.1}" r="4"/>"#));
    }
    put("</svg>".to_owned());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(count: i64, without: &[i64]) -> Days {
        let readings: Vec<(Timestamp, f64)> = (0..count)
            .filter(|n| !without.contains(n))
            .map(|n| {
                let at = crate::fixture::at("2024-01-20").plus(n * DAY);
                (at, (50.0 + 45.0 * (n as f64 / 9.0).sin()).round())
            })
            .collect();
        Days::new("An index".to_owned(), "50: current".to_owned(), &readings)
    }

    #[test]
    fn days_are_bars_and_missing_ones_are_marked() {
        let text = draw(&days(30, &[7, 8]), 80, 8, false, |_| Ink::Good);
        insta::assert_snapshot!("days", text);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn many_days_share_columns() {
        let text = draw(&days(2_000, &[7, 8]), 80, 8, false, |_| Ink::Good);
        assert!(text.contains("each column is the mean of 30 days"), "{text}");
        assert!(text.contains("2 days without a reading"), "{text}");
        let one = draw(&days(1, &[]), 80, 8, false, |_| Ink::Good);
        assert!(one.contains('█'), "{one}");
    }

    #[test]
    fn a_line_is_broken_where_days_are_missing() {
        let text = picture(&days(30, &[7, 8]), Theme::Light);
        let line = text.lines().find(|l| l.contains("last-line\" fill")).unwrap();
        assert_eq!(
            (line.matches('M').count(), line.matches('L').count()),
            (2, 26),
            "{line}"
        );
        assert!(text.contains("2 days without a reading"), "{text}");
        assert!(super::super::png::render(&text).unwrap().starts_with(b"\x89PNG"));
    }
}
