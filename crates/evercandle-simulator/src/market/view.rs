//! One series as it looks at one instant: which rows exist by then, which are still forming, and pages of them.

use std::ops::Range;
use std::sync::Arc;

use super::bars::{Bars, fold};
use super::{Grid, Interval, Kline, Market};
use crate::time::{DAY, HOUR, MINUTE, SECOND};

/// One series seen at one instant.
pub(super) struct View<'a> {
    pub(super) market: &'a Market,
    pub(super) bars: Arc<Bars>,
    pub(super) grid: Grid,
    pub(super) interval: Interval,
    pub(super) now: i64,
}

impl View<'_> {
    pub(super) fn rows(&self, open_times: Range<i64>) -> Vec<Kline> {
        let spec = self.bars.spec();
        let last = self.bars.ended().min(self.now.saturating_add(1)).min(open_times.end);
        if open_times.start >= last {
            return Vec::new();
        }
        let start = self.grid.ceil(open_times.start.max(self.grid.floor(spec.listed)));
        let mut rows = Vec::new();
        let mut open_time = start;
        while open_time < last {
            // Fine klines come an hour (or a minute of seconds) at a time; the rest are added up one by one.
            let chunk = match self.interval {
                Interval::S1 => MINUTE,
                interval if interval < Interval::H1 => HOUR,
                _ => 0,
            };
            if chunk == 0 {
                rows.extend(self.row(open_time, self.grid.next(open_time)));
                open_time = self.grid.next(open_time);
                continue;
            }
            let end = ((open_time.div_euclid(chunk) + 1) * chunk).min(last);
            self.push_fine(open_time..end, &mut rows);
            open_time = self.grid.ceil(end);
        }
        rows
    }

    /// The rows of a stretch within one hour, or within one minute of seconds.
    fn push_fine(&self, open_times: Range<i64>, rows: &mut Vec<Kline>) {
        let settled = self.now.saturating_sub(self.grid.next(0));
        if self.interval == Interval::S1 {
            let minute = open_times.start.div_euclid(MINUTE) * MINUTE;
            for second in self.bars.seconds_of_minute(minute) {
                if open_times.contains(&second.open_time) {
                    let done = second.open_time <= settled;
                    rows.push(if done { second } else { self.bars.untraded(&second) });
                }
            }
            return;
        }
        let hour = open_times.start.div_euclid(HOUR) * HOUR;
        let minutes = self.bars.minutes_of_hour(hour);
        let mut sums: Vec<Kline> = Vec::with_capacity(minutes.len());
        for minute in minutes {
            let open_time = self.grid.floor(minute.open_time);
            if !open_times.contains(&open_time) || open_time > settled {
                continue;
            }
            match sums.last_mut() {
                Some(sum) if sum.open_time == open_time => sum.absorb(&minute),
                _ => sums.push(Kline { open_time, ..minute }),
            }
        }
        rows.extend(sums.into_iter().map(|sum| self.closed(sum)));
        let forming = self.grid.floor(self.now);
        if open_times.contains(&forming) && forming > settled {
            rows.extend(self.row(forming, self.grid.next(forming)));
        }
    }

    /// One kline, final or as it stands.
    fn row(&self, open_time: i64, end: i64) -> Option<Kline> {
        let sum = if self.now >= end {
            self.sum(open_time, end)
        } else {
            self.forming(open_time)
        };
        sum.map(|sum| self.closed(Kline { open_time, ..sum }))
    }

    fn closed(&self, row: Kline) -> Kline {
        let end = self.grid.next(row.open_time);
        Kline {
            close_time: self.bars.close_time(row.open_time, end),
            ..row
        }
    }

    /// Adds up everything between two instants on whole minutes.
    fn sum(&self, start: i64, end: i64) -> Option<Kline> {
        let end = end.min(self.bars.ended());
        let mut at = start.max(self.bars.spec().listed.div_euclid(HOUR) * HOUR);
        let mut parts = Vec::new();
        while at < end {
            if at.rem_euclid(DAY) == 0 && at + DAY <= end {
                parts.extend(self.market.day(&self.bars, at));
                at += DAY;
                continue;
            }
            let hour = at.div_euclid(HOUR) * HOUR;
            let stop = (hour + HOUR).min(end);
            let minutes = self.bars.minutes_of_hour(hour);
            parts.extend(fold(
                minutes
                    .into_iter()
                    .filter(|minute| (at..stop).contains(&minute.open_time)),
            ));
            at = stop;
        }
        fold(parts)
    }

    /// Adds up what has happened by now, to the last whole second.
    fn forming(&self, open_time: i64) -> Option<Kline> {
        let minute = self.now.div_euclid(MINUTE) * MINUTE;
        let past = self.sum(open_time, minute);
        let seconds = self.bars.seconds_of_minute(minute);
        let first = seconds.first().map(|second| self.bars.untraded(second));
        let present = fold(
            seconds
                .into_iter()
                .filter(|second| second.open_time + SECOND <= self.now),
        );
        fold(past.into_iter().chain(present)).or(first)
    }

    pub(super) fn oldest(&self, open_times: Range<i64>, limit: usize) -> Vec<Kline> {
        let spec = self.bars.spec();
        let mut rows: Vec<Kline> = Vec::new();
        let last = open_times.end.min(self.bars.ended()).min(self.now.saturating_add(1));
        if open_times.start >= last {
            return rows;
        }
        let mut start = self.grid.ceil(open_times.start.max(self.grid.floor(spec.listed)));
        while rows.len() < limit && start < last {
            let stop = self.forward(start, limit - rows.len()).min(last);
            rows.extend(self.rows(start..stop));
            start = self.grid.ceil(stop);
        }
        rows
    }

    pub(super) fn newest(&self, open_times: Range<i64>, limit: usize) -> Vec<Kline> {
        let spec = self.bars.spec();
        let first = open_times.start.max(self.grid.floor(spec.listed));
        let mut end = open_times.end.min(self.bars.ended()).min(self.now.saturating_add(1));
        let mut pages: Vec<Vec<Kline>> = Vec::new();
        let mut count = 0;
        while count < limit && end > first {
            let start = self.backward(end, limit - count).max(first);
            let page = self.rows(start..end);
            count += page.len();
            pages.push(page);
            end = start;
        }
        let mut rows: Vec<Kline> = pages.into_iter().rev().flatten().collect();
        rows.drain(..rows.len().saturating_sub(limit));
        rows
    }

    /// The open time `slots` after one on the grid.
    fn forward(&self, open_time: i64, slots: usize) -> i64 {
        match self.interval.length() {
            Some(length) => open_time.saturating_add(length.saturating_mul(slots as i64)),
            None => (0..slots).fold(open_time, |at, _| self.grid.next(at)),
        }
    }

    /// The open time of the earliest of `slots` klines that open before `end`.
    fn backward(&self, end: i64, slots: usize) -> i64 {
        let newest = self.grid.floor(end - 1);
        match self.interval.length() {
            Some(length) => newest.saturating_sub(length.saturating_mul(slots as i64 - 1)),
            None => (1..slots).fold(newest, |at, _| self.grid.floor(at - 1)),
        }
    }
}
