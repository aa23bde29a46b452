//! The truth: which klines exist, for every symbol, interval and instant, as a pure function of a seed.
//!
//! A test asks the market what is true and the library what it was told, and compares.
//! So nothing here is recorded, downloaded or generated in advance; a page of any decade costs the same.
//!
//! Which identities hold, exactly and in all columns: every interval from 3m to 1M is the sum of the 1m klines inside it,
//! hence also 1d of 1h and so on. A 1m kline is the sum of its 1s klines in all columns but the two quote ones.
//! Within a symbol each 1m kline opens where the one before closed, unless a halt or the listing lies between.

mod bars;
mod coins;
mod fear_greed;
mod funding;
mod halts;
mod interval;
mod kline;
mod noise;
mod seconds;
mod status;
mod symbols;
mod ticker;
mod view;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::time::{HOUR, SECOND};
use bars::{Bars, fold};
use status::Stop;
use view::View;

pub use coins::{Coin, CoinSource, IndexQuote, coins};
pub use fear_greed::FearGreed;
pub use funding::FundingRate;
pub use halts::{Halt, HaltKind, known_halts};
pub use interval::{Grid, Interval};
pub use kline::{Kline, Scales, decimal};
pub(crate) use noise::Noise;
pub use status::SymbolStatus;
pub use symbols::{Ending, ExchangeMarket, SymbolSpec, universe};
pub use ticker::Ticker;
pub(crate) use ticker::number;

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
    stops: RwLock<Vec<Stop>>,
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
            .map(|spec| Arc::new(Bars::new(seed, spec, &halts, &[])))
            .collect();
        Self {
            seed,
            symbols: RwLock::new(bars),
            halts: RwLock::new(halts),
            stops: RwLock::default(),
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
        self.halts.write().push(halt);
        self.rewrite();
    }

    /// What a symbol is up to at `now`; `None` before its listing and for names that never were.
    pub fn status(&self, market: ExchangeMarket, symbol: &str, now: i64) -> Option<SymbolStatus> {
        let bars = self.bars(market, symbol).filter(|bars| bars.spec().listed <= now)?;
        Some(status::status(bars.spec(), &self.stops.read(), now))
    }

    /// The first instant without trading: the end of the symbol, or a stop that lasts.
    pub(crate) fn ended(&self, market: ExchangeMarket, symbol: &str) -> Option<i64> {
        self.bars(market, symbol).map(|bars| bars.ended())
    }

    /// Stops a symbol at `now`, or lets it trade again from `now` on; `false` if there is no such symbol.
    pub fn set_status(&self, market: ExchangeMarket, symbol: &str, status: SymbolStatus, now: i64) -> bool {
        if self.bars(market, symbol).is_none() {
            return false;
        }
        // Klines know whole seconds: what had been shown by now stays.
        let now = now.div_euclid(SECOND) * SECOND;
        let mut stops = self.stops.write();
        let lasting = stops
            .iter_mut()
            .find(|stop| stop.concerns(market, symbol) && stop.lasts());
        match (lasting, status) {
            (Some(stop), SymbolStatus::Trading) => stop.end = now.max(stop.start),
            (Some(stop), status) => stop.status = status,
            (None, SymbolStatus::Trading) => {}
            (None, status) => stops.push(Stop {
                market,
                symbol: symbol.to_owned(),
                status,
                start: now,
                end: i64::MAX,
            }),
        }
        drop(stops);
        self.rewrite();
        true
    }

    /// Invents every symbol anew, because history has changed.
    fn rewrite(&self) {
        let (halts, stops) = (self.halts.read(), self.stops.read());
        for bars in self.symbols.write().iter_mut() {
            *bars = Arc::new(Bars::new(self.seed, bars.spec().clone(), &halts, &stops));
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

    /// All final klines with an open time in the range, oldest first. The future is as certain as the past, so the range
    /// must end somewhere.
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

#[cfg(test)]
mod tests;
