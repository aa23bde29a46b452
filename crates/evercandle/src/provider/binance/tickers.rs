//! Prices: the last trade of an instrument, with the time it was made and whether the market trades at all.
//!
//! The exchange answers for what does not trade as well, with the price it stopped at and no word about it. The smaller
//! ticker has no time either, so a price read from it may be years old. Hence the ticker of 24 hours, whose `closeTime`
//! is the last trade's, and, on spot, the filter by status: those that trade are asked for, and whoever is dropped from
//! the answer is asked for once more without the filter and labelled as halted. That second question is rare, and both
//! are charged beforehand. Futures know no such filter; there the time of the last trade must tell.
//!
//! Nothing is passed on that was not asked for, that comes twice, or that has no usable price or time; the reason is.

use std::borrow::Cow;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{FetchError, PriceProvider, Quotes, json};
use super::rest::Rest;
use super::{errors, instant};
use crate::model::series::Market;
use crate::model::symbol::Symbol;
use crate::price::{DayStatistics, Decimal, Nature, Quote};

/// Symbols in one spot question: 20 weigh as much as one, 21 weigh twenty times as much.
const SPOT_SYMBOLS_MAX: usize = 20;
/// Symbols in one futures question: more than one means the whole list anyway, so this only bounds what we look for.
const FUTURES_SYMBOLS_MAX: usize = 1_000;
/// The futures host's list of all tickers takes about 300 kB.
const TICKERS_BYTES_MAX: usize = 16 << 20;
/// The symbol exists and its status is not the one asked for.
const STATUS_MISMATCH: i64 = -1220;
/// What is said of a symbol that was left out for its status; which one it has would be one more, dearer question.
const NOT_TRADING: &str = "not TRADING";

/// What the prices of so many symbols weigh: on spot including the question about those that do not trade.
pub(super) fn weight(market: Market, count: usize) -> u32 {
    match (market, count) {
        (Market::Spot, 0..=20) => 2 * 2,
        (Market::Spot, 21..=100) => 2 * 40,
        (Market::Spot, _) => 2 * 80,
        (Market::Um | Market::Cm, 0..=1) => 1,
        (Market::Um | Market::Cm, _) => 40,
    }
}

#[async_trait]
impl PriceProvider for Rest {
    fn symbols_max(&self, market: Market) -> usize {
        match (self.serves(market), market) {
            (false, _) => 0,
            (true, Market::Spot) => SPOT_SYMBOLS_MAX,
            (true, Market::Um | Market::Cm) => FUTURES_SYMBOLS_MAX,
        }
    }

    async fn prices(&self, market: Market, symbols: &[Symbol]) -> Result<Quotes, FetchError> {
        let mut asked: Vec<Symbol> = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            // The exchange refuses a list that names one twice.
            if !asked.contains(symbol) {
                asked.push(symbol.clone());
            }
        }
        let (count, most) = (asked.len(), self.symbols_max(market));
        if !(1..=most).contains(&count) {
            let why = format!("prices of {count} symbols of market {market} in one question: expected 1 to {most}");
            return Err(FetchError::Rejected(why));
        }
        match market {
            Market::Spot => self.spot_prices(&asked).await,
            Market::Um | Market::Cm => self.futures_prices(market, &asked).await,
        }
    }
}

impl Rest {
    async fn spot_prices(&self, asked: &[Symbol]) -> Result<Quotes, FetchError> {
        let mut read = self.spot_tickers(asked, true).await?;
        if read.missing.is_empty() || read.stranger.is_some() {
            return Ok(read.complete("not in the answer"));
        }
        let halted = match self.spot_tickers(&read.missing, false).await {
            Ok(halted) => halted,
            // What is live is worth more than the reason why the rest is not, unless we are told to go away.
            Err(error) if !read.quotes.quotes.is_empty() && !matches!(error, FetchError::Throttled { .. }) => {
                return Ok(read.complete(&format!("{NOT_TRADING}, and its last price could not be read: {error}")));
            }
            Err(error) => return Err(error),
        };
        let halted = halted.complete("not in the answer");
        read.quotes.refused.extend(halted.refused);
        read.quotes.quotes.extend(halted.quotes.into_iter().map(|quote| Quote {
            halted: Some(NOT_TRADING.to_owned()),
            ..quote
        }));
        Ok(read.quotes)
    }

