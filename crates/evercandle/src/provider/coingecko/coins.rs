//! Which coin a symbol is about: known beforehand, learnt, ambiguous, or not known.
//!
//! Hundreds of coins share a ticker symbol, so none is ever looked up by it. What is learnt comes from CoinGecko's own
//! pages of Binance's pairs, a hundred at a time, which name the coin of each base. Rows it marks as stale or anomalous
//! are left out: a stale pair may carry a name from before it was given to another coin, and an anomalous one may be
//! matched to a wrong coin. Bases with a multiplier teach nothing, because it cannot be told whether the coin there is
//! the one or the thousand.
//!
//! What was learnt is forgotten after a day, in which names can change hands.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::super::{FetchError, json};
use super::instrument::{self, Contract};
use super::pinned;
use crate::model::series::Market;
use crate::model::symbol::Symbol;

pub(super) const TICKERS_PATH: &str = "/api/v3/exchanges/binance/tickers";
/// Rows of a page; one with fewer is the last.
const PAGE_ROWS: usize = 100;
/// Binance had about 1500 pairs in 2026; this is three times as many.
const PAGES_MAX: u32 = 50;
/// Bases remembered at the most, should pages ever be longer.
const BASES_MAX: usize = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3_600);
/// A name longer than this is not one.
const COIN_CHARS_MAX: usize = 100;

/// What stands for a symbol here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) coin: String,
    pub(super) currency: &'static str,
    /// How many units of the coin the symbol's price is for, as a power of ten.
    pub(super) multiplier: u32,
    /// What it is, and what it is not, in words.
    pub(super) label: String,
}

/// Whether a symbol's coin is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Coin(Target),
    /// Further pages may name it.
    NotYet,
    /// It is not, or not with certainty, and why.
    Refused(String),
}

/// What the pages read so far say.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// By base, in capitals.
    coins: HashMap<String, Named>,
    pages_read: u32,
    complete: bool,
    since: Option<Instant>,
}

/// What the pages say of one base.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    One(String),
    /// Two coins share the base.
    Several(String, String),
}

impl Learnt {
    pub(super) fn forget_if_old(&mut self, now: Instant) {
        if self
            .since
            .is_some_and(|since| now.duration_since(since) >= REMEMBERED_FOR)
        {
            *self = Learnt::default();
        }
    }

    /// The page to read next, counted from 1, if there is one.
    pub(super) fn next_page(&self) -> Option<u32> {
        (!self.complete && self.pages_read < PAGES_MAX).then_some(self.pages_read + 1)
    }

