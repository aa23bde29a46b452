//! The trail, for people: who was asked for what, why, how long it took and what came of it; where every part came from;
//! what is missing and why.

use evercandle::{Attempt, Gap, Grid, Outcome, Segment, Timestamp, Verification};
use evercandle_formats::Story;

use crate::output::list::{Column, left, right, table};
use crate::screen::{Ink, Screen, paint};
use crate::text;

const INDENT: &str = "  ";
/// Lines shown of a long list on a terminal; the rest is counted. A file takes them all.
const LINES_MAX: usize = 40;

/// Everything, as text for stderr.
pub(crate) fn story(story: &Story, screen: &Screen) -> String {
    let color = screen.stderr_color;
    let heading = |title: &str, about: &str| heading(title, about, color);
    let mut out = heading("asked", &asked(&story.trail, "everything was held"));
    if !story.trail.is_empty() {
        let noun = text::noun(&story.series);
        out += &list(&TRAIL, &story.trail, screen, |a| attempt(a, noun));
    }
    out += &heading("came from", &text::count(story.rows, text::noun(&story.series)));
    if !story.segments.is_empty() {
        let grid = story.grid;
        out += &list(&SEGMENTS, &story.segments, screen, |s| segment(s, grid));
    }
    let missing = match story.gaps.len() {
        0 => "nothing".to_owned(),
        n => text::count(n as u64, "gap"),
    };
    out += &heading("missing", &missing);
    if !story.gaps.is_empty() {
        let (grid, noun) = (story.grid, text::noun(&story.series));
        out += &list(&GAPS, &story.gaps, screen, |g| gap(g, grid, noun));
    }
    for notice in &story.notices {
        out += &format!("{} {notice}\n", paint(color, Ink::Warning, "note:"));
    }
    out.trim_end().to_owned()
}

/// Who was asked for something newest, and what came of it.
pub(crate) fn latest(trail: &[Attempt], screen: &Screen) -> String {
    let mut out = heading(
        "asked",
        &asked(trail, "it was fetched a moment ago"),
        screen.stderr_color,
    );
    if !trail.is_empty() {
        out += &list(&LATEST, trail, screen, |a| {
            let mut cells = attempt(a, "row");
            cells.remove(3);
            cells
        });
    }
    out.trim_end().to_owned()
}

fn heading(title: &str, about: &str, color: bool) -> String {
    format!(
        "{}  {}\n",
        paint(color, Ink::Title, title),
        paint(color, Ink::Faint, about)
    )
}

/// How many calls there were; `held`: why there may be none.
fn asked(trail: &[Attempt], held: &str) -> String {
    let sent = trail.iter().filter(|a| a.number > 0).count() as u64;
    match (sent, trail.len() as u64 - sent) {
        (0, 0) => format!("nobody: {held}"),
        (sent, 0) => text::count(sent, "call"),
        (sent, passed) => format!("{}, {} not sent", text::count(sent, "call"), text::thousands(passed)),
    }
}

const LATEST: [Column; 5] = [
    left("at (UTC)").spare(),
    left("upstream"),
    left("form").spare(),
    right("took"),
    left("result"),
];
const TRAIL: [Column; 6] = [
    left("at (UTC)").spare(),
    left("upstream"),
    left("form").spare(),
    left("range"),
    right("took"),
    left("result"),
];
const SEGMENTS: [Column; 6] = [
    left("range"),
    right("slots").spare(),
    left("provider"),
    left("via"),
    left("fetched (UTC)").spare(),
    left("verified by"),
];
const GAPS: [Column; 4] = [
    left("range"),
    right("slots").spare(),
    right("lasting").spare(),
    left("reason"),
];

fn list<T>(columns: &[Column], items: &[T], screen: &Screen, row: impl Fn(&T) -> Vec<String>) -> String {
    let shown = match screen.stderr_limit {
        Some(_) => LINES_MAX,
        None => items.len(),
    };
    let rows: Vec<Vec<String>> = items.iter().take(shown).map(row).collect();
    let limit = screen.stderr_limit.map(|limit| limit - INDENT.len());
    let mut text: String = table(columns, &rows, limit)
        .lines()
        .map(|line| format!("{INDENT}{line}\n"))
        .collect();
    if items.len() > shown {
        text += &format!(
            "{INDENT}… {} more; 2>trail.txt keeps them all\n",
            text::thousands((items.len() - shown) as u64)
        );
    }
    text
}

fn attempt(attempt: &Attempt, noun: &str) -> Vec<String> {
    let again = if attempt.number > 1 {
        format!(" (try {})", attempt.number)
    } else {
        String::new()
    };
    let result = match &attempt.outcome {
        Outcome::Rows(rows) => text::count(*rows as u64, noun),
        other => other.to_string(),
    };
    vec![
        clock(attempt.at),
        attempt.provider.to_string(),
        attempt.form.to_owned(),
        attempt.range.map(text::range).unwrap_or_default(),
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
        segment.via.as_str().to_owned(),
        text::second(segment.origin.fetched_at),
        verified,
    ]
}

fn gap(gap: &Gap, grid: Grid, noun: &str) -> Vec<String> {
    vec![
        text::range(gap.range),
        text::thousands(grid.count(gap.range)),
        text::span(gap.range.micros()),
        gap.reason.to_string().replace("kline", noun),
    ]
}

fn clock(at: Timestamp) -> String {
    let micros = at.as_micros().rem_euclid(86_400_000_000);
    let (s, ms) = (micros / 1_000_000, micros / 1_000 % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
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
            stderr_limit: Some(140),
            stderr_color: false,
            ..Screen::detect(&Global::default())
        };
        insta::assert_snapshot!("explanation", story(&told, &screen));
    }

    fn told(attempts: usize, stderr_limit: Option<usize>) -> String {
        let mut answer = fixture::answer();
        answer.trail = answer.trail.iter().cycle().take(attempts).cloned().collect();
        let mut told = Story::new(answer.series.clone(), answer.range);
        told.add(answer);
        let screen = Screen {
            stderr_limit,
            stderr_color: false,
            ..Screen::detect(&Global::default())
        };
        story(&told, &screen)
    }

    #[test]
    fn off_a_terminal_every_attempt_is_told_on_a_line_of_its_own() {
        let text = told(100, None);
        let attempts = text.lines().filter(|l| l.starts_with("  00:00:01.000  binance"));
        assert_eq!(attempts.count(), 100, "{text}");
        assert!(text.contains("connection refused"), "{text}");
        assert!(!text.contains("more"), "{text}");
    }

    #[test]
    fn on_a_terminal_a_long_trail_is_cut_and_says_how_to_see_it_all() {
        let text = told(100, Some(80));
        assert!(text.contains("… 60 more; 2>trail.txt keeps them all"), "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    }
}
