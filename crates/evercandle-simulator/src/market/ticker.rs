//! What a ticker shows: the last price, when it came about, and the day before it.
//!
//! Everything follows from klines. The last price is the close of the newest one-minute kline as it stands, and the day
//! is the newest 1440 minutes, so a test can add them up for itself. A symbol that stopped trading keeps the ticker it
//! stopped with: an old price with an old `close_time`, which is exactly the trap.

use super::bars::fold;
use super::kline::{Scales, decimal};
use super::{Bars, ExchangeMarket, Interval, Kline, Market, Series};
use crate::time::{DAY, HOUR, MINUTE, SECOND};

/// Hours searched back for the last trade: longer than any standstill on record.
const SEARCH_HOURS: i64 = 24 * 60;

/// The state of one symbol at one instant. Prices and quantities are mantissas as in [`Kline`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticker {
    /// `BTCUSDT`.
    pub symbol: String,
    /// The last price.
    pub last_price: i64,
    /// The price a day ago.
    pub open_price: i64,
    /// The highest price of the day.
    pub high_price: i64,
    /// The lowest price of the day.
    pub low_price: i64,
    /// Base volume of the day; contracts on COIN-M.
    pub volume: i128,
    /// Quote volume of the day; base volume on COIN-M.
    pub quote_volume: i128,
    /// Trades of the day.
    pub trades: u64,
    /// A day before `close_time`, in microseconds.
    pub open_time: i64,
    /// The last trade, in microseconds.
    pub close_time: i64,
    /// The change over the day in thousandths of a percent.
    pub change_millipercent: i64,
    /// Whether it trades, so that somebody bids and asks.
    pub trading: bool,
    /// The smallest step of the price, as a mantissa.
    pub tick: i64,
    /// USD per contract on COIN-M; 0 elsewhere.
    pub contract_size: i64,
    /// Where the decimal points go.
    pub scales: Scales,
}

impl Ticker {
    /// The last price as the exchange prints it.
    pub fn last_price_text(&self) -> String {
        self.price_text(self.last_price)
    }

    /// Any price of this symbol as the exchange prints it.
    pub fn price_text(&self, mantissa: i64) -> String {
        decimal(i128::from(mantissa), self.scales.price)
    }

    /// `-95.960`
    pub fn change_percent_text(&self) -> String {
        decimal(i128::from(self.change_millipercent), 3)
    }

    /// The change over the day in percent.
    pub fn change_percent(&self) -> f64 {
        self.change_millipercent as f64 / 1000.0
    }

    /// The last price as a number, for indices that print numbers.
    pub fn last_price_number(&self) -> f64 {
        number(self.last_price.into(), self.scales.price)
    }

    /// The average price of the day, weighted by volume.
    pub fn average_price(&self) -> i64 {
        let power = |digits: u8| 10i128.pow(u32::from(digits));
        let scales = self.scales;
        let average = if self.contract_size > 0 {
            let dollars = self.volume * i128::from(self.contract_size) * power(scales.price) * power(scales.quote);
            dollars.checked_div(self.quote_volume * power(scales.quantity))
        } else {
            let digits = scales.price + scales.quantity;
            (self.quote_volume * power(digits - scales.quote)).checked_div(self.volume)
        };
        average.unwrap_or(0) as i64
    }
}

/// A mantissa as a floating-point number.
pub(crate) fn number(mantissa: i128, scale: u8) -> f64 {
    mantissa as f64 / 10f64.powi(i32::from(scale))
}

impl Market {
    /// The ticker of a symbol at `now`; `None` if it does not exist or has never traded by then.
    pub fn ticker(&self, market: ExchangeMarket, symbol: &str, now: i64) -> Option<Ticker> {
        let bars = self.bars(market, symbol).filter(|bars| bars.spec().listed <= now)?;
        let last = last_trade(&bars, now)?;
        let until = now.min(bars.ended() - 1);
        let newest = until.div_euclid(MINUTE) * MINUTE;
        let series = Series::new(market, symbol, Interval::M1);
        let day = fold(self.klines_as_of(&series, newest + MINUTE - DAY..newest + MINUTE, now));
        // After a standstill of more than a day nothing is left of the day but the price.
        let day = day.unwrap_or_else(|| Kline {
            open: last.close,
            ..bars.untraded(&Kline {
                open: last.close,
                ..last.clone()
            })
        });
        let spec = bars.spec();
        let change = i128::from(day.close - day.open) * 100_000;
        Some(Ticker {
            symbol: symbol.to_owned(),
            last_price: day.close,
            open_price: day.open,
            high_price: day.high,
            low_price: day.low,
            volume: day.volume,
            quote_volume: day.quote_volume,
            trades: day.trades,
            open_time: last.close_time - DAY,
            close_time: last.close_time,
            change_millipercent: rounded(change, i128::from(day.open.max(1))),
            trading: now < bars.ended(),
            tick: 10i64.pow(u32::from(spec.scales.price - spec.tick_decimals)),
            contract_size: match market {
                ExchangeMarket::CoinM => spec.contract_size,
                _ => 0,
            },
            scales: spec.scales,
        })
    }
}

