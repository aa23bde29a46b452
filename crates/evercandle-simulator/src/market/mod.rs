//! The truth: which klines exist, for every symbol, interval and instant, as a pure function of a seed.
//!
//! A test asks the market what is true and the library what it was told, and compares.
//! So nothing here is recorded, downloaded or generated in advance; a page of any decade costs the same.
//!
//! Which identities hold, exactly and in all columns: every interval from 3m to 1M is the sum of the 1m klines inside it,
//! hence also 1d of 1h and so on. A 1m kline is the sum of its 1s klines in all columns but the two quote ones.
//! Within a symbol each 1m kline opens where the one before closed, unless a halt or the listing lies between.

mod bars;
mod halts;
mod interval;
mod kline;
mod noise;
mod symbols;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::time::{DAY, HOUR, MINUTE, SECOND};
use bars::{Bars, fold};

pub use halts::{Halt, HaltKind, known_halts};
pub use interval::{Grid, Interval};
pub use kline::{Kline, Scales, decimal};
pub(crate) use noise::Noise;
pub use symbols::{Ending, ExchangeMarket, SymbolSpec, universe};

/// Days remembered as sums, so that a decade of weeks is added up once: about 30 MB at most.
const REMEMBERED_DAYS_MAX: usize = 200_000;

/// One sequence of klines: a market, a symbol, an interval.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// Spot, USD-M or COIN-M.
    pub market: ExchangeMarket,
    /// `BTCUSDT`.
    pub symbol: String,
    /// The length of its klines.
    pub interval: Interval,
}

impl Series {
    /// Names a series.
    pub fn new(market: ExchangeMarket, symbol: impl Into<String>, interval: Interval) -> Self {
        Self {
            market,
            symbol: symbol.into(),
            interval,
        }
    }
}

/// Which end of a window a page is filled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The oldest rows of the window.
    Oldest,
    /// The newest rows of the window; still returned oldest first.
    Newest,
}

/// Sums of days by the instant each starts; `None` where nothing traded.
type Days = HashMap<i64, Option<Kline>>;

/// The deterministic exchange.
#[derive(Debug)]
pub struct Market {
    seed: u64,
    symbols: RwLock<Vec<Arc<Bars>>>,
    halts: RwLock<Vec<Halt>>,
    /// Sums of whole UTC days by symbol and day.
    days: Mutex<HashMap<(ExchangeMarket, String), Days>>,
}

