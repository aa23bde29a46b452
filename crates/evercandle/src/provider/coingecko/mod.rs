//! CoinGecko: prices that stand in for the exchange's, and a sentiment of last resort.
//!
//! Its prices are an index over many venues, in another currency than the exchange quotes, and a minute old. So each is
//! labelled as a substitute, in words that say what it is. It has no klines of the exchange and is never asked for any.
//!
//! Its coins have names of their own. A symbol is looked up in a list of names that were checked by hand, then among
//! what CoinGecko itself says of Binance's pairs ([`PriceProvider::resolve`]), and never by ticker symbol, which
//! hundreds of coins share. Whatever is not certain is refused by name.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::http::{Ask, Http, Method, Reply};
use super::settings::Settings;
use super::{
    Call, Entry, FetchError, PriceProvider, Provider, Pulse, QuotaSpec, Quotes, Roles, SentimentProvider, json,
};
use crate::answer::ProviderName;
use crate::clock::Clock;
use crate::config::{ConfigError, ProviderConfig, ProviderKey};
use crate::model::range::Timestamp;
use crate::model::series::Market;
use crate::model::symbol::Symbol;
use crate::sentiment::{Measure, Reading};

mod coins;
mod errors;
mod instrument;
mod pinned;
mod prices;
mod votes;

/// Its name in the catalogue.
pub const NAME: &str = "coingecko";

/// Without a key, and with a free one.
const PUBLIC_HOST: &str = "api.coingecko.com";
/// With a paid key.
const PRO_HOST: &str = "pro-api.coingecko.com";
/// Without a key the limit is shared with whoever is behind the same address, and has been between 5 and 15.
const KEYLESS_CALLS_PER_MINUTE: u32 = 10;
/// With a key. Of a free one both 30 and 100 are written; a paid one's plan decides, and says so when asked.
const KEYED_CALLS_PER_MINUTE: u32 = 30;
/// Coins in one question. 250 are allowed; 100 keep the address short enough for every proxy.
const COINS_MAX: usize = 100;

/// A page of 100 tickers takes 100 kB, of 250 coins 300 kB.
const BYTES_MAX: usize = 8 << 20;
const SMALL_BYTES_MAX: usize = 64 << 10;

/// Prices and votes.
pub const MARKETS: Entry = Entry {
    name: NAME,
    about: "substitute prices, an index over venues, and votes; limited by calls per minute",
    build: |config, http| {
        let markets = Arc::new(Markets::new(config, http)?);
        Ok(Roles {
            provider: markets.clone(),
            klines: None,
            prices: Some(markets.clone()),
            sentiment: Some(markets),
        })
    },
};

/// Asks for prices and votes.
#[derive(Debug)]
pub struct Markets {
    http: Http,
    host: String,
    key: Option<ProviderKey>,
    calls_per_minute: u32,
    /// Whether the configuration decides the limit, rather than the paid plan.
    limit_is_set: bool,
    /// Which coin a symbol's base is, as far as learnt.
    learnt: Mutex<coins::Learnt>,
}

impl Markets {
    /// Reads the settings that `README.md` in this folder lists.
    pub fn new(config: &ProviderConfig, http: &Http) -> Result<Markets, ConfigError> {
        let settings = Settings::new(NAME, config, &["public", "pro"], &["calls_per_minute"])?;
        let (public, pro) = (
            settings.hosts("public", &[PUBLIC_HOST])?.swap_remove(0),
            settings.hosts("pro", &[PRO_HOST])?.swap_remove(0),
        );
        let default = match config.key {
            None => KEYLESS_CALLS_PER_MINUTE,
            Some(_) => KEYED_CALLS_PER_MINUTE,
        };
        Ok(Markets {
            http: http.clone(),
            host: if is_paid(&config.key) { pro } else { public },
            key: config.key.clone(),
            calls_per_minute: settings.limit("calls_per_minute", default, u32::MAX)?,
            limit_is_set: config.limits.contains_key("calls_per_minute"),
            learnt: Mutex::default(),
        })
    }