    pub(super) fn learn(&mut self, page: u32, rows: &[Row<'_>], now: Instant) {
        self.since.get_or_insert(now);
        self.pages_read = self.pages_read.max(page);
        self.complete |= rows.len() < PAGE_ROWS;
        for row in rows.iter().filter(|row| !row.is_stale && !row.is_anomaly) {
            let (Some(base), Some(coin)) = (row.base.as_deref(), row.coin_id.as_deref()) else {
                continue;
            };
            let base = base.to_ascii_uppercase();
            if instrument::unmultiplied(&base).1 > 0 || !is_coin(coin) {
                continue;
            }
            match self.coins.get(&base) {
                None if self.coins.len() < BASES_MAX => drop(self.coins.insert(base, Named::One(coin.to_owned()))),
                Some(Named::One(known)) if known != coin => {
                    let several = Named::Several(known.clone(), coin.to_owned());
                    self.coins.insert(base, several);
                }
                _ => {}
            }
        }
    }
}

/// Names are joined with commas in a question and become words of a label.
fn is_coin(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.chars().count() <= COIN_CHARS_MAX && name.chars().all(plain)
}

/// The coin of a symbol.
pub(super) fn find(market: Market, symbol: &Symbol, learnt: &Learnt) -> Found {
    let Some(instrument) = instrument::read(market, symbol.as_str()) else {
        return Found::Refused(format!(
            "{symbol}: not a base followed by a quote that it has a currency for"
        ));
    };
    let base = instrument.base;
    if let Some(successor) = pinned::successor(base) {
        return Found::Refused(format!(
            "{symbol}: {base} was given up for {successor}, which is another coin"
        ));
    }
    let coin = match (pinned::coin(base), learnt.coins.get(base)) {
        (Some(coin), _) => coin.to_owned(),
        (None, Some(Named::One(coin))) => coin.clone(),
        (None, Some(Named::Several(one, other))) => {
            return Found::Refused(format!("{symbol}: {base} is ambiguous: {one} or {other}"));
        }
        (None, None) if learnt.next_page().is_some() => return Found::NotYet,
        (None, None) => return Found::Refused(format!("{symbol}: {base} is not among Binance's pairs there")),
    };
    Found::Coin(Target {
        label: label(symbol, &coin, &instrument),
        coin,
        currency: instrument.currency,
        multiplier: instrument.multiplier,
    })
}

/// `bitcoin in usd, an index over venues; not BTCUSDT: usd stands for USDT`.
fn label(symbol: &Symbol, coin: &str, instrument: &instrument::Instrument<'_>) -> String {
    let currency = instrument.currency;
    let mut text = format!("{coin} in {currency}");
    if instrument.multiplier > 0 {
        text += &format!(", times {}", 10_u64.pow(instrument.multiplier));
    }
    text += &format!(", an index over venues; not {symbol}");
    let mut differences = Vec::new();
    if !instrument.quote.eq_ignore_ascii_case(currency) {
        differences.push(format!("{currency} stands for {}", instrument.quote));
    }
    match instrument.contract {
        Contract::Spot => {}
        Contract::Perpetual => differences.push("spot for the perpetual contract".to_owned()),
        Contract::Delivered(date) => differences.push(format!("spot for the contract delivered on {date}")),
    }
    if !differences.is_empty() {
        text += &format!(": {}", differences.join(", "));
    }
    text
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    tickers: Vec<Row<'a>>,
}

/// One pair.
#[derive(Debug, Deserialize)]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    base: Option<Cow<'a, str>>,
    #[serde(borrow)]
    coin_id: Option<Cow<'a, str>>,
    #[serde(default)]
    is_stale: bool,
    #[serde(default)]
    is_anomaly: bool,
}

