//! What identifies a series: exchange, market, symbol, and what its rows are (klines of an interval, or funding rates).
//!
//! All of it is part of every key, path and message, because `BTCUSDT` is both a spot pair and a future, and because a
//! kline from anywhere else must never be mistaken for the exchange's own.

use std::fmt;
use std::str::FromStr;

use super::funding;
use super::interval::{Grid, Interval};
use super::range::{DAY, TimeRange, Timestamp};
use super::symbol::{Symbol, SymbolError};

/// An organisation that runs a market. The path by which its data reaches us is a *provider*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the name says it")]
pub enum Exchange {
    Binance,
}

impl Exchange {
    /// Lower-case name, as used in paths and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Exchange::Binance => "binance",
        }
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A part of the exchange with its own symbols, hosts and volume units.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Market {
    /// Spot pairs.
    Spot,
    /// USD-margined (linear) futures.
    Um,
    /// Coin-margined (inverse) futures.
    Cm,
}

/// What a volume column counts. The exchange prints different units in the same places, market by market.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VolumeUnit {
    /// Units of the base asset (BTC of BTCUSDT).
    Base,
    /// Units of the quote asset (USDT of BTCUSDT).
    Quote,
    /// Whole contracts (of 100 USD for BTCUSD, 10 USD for most others).
    Contracts,
}

impl VolumeUnit {
    /// Lower-case name, as written in the Arrow schema's field metadata under `unit`.
    pub const fn as_str(self) -> &'static str {
        match self {
            VolumeUnit::Base => "base",
            VolumeUnit::Quote => "quote",
            VolumeUnit::Contracts => "contracts",
        }
    }
}

impl Market {
    /// All of them.
    pub const ALL: [Market; 3] = [Market::Spot, Market::Um, Market::Cm];

    /// Lower-case name, as in the exchange's archive paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Market::Spot => "spot",
            Market::Um => "um",
            Market::Cm => "cm",
        }
    }

    /// What `volume` and `taker_buy_volume` count.
    pub const fn volume_unit(self) -> VolumeUnit {
        match self {
            Market::Spot | Market::Um => VolumeUnit::Base,
            Market::Cm => VolumeUnit::Contracts,
        }
    }

    /// What `quote_volume` and `taker_buy_quote_volume` count: for COIN-M the *base* asset, whatever the column is
    /// called (the archives' header says `quote_volume` too; binance/binance-public-data#267).
    pub const fn quote_volume_unit(self) -> VolumeUnit {
        match self {
            Market::Spot | Market::Um => VolumeUnit::Quote,
            Market::Cm => VolumeUnit::Base,
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text was not a market.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown market {0:?}: expected spot, um (USD-M futures) or cm (COIN-M futures)")]
pub struct UnknownMarket(String);

impl FromStr for Market {
    type Err = UnknownMarket;

    fn from_str(text: &str) -> Result<Market, UnknownMarket> {
        Market::ALL
            .into_iter()
            .find(|m| text.eq_ignore_ascii_case(m.as_str()))
            .ok_or_else(|| UnknownMarket(text.to_owned()))
    }
}

/// What the rows of a series are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Candles: one row fills one slot of the interval's grid.
    Klines,
    /// What longs paid shorts when a perpetual future was settled: a row now and then, on the hour; see
    /// [`funding`].
    FundingRates,
}

impl Kind {
    /// What a row is called, in messages.
    pub const fn noun(self) -> &'static str {
        match self {
            Kind::Klines => "kline",
            Kind::FundingRates => "funding rate",
        }
    }
}

/// The identity of a series. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Series {
    exchange: Exchange,
    market: Market,
    symbol: Symbol,
    kind: Kind,
    interval: Interval,
}

/// Why a series cannot exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// The symbol could not be read.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// The interval is not served in that market.
    #[error("interval {interval} does not exist in market {market}: 1s klines are published for spot only")]
    IntervalNotInMarket {
        /// The interval asked for.
        interval: Interval,
        /// The market asked for.
        market: Market,
    },
    /// Only perpetual futures have funding rates.
    #[error("{symbol} of market {market} has no funding rates: only perpetual futures have, in the markets um and cm")]
    NoFundingRates {
        /// The symbol asked for.
        symbol: Symbol,
        /// The market asked for.
        market: Market,
    },
}

impl Series {
    /// Checks that the market has such klines at all; whether the symbol exists, only the exchange knows.
    pub fn new(market: Market, symbol: Symbol, interval: Interval) -> Result<Series, SeriesError> {
        if interval == Interval::S1 && market != Market::Spot {
            return Err(SeriesError::IntervalNotInMarket { interval, market });
        }
        Ok(Series {
            exchange: Exchange::Binance,
            market,
            symbol,
            kind: Kind::Klines,
            interval,
        })
    }

