//! The coins of a price index: names that are not symbols, and symbols that are not unique.
//!
//! An index price is an average over venues in dollars. It is near the price in USDT and never equal to it, and it is up
//! to a minute and a half old: a test must be able to tell which of the two it was given.

use super::noise::Noise;
use super::{ExchangeMarket, Market};
use crate::time::{DAY, HOUR, MINUTE, SECOND};

/// The distance between an index and the venue, as a share of price.
const DEVIATION: (f64, f64) = (0.000_5, 0.003);
/// The youngest an index value is when it is served.
const LAG_MIN: i64 = 30 * SECOND;

/// Currencies beside coins that prices can be asked in, by their worth in dollars.
const FIAT: [(&str, f64); 5] = [
    ("usd", 1.0),
    ("eur", 1.08),
    ("gbp", 1.27),
    ("jpy", 0.0066),
    ("myr", 0.22),
];
/// Coins that prices can be asked in.
const COIN_CURRENCIES: [(&str, &str, f64); 4] = [
    ("btc", "bitcoin", 1.0),
    ("eth", "ethereum", 1.0),
    ("bnb", "binancecoin", 1.0),
    ("sats", "bitcoin", 1e-8),
];

/// A coin as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coin {
    /// `bitcoin`: unique.
    pub id: &'static str,
    /// `btc`: not unique, nor always in lower case.
    pub symbol: &'static str,
    /// `Bitcoin`
    pub name: &'static str,
    /// Where its price comes from.
    pub source: CoinSource,
    /// Coins in circulation.
    pub supply: f64,
}

/// Where the index price of a coin comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CoinSource {
    /// A symbol priced in dollars of some kind, of which one unit is so many coins.
    Symbol(ExchangeMarket, &'static str, f64),
    /// A spot symbol priced in Bitcoin.
    InBitcoin(&'static str),
    /// It trades elsewhere, around this price.
    Elsewhere(f64),
    /// Nobody has traded it for long: every number is `null`.
    Dormant,
}

/// Every coin, by market capitalisation.
pub fn coins() -> &'static [Coin] {
    &COINS
}

const fn coin(id: &'static str, symbol: &'static str, name: &'static str, source: CoinSource, supply: f64) -> Coin {
    Coin {
        id,
        symbol,
        name,
        source,
        supply,
    }
}

