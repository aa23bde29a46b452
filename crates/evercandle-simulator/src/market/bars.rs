//! How prices come about: a path through time, minutes along the path, seconds inside a minute.
//!
//! The path is a sum of smooth noises whose periods quadruple and whose sizes double: that is how a random walk
//! looks at every zoom, yet any point of it can be computed alone. Minutes are the base of everything coarser.
//! Seconds *divide* their minute (same open, high, low, close, volume, trades and taker volume), so that a minute is the
//! exact sum of its seconds without ever computing sixty of them to print one. Only the quote columns of seconds are
//! priced afresh, which keeps each second's average price between its own low and high.

use super::halts::Halt;
use super::kline::Kline;
use super::noise::{Noise, exp};
use super::status::Stop;
use super::symbols::{ExchangeMarket, SymbolSpec};
use crate::time::{DAY, HOUR, MINUTE};

/// Minutes in an hour, as a count of rows.
const MINUTES: usize = 60;
/// Periods of the noises slower than an hour, in hours, and their size for Bitcoin:
/// each four times longer and about twice larger.
const SLOW_NOISES: [(i64, f64); 8] = [
    (1, 0.003),
    (4, 0.006),
    (16, 0.012),
    (64, 0.035),
    (256, 0.08),
    (1024, 0.17),
    (4096, 0.36),
    (16_384, 0.6),
];
/// Periods of the noises within the hour, in minutes.
const FAST_NOISES: [(i64, f64); 3] = [(1, 0.000_45), (4, 0.000_9), (16, 0.001_6)];
/// How far a wick reaches beyond the body, as a share of price.
const WICK: f64 = 0.000_5;
/// Where growth ends, thousands of years ahead, so that every column can be counted.
const TICKS_MAX: i64 = 10_000_000_000;

/// What a lane of noise decides. Lanes 0..16 belong to the path.
pub(super) mod lane {
    pub(in crate::market) const ACTIVITY: u64 = 20;
    pub(in crate::market) const QUIET: u64 = 21;
    pub(in crate::market) const WICK_UP: u64 = 22;
    pub(in crate::market) const WICK_DOWN: u64 = 23;
    pub(in crate::market) const VOLUME: u64 = 24;
    pub(in crate::market) const TRADES: u64 = 25;
    pub(in crate::market) const TAKER: u64 = 26;
    pub(in crate::market) const SHARE: u64 = 27;
    pub(in crate::market) const EXTREME: u64 = 28;
    pub(in crate::market) const DRIFT: u64 = 29;
    pub(in crate::market) const LAST_TICK: u64 = 30;
}

/// Invents the klines of one symbol.
#[derive(Debug)]
pub(super) struct Bars {
    pub(super) spec: SymbolSpec,
    pub(super) noise: Noise,
    /// Halts of this symbol's market, in order.
    halts: Vec<Halt>,
    /// The latest end among each halt and those before it: what makes looking them up a binary search.
    halts_end: Vec<i64>,
    /// Where a stop of this symbol that still lasts began.
    stopped: i64,
    /// Level of the noises at the listing, subtracted so that a symbol starts near its price.
    origin: f64,
}

impl Bars {
    pub(super) fn new(seed: u64, spec: SymbolSpec, halts: &[Halt], stops: &[Stop]) -> Self {
        let noise = Noise::new(seed, &format!("{}/{}", spec.market, spec.name));
        let mut halts: Vec<Halt> = halts
            .iter()
            .copied()
            .filter(|halt| halt.market == spec.market)
            .collect();
        let own = stops.iter().filter(|stop| stop.concerns(spec.market, &spec.name));
        halts.extend(own.clone().map(Stop::halt));
        let stopped = own.filter(|stop| stop.lasts()).map(|stop| stop.start).min();
        halts.sort_by_key(|halt| halt.start);
        let halts_end = halts
            .iter()
            .scan(i64::MIN, |latest, halt| {
                *latest = halt.end.max(*latest);
                Some(*latest)
            })
            .collect();
        let origin = slow_level(noise, spec.listed.div_euclid(HOUR));
        Self {
            spec,
            noise,
            halts,
            halts_end,
            stopped: stopped.unwrap_or(i64::MAX),
            origin,
        }
    }

