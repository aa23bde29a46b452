//! Candles to look at.
//!
//! A picture has fewer columns than a long range has klines, so each column stands for the same number of consecutive
//! slots: first open, last close, highest high, lowest low, sum of volumes. Nothing is interpolated; a column none of
//! whose slots has a kline is a gap and is drawn as one, with its reason.

use evercandle::{Batch, GapReason, Grid, Segment, Series, TimeRange, Timestamp, Verification};
use evercandle_formats::Story;

pub(crate) mod days;
pub(crate) mod html;
pub(crate) mod png;
pub(crate) mod svg;
pub(crate) mod terminal;
mod ticks;

/// What is drawn, whatever it is drawn with.
#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) series: Series,
    pub(crate) range: TimeRange,
    pub(crate) columns: Vec<Column>,
    /// Slots each column stands for.
    pub(crate) slots_per_column: u64,
    pub(crate) klines: u64,
    /// Why something is missing, with how much of it, most first.
    pub(crate) legend: Vec<Missing>,
    grid: Grid,
    cursor: usize,
}

/// A stretch of slots drawn side by side with its like.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) range: TimeRange,
    pub(crate) bar: Option<Bar>,
    /// Why slots of it are missing: the reason of the longest gap in it.
    pub(crate) gap: Option<Reason>,
    /// Whether some kline of it may still change.
    pub(crate) unsettled: bool,
}

/// The klines of a column, taken together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: f64,
}

impl Bar {
    pub(crate) fn rises(&self) -> bool {
        self.close >= self.open
    }
}

/// Why slots are missing, without the particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    NoUpstreamLeft,
    AbsentUpstream,
    VenueHalt,
    BeforeListing,
    NotYetClosed,
}

impl Reason {
    pub(crate) fn of(reason: &GapReason) -> Reason {
        match reason {
            GapReason::NoUpstreamLeft(_) => Reason::NoUpstreamLeft,
            GapReason::AbsentUpstream => Reason::AbsentUpstream,
            GapReason::VenueHalt => Reason::VenueHalt,
            GapReason::BeforeListing => Reason::BeforeListing,
            GapReason::NotYetClosed => Reason::NotYetClosed,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Reason::NoUpstreamLeft => "could not be had",
            Reason::AbsentUpstream => "the exchange has none",
            Reason::VenueHalt => "trading was halted",
            Reason::BeforeListing => "not listed yet",
            Reason::NotYetClosed => "not closed yet",
        }
    }

    /// As in [`GapReason::as_str`].
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::NoUpstreamLeft => "no_upstream_left",
            Reason::AbsentUpstream => "absent_upstream",
            Reason::VenueHalt => "venue_halt",
            Reason::BeforeListing => "before_listing",
            Reason::NotYetClosed => "not_yet_closed",
        }
    }
}

/// How much is missing for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) reason: Reason,
    pub(crate) slots: u64,
    pub(crate) gaps: u64,
}

impl Missing {
    /// `1,203 slots in 2 gaps: trading was halted`.
    pub(crate) fn sentence(&self) -> String {
        let slots = crate::text::count(self.slots, "slot");
        let gaps = if self.gaps > 1 {
            format!(" in {} gaps", self.gaps)
        } else {
            String::new()
        };
        format!("{slots}{gaps}: {}", self.reason.label())
    }
}

impl Plot {
    /// An empty picture of at most `columns_max` columns.
    pub(crate) fn new(series: Series, range: TimeRange, grid: Grid, columns_max: usize) -> Plot {
        let range = grid.align(range);
        let slots = grid.count(range);
        let per_column = slots.div_ceil(columns_max.max(1) as u64).max(1);
        let mut columns = Vec::with_capacity(columns_max);
        let mut start = range.start();
        while start < range.end() {
            let end = grid
                .advance(start, u32::try_from(per_column).unwrap_or(u32::MAX))
                .min(range.end());
            columns.push(Column {
                range: TimeRange::clamped(start, end),
                bar: None,
                gap: None,
                unsettled: false,
            });
            start = end;
        }
        Plot {
            series,
            range,
            columns,
            slots_per_column: per_column,
            klines: 0,
            legend: Vec::new(),
            grid,
            cursor: 0,
        }
    }

    /// The picture of an answer.
    pub(crate) fn of(story: &Story, batches: &[Batch], columns_max: usize) -> Plot {
        let mut plot = Plot::new(story.series.clone(), story.range, story.grid, columns_max);
        for batch in batches {
            plot.add(batch);
        }
        plot.finish(story);
        plot
    }