    /// Asks, with the key where there is one; a 200 is returned, all else is an error of the right kind.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, FetchError> {
        errors::accept(self.http.send(self.question(path, query)).await?).map_err(|error| match &self.key {
            // Some answers to a wrong key repeat it.
            Some(key) => error.without(key.reveal()),
            None => error,
        })
    }

    fn question<'a>(&'a self, path: &'a str, query: &'a [(&'a str, &'a str)]) -> Ask<'a> {
        let header = match is_paid(&self.key) {
            true => "x-cg-pro-api-key",
            false => "x-cg-demo-api-key",
        };
        Ask {
            header: self.key.as_ref().map(|key| (header, key.reveal())),
            ..Ask::text(&self.host, path, query, BYTES_MAX)
        }
    }
}

fn is_paid(key: &Option<ProviderKey>) -> bool {
    key.as_ref().is_some_and(|key| key.paid)
}

/// `GET /key`, as far as we use it.
#[derive(Deserialize)]
struct Plan<'a> {
    #[serde(borrow)]
    rate_limit_request_per_minute: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ping {
    gecko_says: Option<String>,
}

#[async_trait]
impl Provider for Markets {
    fn name(&self) -> ProviderName {
        ProviderName::new(NAME)
    }

    fn quota(&self, _: Call<'_>) -> Option<QuotaSpec> {
        Some(QuotaSpec {
            group: NAME,
            weight_per_minute: self.calls_per_minute,
            weight: 1,
        })
    }

    async fn published_limit(&self) -> Result<Option<u32>, FetchError> {
        if self.limit_is_set || !is_paid(&self.key) {
            return Ok(None);
        }
        let reply = self.ask("/api/v3/key", &[]).await?;
        let plan: Plan<'_> = json::read(&reply.place, reply.text()?)?;
        let limit = json::integer(plan.rate_limit_request_per_minute).and_then(|limit| u32::try_from(limit).ok());
        Ok(limit.filter(|limit| *limit > 0))
    }

    async fn probe(&self, method: Method) -> Result<Pulse, FetchError> {
        let ask = Ask {
            method,
            body_max: SMALL_BYTES_MAX,
            ..self.question("/api/v3/ping", &[])
        };
        let reply = self.http.send(ask).await?;
        if method == Method::Head {
            return Pulse::of_head(reply, errors::accept);
        }
        let reply = errors::accept(reply)?;
        let ping: Ping = json::read(&reply.place, reply.text()?)?;
        match ping.gecko_says {
            Some(_) => Ok(Pulse::Alive),
            None => Err(FetchError::Corrupt(format!(
                "{}: not the answer to a ping{}: expected gecko_says",
                reply.place,
                reply.excerpt()
            ))),
        }
    }
}

#[async_trait]
impl PriceProvider for Markets {
    fn symbols_max(&self, _: Market) -> usize {
        COINS_MAX
    }

    fn substitutes(&self) -> bool {
        true
    }

    /// Sends nothing when no symbol's coin is known.
    async fn prices(&self, market: Market, symbols: &[Symbol]) -> Result<Quotes, FetchError> {
        let count = symbols.len();
        if !(1..=COINS_MAX).contains(&count) {
            let why = format!("{NAME}: prices of {count} symbols in one question: expected 1 to {COINS_MAX}");
            return Err(FetchError::Rejected(why));
        }
        let mut quotes = Quotes::default();
        let mut wanted: Vec<prices::Wanted> = Vec::with_capacity(count);
        {
            let mut learnt = self.learnt.lock();
            learnt.forget_if_old(Clock::system().instant());
            for symbol in symbols {
                if wanted.iter().any(|wanted| wanted.symbol == *symbol) {
                    continue;
                }
                match coins::find(market, symbol, &learnt) {
                    coins::Found::Coin(target) => wanted.push(prices::Wanted {
                        symbol: symbol.clone(),
                        target,
                    }),
                    coins::Found::NotYet => quotes.unresolved.push(symbol.clone()),
                    coins::Found::Refused(why) => quotes.refused.push((symbol.clone(), format!("{NAME}: {why}"))),
                }
            }
        }
        if wanted.is_empty() {
            return Ok(quotes);
        }
        let question = prices::Question::about(&wanted);
        let reply = self.ask(question.path, &question.query()).await?;
        let read = question.read(&reply.place, reply.text()?, &wanted)?;
        quotes.quotes = read.quotes;
        quotes.told_at = reply.now();
        quotes.refused.extend(read.refused);
        Ok(quotes)
    }