    pub(super) fn spec(&self) -> &SymbolSpec {
        &self.spec
    }

    /// The first instant without trading, for good as far as anybody knows.
    pub(super) fn ended(&self) -> i64 {
        self.spec.ended().min(self.stopped)
    }

    /// The rows of one hour's minutes that exist: at most sixty.
    pub(super) fn minutes_of_hour(&self, hour: i64) -> Vec<Kline> {
        if hour + HOUR <= self.spec.listed || hour >= self.ended() {
            return Vec::new();
        }
        let nodes = self.nodes_of_hour(hour);
        let activity = (self.activity(hour), self.activity(hour + HOUR));
        let calm = self.halts_touching(hour, hour + HOUR).next().is_none();
        let mut rows = Vec::with_capacity(MINUTES);
        for m in 0..MINUTES {
            let open_time = hour + m as i64 * MINUTE;
            if open_time < self.spec.listed || open_time >= self.ended() {
                continue;
            }
            let lively = activity.0 + (activity.1 - activity.0) * m as f64 / MINUTES as f64;
            let minute = self.minute(open_time, nodes[m], nodes[m + 1], lively);
            match if calm {
                Standstill::None
            } else {
                self.standstill(open_time, open_time + MINUTE)
            } {
                Standstill::None => rows.push(minute),
                Standstill::Whole => {}
                Standstill::Part => rows.extend(fold(self.seconds_of(&minute))),
            }
        }
        rows
    }

    /// The rows of the sixty seconds of the minute opening at `minute` that exist.
    pub(super) fn seconds_of_minute(&self, minute: i64) -> Vec<Kline> {
        let hour = minute.div_euclid(HOUR) * HOUR;
        if minute < self.spec.listed || minute >= self.ended() {
            return Vec::new();
        }
        if matches!(self.standstill(minute, minute + MINUTE), Standstill::Whole) {
            return Vec::new();
        }
        let m = ((minute - hour) / MINUTE) as usize;
        let nodes = self.nodes_of_hour(hour);
        let activity = (self.activity(hour), self.activity(hour + HOUR));
        let lively = activity.0 + (activity.1 - activity.0) * m as f64 / MINUTES as f64;
        self.seconds_of(&self.minute(minute, nodes[m], nodes[m + 1], lively))
    }

    /// Where a kline that would close at `grid_close` really closed, given the halts.
    ///
    /// Only a halt that swallows the rest of the kline cuts it: if trading resumed inside, the last tick came later.
    pub(super) fn close_time(&self, open_time: i64, end: i64) -> i64 {
        let cut = self.halts_touching(open_time, end).find(|halt| {
            halt.kind == super::HaltKind::Truncating && halt.start > open_time && halt.start < end && halt.end >= end
        });
        match cut {
            // The last tick came up to a second before the venue stopped; each symbol has its own.
            Some(halt) => {
                let early = (self.noise.unit(lane::LAST_TICK, halt.start) * 999.0) as i64 * 1000;
                (halt.start - early).max(open_time + 1) - 1
            }
            None => end - 1,
        }
    }

    /// A kline of the forming kind before its first trade: flat at the previous close.
    pub(super) fn untraded(&self, minute: &Kline) -> Kline {
        Kline {
            high: minute.open,
            low: minute.open,
            close: minute.open,
            volume: 0,
            quote_volume: 0,
            trades: 0,
            taker_base: 0,
            taker_quote: 0,
            ..minute.clone()
        }
    }

    // --- the path ---------------------------------------------------------------------------------------------------