impl Market {
    /// The built-in universe with the halts on record.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, universe(), known_halts())
    }

    /// A universe of your own.
    pub fn with(seed: u64, symbols: Vec<SymbolSpec>, halts: Vec<Halt>) -> Self {
        let bars = symbols
            .into_iter()
            .map(|spec| Arc::new(Bars::new(seed, spec, &halts)))
            .collect();
        Self {
            seed,
            symbols: RwLock::new(bars),
            halts: RwLock::new(halts),
            days: Mutex::default(),
        }
    }

    /// The seed everything follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Every symbol of a market, in listing order of the table.
    pub fn symbols(&self, market: ExchangeMarket) -> Vec<SymbolSpec> {
        self.symbols
            .read()
            .iter()
            .map(|bars| bars.spec())
            .filter(|spec| spec.market == market)
            .cloned()
            .collect()
    }

    /// One symbol, if it was ever listed.
    pub fn symbol(&self, market: ExchangeMarket, name: &str) -> Option<SymbolSpec> {
        self.bars(market, name).map(|bars| bars.spec().clone())
    }

    /// The halts in force.
    pub fn halts(&self) -> Vec<Halt> {
        self.halts.read().clone()
    }

    /// Adds a halt. History changes at once: rows inside it are gone from every interval.
    pub fn add_halt(&self, halt: Halt) {
        let mut halts = self.halts.write();
        halts.push(halt);
        let mut symbols = self.symbols.write();
        for bars in symbols.iter_mut() {
            *bars = Arc::new(Bars::new(self.seed, bars.spec().clone(), &halts));
        }
        self.days.lock().clear();
    }

    /// The grid of a series, if its symbol exists.
    pub fn grid(&self, series: &Series) -> Option<Grid> {
        self.bars(series.market, &series.symbol)
            .map(|bars| Grid::new(series.interval, bars.spec().listed))
    }

    /// The final kline opening exactly here, if the symbol exists, the instant is on the grid and anything traded.
    pub fn kline(&self, series: &Series, open_time: i64) -> Option<Kline> {
        self.klines(series, open_time..open_time + 1).into_iter().next()
    }

    /// All final klines with an open time in the range, oldest first.
    pub fn klines(&self, series: &Series, open_times: Range<i64>) -> Vec<Kline> {
        self.klines_as_of(series, open_times, i64::MAX)
    }

    /// The klines as the exchange shows them at `now`: nothing from the future, and the one in progress as it stands.
    pub fn klines_as_of(&self, series: &Series, open_times: Range<i64>, now: i64) -> Vec<Kline> {
        let Some(view) = self.view(series, 0, now) else {
            return Vec::new();
        };
        view.rows(open_times)
    }

    /// A page as the REST paging rule defines it, with `zone` the offset of the `timeZone` parameter.
    pub fn page(
        &self,
        series: &Series,
        open_times: Range<i64>,
        limit: usize,
        anchor: Anchor,
        zone: i64,
        now: i64,
    ) -> Vec<Kline> {
        let Some(view) = self.view(series, zone, now) else {
            return Vec::new();
        };
        match anchor {
            Anchor::Oldest => view.oldest(open_times, limit),
            Anchor::Newest => view.newest(open_times, limit),
        }
    }

    fn view(&self, series: &Series, zone: i64, now: i64) -> Option<View<'_>> {
        if series.interval == Interval::S1 && series.market != ExchangeMarket::Spot {
            return None;
        }
        let bars = self.bars(series.market, &series.symbol)?;
        let grid = Grid::new(series.interval, bars.spec().listed).in_zone(zone);
        Some(View {
            market: self,
            bars,
            grid,
            interval: series.interval,
            now,
        })
    }

    fn bars(&self, market: ExchangeMarket, name: &str) -> Option<Arc<Bars>> {
        let symbols = self.symbols.read();
        symbols
            .iter()
            .find(|bars| bars.spec().market == market && bars.spec().name == name)
            .cloned()
    }

    /// The sum of one whole UTC day.
    fn day(&self, bars: &Bars, day: i64) -> Option<Kline> {
        let key = (bars.spec().market, bars.spec().name.to_string());
        if let Some(known) = self.days.lock().get(&key).and_then(|days| days.get(&day)) {
            return known.clone();
        }
        let sum = fold((0..24).filter_map(|hour| fold(bars.minutes_of_hour(day + hour * HOUR))));
        let mut days = self.days.lock();
        if days.values().map(HashMap::len).sum::<usize>() >= REMEMBERED_DAYS_MAX {
            days.clear();
        }
        days.entry(key).or_default().insert(day, sum.clone());
        sum
    }
}

/// One series seen at one instant.
struct View<'a> {
    market: &'a Market,
    bars: Arc<Bars>,
    grid: Grid,
    interval: Interval,
    now: i64,
}

impl View<'_> {
    fn rows(&self, open_times: Range<i64>) -> Vec<Kline> {
        let spec = self.bars.spec();
        let start = self.grid.ceil(open_times.start.max(self.grid.floor(spec.listed)));
        let last = spec.ended().min(self.now.saturating_add(1)).min(open_times.end);
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
        let end = end.min(self.bars.spec().ended());
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

    fn oldest(&self, open_times: Range<i64>, limit: usize) -> Vec<Kline> {
        let spec = self.bars.spec();
        let mut rows: Vec<Kline> = Vec::new();
        let mut start = self.grid.ceil(open_times.start.max(self.grid.floor(spec.listed)));
        let last = open_times.end.min(spec.ended()).min(self.now.saturating_add(1));
        while rows.len() < limit && start < last {
            let stop = self.forward(start, limit - rows.len()).min(last);
            rows.extend(self.rows(start..stop));
            start = self.grid.ceil(stop);
        }
        rows
    }

    fn newest(&self, open_times: Range<i64>, limit: usize) -> Vec<Kline> {
        let spec = self.bars.spec();
        let first = open_times.start.max(self.grid.floor(spec.listed));
        let mut end = open_times.end.min(spec.ended()).min(self.now.saturating_add(1));
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

#[cfg(test)]
mod tests;