const COINS: [Coin; 32] = {
    use CoinSource::{Dormant, Elsewhere, InBitcoin, Symbol};
    use ExchangeMarket::{Spot, UsdM};
    [
        coin("bitcoin", "btc", "Bitcoin", Symbol(Spot, "BTCUSDT", 1.0), 20.0e6),
        coin("ethereum", "eth", "Ethereum", Symbol(Spot, "ETHUSDT", 1.0), 120.0e6),
        coin("tether", "usdt", "Tether", Elsewhere(1.0), 180.0e9),
        coin("binancecoin", "bnb", "BNB", Symbol(Spot, "BNBUSDT", 1.0), 139.0e6),
        coin("ripple", "xrp", "XRP", Symbol(Spot, "XRPUSDT", 1.0), 60.0e9),
        coin("solana", "sol", "Solana", Symbol(Spot, "SOLUSDT", 1.0), 560.0e6),
        coin("usd-coin", "usdc", "USDC", Symbol(Spot, "USDCUSDT", 1.0), 70.0e9),
        coin("dogecoin", "doge", "Dogecoin", Symbol(Spot, "DOGEUSDT", 1.0), 150.0e9),
        coin("cardano", "ada", "Cardano", InBitcoin("ADABTC"), 36.0e9),
        coin(
            "avalanche-2",
            "avax",
            "Avalanche",
            Symbol(Spot, "AVAXUSDT", 1.0),
            430.0e6,
        ),
        coin("litecoin", "ltc", "Litecoin", Symbol(Spot, "LTCUSDT", 1.0), 76.0e6),
        // Binance lists it by the thousand, and on futures only.
        coin(
            "shiba-inu",
            "shib",
            "Shiba Inu",
            Symbol(UsdM, "1000SHIBUSDT", 1000.0),
            589.0e12,
        ),
        coin("pepe", "pepe", "Pepe", Symbol(Spot, "PEPEUSDT", 1.0), 420.0e12),
        coin(
            "wrapped-bitcoin",
            "wbtc",
            "Wrapped Bitcoin",
            Symbol(Spot, "BTCUSDT", 1.0),
            120.0e3,
        ),
        coin(
            "binance-life",
            "币安人生",
            "币安人生",
            Symbol(Spot, "币安人生USDT", 1.0),
            1.0e9,
        ),
        coin("candle", "candle", "Candle", Symbol(Spot, "CANDLEUSDT", 1.0), 50.0e6),
        coin(
            "terra-luna",
            "luna",
            "Terra Luna Classic",
            Symbol(Spot, "LUNAUSDT", 1.0),
            340.0e6,
        ),
        coin("nano", "nano", "Nano", Symbol(Spot, "NANOUSDT", 1.0), 133.0e6),
        // The same symbols again, for those who look coins up by symbol.
        coin("terra-luna-2", "luna", "Terra", Elsewhere(0.4), 700.0e6),
        coin("wrapped-terra", "luna", "Wrapped Terra", Elsewhere(0.000_07), 1.0e9),
        coin(
            "binance-peg-dogecoin",
            "doge",
            "Binance-Peg Dogecoin",
            Elsewhere(0.08),
            1.0e9,
        ),
        coin("solana-bridged", "sol", "Bridged Solana", Elsewhere(90.0), 1.0e6),
        coin("pepe-on-base", "pepe", "Based Pepe", Elsewhere(0.000_000_3), 1.0e12),
        coin("bitcoin-token", "btc", "Bitcoin Token", Elsewhere(0.003), 1.0e9),
        coin(
            "ethereum-wormhole",
            "eth",
            "Ethereum (Wormhole)",
            Elsewhere(1700.0),
            10.0e3,
        ),
        coin("gold", "gold", "GOLD", Elsewhere(0.02), 1.0e9),
        coin("gold-cash", "gold", "Gold Cash", Elsewhere(4.0), 1.0e6),
        coin("golden-goose", "gold", "Golden Goose", Elsewhere(0.000_1), 1.0e9),
        coin("okbhalf", "OKBHALF", "0.5X Long OKB Token", Elsewhere(0.7), 1.0e3),
        coin("sparkle", "✨", "Sparkle ✨", Elsewhere(0.000_03), 1.0e9),
        coin("hedpay", "hdp.ф", "HEdpAY", Dormant, 0.0),
        coin("candle-old", "candle", "Candle (old)", Dormant, 0.0),
    ]
};

/// What the index says of one coin in one currency at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexQuote {
    /// The price, not rounded.
    pub price: f64,
    /// The price a day before.
    pub price_day_ago: f64,
    /// The highest of the day.
    pub high: f64,
    /// The lowest of the day.
    pub low: f64,
    /// What was traded in a day.
    pub volume: f64,
    /// Price times supply.
    pub market_cap: f64,
    /// The instant the price is of, in microseconds: 30 to 90 seconds before it is served.
    pub updated_at: i64,
}

impl IndexQuote {
    /// The change over the day in percent.
    pub fn change_percent(&self) -> f64 {
        (self.price / self.price_day_ago - 1.0) * 100.0
    }

    fn times(self, factor: f64) -> Self {
        Self {
            price: self.price * factor,
            price_day_ago: self.price_day_ago * factor,
            high: self.high * factor,
            low: self.low * factor,
            volume: self.volume * factor,
            market_cap: self.market_cap * factor,
            ..self
        }
    }
}