    /// Prices in ticks at the sixty-one minute boundaries of an hour, carried over minutes without trades.
    fn nodes_of_hour(&self, hour: i64) -> [i64; MINUTES + 1] {
        let levels = (self.level(hour), self.level(hour + HOUR));
        let lively = (self.activity(hour), self.activity(hour + HOUR));
        let mut nodes = [0; MINUTES + 1];
        for (m, node) in nodes.iter_mut().enumerate() {
            let x = m as f64 / MINUTES as f64;
            let instant = hour + m as i64 * MINUTE;
            let wiggle = self.wiggle(instant) * (lively.0 + (lively.1 - lively.0) * x);
            *node = self.ticks(levels.0 + (levels.1 - levels.0) * x + wiggle);
        }
        nodes[0] = self.carried(hour).unwrap_or(nodes[0]);
        if self.spec.quiet_share > 0.0 || self.halts_touching(hour, hour + HOUR).next().is_some() {
            for m in 0..MINUTES {
                if self.is_quiet(hour + m as i64 * MINUTE) {
                    nodes[m + 1] = nodes[m];
                }
            }
        }
        nodes
    }

    /// The price at the start of an hour that follows a silence: the one from before the silence.
    fn carried(&self, hour: i64) -> Option<i64> {
        let silence = self.silence_over(hour - MINUTE)?;
        let before = silence.start.div_euclid(MINUTE) * MINUTE;
        let start = before.div_euclid(HOUR) * HOUR;
        if start >= hour {
            return None;
        }
        Some(self.nodes_of_hour(start)[((before - start) / MINUTE) as usize])
    }

    /// Whether the minute opening here sees no trade. The last of every hour always does, so that an hour knows its
    /// first price without looking back.
    fn is_quiet(&self, minute: i64) -> bool {
        let index = minute / MINUTE;
        let last_of_hour = minute.rem_euclid(HOUR) == HOUR - MINUTE;
        let sleepy =
            self.spec.quiet_share > 0.0 && self.noise.unit(lane::QUIET, index) < self.spec.quiet_share && !last_of_hour;
        sleepy || self.silence_over(minute).is_some()
    }

    fn silence_over(&self, minute: i64) -> Option<&Halt> {
        self.halts_touching(minute, minute + MINUTE)
            .find(|halt| !halt.removes_rows() && halt.start <= minute && halt.end >= minute + MINUTE)
    }

    fn ticks(&self, level: f64) -> i64 {
        let price = self.spec.price * exp(level) * f64::from(10u32.pow(u32::from(self.spec.tick_decimals)));
        (price.round() as i64).clamp(1, TICKS_MAX)
    }

    /// Logarithm of price over starting price at an hour.
    fn level(&self, hour: i64) -> f64 {
        let years = (hour - self.spec.listed) as f64 / (365.25 * DAY as f64);
        let slow = slow_level(self.noise, hour.div_euclid(HOUR)) - self.origin;
        self.spec.growth * years + slow * self.spec.volatility
    }

    /// The part of the path that moves within the hour.
    fn wiggle(&self, instant: i64) -> f64 {
        let minute = instant.div_euclid(MINUTE);
        let sum: f64 = FAST_NOISES
            .iter()
            .enumerate()
            .map(|(lane, &(period, size))| size * self.noise.smooth(10 + lane as u64, minute, period))
            .sum();
        sum * self.spec.volatility
    }

    /// How lively the market is at an hour, around 1: slow moods over a daily rhythm, so that volatility clusters.
    fn activity(&self, hour: i64) -> f64 {
        let index = hour.div_euclid(HOUR);
        let mood = self.noise.smooth(lane::ACTIVITY, index, 9) + self.noise.smooth(lane::ACTIVITY + 100, index, 120);
        // Busiest around 15:00 UTC, when Europe and America overlap.
        let from_peak = ((index - 15).rem_euclid(24) as f64 / 12.0 - 1.0).abs();
        exp(0.6 * mood) * (0.6 + 0.8 * from_peak)
    }

    // --- minutes ----------------------------------------------------------------------------------------------------