    /// Always by list, even for one symbol: it weighs the same, and a list is answered without those that do not trade.
    async fn spot_tickers(&self, asked: &[Symbol], trading: bool) -> Result<Tickers, FetchError> {
        let names: Vec<&str> = asked.iter().map(Symbol::as_str).collect();
        let list = format!("[\"{}\"]", names.join("\",\""));
        let query = [
            ("symbols", list.as_str()),
            ("type", "FULL"),
            ("symbolStatus", "TRADING"),
        ];
        let query = if trading { &query[..] } else { &query[..2] };
        let reply = self
            .ask_for_any(Market::Spot, "ticker/24hr", query, TICKERS_BYTES_MAX)
            .await?;
        if trading && errors::code(&reply) == Some(STATUS_MISMATCH) {
            return Ok(Tickers {
                place: reply.place,
                missing: asked.to_vec(),
                ..Tickers::default()
            });
        }
        let reply = errors::accept(reply)?;
        let mut read = parse(&reply.place, reply.text()?, asked)?;
        read.quotes.told_at = reply.now();
        Ok(read)
    }

    async fn futures_prices(&self, market: Market, asked: &[Symbol]) -> Result<Quotes, FetchError> {
        let one = [("symbol", asked[0].as_str())];
        let query = if asked.len() == 1 { &one[..] } else { &[] };
        let reply = self.ask(market, "ticker/24hr", query, TICKERS_BYTES_MAX).await?;
        let mut read = parse(&reply.place, reply.text()?, asked)?;
        read.quotes.told_at = reply.now();
        if asked.len() > 1 {
            // The whole list was read; strangers are its nature, and whoever is not on it does not exist.
            read.stranger = None;
            read.quotes.unknown.clone_from(&read.missing);
        }
        Ok(read.complete("not listed"))
    }
}

/// Tickers as read: what they say of the symbols asked for.
#[derive(Debug, Default)]
pub(super) struct Tickers {
    quotes: Quotes,
    /// Host and path, for reasons.
    place: String,
    /// Symbols asked for of which nothing is said.
    missing: Vec<Symbol>,
    /// A symbol nobody asked for.
    stranger: Option<String>,
}

impl Tickers {
    /// Everything there is to say, with a reason for the symbols of which nothing is said.
    pub(super) fn complete(mut self, why: &str) -> Quotes {
        let why = match &self.stranger {
            Some(stranger) => format!("{why}, which is about {stranger} unasked"),
            None => why.to_owned(),
        };
        let why = format!("{}: {why}", self.place);
        let missing = self.missing.into_iter().map(|symbol| (symbol, why.clone()));
        self.quotes.refused.extend(missing);
        self.quotes
    }
}

/// A ticker of 24 hours, as far as we use it; spot, USD-M and COIN-M print the same with few exceptions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ticker<'a> {
    #[serde(borrow)]
    symbol: Option<Cow<'a, str>>,
    #[serde(borrow)]
    last_price: Option<&'a RawValue>,
    #[serde(borrow)]
    close_time: Option<&'a RawValue>,
    #[serde(borrow)]
    volume: Option<&'a RawValue>,
    #[serde(borrow)]
    quote_volume: Option<&'a RawValue>,
    /// COIN-M's word for what stands in the place of `quoteVolume`.
    #[serde(borrow)]
    base_volume: Option<&'a RawValue>,
    #[serde(borrow)]
    price_change_percent: Option<&'a RawValue>,
    #[serde(borrow)]
    high_price: Option<&'a RawValue>,
    #[serde(borrow)]
    low_price: Option<&'a RawValue>,
}

