//! The universe: what can be asked for, since when, and how its numbers are printed.
//!
//! Each entry is here for a reason: a listing mid-day, a tiny price, a volume beyond 2^53, a name outside ASCII,
//! a symbol that went away, one that has just come, a contract that expires.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::kline::Scales;

/// One of the exchange's three order books of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ExchangeMarket {
    /// Spot.
    #[serde(rename = "spot")]
    Spot,
    /// USD-margined futures.
    #[serde(rename = "um")]
    UsdM,
    /// Coin-margined futures.
    #[serde(rename = "cm")]
    CoinM,
}

impl ExchangeMarket {
    /// `spot`, `um` or `cm`.
    pub fn name(self) -> &'static str {
        match self {
            ExchangeMarket::Spot => "spot",
            ExchangeMarket::UsdM => "um",
            ExchangeMarket::CoinM => "cm",
        }
    }

    /// Reads `spot`, `um` or `cm`.
    pub fn from_name(text: &str) -> Option<Self> {
        [Self::Spot, Self::UsdM, Self::CoinM]
            .into_iter()
            .find(|market| market.name() == text)
    }
}

impl fmt::Display for ExchangeMarket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When a symbol stopped trading, and how that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It trades to this day.
    Trading,
    /// Delisted at this instant: status BREAK, old klines still served.
    Delisted(i64),
    /// A delivery contract that expires at this instant.
    Delivery(i64),
}

/// Everything the simulator must know to invent a symbol.
#[derive(Debug, Clone)]
pub struct SymbolSpec {
    /// Where it trades.
    pub market: ExchangeMarket,
    /// `BTCUSDT`.
    pub name: Cow<'static, str>,
    /// `BTC`.
    pub base: Cow<'static, str>,
    /// `USDT`.
    pub quote: Cow<'static, str>,
    /// First instant of trading, in microseconds, on a whole minute.
    pub listed: i64,
    /// Last instant of trading.
    pub ending: Ending,
    /// Price around which it starts.
    pub price: f64,
    /// Natural logarithm gained per year of trend: 0.35 doubles in two years.
    pub growth: f64,
    /// Size of the moves; 1 is Bitcoin's.
    pub volatility: f64,
    /// Digits after the point of the smallest price step.
    pub tick_decimals: u8,
    /// Digits after the point of the smallest quantity.
    pub lot_decimals: u8,
    /// Average quantity per minute, in smallest quantities.
    pub lots_per_minute: f64,
    /// Average number of trades per minute.
    pub trades_per_minute: f64,
    /// Share of minutes without any trade: those klines are flat, with zero volume.
    pub quiet_share: f64,
    /// USD per contract on COIN-M; ignored elsewhere.
    pub contract_size: i64,
    /// Digits as printed.
    pub scales: Scales,
}

impl SymbolSpec {
    /// The first instant without trading, or the end of time.
    pub fn ended(&self) -> i64 {
        match self.ending {
            Ending::Trading => i64::MAX,
            Ending::Delisted(at) | Ending::Delivery(at) => at,
        }
    }

    /// Whether it trades at `now`.
    pub fn trades_at(&self, now: i64) -> bool {
        (self.listed..self.ended()).contains(&now)
    }

    /// Its name in this table: `BTCUSD` for every coin-margined contract on Bitcoin.
    pub fn pair(&self) -> String {
        format!("{}{}", self.base, self.quote)
    }

    fn new(market: ExchangeMarket, name: &'static str, assets: (&'static str, &'static str), listed: i64) -> Self {
        Self {
            market,
            name: Cow::Borrowed(name),
            base: Cow::Borrowed(assets.0),
            quote: Cow::Borrowed(assets.1),
            listed,
            ending: Ending::Trading,
            price: 1.0,
            growth: 0.1,
            volatility: 1.0,
            tick_decimals: 2,
            lot_decimals: 3,
            lots_per_minute: 10_000.0,
            trades_per_minute: 120.0,
            quiet_share: 0.0,
            contract_size: 10,
            scales: match market {
                ExchangeMarket::Spot => SPOT_SCALES,
                ExchangeMarket::UsdM => Scales {
                    price: 2,
                    quantity: 3,
                    quote: 5,
                },
                ExchangeMarket::CoinM => Scales {
                    price: 1,
                    quantity: 0,
                    quote: 8,
                },
            },
        }
    }

