//! What is watched: the configuration's words, read as series and instruments.
//!
//! All of it is read at once and before anything is asked, so that a misspelling is found when the daemon starts and not
//! by an operator who misses a symbol.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::config::ScheduleConfig;
use crate::error::Error;
use crate::model::interval::Interval;
use crate::model::series::{Market, Series};
use crate::model::symbol::Symbol;
use crate::schedule::record::JobKind;

/// Everything that is watched, each once, in the configuration's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watches {
    /// Series whose newest klines are kept.
    pub klines: Vec<Series>,
    /// Instruments whose price is kept, by market.
    pub prices: Vec<(Market, Vec<Symbol>)>,
    /// Whether the sentiment is.
    pub sentiment: bool,
    /// How many klines of each series are kept complete.
    rows: HashMap<Series, u32>,
}

/// One thing that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Watch {
    Klines(Series),
    Price(Market, Symbol),
    Sentiment,
}

impl Watches {
    /// Reads the configuration; the error names the setting. What is named twice is watched once, with the larger number
    /// of rows. Nothing is watched by a schedule that is not enabled, but its words must make sense all the same.
    pub(super) fn read(config: &ScheduleConfig) -> Result<Watches, Error> {
        let mut watches = Watches::default();
        for (index, watch) in config.klines.iter().enumerate() {
            let at = format!("schedule.klines[{index}]");
            let market = market(&at, watch.market.as_deref())?;
            let intervals = each::<Interval>(&format!("{at}.intervals"), &watch.intervals)?;
            for symbol in named(&format!("{at}.symbols"), &watch.symbols)? {
                let wrong = |why: &dyn fmt::Display| wrong(&format!("{at}.symbols"), symbol, why);
                for interval in &intervals {
                    let series = Series::parse(symbol, *interval, market).map_err(|e| wrong(&e))?;
                    watches.add_series(series, watch.rows);
                }
            }
        }
        for (index, watch) in config.prices.iter().enumerate() {
            let at = format!("schedule.prices[{index}]");
            let market = market(&at, watch.market.as_deref())?;
            for text in named(&format!("{at}.symbols"), &watch.symbols)? {
                let (market, symbol) =
                    Symbol::parse(text, market).map_err(|e| wrong(&format!("{at}.symbols"), text, &e))?;
                watches.add_price(market, symbol);
            }
        }
        watches.sentiment = config.sentiment;
        Ok(if config.enabled { watches } else { Watches::default() })
    }

    fn add_series(&mut self, series: Series, rows: u32) {
        match self.rows.get_mut(&series) {
            Some(known) => *known = rows.max(*known),
            None => {
                self.rows.insert(series.clone(), rows);
                self.klines.push(series);
            }
        }
    }

    fn add_price(&mut self, market: Market, symbol: Symbol) {
        match self.prices.iter_mut().find(|(known, _)| *known == market) {
            None => self.prices.push((market, vec![symbol])),
            Some((_, symbols)) if !symbols.contains(&symbol) => symbols.push(symbol),
            Some(_) => {}
        }
    }

    /// How many klines of a series are kept complete.
    pub(super) fn rows(&self, series: &Series) -> u32 {
        self.rows.get(series).copied().unwrap_or(0)
    }

    /// Those of one kind.
    pub(super) fn of(&self, kind: JobKind) -> Vec<Watch> {
        match kind {
            JobKind::Klines => self.klines.iter().cloned().map(Watch::Klines).collect(),
            JobKind::Prices => {
                let of_market = |(market, symbols): &(Market, Vec<Symbol>)| {
                    let market = *market;
                    symbols.clone().into_iter().map(move |s| Watch::Price(market, s))
                };
                self.prices.iter().flat_map(of_market).collect()
            }
            JobKind::Sentiment => self.sentiment.then_some(Watch::Sentiment).into_iter().collect(),
        }
    }
}

impl Watch {
    /// Whose klines or price it is; the sentiment is nobody's.
    pub(super) fn instrument(&self) -> Option<(Market, &Symbol)> {
        match self {
            Watch::Klines(series) => Some((series.market(), series.symbol())),
            Watch::Price(market, symbol) => Some((*market, symbol)),
            Watch::Sentiment => None,
        }
    }

    pub(super) fn interval(&self) -> Option<Interval> {
        match self {
            Watch::Klines(series) => Some(series.interval()),
            Watch::Price(..) | Watch::Sentiment => None,
        }
    }
}

fn market(at: &str, text: Option<&str>) -> Result<Option<Market>, Error> {
    let read = |text: &str| text.parse().map_err(|e| wrong(&format!("{at}.market"), text, &e));
    text.map(read).transpose()
}