impl Market {
    /// A coin by its id.
    pub fn coin(&self, id: &str) -> Option<Coin> {
        COINS.into_iter().find(|coin| coin.id == id)
    }

    /// The price of a coin in a currency as the index serves it at `now`: it differs from the venue's by 0.05 to 0.3 %.
    pub fn index_price(&self, coin_id: &str, vs: &str, now: i64) -> Option<f64> {
        self.index_quote(coin_id, vs, now).map(|quote| quote.price)
    }

    /// Everything the index says of a coin at `now`. `None` for unknown coins and currencies, and where nobody trades.
    pub fn index_quote(&self, coin_id: &str, vs: &str, now: i64) -> Option<IndexQuote> {
        let coin = self.coin(coin_id)?;
        let in_dollars = self.dollars(&coin, self.updated_at(&coin, now))?;
        if let Some((_, dollars)) = FIAT.iter().find(|(name, _)| *name == vs) {
            return Some(in_dollars.times(1.0 / dollars));
        }
        let (_, unit, per_unit) = COIN_CURRENCIES.iter().find(|(name, _, _)| *name == vs)?;
        if *unit == coin.id {
            // A coin in itself is one, whatever happens.
            let price = in_dollars.price;
            let still = IndexQuote {
                price_day_ago: price,
                high: price,
                low: price,
                ..in_dollars
            };
            return Some(still.times(1.0 / price / per_unit));
        }
        let unit = self.coin(unit)?;
        let worth = self.dollars(&unit, self.updated_at(&unit, now))?;
        let quote = in_dollars.times(1.0 / worth.price / per_unit);
        Some(IndexQuote {
            price_day_ago: in_dollars.price_day_ago / worth.price_day_ago / per_unit,
            ..quote
        })
    }

    /// The share of favourable votes on a coin in percent, a new one every day.
    pub fn coin_votes_up(&self, coin_id: &str, now: i64) -> Option<f64> {
        let coin = self.coin(coin_id).filter(|coin| coin.source != CoinSource::Dormant)?;
        let day = now.div_euclid(DAY);
        let share = 75.0 + 20.0 * self.coin_noise(&coin).smooth(3, day, 7);
        Some((share * 100.0).round() / 100.0)
    }