/// The pairs of one page.
pub(super) fn parse<'a>(place: &str, body: &'a str) -> Result<Vec<Row<'a>>, FetchError> {
    json::read::<Page<'a>>(place, body).map(|page| page.tickers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn symbol(name: &str) -> Symbol {
        Symbol::new(name).unwrap()
    }

    fn row(base: &str, coin: &str) -> Row<'static> {
        Row {
            base: Some(base.to_owned().into()),
            coin_id: Some(coin.to_owned().into()),
            is_stale: false,
            is_anomaly: false,
        }
    }

    fn full_page() -> Vec<Row<'static>> {
        (0..PAGE_ROWS).map(|n| row(&format!("FILLER{n}"), "filler")).collect()
    }

    fn coin(learnt: &Learnt, name: &str) -> String {
        match find(Market::Spot, &symbol(name), learnt) {
            Found::Coin(target) => target.coin,
            Found::NotYet => "?".to_owned(),
            Found::Refused(why) => why,
        }
    }

    #[test]
    fn a_label_says_what_the_price_is_of_and_what_it_is_not() {
        for (market, name, label) in [
            (
                Market::Spot,
                "BTCUSDT",
                "bitcoin in usd, an index over venues; not BTCUSDT: usd stands for USDT",
            ),
            (
                Market::Spot,
                "ETHBTC",
                "ethereum in btc, an index over venues; not ETHBTC",
            ),
            (
                Market::Um,
                "1000SHIBUSDT",
                "shiba-inu in usd, times 1000, an index over venues; not 1000SHIBUSDT: usd stands for USDT, spot for the perpetual contract",
            ),
            (
                Market::Cm,
                "BTCUSD_240628",
                "bitcoin in usd, an index over venues; not BTCUSD_240628: spot for the contract delivered on 240628",
            ),
        ] {
            let Found::Coin(target) = find(market, &symbol(name), &Learnt::default()) else {
                panic!("{name}")
            };
            assert_eq!(target.label, label);
        }
    }

    #[test]
    fn what_is_not_certain_is_looked_up_later_or_refused() {
        let nothing = Learnt::default();
        assert_eq!(coin(&nothing, "BTCUSDT"), "bitcoin");
        assert_eq!(coin(&nothing, "KAIAUSDT"), "?");
        assert!(coin(&nothing, "MATICUSDT").contains("given up for POL"));
        assert!(coin(&nothing, "BTCRON").contains("not a base followed by a quote"));
        assert!(coin(&nothing, "USDT").contains("not a base followed by a quote"));
    }

    #[test]
    fn pages_teach_the_coins_of_bases_until_there_is_no_further_one() {
        let (mut learnt, now) = (Learnt::default(), Clock::system().instant());
        let mut rows = full_page();
        rows.extend([
            row("kaia", "kaia"),
            row("GOLD", "gold-one"),
            row("BTC", "bitcoin-of-somebody"),
        ]);
        assert_eq!(learnt.next_page(), Some(1));
        learnt.learn(1, &rows, now);
        assert_eq!(learnt.next_page(), Some(2));
        assert_eq!(coin(&learnt, "KAIAUSDT"), "kaia");
        assert_eq!(coin(&learnt, "BTCUSDT"), "bitcoin", "what is known beforehand stays");
        assert_eq!(
            (coin(&learnt, "GOLDUSDT"), coin(&learnt, "NEWUSDT")),
            ("gold-one".into(), "?".into())
        );
        learnt.learn(2, &[row("GOLD", "gold-two"), row("GOLD", "gold-one")], now);
        assert_eq!(learnt.next_page(), None);
        assert!(coin(&learnt, "GOLDUSDT").contains("GOLD is ambiguous: gold-one or gold-two"));
        assert!(coin(&learnt, "NEWUSDT").contains("NEW is not among Binance's pairs"));
        learnt.forget_if_old(now + REMEMBERED_FOR - Duration::from_secs(1));
        assert_eq!(learnt.next_page(), None);
        learnt.forget_if_old(now + REMEMBERED_FOR);
        assert_eq!((learnt.next_page(), coin(&learnt, "KAIAUSDT")), (Some(1), "?".into()));
    }

    #[test]
    fn rows_that_may_mislead_teach_nothing() {
        let (mut learnt, now) = (Learnt::default(), Clock::system().instant());
        let stale = Row {
            is_stale: true,
            ..row("A", "vaulta")
        };
        let odd = Row {
            is_anomaly: true,
            ..row("B", "other")
        };
        let nameless = Row {
            coin_id: None,
            ..row("C", "")
        };
        let rows = [
            stale,
            odd,
            nameless,
            row("1000SATS", "sats"),
            row("D", "x,bitcoin"),
            row("E", ""),
        ];
        learnt.learn(1, &rows, now);
        assert!(learnt.coins.is_empty(), "{learnt:?}");
        assert!(coin(&learnt, "1000SATSUSDT").contains("SATS is not among"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut learnt, now) = (Learnt::default(), Clock::system().instant());
        for page in 1..=PAGES_MAX + 10 {
            let rows: Vec<_> = (0..500).map(|n| row(&format!("P{page}N{n}"), "coin")).collect();
            learnt.learn(page, &rows, now);
        }
        assert_eq!((learnt.coins.len(), learnt.next_page()), (BASES_MAX, None));
    }

    #[test]
    fn a_page_is_read_with_whatever_else_is_in_it() {
        let body = r#"{"name":"Binance","tickers":[{"base":"BTC","target":"USDT","market":{"name":"Binance"},"last":61234.1,"volume":1.5,"converted_last":{"usd":61200},"is_anomaly":false,"is_stale":false,"coin_id":"bitcoin","target_coin_id":"tether"},{"base":"X","coin_id":null}]}"#;
        let rows = parse("host/path", body).unwrap();
        assert_eq!(
            (rows.len(), rows[0].coin_id.as_deref(), rows[1].coin_id.as_deref()),
            (2, Some("bitcoin"), None)
        );
        for wrong in ["", "[]", "{}", "null", r#"{"tickers":null}"#, r#"{"tickers":[1]}"#] {
            let error = parse("host/path", wrong).unwrap_err();
            assert!(
                matches!(&error, FetchError::Corrupt(why) if why.starts_with("host/path: ")),
                "{wrong}: {error:?}"
            );
        }
    }
}