/// A list that says something: an empty one watches nothing, and was hardly meant to.
fn named<'a>(at: &str, texts: &'a [String]) -> Result<&'a [String], Error> {
    match texts.is_empty() {
        true => Err(Error::Config(format!(
            "{at} = []: expected at least one; leave the whole entry out to watch nothing"
        ))),
        false => Ok(texts),
    }
}

fn each<T: FromStr<Err: fmt::Display>>(at: &str, texts: &[String]) -> Result<Vec<T>, Error> {
    let read = |text: &String| text.parse().map_err(|e: T::Err| wrong(at, text, &e));
    named(at, texts)?.iter().map(read).collect()
}

fn wrong(at: &str, text: &str, why: &dyn fmt::Display) -> Error {
    Error::Config(format!("{at}: {text:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KlineWatch, PriceWatch};

    fn words(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    fn klines(symbols: &str, intervals: &str, market: Option<&str>, rows: u32) -> KlineWatch {
        let (symbols, intervals) = (words(symbols), words(intervals));
        let market = market.map(str::to_owned);
        KlineWatch {
            symbols,
            intervals,
            market,
            rows,
        }
    }

    fn prices(symbols: &str, market: Option<&str>) -> PriceWatch {
        PriceWatch {
            symbols: words(symbols),
            market: market.map(str::to_owned),
        }
    }

    fn config(klines: Vec<KlineWatch>, prices: Vec<PriceWatch>) -> ScheduleConfig {
        ScheduleConfig {
            klines,
            prices,
            ..ScheduleConfig::default()
        }
    }

    #[test]
    fn what_is_named_twice_is_watched_once_with_the_larger_number_of_rows() {
        let klines = vec![
            klines("BTCUSDT btc/usdt ETHUSDT", "1m 1h", None, 500),
            klines("BTCUSDT", "1m", Some("spot"), 900),
            klines("BTCUSDT", "1m", Some("um"), 100),
            klines("BTC/USDT:USDT", "1m", None, 50),
        ];
        let prices = vec![prices("BTCUSDT BTC/USDT", None), prices("BTCUSDT ETHUSDT", Some("um"))];
        let watches = Watches::read(&config(klines, prices)).unwrap();
        let shown = |s: &Series| format!("{} {} {} {}", s.market(), s.symbol(), s.interval(), watches.rows(s));
        let series: Vec<String> = watches.klines.iter().map(shown).collect();
        let expected = [
            "spot BTCUSDT 1m 900",
            "spot BTCUSDT 1h 500",
            "spot ETHUSDT 1m 500",
            "spot ETHUSDT 1h 500",
            "um BTCUSDT 1m 100",
        ];
        assert_eq!(series, expected);
        let prices: Vec<String> = watches.prices.iter().map(|(m, s)| format!("{m} {}", s.len())).collect();
        assert_eq!(prices, ["spot 1", "um 2"]);
        assert_eq!(JobKind::ALL.map(|kind| watches.of(kind).len()), [5, 3, 1]);
    }

    #[test]
    fn words_that_make_no_sense_are_refused_by_name_even_when_nothing_is_to_be_watched() {
        for (klines, prices, expected) in [
            (
                vec![klines("BTCUSDT ..", "1m", None, 1)],
                vec![],
                "schedule.klines[0].symbols: \"..\"",
            ),
            (
                vec![klines("BTCUSDT", "1m 7m", None, 1)],
                vec![],
                "schedule.klines[0].intervals: \"7m\"",
            ),
            (
                vec![klines("BTCUSDT", "1m", Some("swap"), 1)],
                vec![],
                "schedule.klines[0].market: \"swap\"",
            ),
            (
                vec![klines("BTCUSDT", "1s", Some("um"), 1)],
                vec![],
                "schedule.klines[0].symbols: \"BTCUSDT\"",
            ),
            (
                vec![klines("BTCUSDT", "", None, 1)],
                vec![],
                "schedule.klines[0].intervals = []",
            ),
            (
                vec![],
                vec![prices("BTC/USDT:USDT", Some("spot"))],
                "schedule.prices[0].symbols",
            ),
            (
                vec![],
                vec![prices("BTCUSDT", None), prices("", None)],
                "schedule.prices[1].symbols = []",
            ),
        ] {
            let mut config = config(klines, prices);
            config.enabled = false;
            let error = Watches::read(&config).unwrap_err();
            assert!(
                matches!(&error, Error::Config(why) if why.contains(expected)),
                "{error}"
            );
        }
        let off = ScheduleConfig {
            enabled: false,
            ..ScheduleConfig::default()
        };
        assert_eq!(Watches::read(&off).unwrap(), Watches::default());
    }
}