    /// The currencies that prices can be asked in.
    pub(crate) fn index_currencies(&self) -> Vec<&'static str> {
        let fiat = FIAT.iter().map(|(name, _)| *name);
        fiat.chain(COIN_CURRENCIES.iter().map(|(name, _, _)| *name)).collect()
    }

    /// Each coin is computed anew once a minute, at a second of its own.
    fn updated_at(&self, coin: &Coin, now: i64) -> i64 {
        let phase = (self.coin_noise(coin).unit(1, 0) * 60.0) as i64 * SECOND;
        (now - LAG_MIN - phase).div_euclid(MINUTE) * MINUTE + phase
    }

    fn dollars(&self, coin: &Coin, at: i64) -> Option<IndexQuote> {
        let noise = self.coin_noise(coin);
        let venue = match coin.source {
            CoinSource::Dormant => return None,
            CoinSource::Symbol(market, symbol, coins) => self.in_quote_asset(market, symbol, at)?.times(1.0 / coins),
            CoinSource::InBitcoin(symbol) => {
                let bitcoin = self.in_quote_asset(ExchangeMarket::Spot, "BTCUSDT", at)?;
                let own = self.in_quote_asset(ExchangeMarket::Spot, symbol, at)?;
                IndexQuote {
                    price_day_ago: own.price_day_ago * bitcoin.price_day_ago,
                    ..own.times(bitcoin.price)
                }
            }
            CoinSource::Elsewhere(price) => {
                let steadiness = if coin.id == "tether" { 0.000_5 } else { 0.3 };
                let worth = |hour: i64| price * (1.0 + steadiness * noise.smooth(2, hour, 48));
                let hour = at.div_euclid(HOUR);
                let (now, before) = (worth(hour), worth(hour - 24));
                IndexQuote {
                    price: now,
                    price_day_ago: before,
                    high: now.max(before) * 1.01,
                    low: now.min(before) * 0.99,
                    volume: price * coin.supply * 0.01,
                    market_cap: 0.0,
                    updated_at: at,
                }
            }
        };
        let quote = venue.times(1.0 + self.deviation(coin, at));
        Some(IndexQuote {
            market_cap: quote.price * coin.supply,
            // The other venues trade as well.
            volume: quote.volume * 3.0,
            updated_at: at,
            ..quote
        })
    }

    fn in_quote_asset(&self, market: ExchangeMarket, symbol: &str, at: i64) -> Option<IndexQuote> {
        let ticker = self.ticker(market, symbol, at)?;
        let number = |mantissa: i64| super::ticker::number(mantissa.into(), ticker.scales.price);
        Some(IndexQuote {
            price: number(ticker.last_price),
            price_day_ago: number(ticker.open_price),
            high: number(ticker.high_price),
            low: number(ticker.low_price),
            volume: super::ticker::number(ticker.quote_volume, ticker.scales.quote),
            market_cap: 0.0,
            updated_at: at,
        })
    }

    /// How far the index is from the venue: never less than can be seen, slowly varying, to one side for each coin.
    fn deviation(&self, coin: &Coin, at: i64) -> f64 {
        let noise = self.coin_noise(coin);
        let share = (noise.smooth(4, at.div_euclid(MINUTE), 90) + 1.0) / 2.0;
        let size = DEVIATION.0 + (DEVIATION.1 - DEVIATION.0) * share;
        if noise.unit(5, 0) < 0.5 { -size } else { size }
    }

    fn coin_noise(&self, coin: &Coin) -> Noise {
        Noise::new(self.seed(), &format!("coin/{}", coin.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> i64 {
        crate::time::parse_instant("2026-11-20T12:00:00Z").unwrap()
    }

    #[test]
    fn an_index_is_near_the_venue_but_never_on_it() {
        let market = Market::new(1);
        for minute in 0..200 {
            let now = noon() + minute * 7 * MINUTE;
            let quote = market.index_quote("bitcoin", "usd", now).unwrap();
            let ticker = market
                .ticker(ExchangeMarket::Spot, "BTCUSDT", quote.updated_at)
                .unwrap();
            let distance = (quote.price / ticker.last_price_number() - 1.0).abs();
            assert!((0.000_49..0.003_01).contains(&distance), "{distance}");
            assert!((30 * SECOND..=90 * SECOND).contains(&(now - quote.updated_at)));
        }
    }

    #[test]
    fn a_thousand_shib_is_a_thousand_coins() {
        let market = Market::new(1);
        let quote = market.index_quote("shiba-inu", "usd", noon()).unwrap();
        let ticker = market
            .ticker(ExchangeMarket::UsdM, "1000SHIBUSDT", quote.updated_at)
            .unwrap();
        assert!((quote.price * 1000.0 / ticker.last_price_number() - 1.0).abs() < 0.01);
    }

    #[test]
    fn ids_are_unique_and_symbols_are_not() {
        let mut ids: Vec<&str> = COINS.iter().map(|coin| coin.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), COINS.len());
        assert!(COINS.iter().filter(|coin| coin.symbol == "gold").count() > 2);
    }

    #[test]
    fn every_coin_has_a_price_or_a_reason() {
        let market = Market::new(1);
        for coin in COINS {
            let priced = market
                .index_price(coin.id, "eur", noon())
                .is_some_and(|price| price > 0.0);
            assert_eq!(priced, coin.source != CoinSource::Dormant, "{}", coin.id);
        }
        assert_eq!(market.index_price("bitcoin", "ethereum", noon()), None);
        assert_eq!(market.index_price("bitcoin", "btc", noon()), Some(1.0));
    }
}