    fn priced(self, price: f64, growth: f64, volatility: f64) -> Self {
        Self {
            price,
            growth,
            volatility,
            ..self
        }
    }

    /// Step and lot digits; futures print exactly these, spot always prints eight.
    fn stepped(mut self, tick_decimals: u8, lot_decimals: u8) -> Self {
        self.tick_decimals = tick_decimals;
        self.lot_decimals = lot_decimals;
        if self.market == ExchangeMarket::UsdM {
            self.scales = Scales {
                price: tick_decimals,
                quantity: lot_decimals,
                quote: tick_decimals + lot_decimals,
            };
        }
        if self.market == ExchangeMarket::CoinM {
            self.scales.price = tick_decimals;
        }
        self
    }

    fn busy(self, lots_per_minute: f64, trades_per_minute: f64) -> Self {
        Self {
            lots_per_minute,
            trades_per_minute,
            ..self
        }
    }

    fn quiet(self, quiet_share: f64) -> Self {
        Self { quiet_share, ..self }
    }

    fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }

    fn contracts_of(self, contract_size: i64) -> Self {
        Self { contract_size, ..self }
    }
}

/// Spot prints eight digits after the point, whatever the symbol.
const SPOT_SCALES: Scales = Scales {
    price: 8,
    quantity: 8,
    quote: 8,
};