    /// The minute as it would be were there no halt.
    fn minute(&self, open_time: i64, open: i64, close: i64, lively: f64) -> Kline {
        let spec = &self.spec;
        let index = open_time / MINUTE;
        let price_unit = 10i64.pow(u32::from(spec.scales.price - spec.tick_decimals));
        let mut kline = Kline {
            open_time,
            open: open * price_unit,
            high: open * price_unit,
            low: open * price_unit,
            close: close * price_unit,
            volume: 0,
            close_time: open_time + MINUTE - 1,
            quote_volume: 0,
            trades: 0,
            taker_base: 0,
            taker_quote: 0,
            scales: spec.scales,
        };
        if self.is_quiet(open_time) {
            return kline;
        }
        let wick = |lane| {
            let u = self.noise.unit(lane, index);
            (open as f64 * WICK * spec.volatility * lively * u * u).round() as i64
        };
        kline.high = (open.max(close) + wick(lane::WICK_UP)) * price_unit;
        kline.low = (open.min(close) - wick(lane::WICK_DOWN)).max(1) * price_unit;

        let u = self.noise.unit(lane::VOLUME, index);
        let lots = (spec.lots_per_minute * lively * (0.25 + 3.0 * u * u * u)) as i64 + 1;
        let v = self.noise.unit(lane::TRADES, index);
        let trades = ((spec.trades_per_minute * lively * (0.4 + 1.2 * v)) as i64 + 1).min(lots);
        let taker_permille = 300 + (self.noise.bits(lane::TAKER, index) % 401) as i64;
        kline.trades = trades as u64;
        self.fill(&mut kline, lots, lots * taker_permille / 1000);
        kline
    }

    /// Sets the four volume columns from lots.
    pub(super) fn fill(&self, kline: &mut Kline, lots: i64, taker_lots: i64) {
        let lot_unit = 10i128.pow(u32::from(self.spec.scales.quantity - self.spec.lot_decimals));
        kline.volume = i128::from(lots) * lot_unit;
        kline.taker_base = i128::from(taker_lots) * lot_unit;
        kline.quote_volume = self.quoted(kline, kline.volume);
        kline.taker_quote = self.quoted(kline, kline.taker_base);
    }

    /// What a quantity is worth at the kline's average price; in base asset for contracts that are worth dollars.
    fn quoted(&self, kline: &Kline, volume: i128) -> i128 {
        let four_prices =
            i128::from(kline.open) + i128::from(kline.high) + i128::from(kline.low) + i128::from(kline.close);
        let scales = kline.scales;
        let power = |digits: u8| 10i128.pow(u32::from(digits));
        match self.spec.market {
            ExchangeMarket::CoinM => {
                let dollars = volume * i128::from(self.spec.contract_size);
                dollars * power(scales.quote) * power(scales.price) * 4 / four_prices
            }
            _ => {
                let digits = scales.price + scales.quantity;
                volume * four_prices / 4 / power(digits - scales.quote)
            }
        }
    }

    // --- halts ------------------------------------------------------------------------------------------------------

    pub(super) fn standstill(&self, start: i64, end: i64) -> Standstill {
        let mut found = Standstill::None;
        for halt in self.halts_touching(start, end).filter(|halt| halt.removes_rows()) {
            if halt.start <= start && halt.end >= end {
                return Standstill::Whole;
            }
            found = Standstill::Part;
        }
        found
    }

    fn halts_touching(&self, start: i64, end: i64) -> impl Iterator<Item = &Halt> {
        let first = self.halts_end.partition_point(|&latest| latest <= start);
        self.halts[first..]
            .iter()
            .take_while(move |halt| halt.start < end)
            .filter(move |halt| halt.end > start)
    }
}

/// Whether a stretch lies in a halt.
pub(super) enum Standstill {
    None,
    Part,
    Whole,
}

fn slow_level(noise: Noise, hour: i64) -> f64 {
    SLOW_NOISES
        .iter()
        .enumerate()
        .map(|(lane, &(period, size))| size * noise.smooth(lane as u64, hour, period))
        .sum()
}

/// Adds rows up into one; `None` when there are none.
pub(super) fn fold(rows: impl IntoIterator<Item = Kline>) -> Option<Kline> {
    rows.into_iter().reduce(|mut sum, row| {
        sum.absorb(&row);
        sum
    })
}
