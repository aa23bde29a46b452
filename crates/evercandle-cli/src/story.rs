//! The story of a range that was asked for window by window: one answer's worth, without the rows.

use evercandle::{Answer, Attempt, Batch, Gap, Grid, Segment, Series, TimeRange};

use crate::text;

/// As [`Answer`], for the whole range, the klines counted instead of held.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) series: Series,
    pub(crate) range: TimeRange,
    /// The slots of the series, as far as they are known.
    pub(crate) grid: Grid,
    pub(crate) rows: u64,
    pub(crate) segments: Vec<Segment>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) trail: Vec<Attempt>,
    pub(crate) notices: Vec<String>,
}

impl Story {
    pub(crate) fn new(series: Series, range: TimeRange) -> Story {
        Story {
            grid: Grid::new(series.interval(), None),
            series,
            range,
            rows: 0,
            segments: Vec::new(),
            gaps: Vec::new(),
            trail: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Takes the next window's answer and gives its klines back. What a window's edge cut in two is joined again.
    pub(crate) fn add(&mut self, answer: Answer) -> Vec<Batch> {
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
        self.trail.extend(answer.trail);
        for notice in answer.notices.iter().map(|n| text::foreign(n)) {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
        answer.batches
    }

    /// Whether everything that exists was delivered.
    pub(crate) fn is_complete(&self) -> bool {
        self.gaps.iter().all(|g| g.reason.is_final())
    }
}