/// The built-in symbols. Listing instants are the real ones where they are known.
pub fn universe() -> Vec<SymbolSpec> {
    let spot = |name, assets, listed| SymbolSpec::new(ExchangeMarket::Spot, name, assets, instant(listed));
    let um = |name, assets, listed| SymbolSpec::new(ExchangeMarket::UsdM, name, assets, instant(listed));
    let cm = |name, base, listed| SymbolSpec::new(ExchangeMarket::CoinM, name, (base, "USD"), instant(listed));
    vec![
        spot("BTCUSDT", ("BTC", "USDT"), "2017-08-17T04:00:00Z")
            .priced(4261.0, 0.33, 1.0)
            .stepped(2, 5)
            .busy(2_500_000.0, 900.0),
        spot("ETHUSDT", ("ETH", "USDT"), "2017-08-17T04:00:00Z")
            .priced(301.0, 0.25, 1.3)
            .stepped(2, 4)
            .busy(1_800_000.0, 600.0),
        spot("BNBUSDT", ("BNB", "USDT"), "2017-11-06T03:54:00Z")
            .priced(1.5, 0.68, 1.4)
            .stepped(2, 3)
            .busy(300_000.0, 220.0),
        spot("ADABTC", ("ADA", "BTC"), "2017-11-30T06:00:00Z")
            .priced(0.000_014, -0.05, 1.5)
            .stepped(8, 0)
            .busy(9_000.0, 12.0)
            .quiet(0.2),
        spot("LTCUSDT", ("LTC", "USDT"), "2017-12-13T03:32:00Z")
            .priced(210.0, -0.1, 1.3)
            .stepped(2, 3),
        spot("XRPUSDT", ("XRP", "USDT"), "2018-05-04T08:11:00Z")
            .priced(0.85, 0.12, 1.5)
            .stepped(4, 0)
            .busy(400_000.0, 300.0),
        spot("USDCUSDT", ("USDC", "USDT"), "2018-12-15T04:00:00Z")
            .priced(1.0, 0.0, 0.002)
            .stepped(4, 0)
            .busy(120_000.0, 90.0),
        spot("LUNAUSDT", ("LUNA", "USDT"), "2020-08-21T10:00:00Z")
            .priced(0.5, 1.9, 2.0)
            .stepped(4, 2)
            .ending(Ending::Delisted(instant("2022-05-13T01:00:00Z"))),
        spot("DOGEUSDT", ("DOGE", "USDT"), "2019-07-05T12:00:00Z")
            .priced(0.0041, 0.52, 1.6)
            .stepped(5, 0)
            .busy(900_000.0, 260.0),
        spot("SOLUSDT", ("SOL", "USDT"), "2020-08-11T06:00:00Z")
            .priced(3.1, 0.7, 1.7)
            .stepped(2, 3)
            .busy(1_500_000.0, 420.0),
        spot("AVAXUSDT", ("AVAX", "USDT"), "2020-09-22T06:30:00Z")
            .priced(5.3, 0.3, 1.7)
            .stepped(2, 2),
        spot("PEPEUSDT", ("PEPE", "USDT"), "2023-05-05T16:00:00Z")
            .priced(0.000_003, 0.45, 1.9)
            .stepped(8, 0)
            .busy(900_000_000_000.0, 500.0),
        spot("NANOUSDT", ("NANO", "USDT"), "2019-07-29T04:00:00Z")
            .priced(1.2, 0.4, 1.6)
            .stepped(4, 2)
            .quiet(0.1)
            .ending(Ending::Delisted(instant("2022-01-20T03:00:00Z"))),
        spot("币安人生USDT", ("币安人生", "USDT"), "2026-01-07T10:00:00Z")
            .priced(0.15, 0.1, 2.2)
            .stepped(4, 1)
            .quiet(0.05),
        spot("CANDLEUSDT", ("CANDLE", "USDT"), "2026-09-14T13:30:00Z")
            .priced(2.5, 0.2, 2.0)
            .stepped(4, 2),
        um("BTCUSDT", ("BTC", "USDT"), "2019-09-08T17:57:00Z")
            .priced(10_000.0, 0.28, 1.0)
            .stepped(2, 3)
            .busy(160_000.0, 2400.0),
        um("ETHUSDT", ("ETH", "USDT"), "2019-11-27T07:45:00Z")
            .priced(146.0, 0.42, 1.3)
            .stepped(2, 3)
            .busy(1_500_000.0, 1800.0),
        um("SOLUSDT", ("SOL", "USDT"), "2020-09-14T07:00:00Z")
            .priced(2.8, 0.7, 1.7)
            .stepped(4, 0),
        um("1000SHIBUSDT", ("1000SHIB", "USDT"), "2021-05-10T11:40:00Z")
            .priced(0.017, -0.02, 1.8)
            .stepped(6, 0),
        um("LUNAUSDT", ("LUNA", "USDT"), "2021-02-08T07:00:00Z")
            .priced(4.0, 1.8, 2.0)
            .stepped(4, 0)
            .ending(Ending::Delisted(instant("2022-05-12T15:30:00Z"))),
        um("BTCUSDT_261225", ("BTC", "USDT"), "2026-06-26T08:00:00Z")
            .priced(80_000.0, 0.3, 1.0)
            .stepped(1, 3)
            .quiet(0.1)
            .ending(Ending::Delivery(instant("2026-12-25T08:00:00Z"))),
        cm("BTCUSD_PERP", "BTC", "2020-08-11T06:00:00Z")
            .priced(11_800.0, 0.3, 1.0)
            .stepped(1, 0)
            .busy(6_000.0, 150.0)
            .contracts_of(100),
        cm("ETHUSD_PERP", "ETH", "2020-08-19T06:00:00Z")
            .priced(420.0, 0.35, 1.3)
            .stepped(2, 0)
            .busy(40_000.0, 140.0),
        cm("BNBUSD_PERP", "BNB", "2020-09-01T06:00:00Z")
            .priced(24.0, 0.5, 1.4)
            .stepped(3, 0)
            .busy(900.0, 20.0)
            .quiet(0.15),
        cm("BTCUSD_230630", "BTC", "2022-12-30T08:00:00Z")
            .priced(16_800.0, 0.9, 1.0)
            .stepped(1, 0)
            .busy(500.0, 15.0)
            .quiet(0.2)
            .contracts_of(100)
            .ending(Ending::Delivery(instant("2023-06-30T08:00:00Z"))),
        cm("BTCUSD_261225", "BTC", "2026-06-26T08:00:00Z")
            .priced(80_000.0, 0.3, 1.0)
            .stepped(1, 0)
            .busy(500.0, 15.0)
            .quiet(0.2)
            .contracts_of(100)
            .ending(Ending::Delivery(instant("2026-12-25T08:00:00Z"))),
    ]
}

/// An instant of the table above.
fn instant(text: &str) -> i64 {
    crate::time::parse_instant(text).unwrap_or_default()
}