    async fn resolve(&self) -> Result<bool, FetchError> {
        let page = {
            let mut learnt = self.learnt.lock();
            learnt.forget_if_old(Clock::system().instant());
            learnt.next_page()
        };
        let Some(page) = page else {
            return Ok(false);
        };
        let number = page.to_string();
        let reply = self.ask(coins::TICKERS_PATH, &[("page", &number)]).await?;
        let rows = coins::parse(&reply.place, reply.text()?)?;
        self.learnt.lock().learn(page, &rows, Clock::system().instant());
        // True even if it was the last: what it named can be asked for now, and what it did not is refused from now on.
        Ok(true)
    }
}

#[async_trait]
impl SentimentProvider for Markets {
    fn measure(&self) -> Measure {
        votes::measure()
    }

    /// There is one reading, whatever the count: what visitors say now.
    async fn readings(&self, count: u32) -> Result<Vec<Reading>, FetchError> {
        if count == 0 {
            return Err(FetchError::Rejected(format!("{NAME}: no reading was asked for")));
        }
        let reply = self.ask(votes::PATH, votes::QUERY).await?;
        let now = reply.date().unwrap_or_else(|| Clock::system().now());
        Ok(vec![votes::parse(&reply.place, reply.text()?, now)?])
    }
}

/// What follows from a status other than 200 and its body: for tests against recorded answers.
#[doc(hidden)]
pub fn decode_error(status: u16, body: &str) -> FetchError {
    errors::refusal(status, body, None, "body")
}

/// Reads prices from an answer to the question for these symbols, as [`Markets`] does: for tests against recorded
/// answers. All symbols must be of coins known beforehand.
#[doc(hidden)]
pub fn decode_prices(market: Market, symbols: &[Symbol], body: &str) -> Result<Quotes, FetchError> {
    let learnt = coins::Learnt::default();
    let wanted = symbols
        .iter()
        .filter_map(|symbol| match coins::find(market, symbol, &learnt) {
            coins::Found::Coin(target) => Some(prices::Wanted {
                symbol: symbol.clone(),
                target,
            }),
            _ => None,
        });
    let wanted: Vec<_> = wanted.collect();
    prices::Question::about(&wanted).read("body", body, &wanted)
}

/// Reads votes from a body: for tests against recorded answers.
#[doc(hidden)]
pub fn decode_votes(body: &str, now: Timestamp) -> Result<Reading, FetchError> {
    votes::parse("body", body, now)
}

#[cfg(test)]
mod tests {
    use super::super::http::stub::{Act, Stub};
    use super::*;