    /// The funding rates of a perpetual future. Contracts that expire have none, and are told by the date they carry.
    pub fn funding_rates(market: Market, symbol: Symbol) -> Result<Series, SeriesError> {
        if market == Market::Spot || symbol.delivery_date().is_some() {
            return Err(SeriesError::NoFundingRates { symbol, market });
        }
        Ok(Series {
            exchange: Exchange::Binance,
            market,
            symbol,
            kind: Kind::FundingRates,
            interval: funding::SLOT,
        })
    }

    /// From what a person typed; see [`Symbol::parse`] for the accepted spellings.
    pub fn parse(symbol: &str, interval: Interval, market: Option<Market>) -> Result<Series, SeriesError> {
        let (market, symbol) = Symbol::parse(symbol, market)?;
        Series::new(market, symbol, interval)
    }

    /// The organisation whose klines these are.
    pub fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// The part of the exchange.
    pub fn market(&self) -> Market {
        self.market
    }

    /// The instrument, in the exchange's spelling.
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// What the rows are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The length of each kline; of funding rates the slots in which they are looked for, which are hours.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// The last part of its name: the exchange's word for what its rows are.
    pub fn label(&self) -> &'static str {
        match self.kind {
            Kind::Klines => self.interval.as_str(),
            Kind::FundingRates => funding::LABEL,
        }
    }

    /// As [`Series::label`], spelled so that it survives a file system that folds case.
    pub fn file_label(&self) -> &'static str {
        match self.kind {
            Kind::Klines => self.interval.file_str(),
            Kind::FundingRates => funding::LABEL,
        }
    }

    /// The end of the last slot about which everything can be known at `now`: a kline is final when its slot has ended,
    /// a funding rate soon after its hour has begun.
    pub(crate) fn known_until(&self, grid: Grid, now: Timestamp) -> Timestamp {
        match self.kind {
            Kind::Klines => grid.floor(now),
            Kind::FundingRates => funding::known_until(grid, now),
        }
    }

    /// What page to ask for so that the answer shows by itself whether anything is missing from `range`.
    pub(crate) fn telling(&self, range: TimeRange, grid: Grid, now: Timestamp) -> TimeRange {
        match self.kind {
            // Of any three days in a row one opens a kline, which shows where the grid is anchored.
            Kind::Klines if grid.is_provisional() && range.micros() < 3 * DAY => {
                TimeRange::clamped(range.end().plus(-3 * DAY), range.end())
            }
            Kind::Klines => range,
            Kind::FundingRates => funding::telling(range, self.known_until(grid, now)),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.exchange, self.market, self.symbol, self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_klines_exist_in_the_spot_market_only() {
        assert!(Series::parse("BTCUSDT", Interval::S1, None).is_ok());
        let error = Series::parse("BTCUSDT", Interval::S1, Some(Market::Um)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "interval 1s does not exist in market um: 1s klines are published for spot only"
        );
    }

    #[test]
    fn funding_rates_are_a_series_of_their_own_and_belong_to_perpetual_futures() {
        let funding = |market, symbol: &str| Series::funding_rates(market, Symbol::new(symbol).unwrap());
        let um = funding(Market::Um, "BTCUSDT").unwrap();
        assert_eq!(um.to_string(), "binance/um/BTCUSDT/fundingRate");
        assert_ne!(um, Series::parse("BTCUSDT", um.interval(), Some(Market::Um)).unwrap());
        assert!(funding(Market::Cm, "BTCUSD_PERP").is_ok());
        for (market, symbol) in [
            (Market::Spot, "BTCUSDT"),
            (Market::Um, "BTCUSDT_240628"),
            (Market::Cm, "BTCUSD_240628"),
        ] {
            let error = funding(market, symbol).unwrap_err().to_string();
            assert!(error.contains("only perpetual futures"), "{error}");
        }
    }

    #[test]
    fn spot_and_futures_of_the_same_name_are_different_series() {
        let spot = Series::parse("BTCUSDT", Interval::M1, None).unwrap();
        let um = Series::parse("BTCUSDT", Interval::M1, Some(Market::Um)).unwrap();
        assert_ne!(spot, um);
        assert_eq!(um.to_string(), "binance/um/BTCUSDT/1m");
    }

    #[test]
    fn coin_margined_volumes_count_contracts_and_base_whatever_the_columns_are_called() {
        assert_eq!(Market::Cm.volume_unit(), VolumeUnit::Contracts);
        assert_eq!(Market::Cm.quote_volume_unit(), VolumeUnit::Base);
        assert_eq!(Market::Spot.quote_volume_unit(), VolumeUnit::Quote);
        assert!(
            "futures"
                .parse::<Market>()
                .unwrap_err()
                .to_string()
                .contains("cm (COIN-M futures)")
        );
    }
}