/// The last second with a trade that is over by `now`.
fn last_trade(bars: &Bars, now: i64) -> Option<Kline> {
    let until = now.min(bars.ended() - 1);
    let latest = until.div_euclid(HOUR) * HOUR;
    let earliest = bars.spec().listed.max(latest.saturating_sub(SEARCH_HOURS * HOUR));
    let mut hour = latest;
    while hour + HOUR > earliest {
        let minutes = bars.minutes_of_hour(hour);
        for minute in minutes.iter().rev() {
            if minute.open_time > until || minute.trades == 0 {
                continue;
            }
            let seconds = bars.seconds_of_minute(minute.open_time).into_iter().rev();
            let mut over = seconds.filter(|second| second.trades > 0 && second.open_time + SECOND <= now);
            if let Some(second) = over.next() {
                return Some(second);
            }
        }
        hour -= HOUR;
    }
    None
}

/// Division rounded to the nearest, away from zero in the middle.
fn rounded(dividend: i128, divisor: i128) -> i64 {
    let half = divisor / 2 * dividend.signum();
    ((dividend + half) / divisor) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::SymbolStatus;

    fn noon() -> i64 {
        crate::time::parse_instant("2024-06-01T12:00:30.5Z").unwrap()
    }

    #[test]
    fn the_last_price_is_the_close_of_the_kline_in_progress() {
        let market = Market::new(1);
        for (exchange, symbol) in [
            (ExchangeMarket::Spot, "BTCUSDT"),
            (ExchangeMarket::Spot, "ADABTC"),
            (ExchangeMarket::UsdM, "1000SHIBUSDT"),
            (ExchangeMarket::CoinM, "BNBUSD_PERP"),
        ] {
            for second in 0..90 {
                let now = noon() + second * SECOND;
                let ticker = market.ticker(exchange, symbol, now).unwrap();
                let series = Series::new(exchange, symbol, Interval::M1);
                let forming = market.klines_as_of(&series, now - MINUTE..now + 1, now).pop().unwrap();
                assert_eq!(ticker.last_price, forming.close, "{symbol} +{second}");
                assert!(ticker.close_time <= now && ticker.trading);
                assert!((ticker.low_price..=ticker.high_price).contains(&ticker.average_price()));
            }
        }
    }

    #[test]
    fn a_stopped_symbol_keeps_the_ticker_it_stopped_with() {
        let market = Market::new(1);
        let before = market.ticker(ExchangeMarket::Spot, "ETHUSDT", noon()).unwrap();
        assert!(market.set_status(ExchangeMarket::Spot, "ETHUSDT", SymbolStatus::Halt, noon()));
        let later = noon() + 40 * DAY;
        let stale = market.ticker(ExchangeMarket::Spot, "ETHUSDT", later).unwrap();
        assert_eq!(
            (stale.last_price, stale.close_time, stale.volume, stale.trading),
            (before.last_price, before.close_time, before.volume, false)
        );
        let status = |now| market.status(ExchangeMarket::Spot, "ETHUSDT", now);
        assert_eq!(status(later), Some(SymbolStatus::Halt));
        market.set_status(ExchangeMarket::Spot, "ETHUSDT", SymbolStatus::Trading, later);
        assert_eq!(status(later), Some(SymbolStatus::Trading));
        let series = Series::new(ExchangeMarket::Spot, "ETHUSDT", Interval::H1);
        assert_eq!(market.klines(&series, noon() + HOUR..later - HOUR).len(), 0);
        assert!(
            market
                .ticker(ExchangeMarket::Spot, "ETHUSDT", later + HOUR)
                .unwrap()
                .close_time
                > later
        );
    }

    #[test]
    fn a_delisted_symbol_has_an_old_price_and_no_future() {
        let market = Market::new(1);
        let ticker = market.ticker(ExchangeMarket::Spot, "NANOUSDT", noon()).unwrap();
        let delisted = crate::time::parse_instant("2022-01-20T03:00:00Z").unwrap();
        assert!(!ticker.trading && (delisted - MINUTE..delisted).contains(&ticker.close_time));
        assert_eq!(market.ticker(ExchangeMarket::Spot, "CANDLEUSDT", noon()), None);
        assert_eq!(
            market.status(ExchangeMarket::Spot, "NANOUSDT", noon()),
            Some(SymbolStatus::Break)
        );
    }
}