    const SECRET: &str = "CG-hunter2";
    const PRICE: &str = r#"{"bitcoin":{"usd":77953.82550382407,"usd_24h_vol":29096603418.8,"usd_24h_change":-1.4,"last_updated_at":1779092258},"kaia":{"usd":0.1,"last_updated_at":1779092258}}"#;

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|name| Symbol::new(name).unwrap()).collect()
    }

    fn keyed(stub: &Stub, paid: Option<bool>) -> Markets {
        let config = ProviderConfig {
            key: paid.map(|paid| ProviderKey::new(SECRET, paid).unwrap()),
            ..ProviderConfig::default()
        };
        Markets::new(&config, &stub.http()).unwrap()
    }

    /// Goal: an upstream that repeats the key in its complaint does not make us print it.
    #[tokio::test]
    async fn a_key_that_is_sent_back_is_not_repeated() {
        let body = format!(r#"{{"status":{{"error_code":10002,"error_message":"API Key {SECRET} is wrong"}}}}"#);
        let stub = Stub::start(move |_| Act::Reply(401, "", body.clone().into())).await;
        let error = keyed(&stub, Some(false))
            .prices(Market::Spot, &symbols(&["BTCUSDT"]))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("***"), "{error}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    }

    #[tokio::test]
    async fn the_key_decides_host_header_and_limit_and_is_never_shown() {
        for (paid, host, header, limit) in [
            (None, "api.coingecko.com", None, 10),
            (
                Some(false),
                "api.coingecko.com",
                Some("x-cg-demo-api-key: CG-hunter2"),
                30,
            ),
            (
                Some(true),
                "pro-api.coingecko.com",
                Some("x-cg-pro-api-key: CG-hunter2"),
                30,
            ),
        ] {
            let stub = Stub::start(|_| Act::ok(PRICE)).await;
            let markets = keyed(&stub, paid);
            let quotes = markets.prices(Market::Spot, &symbols(&["BTCUSDT"])).await.unwrap();
            assert_eq!(quotes.quotes[0].price.as_str(), "77953.82550382407");
            let head = stub.asked.lock()[0].clone();
            let target = format!(
                "GET /{host}/api/v3/simple/price?ids=bitcoin&vs_currencies=usd&include_24hr_vol=true&include_24hr_change=true&include_last_updated_at=true&precision=full "
            );
            assert!(head.starts_with(&target), "{head}");
            assert_eq!(head.lines().find(|line| line.starts_with("x-cg")), header);
            assert_eq!(markets.quota(Call::Resolve).unwrap().weight_per_minute, limit);
            assert!(!format!("{markets:?}").contains(SECRET));
            let wrong = Stub::start(|_| {
                let body = r#"{"status":{"error_code":10011,"error_message":"wrong key"}}"#;
                Act::Reply(400, "", body.into())
            })
            .await;
            let error = keyed(&wrong, paid)
                .prices(Market::Spot, &symbols(&["BTCUSDT"]))
                .await
                .unwrap_err();
            assert_eq!(error.policy().kind, "rejected");
            assert!(
                error.to_string().contains(host) && !format!("{error:?}").contains(SECRET),
                "{error:?}"
            );
        }
    }

    /// Goal: a coin not known beforehand is found page by page, and what no page names is refused in the end.
    #[tokio::test]
    async fn unknown_bases_are_looked_up_page_by_page_until_they_are_found_or_refused() {
        let stub = Stub::start(|target| match target {
            t if t.ends_with("tickers?page=1") => {
                let rows: Vec<String> = (0..100)
                    .map(|n| format!(r#"{{"base":"F{n}","coin_id":"filler","is_stale":false}}"#))
                    .collect();
                Act::ok(format!(r#"{{"name":"Binance","tickers":[{}]}}"#, rows.join(",")))
            }
            t if t.ends_with("tickers?page=2") => {
                Act::ok(r#"{"name":"Binance","tickers":[{"base":"KAIA","target":"USDT","coin_id":"kaia"}]}"#)
            }
            _ => Act::ok(PRICE),
        })
        .await;
        let markets = keyed(&stub, None);
        let asked = symbols(&["KAIAUSDT", "NOSUCHUSDT"]);
        for page in 1..=2 {
            let quotes = markets.prices(Market::Spot, &asked).await.unwrap();
            assert_eq!((quotes.unresolved.len(), quotes.quotes.len()), (2, 0));
            assert_eq!(stub.targets().len(), page - 1, "nothing is sent for nothing");
            assert_eq!(markets.resolve().await, Ok(true));
        }
        let quotes = markets.prices(Market::Spot, &asked).await.unwrap();
        assert_eq!(quotes.quotes[0].symbol, asked[0]);
        assert!(quotes.unresolved.is_empty());
        assert_eq!(quotes.refused[0].0, asked[1]);
        assert!(quotes.refused[0].1.contains("NOSUCH is not among"), "{quotes:?}");
        assert_eq!(markets.resolve().await, Ok(false));
        assert_eq!(stub.targets().len(), 3);
    }

    #[tokio::test]
    async fn what_is_known_is_answered_while_the_rest_is_looked_for() {
        let stub = Stub::start(|_| Act::ok(PRICE)).await;
        let asked = symbols(&["BTCUSDT", "MATICUSDT", "KAIAUSDT", "BTCUSDT"]);
        let quotes = keyed(&stub, None).prices(Market::Spot, &asked).await.unwrap();
        assert_eq!(
            quotes.quotes.iter().map(|q| q.symbol.as_str()).collect::<Vec<_>>(),
            ["BTCUSDT"]
        );
        assert_eq!(quotes.unresolved, symbols(&["KAIAUSDT"]));
        assert!(quotes.refused[0].1.starts_with("coingecko: MATICUSDT: "), "{quotes:?}");
        let many: Vec<Symbol> = (0..=COINS_MAX)
            .map(|n| Symbol::new(&format!("A{n}USDT")).unwrap())
            .collect();
        for wrong in [&many[..], &[]] {
            let error = keyed(&stub, None).prices(Market::Spot, wrong).await.unwrap_err();
            assert!(matches!(error, FetchError::Rejected(_)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn every_question_reads_an_error_as_an_error() {
        for (status, headers, body, kind) in [
            (200, "", "<html>Sign in to the hotel</html>", "corrupt"),
            (200, "", "", "corrupt"),
            (
                200,
                "",
                r#"{"status":{"error_code":429,"error_message":"x"}}"#,
                "throttled",
            ),
            (429, "Retry-After: 119\r\n", "Throttled", "throttled"),
            (403, "", "<html>blocked</html>", "throttled"),
            (404, "", r#"{"error":"coin not found"}"#, "absent"),
            (422, "", r#"{"error":"Missing parameter ids"}"#, "rejected"),
            (
                500,
                "",
                r#"{"status":500,"error":"Internal Server Error"}"#,
                "unreachable",
            ),
            (302, "", "", "unreachable"),
        ] {
            let stub = Stub::start(move |_| Act::Reply(status, headers, body.into())).await;
            let markets = keyed(&stub, Some(true));
            let errors = [
                markets.prices(Market::Um, &symbols(&["BTCUSDT"])).await.unwrap_err(),
                markets.resolve().await.unwrap_err(),
                markets.readings(1).await.unwrap_err(),
                markets.published_limit().await.unwrap_err(),
                markets.probe(Method::Get).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.policy().kind, kind, "{status} {body}: {error:?}");
                assert!(error.to_string().contains("pro-api.coingecko.com/api/v3/"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn probes_votes_and_limits_are_asked_for_where_they_are() {
        let stub = Stub::start(|target| match target {
            t if t.ends_with("/ping") => Act::ok(r#"{"gecko_says":"(V3) To the Moon!"}"#),
            t if t.ends_with("/key") => Act::ok(r#"{"plan":"Other","rate_limit_request_per_minute":500}"#),
            _ => Act::Reply(
                200,
                "Date: Tue, 22 Apr 2025 22:19:37 GMT\r\n",
                br#"{"id":"bitcoin","sentiment_votes_up_percentage":82.35}"#.to_vec(),
            ),
        })
        .await;
        let markets = keyed(&stub, Some(true));
        for method in [Method::Head, Method::Get] {
            assert_eq!(markets.probe(method).await, Ok(Pulse::Alive));
        }
        assert_eq!(markets.published_limit().await, Ok(Some(500)));
        assert_eq!(keyed(&stub, Some(false)).published_limit().await, Ok(None));
        let votes = markets.readings(30).await.unwrap();
        assert_eq!(
            (votes.len(), votes[0].value, votes[0].at.to_string().as_str()),
            (1, 82.35, "2025-04-22T22:19:37Z")
        );
        assert!(matches!(markets.readings(0).await, Err(FetchError::Rejected(_))));
        assert_eq!(
            stub.targets()[3],
            "/pro-api.coingecko.com/api/v3/coins/bitcoin?localization=false&tickers=false&market_data=false&community_data=false&developer_data=false"
        );
        let refuses = Stub::start(|_| Act::Reply(405, "", vec![])).await;
        assert_eq!(
            keyed(&refuses, None).probe(Method::Head).await,
            Ok(Pulse::MethodNotServed)
        );
        let other = Stub::start(|_| Act::ok("{}")).await;
        assert!(matches!(
            keyed(&other, None).probe(Method::Get).await,
            Err(FetchError::Corrupt(_))
        ));
    }

    #[test]
    fn settings_are_read_by_name() {
        let http = Http::new(&crate::config::HttpConfig::default(), None).unwrap();
        let build = |toml: (&str, u64)| {
            let config = ProviderConfig {
                limits: [(toml.0.to_owned(), toml.1)].into(),
                hosts: [("public".to_owned(), vec!["mirror.example".to_owned()])].into(),
                ..ProviderConfig::default()
            };
            Markets::new(&config, &http)
        };
        let markets = build(("calls_per_minute", 5)).unwrap();
        assert_eq!((markets.host.as_str(), markets.calls_per_minute), ("mirror.example", 5));
        for wrong in [("calls_per_minute", 0), ("calls", 5)] {
            let error = build(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong.0) && error.contains("expected"), "{error}");
        }
    }
}
