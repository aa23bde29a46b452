//! The trail, for people: who was asked for what, why, how long it took and what came of it; where every part came from;
//! what is missing and why.

use evercandle::{Attempt, Gap, Grid, Outcome, Segment, Timestamp, Verification, Via};

use crate::output::list::{Column, left, right, table};
use crate::screen::{Ink, Screen, paint};
use crate::story::Story;
use crate::text;

/// Lines shown of a long list; the rest is counted.
const LINES_MAX: usize = 40;

/// Everything, as text for stderr.
pub(crate) fn story(story: &Story, screen: &Screen) -> String {
    let color = screen.stderr_color;
    let sent = story.trail.iter().filter(|a| a.number > 0).count() as u64;
    let passed = story.trail.len() as u64 - sent;
    let heading = |title: &str, about: &str| {
        format!(
            "{}  {}\n",
            paint(color, Ink::Title, title),
            paint(color, Ink::Faint, about)
        )
    };
    let mut out = String::new();
    let asked = match (sent, passed) {
        (0, 0) => "nobody: everything was held".to_owned(),
        (sent, 0) => text::count(sent, "call"),
        (sent, passed) => format!("{}, {} not sent", text::count(sent, "call"), text::thousands(passed)),
    };
    out += &heading("asked", &asked);
    if !story.trail.is_empty() {
        out += &list(&TRAIL, &story.trail, screen, attempt);
    }
    out += &heading("came from", &text::count(story.rows, "kline"));
    if !story.segments.is_empty() {
        let grid = grid(story);
        out += &list(&SEGMENTS, &story.segments, screen, |s| segment(s, grid));
    }
    let missing = match story.gaps.len() {
        0 => "nothing".to_owned(),
        n => text::count(n as u64, "gap"),
    };
    out += &heading("missing", &missing);
    if !story.gaps.is_empty() {
        let grid = grid(story);
        out += &list(&GAPS, &story.gaps, screen, |g| gap(g, grid));
    }
    for notice in &story.notices {
        out += &format!("{} {notice}\n", paint(color, Ink::Warning, "note:"));
    }
    out.trim_end().to_owned()
}

const TRAIL: [Column; 6] = [
    left("  at (UTC)"),
    left("upstream"),
    left("form"),
    left("range"),
    right("took"),
    left("result"),
];
const SEGMENTS: [Column; 6] = [
    left("  range"),
    right("slots"),
    left("provider"),
    left("via"),
    left("fetched (UTC)"),
    left("verified by"),
];
const GAPS: [Column; 4] = [left("  range"), right("slots"), right("lasting"), left("reason")];

fn list<T>(columns: &[Column], items: &[T], screen: &Screen, row: impl Fn(&T) -> Vec<String>) -> String {
    let rows: Vec<Vec<String>> = items
        .iter()
        .take(LINES_MAX)
        .map(|item| {
            let mut row = row(item);
            row[0].insert_str(0, "  ");
            row
        })
        .collect();
    let mut text = table(columns, &rows, screen.width);
    if items.len() > LINES_MAX {
        text += &format!("  … {} more\n", text::thousands((items.len() - LINES_MAX) as u64));
    }
    text
}

fn attempt(attempt: &Attempt) -> Vec<String> {
    let again = if attempt.number > 1 {
        format!(" (try {})", attempt.number)
    } else {
        String::new()
    };
    let result = match &attempt.outcome {
        Outcome::Rows(rows) => text::count(*rows as u64, "kline"),
        other => other.to_string(),
    };
    vec![
        clock(attempt.at),
        attempt.provider.to_string(),
        attempt.form.to_owned(),
        text::range(attempt.range),
        if attempt.number == 0 {
            "–".to_owned()
        } else {
            text::took(attempt.took)
        },
        format!("{result}{again}"),
    ]
}

fn segment(segment: &Segment, grid: Grid) -> Vec<String> {
    let verified = match &segment.origin.verification {
        Verification::Checksum { sha256, .. } => {
            format!("checksum {}…", sha256.chars().take(8).collect::<String>())
        }
        Verification::Structural => "structure".to_owned(),
        Verification::Unsettled => "structure; may still change".to_owned(),
    };
    vec![
        text::range(segment.range),
        text::thousands(grid.count(segment.range)),
        segment.origin.provider.to_string(),
        via(segment.via).to_owned(),
        segment
            .origin
            .fetched_at
            .to_string()
            .replace('T', " ")
            .chars()
            .take(19)
            .collect(),
        verified,
    ]
}

fn gap(gap: &Gap, grid: Grid) -> Vec<String> {
    vec![
        text::range(gap.range),
        text::thousands(grid.count(gap.range)),
        text::span(gap.range.micros()),
        gap.reason.to_string(),
    ]
}

pub(crate) fn via(via: Via) -> &'static str {
    match via {
        Via::Cache => "cache",
        Via::Upstream => "upstream",
    }
}

fn clock(at: Timestamp) -> String {
    let micros = at.as_micros().rem_euclid(86_400_000_000);
    let (s, ms) = (micros / 1_000_000, micros / 1_000 % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

/// The slots of a story's series; for `3d`, anchored at the first kline.
pub(crate) fn grid(story: &Story) -> Grid {
    Grid::new(story.series.interval(), story.segments.first().map(|s| s.range.start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Global;
    use crate::fixture;

    #[test]
    fn the_trail_is_told_in_order() {
        let answer = fixture::answer();
        let mut told = Story::new(answer.series.clone(), answer.range);
        told.add(answer);
        let screen = Screen {
            width: 140,
            stderr_color: false,
            ..Screen::detect(&Global::default())
        };
        insta::assert_snapshot!("explanation", story(&told, &screen));
    }
}