    /// Draws klines in; batches come in time order.
    pub(crate) fn add(&mut self, batch: &Batch) {
        let [open, high, low, close, volume] = [1, 2, 3, 4, 5].map(|column| batch.floats(column));
        for (row, &micros) in batch.open_times().iter().enumerate() {
            let open_time = Timestamp::from_micros(micros);
            while self
                .columns
                .get(self.cursor)
                .is_some_and(|c| c.range.end() <= open_time)
            {
                self.cursor += 1;
            }
            let Some(column) = self.columns.get_mut(self.cursor) else {
                return;
            };
            self.klines += 1;
            match &mut column.bar {
                Some(bar) => {
                    bar.high = bar.high.max(high[row]);
                    bar.low = bar.low.min(low[row]);
                    bar.close = close[row];
                    bar.volume += volume[row];
                }
                None => {
                    column.bar = Some(Bar {
                        open: open[row],
                        high: high[row],
                        low: low[row],
                        close: close[row],
                        volume: volume[row],
                    });
                }
            }
        }
    }

    /// Marks gaps and klines that may still change. What has not closed yet at the very end is left out: it is now, not
    /// a gap.
    pub(crate) fn finish(&mut self, story: &Story) {
        let open = story.gaps.last().filter(|g| g.reason == GapReason::NotYetClosed);
        if let Some(open) = open.filter(|g| g.range.end() >= self.range.end()) {
            while self.columns.len() > 1
                && self
                    .columns
                    .last()
                    .is_some_and(|c| c.bar.is_none() && open.range.covers(c.range))
            {
                self.columns.pop();
            }
            let end = self
                .columns
                .last()
                .map_or(self.range.end(), |c| c.range.end().min(open.range.start()));
            self.range = TimeRange::clamped(self.range.start(), end);
        }
        self.tell(story);
    }

    fn tell(&mut self, story: &Story) {
        for gap in &story.gaps {
            let reason = Reason::of(&gap.reason);
            let visible = gap.range.intersect(self.range);
            if visible.is_empty() {
                continue;
            }
            let slots = self.grid.count(visible);
            match self.legend.iter_mut().find(|m| m.reason == reason) {
                Some(missing) => {
                    missing.slots += slots;
                    missing.gaps += 1;
                }
                None => self.legend.push(Missing { reason, slots, gaps: 1 }),
            }
            for column in self.columns_in(visible) {
                let longer = |other: Reason| other <= reason;
                if !column.gap.is_some_and(longer) {
                    column.gap = Some(reason);
                }
            }
        }
        self.legend.sort_by_key(|m| std::cmp::Reverse(m.slots));
        let unsettled = |s: &&Segment| s.origin.verification == Verification::Unsettled;
        for segment in story.segments.iter().filter(unsettled) {
            for column in self.columns_in(segment.range) {
                column.unsettled = column.bar.is_some();
            }
        }
    }

    fn columns_in(&mut self, range: TimeRange) -> &mut [Column] {
        let from = self.columns.partition_point(|c| c.range.end() <= range.start());
        let to = self.columns.partition_point(|c| c.range.start() < range.end());
        &mut self.columns[from..to.max(from)]
    }

    pub(crate) fn bars(&self) -> impl Iterator<Item = Bar> + '_ {
        self.columns.iter().filter_map(|c| c.bar)
    }

    /// Lowest low and highest high, never equal; `None` without a kline.
    pub(crate) fn prices(&self) -> Option<(f64, f64)> {
        let low = self.bars().map(|b| b.low).reduce(f64::min)?;
        let high = self.bars().map(|b| b.high).reduce(f64::max)?;
        Some(if high > low {
            (low, high)
        } else {
            (low * 0.999, high * 1.001 + f64::MIN_POSITIVE)
        })
    }

    pub(crate) fn volume_max(&self) -> f64 {
        self.bars().map(|b| b.volume).fold(0.0, f64::max)
    }

    /// `BTCUSDT · 1m · spot`.
    pub(crate) fn title(&self) -> String {
        format!(
            "{} · {} · {}",
            self.series.symbol(),
            self.series.interval(),
            self.series.market()
        )
    }

    /// `2024-01-01 … 2024-02-01 · 44,640 klines, 372 per candle`.
    pub(crate) fn subtitle(&self) -> String {
        let per = match self.slots_per_column {
            1 => String::new(),
            n => format!(", {} per candle", crate::text::thousands(n)),
        };
        format!(
            "{} · {}{per}",
            crate::text::range(self.range),
            crate::text::count(self.klines, "kline")
        )
    }

    /// First open, extremes, last close, change.
    pub(crate) fn summary(&self) -> Option<String> {
        let (first, last) = (self.bars().next()?, self.bars().last()?);
        let (low, high) = self.prices()?;
        let digits = ticks::digits((high - low) / 100.0);
        let price = |p: f64| ticks::price(p, digits);
        let change = (last.close / first.open - 1.0) * 100.0;
        Some(format!(
            "open {}  high {}  low {}  close {}  {change:+.2} %",
            price(first.open),
            price(high),
            price(low),
            price(last.close)
        ))
    }
}

#[cfg(test)]
pub(crate) mod tests;