/// Reads one ticker or an array of them; which it is depends on market and question, and either will do.
pub(super) fn parse(place: &str, body: &str, asked: &[Symbol]) -> Result<Tickers, FetchError> {
    let tickers: Vec<Ticker<'_>> = match body.trim_start().starts_with('[') {
        true => json::read(place, body)?,
        false => vec![json::read(place, body)?],
    };
    let mut read = Tickers {
        place: place.to_owned(),
        ..Tickers::default()
    };
    for symbol in asked {
        let mut about = tickers.iter().filter(|t| t.symbol.as_deref() == Some(symbol.as_str()));
        match (about.next(), about.next()) {
            (None, _) => read.missing.push(symbol.clone()),
            (Some(ticker), None) => match ticker.quote(symbol) {
                Ok(quote) => read.quotes.quotes.push(quote),
                Err(why) => read.quotes.refused.push((symbol.clone(), format!("{place}: {why}"))),
            },
            (Some(_), Some(_)) => {
                let why = format!("{place}: two tickers of {symbol} in one answer: expected one");
                read.quotes.refused.push((symbol.clone(), why));
            }
        }
    }
    let stranger = tickers
        .iter()
        .filter_map(|t| t.symbol.as_deref())
        .find(|name| asked.iter().all(|symbol| symbol.as_str() != *name));
    read.stranger = stranger.map(|name| name.chars().take(50).collect());
    Ok(read)
}

