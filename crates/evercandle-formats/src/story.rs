//! The story of a range that was asked for window by window: one answer's worth, without the rows.

use evercandle::{Answer, Attempt, Batch, Gap, Grid, Resting, Segment, Series, TimeRange};

use crate::words;

/// As [`Answer`], for the whole range, the klines counted instead of held.
#[derive(Clone, Debug)]
pub struct Story {
    /// What was asked for.
    pub series: Series,
    /// The slots that were asked for, so far.
    pub range: TimeRange,
    /// The slots of the series, as far as they are known.
    pub grid: Grid,
    /// How many klines there were.
    pub rows: u64,
    /// Where they came from, in time order.
    pub segments: Vec<Segment>,
    /// What is missing and why, in time order.
    pub gaps: Vec<Gap>,
    /// Whether everybody who might have what is missing rests, as it was last seen.
    pub resting: Option<Resting>,
    /// Every upstream call and every upstream passed over.
    pub trail: Vec<Attempt>,
    /// What else is to be known, each once, safe to show.
    pub notices: Vec<String>,
}

impl Story {
    /// Of nothing yet.
    pub fn new(series: Series, range: TimeRange) -> Story {
        Story {
            grid: Grid::new(series.interval(), None),
            series,
            range,
            rows: 0,
            segments: Vec::new(),
            gaps: Vec::new(),
            resting: None,
            trail: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Takes the next window's answer and gives its klines back. What a window's edge cut in two is joined again.
    pub fn add(&mut self, answer: Answer) -> Vec<Batch> {
        self.range = match self.rows == 0 && self.segments.is_empty() && self.gaps.is_empty() {
            true => answer.range,
            false => TimeRange::clamped(self.range.start().min(answer.range.start()), answer.range.end()),
        };
        if !answer.grid.is_provisional() {
            self.grid = answer.grid;
        }
        self.rows += answer.len() as u64;
        for segment in answer.segments {
            match self.segments.last_mut() {
                Some(last)
                    if last.range.end() == segment.range.start()
                        && (&last.origin, last.via) == (&segment.origin, segment.via) =>
                {
                    last.range = TimeRange::clamped(last.range.start(), segment.range.end());
                }
                _ => self.segments.push(segment),
            }
        }
        for gap in answer.gaps {
            match self.gaps.last_mut() {
                Some(last) if last.range.end() == gap.range.start() && last.reason == gap.reason => {
                    last.range = TimeRange::clamped(last.range.start(), gap.range.end());
                }
                _ => self.gaps.push(gap),
            }
        }
        self.resting = answer.resting.or(self.resting);
        self.trail.extend(answer.trail);
        for notice in answer.notices.iter().map(|n| words::foreign(n)) {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
        answer.batches
    }

    /// Whether everything that exists was delivered.
    pub fn is_complete(&self) -> bool {
        self.gaps.iter().all(|g| g.reason.is_final())
    }
}