impl Ticker<'_> {
    fn quote(&self, symbol: &Symbol) -> Result<Quote, String> {
        let wrong = |name: &str, raw: Option<&RawValue>, expected: &str| {
            let shown = json::shown(raw);
            format!("its ticker has {name} = {shown}: expected {expected}")
        };
        let price = self
            .last_price
            .and_then(|raw| Decimal::positive(json::printed(raw)))
            .ok_or_else(|| wrong("lastPrice", self.last_price, "a number above zero"))?;
        let as_of = json::integer(self.close_time)
            .filter(|units| *units > 0)
            .ok_or_else(|| wrong("closeTime", self.close_time, "milliseconds since 1970"))?;
        let not_negative = |raw| json::number(raw).filter(|value| *value >= 0.0);
        Ok(Quote {
            symbol: symbol.clone(),
            price,
            nature: Nature::Exchange,
            as_of: instant(as_of),
            halted: None,
            day: Some(DayStatistics {
                volume: not_negative(self.volume),
                quote_volume: not_negative(self.quote_volume.or(self.base_volume)),
                change_percent: json::number(self.price_change_percent),
                high: not_negative(self.high_price),
                low: not_negative(self.low_price),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::http::stub::{Act, Stub};
    use super::super::super::{Call, Provider};
    use super::*;
    use crate::config::ProviderConfig;

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|name| Symbol::new(name).unwrap()).collect()
    }

    fn ticker(symbol: &str, price: &str) -> String {
        format!(
            r#"{{"symbol":"{symbol}","priceChange":"-94.99999800","priceChangePercent":"-95.960","weightedAvgPrice":"0.29628482","prevClosePrice":"0.10002000","lastPrice":{price},"lastQty":"200.00000000","bidPrice":"4.00000000","openPrice":"99.00000000","highPrice":"100.00000000","lowPrice":"0.10000000","volume":"8913.30000000","quoteVolume":"15.30000000","openTime":1499783499040,"closeTime":1499869899040,"firstId":28385,"lastId":28460,"count":76}}"#
        )
    }

    fn spot(stub: &Stub) -> Rest {
        Rest::spot(&ProviderConfig::default(), &stub.http()).unwrap()
    }

    fn futures(stub: &Stub) -> Rest {
        Rest::futures(&ProviderConfig::default(), &stub.http()).unwrap()
    }

    /// A spot host where `BTCUSDT` and `ETHUSDT` trade, `OLDUSDT` does not, and nothing else exists.
    fn exchange(target: &str) -> Act {
        let all = ["BTCUSDT", "ETHUSDT", "OLDUSDT"];
        let (_, list) = target.split_once("symbols=%5B").unwrap();
        let (list, _) = list.split_once("%5D").unwrap();
        let names: Vec<&str> = list.split("%2C").map(|name| name.trim_matches(['%', '2'])).collect();
        if names.iter().any(|name| !all.contains(name)) {
            return Act::Reply(400, "", br#"{"code":-1121,"msg":"Invalid symbol."}"#.to_vec());
        }
        let shown = names
            .iter()
            .filter(|name| !target.contains("symbolStatus=TRADING") || **name != "OLDUSDT");
        let rows: Vec<String> = shown.map(|name| ticker(name, "\"61234.10000000\"")).collect();
        Act::ok(format!("[{}]", rows.join(",")))
    }

    #[tokio::test]
    async fn a_price_is_the_last_trade_as_printed_with_its_time_and_its_day() {
        let stub = Stub::start(|target| match exchange(target) {
            Act::Reply(status, _, body) => Act::Reply(status, "Date: Tue, 22 Apr 2025 22:19:37 GMT\r\n", body),
            other => other,
        })
        .await;
        let quotes = spot(&stub).prices(Market::Spot, &symbols(&["BTCUSDT"])).await.unwrap();
        assert_eq!(quotes.told_at.unwrap().to_string(), "2025-04-22T22:19:37Z");
        assert_eq!(
            stub.targets(),
            ["/api.binance.com/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22%5D&type=FULL&symbolStatus=TRADING"]
        );
        let expected = Quote {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            price: Decimal::positive("61234.10000000").unwrap(),
            nature: Nature::Exchange,
            as_of: crate::model::range::Timestamp::from_millis(1_499_869_899_040),
            halted: None,
            day: Some(DayStatistics {
                volume: Some(8_913.3),
                quote_volume: Some(15.3),
                change_percent: Some(-95.96),
                high: Some(100.0),
                low: Some(0.1),
            }),
        };
        assert_eq!(quotes.quotes, [expected]);
        assert!(quotes.refused.is_empty() && quotes.unresolved.is_empty());
    }

    /// Goal: a price is never presented as live when its market does not trade.
    /// Method: ask for some that trade and one that does not, together and alone, whether the exchange drops it from a
    /// list or refuses the question.
    #[tokio::test]
    async fn what_does_not_trade_is_asked_for_once_more_and_labelled() {
        let stub = Stub::start(exchange).await;
        let asked = symbols(&["BTCUSDT", "OLDUSDT", "ETHUSDT", "BTCUSDT"]);
        let quotes = spot(&stub).prices(Market::Spot, &asked).await.unwrap();
        let halted: Vec<_> = quotes
            .quotes
            .iter()
            .map(|q| (q.symbol.as_str(), q.halted.as_deref()))
            .collect();
        assert_eq!(
            halted,
            [("BTCUSDT", None), ("ETHUSDT", None), ("OLDUSDT", Some("not TRADING"))]
        );
        assert_eq!(stub.targets().len(), 2);
        assert!(stub.targets()[1].ends_with("symbols=%5B%22OLDUSDT%22%5D&type=FULL"));
        let mismatch = Stub::start(|target| match target.contains("symbolStatus") {
            true => Act::Reply(
                400,
                "",
                br#"{"code":-1220,"msg":"The symbol's status does not match."}"#.to_vec(),
            ),
            false => exchange(target),
        })
        .await;
        let quotes = spot(&mismatch)
            .prices(Market::Spot, &symbols(&["OLDUSDT"]))
            .await
            .unwrap();
        assert_eq!(quotes.quotes[0].halted.as_deref(), Some("not TRADING"));
    }

    #[tokio::test]
    async fn when_the_second_question_fails_the_first_answer_is_kept_unless_we_are_told_to_go_away() {
        for (status, one, several) in [(500, "unreachable", "1 of 2"), (429, "throttled", "throttled")] {
            let stub = Stub::start(move |target| match target.contains("symbolStatus") {
                true => exchange(target),
                false => Act::Reply(status, "", vec![]),
            })
            .await;
            let kind = |result: Result<Quotes, FetchError>| match result {
                Ok(quotes) => {
                    assert!(quotes.refused[0].1.contains("not TRADING"), "{quotes:?}");
                    format!(
                        "{} of {}",
                        quotes.quotes.len(),
                        quotes.quotes.len() + quotes.refused.len()
                    )
                }
                Err(error) => error.policy().kind.to_owned(),
            };
            let rest = spot(&stub);
            assert_eq!(kind(rest.prices(Market::Spot, &symbols(&["OLDUSDT"])).await), one);
            let both = symbols(&["OLDUSDT", "BTCUSDT"]);
            assert_eq!(kind(rest.prices(Market::Spot, &both).await), several);
        }
    }

    #[tokio::test]
    async fn one_symbol_that_does_not_exist_fails_the_question_and_says_so() {
        let stub = Stub::start(exchange).await;
        for asked in [&["NOSUCHUSDT"][..], &["BTCUSDT", "NOSUCHUSDT"]] {
            let error = spot(&stub).prices(Market::Spot, &symbols(asked)).await.unwrap_err();
            assert!(matches!(error, FetchError::UnknownSymbol(_)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn futures_are_asked_for_one_by_one_or_all_at_once() {
        let list = format!(
            "[{},{}]",
            ticker("BTCUSDT", "\"61234.1\""),
            ticker("ETHUSDT", "\"3000\"")
        );
        let stub = Stub::start(move |target| match target.contains("symbol=") {
            true => Act::ok(ticker("BTCUSDT", "\"61234.1\"")),
            false => Act::ok(list.clone()),
        })
        .await;
        let rest = futures(&stub);
        let quotes = rest.prices(Market::Um, &symbols(&["BTCUSDT"])).await.unwrap();
        assert_eq!(quotes.quotes[0].price.as_str(), "61234.1");
        let quotes = rest
            .prices(Market::Um, &symbols(&["NOSUCHUSDT", "BTCUSDT"]))
            .await
            .unwrap();
        assert_eq!(quotes.quotes.len(), 1);
        assert!(
            quotes.refused[0]
                .1
                .contains("fapi.binance.com/fapi/v1/ticker/24hr: not listed"),
            "{quotes:?}"
        );
        assert_eq!(
            stub.targets(),
            [
                "/fapi.binance.com/fapi/v1/ticker/24hr?symbol=BTCUSDT",
                "/fapi.binance.com/fapi/v1/ticker/24hr"
            ]
        );
        let coin = ticker("BTCUSD_PERP", "\"61234.1\"").replace("quoteVolume", "baseVolume");
        let stub = Stub::start(move |_| Act::ok(format!("[{coin}]"))).await;
        let quotes = futures(&stub)
            .prices(Market::Cm, &symbols(&["BTCUSD_PERP"]))
            .await
            .unwrap();
        assert_eq!(quotes.quotes[0].day.unwrap().quote_volume, Some(15.3));
        assert_eq!(
            stub.targets(),
            ["/dapi.binance.com/dapi/v1/ticker/24hr?symbol=BTCUSD_PERP"]
        );
    }

    #[test]
    fn what_cannot_be_trusted_is_refused_by_name_and_never_passed_on() {
        let (good, asked) = (ticker("BTCUSDT", "\"61234.1\""), symbols(&["BTCUSDT"]));
        for (body, why) in [
            (
                ticker("BTCUSDT", "\"0.00000000\""),
                "lastPrice = \"0.00000000\": expected a number above zero",
            ),
            (ticker("BTCUSDT", "\"\""), "lastPrice"),
            (ticker("BTCUSDT", "\"NaN\""), "lastPrice"),
            (ticker("BTCUSDT", "\"1e999\""), "lastPrice"),
            (ticker("BTCUSDT", "null"), "lastPrice = nothing"),
            (ticker("BTCUSDT", "[61234.1]"), "lastPrice"),
            (ticker("BTCUSDT", "\"-61234.1\""), "lastPrice"),
            (
                good.replace("1499869899040", "0"),
                "closeTime = 0: expected milliseconds",
            ),
            (good.replace("\"closeTime\"", "\"closedAt\""), "closeTime = nothing"),
            (good.replace("1499869899040", "\"soon\""), "closeTime"),
            (format!("[{good},{good}]"), "two tickers of BTCUSDT"),
            (ticker("ETHUSDT", "\"1\""), "about ETHUSDT unasked"),
            ("[]".to_owned(), "not in the answer"),
            ("{}".to_owned(), "not in the answer"),
        ] {
            let quotes = parse("host/path", &body, &asked).unwrap().complete("not in the answer");
            assert!(quotes.quotes.is_empty(), "{body}");
            let (symbol, said) = &quotes.refused[0];
            assert_eq!((symbol, quotes.refused.len()), (&asked[0], 1), "{body}");
            assert!(said.starts_with("host/path: ") && said.contains(why), "{said}");
        }
        let drifted = good
            .replace("\"61234.1\"", "61234.1")
            .replace("1499869899040", "\"1499869899040000\"");
        let read = |body: &str| parse("host/path", body, &asked).unwrap().complete("").quotes;
        assert_eq!(
            read(&drifted),
            read(&good),
            "quotes and units may change, values do not"
        );
        for body in ["", "null", "7", "[7]", "<html>", "[", &good[..200], "[[]]"] {
            let error = parse("host/path", body, &asked).unwrap_err();
            assert!(
                matches!(&error, FetchError::Corrupt(why) if why.starts_with("host/path: ")),
                "{body}: {error:?}"
            );
        }
    }

    /// Goal: a stranger in the answer means that it is the answer to something else; nobody is called halted for it.
    #[tokio::test]
    async fn an_answer_about_somebody_else_is_not_taken_for_a_halt() {
        let stub = Stub::start(|_| Act::ok(format!("[{}]", ticker("ETHUSDT", "\"1\"")))).await;
        let quotes = spot(&stub).prices(Market::Spot, &symbols(&["BTCUSDT"])).await.unwrap();
        assert_eq!((stub.targets().len(), quotes.quotes.len()), (1, 0));
        assert!(quotes.refused[0].1.contains("ETHUSDT"), "{quotes:?}");
    }

    #[tokio::test]
    async fn questions_keep_to_what_one_answer_can_hold_and_are_charged_for() {
        let stub = Stub::start(exchange).await;
        let (spot, futures) = (spot(&stub), futures(&stub));
        assert_eq!(Market::ALL.map(|market| spot.symbols_max(market)), [20, 0, 0]);
        assert_eq!(
            Market::ALL.map(|market| futures.symbols_max(market) > 1),
            [false, true, true]
        );
        let many: Vec<Symbol> = (0..21).map(|n| Symbol::new(&format!("A{n}USDT")).unwrap()).collect();
        for (market, asked) in [(Market::Spot, &many[..]), (Market::Spot, &[]), (Market::Um, &many[..1])] {
            let error = spot.prices(market, asked).await.unwrap_err();
            assert!(matches!(&error, FetchError::Rejected(_)), "{error:?}");
        }
        assert!(stub.targets().is_empty());
        let weight = |count, market| match market {
            Market::Spot => spot.quota(Call::Prices(market, count)).unwrap().weight,
            Market::Um | Market::Cm => futures.quota(Call::Prices(market, count)).unwrap().weight,
        };
        assert_eq!([1, 20, 21].map(|count| weight(count, Market::Spot)), [4, 4, 80]);
        assert_eq!([1, 2, 500].map(|count| weight(count, Market::Um)), [1, 40, 40]);
        assert_eq!([1, 2, 500].map(|count| weight(count, Market::Cm)), [1, 40, 40]);
    }
}
