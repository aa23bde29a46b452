//! Prices of coins: what is asked, and what is taken from the answer.
//!
//! Two endpoints have them. One takes any coins in any currencies; the other takes many coins in one currency and knows
//! the day's highest and lowest price as well. What an answer leaves out it leaves out silently: a coin it does not know
//! is missing, a currency it does not know leaves `{}`. So each symbol is looked for, and refused with the reason.
//!
//! A price of a thousand coins is made by moving the decimal point of the printed price, so that no digit changes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{FetchError, Quotes, json};
use super::coins::Target;
use crate::model::range::Timestamp;
use crate::model::symbol::Symbol;
use crate::price::{DayStatistics, Decimal, Nature, Quote};

const SIMPLE_PATH: &str = "/api/v3/simple/price";
const MARKETS_PATH: &str = "/api/v3/coins/markets";
/// Digits of a price, and zeros an exponent may stand for; beyond it is no price.
const DIGITS_MAX: usize = 100;
const SECOND: i64 = 1_000_000;

/// A symbol and what stands for it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) symbol: Symbol,
    pub(super) target: Target,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) path: &'static str,
    coins: String,
    currencies: String,
}

impl Question {
    /// Several coins in one currency are asked for by the richer endpoint, anything else by the more general one.
    pub(super) fn about(wanted: &[Wanted]) -> Question {
        let each = |name: fn(&Target) -> &str| {
            let mut names: Vec<&str> = wanted.iter().map(|w| name(&w.target)).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let (coins, currencies) = (each(|t| &t.coin), each(|t| t.currency));
        Question {
            path: match (coins.len(), currencies.len()) {
                (2.., 1) => MARKETS_PATH,
                _ => SIMPLE_PATH,
            },
            // A space after a comma makes a name that is not known, and so a coin that is left out.
            coins: coins.join(","),
            currencies: currencies.join(","),
        }
    }

    pub(super) fn query(&self) -> Vec<(&str, &str)> {
        match self.path {
            MARKETS_PATH => vec![
                ("vs_currency", &self.currencies),
                ("ids", &self.coins),
                ("per_page", "250"),
                ("precision", "full"),
            ],
            _ => vec![
                ("ids", &self.coins),
                ("vs_currencies", &self.currencies),
                ("include_24hr_vol", "true"),
                ("include_24hr_change", "true"),
                ("include_last_updated_at", "true"),
                ("precision", "full"),
            ],
        }
    }

    /// What an answer says of each symbol.
    pub(super) fn read(&self, place: &str, body: &str, wanted: &[Wanted]) -> Result<Quotes, FetchError> {
        let said = match self.path {
            MARKETS_PATH => markets(place, body)?,
            _ => simple(place, body)?,
        };
        let mut quotes = Quotes::default();
        for Wanted { symbol, target } in wanted {
            match said.quote(symbol, target) {
                Ok(quote) => quotes.quotes.push(quote),
                Err(why) => quotes
                    .refused
                    .push((symbol.clone(), format!("{place}: {}: {why}", target.coin))),
            }
        }
        Ok(quotes)
    }
}

/// Either endpoint's answer.
enum Said<'a> {
    /// Coin → `usd`, `usd_24h_vol`, …, `last_updated_at`.
    Simple(BTreeMap<String, BTreeMap<String, &'a RawValue>>),
    /// One currency.
    Markets(Vec<Row<'a>>),
}

#[derive(Deserialize)]
struct Row<'a> {
    id: Option<String>,
    #[serde(borrow)]
    current_price: Option<&'a RawValue>,
    #[serde(borrow)]
    total_volume: Option<&'a RawValue>,
    #[serde(borrow)]
    high_24h: Option<&'a RawValue>,
    #[serde(borrow)]
    low_24h: Option<&'a RawValue>,
    #[serde(borrow)]
    price_change_percentage_24h: Option<&'a RawValue>,
    last_updated: Option<String>,
}

fn simple<'a>(place: &str, body: &'a str) -> Result<Said<'a>, FetchError> {
    json::read(place, body).map(Said::Simple)
}

fn markets<'a>(place: &str, body: &'a str) -> Result<Said<'a>, FetchError> {
    json::read(place, body).map(Said::Markets)
}

impl Said<'_> {
    fn quote(&self, symbol: &Symbol, target: &Target) -> Result<Quote, String> {
        let currency = target.currency;
        let (price, as_of, day) = match self {
            Said::Simple(coins) => {
                let said = coins.get(&target.coin).ok_or("not in the answer")?;
                let get = |name: &str| said.get(name).copied();
                let price = get(currency).ok_or_else(|| format!("no price in {currency}"))?;
                let seconds = json::integer(get("last_updated_at")).filter(|seconds| *seconds > 0);
                let day = DayStatistics {
                    quote_volume: not_negative(get(&format!("{currency}_24h_vol"))),
                    change_percent: json::number(get(&format!("{currency}_24h_change"))),
                    ..DayStatistics::default()
                };
                let as_of = seconds.map(|s| Timestamp::from_micros(s.saturating_mul(SECOND)));
                (Some(price), as_of, day)
            }
            Said::Markets(rows) => {
                let mut about = rows.iter().filter(|row| row.id.as_deref() == Some(&target.coin));
                let row = about.next().ok_or("not in the answer")?;
                if about.next().is_some() {
                    return Err("twice in one answer: expected once".to_owned());
                }
                let day = DayStatistics {
                    volume: None,
                    quote_volume: not_negative(row.total_volume),
                    change_percent: json::number(row.price_change_percentage_24h),
                    high: scaled(row.high_24h, target.multiplier).map(|price| price.value()),
                    low: scaled(row.low_24h, target.multiplier).map(|price| price.value()),
                };
                let as_of = row.last_updated.as_deref().and_then(instant);
                (row.current_price, as_of, day)
            }
        };
        Ok(Quote {
            symbol: symbol.clone(),
            price: scaled(price, target.multiplier).ok_or_else(|| {
                format!(
                    "its price in {currency} is {}: expected a number above zero",
                    json::shown(price)
                )
            })?,
            nature: Nature::Substitute(target.label.clone()),
            as_of: as_of.ok_or("no time beside its price: expected when it was updated")?,
            halted: None,
            day: Some(day),
        })
    }
}

fn not_negative(raw: Option<&RawValue>) -> Option<f64> {
    json::number(raw).filter(|value| *value >= 0.0)
}

/// `2026-05-18T08:17:38.000Z`
fn instant(text: &str) -> Option<Timestamp> {
    let parsed: jiff::Timestamp = text.parse().ok()?;
    let instant = Timestamp::from_micros(parsed.as_microsecond());
    (instant > Timestamp::EPOCH).then_some(instant)
}

/// A printed price times a power of ten.
fn scaled(raw: Option<&RawValue>, power: u32) -> Option<Decimal> {
    let text = json::printed(raw?);
    match power {
        0 => Decimal::positive(text),
        _ => Decimal::positive(&shifted(text, power)?),
    }
}

/// The same digits with the decimal point so many places further to the right.
fn shifted(text: &str, places: u32) -> Option<String> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let limit = DIGITS_MAX as i64;
    let point = i64::try_from(whole.len())
        .ok()?
        .checked_add(exponent)?
        .checked_add(places.into())?;
    if !(-limit..=limit).contains(&point) {
        return None;
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let padded = format!("{}{digits}{}", zeros(-point), zeros(point - digits.len() as i64));
    let (whole, fraction) = padded.split_at(usize::try_from(point).unwrap_or(0));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        some => some,
    };
    Some(match fraction {
        "" => whole.to_owned(),
        _ => format!("{whole}.{fraction}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::damage::{change, damaged};
    use super::super::coins::{Found, Learnt, find};
    use super::*;
    use crate::model::series::Market;

    const SIMPLE: &str = r#"{"bitcoin":{"usd":77953.82550382407,"usd_24h_vol":29096603418.89408,"usd_24h_change":-1.4093297098441402,"last_updated_at":1779092258},"shiba-inu":{"usd":1.234e-05,"usd_24h_vol":1,"usd_24h_change":0,"last_updated_at":1779092258}}"#;
    const MARKETS: &str = r#"[{"id":"bitcoin","symbol":"btc","name":"Bitcoin","current_price":77671,"market_cap":1555886872303,"total_volume":33235034316,"high_24h":78419,"low_24h":76696,"price_change_percentage_24h":-0.95302,"roi":null,"last_updated":"2026-05-18T08:17:38.000Z"},{"id":"shiba-inu","current_price":0.00001234,"total_volume":null,"high_24h":1.3e-05,"low_24h":0.000012,"price_change_percentage_24h":null,"last_updated":"2026-05-18T08:17:38.000Z"}]"#;

    fn wanted(symbols: &[&str]) -> Vec<Wanted> {
        let each = symbols.iter().map(|name| {
            let symbol = Symbol::new(name).unwrap();
            match find(Market::Spot, &symbol, &Learnt::default()) {
                Found::Coin(target) => Wanted { symbol, target },
                other => panic!("{name}: {other:?}"),
            }
        });
        each.collect()
    }

    fn read(path: &'static str, body: &str, symbols: &[&str]) -> Result<Quotes, FetchError> {
        let wanted = wanted(symbols);
        let question = Question {
            path,
            ..Question::about(&wanted)
        };
        question.read("host/path", body, &wanted)
    }

    #[test]
    fn one_coin_or_several_currencies_are_asked_for_simply_and_several_coins_with_their_day() {
        for (symbols, path, coins, currencies) in [
            (&["BTCUSDT"][..], SIMPLE_PATH, "bitcoin", "usd"),
            (&["BTCUSDT", "BTCUSDC"], SIMPLE_PATH, "bitcoin", "usd"),
            (
                &["ETHUSDT", "BTCUSDT", "BTCUSDC"],
                MARKETS_PATH,
                "bitcoin,ethereum",
                "usd",
            ),
            (
                &["ETHBTC", "BTCUSDT", "BTCEUR"],
                SIMPLE_PATH,
                "bitcoin,ethereum",
                "btc,eur,usd",
            ),
        ] {
            let question = Question::about(&wanted(symbols));
            assert_eq!((question.path, question.coins.as_str()), (path, coins));
            assert_eq!(question.currencies, currencies);
            assert!(question.query().iter().all(|(_, value)| !value.contains(' ')));
        }
    }

    #[test]
    fn a_price_is_the_printed_one_labelled_and_dated() {
        let quotes = read(SIMPLE_PATH, SIMPLE, &["BTCUSDT"]).unwrap();
        let quote = &quotes.quotes[0];
        assert_eq!(quote.price.as_str(), "77953.82550382407");
        assert_eq!(quote.as_of.to_string(), "2026-05-18T08:17:38Z");
        assert!(matches!(&quote.nature, Nature::Substitute(label) if label.starts_with("bitcoin in usd")));
        let day = quote.day.unwrap();
        assert_eq!(
            (day.quote_volume, day.change_percent),
            (Some(29_096_603_418.894_08), Some(-1.409_329_709_844_140_2))
        );
        let quotes = read(MARKETS_PATH, MARKETS, &["BTCUSDT", "SHIBUSDT"]).unwrap();
        let printed: Vec<_> = quotes.quotes.iter().map(|q| q.price.as_str()).collect();
        assert_eq!(printed, ["77671", "0.00001234"]);
        let day = quotes.quotes[0].day.unwrap();
        assert_eq!(
            (day.high, day.low, day.quote_volume),
            (Some(78_419.0), Some(76_696.0), Some(33_235_034_316.0))
        );
        assert_eq!(quotes.quotes[0].as_of.to_string(), "2026-05-18T08:17:38Z");
    }

    #[test]
    fn a_price_of_a_thousand_coins_has_the_digits_of_one() {
        for (path, body) in [(SIMPLE_PATH, SIMPLE), (MARKETS_PATH, MARKETS)] {
            let quotes = read(path, body, &["1000SHIBUSDT"]).unwrap();
            assert_eq!(quotes.quotes[0].price.as_str(), "0.01234");
        }
        let quotes = read(MARKETS_PATH, MARKETS, &["1000SHIBUSDT"]).unwrap();
        assert_eq!(quotes.quotes[0].day.unwrap().high, Some(0.013));
        for (text, places, expected) in [
            ("77671", 3, Some("77671000")),
            ("0.00001234", 6, Some("12.34")),
            ("1.5e-10", 3, Some("0.00000015")),
            ("1.5E+2", 3, Some("150000")),
            ("9e-8", 6, Some("0.09")),
            ("12.", 3, Some("12000")),
            (".5", 3, Some("500")),
            ("0", 3, Some("0000")),
            ("-1", 3, None),
            ("1e999999999999", 3, None),
            ("1e9223372036854775807", 3, None),
            ("1e-999", 3, None),
            ("1.2.3", 3, None),
            ("", 3, None),
            ("null", 3, None),
        ] {
            let expected = expected.map(|text| if text == "0000" { "0" } else { text });
            assert_eq!(shifted(text, places).as_deref(), expected, "{text}");
        }
        assert_eq!(shifted(&"1".repeat(DIGITS_MAX + 1), 3), None);
    }

    /// Goal: what an answer leaves out or says oddly is refused by name, never guessed.
    #[test]
    fn what_is_missing_or_senseless_is_refused_by_name() {
        let simple = |from: &str, to: &str| (SIMPLE_PATH, SIMPLE.replace(from, to));
        let markets = |from: &str, to: &str| (MARKETS_PATH, MARKETS.replace(from, to));
        for ((path, body), why) in [
            ((SIMPLE_PATH, r#"{"bitcoin":{}}"#.to_owned()), "no price in usd"),
            ((SIMPLE_PATH, "{}".to_owned()), "not in the answer"),
            ((MARKETS_PATH, "[]".to_owned()), "not in the answer"),
            (
                simple("77953.82550382407", "null"),
                "its price in usd is null: expected a number above zero",
            ),
            (simple("77953.82550382407", "0"), "above zero"),
            (simple("77953.82550382407", "-1"), "above zero"),
            (simple("77953.82550382407", "1e999"), "above zero"),
            (simple("77953.82550382407", "\"NaN\""), "above zero"),
            (simple("77953.82550382407", "{}"), "above zero"),
            (simple("last_updated_at", "updated"), "no time"),
            (simple("1779092258", "null"), "no time"),
            (simple("1779092258", "0"), "no time"),
            (markets("77671", "null"), "its price in usd is nothing"),
            (markets("2026-05-18T08:17:38.000Z", "yesterday"), "no time"),
            (markets("\"2026-05-18T08:17:38.000Z\"", "null"), "no time"),
            (markets("shiba-inu", "bitcoin"), "twice in one answer"),
            (markets("\"bitcoin\"", "null"), "not in the answer"),
        ] {
            let quotes = read(path, &body, &["BTCUSDT"]).unwrap();
            assert!(quotes.quotes.is_empty(), "{body}");
            let said = &quotes.refused[0].1;
            assert!(said.starts_with("host/path: bitcoin: ") && said.contains(why), "{said}");
        }
        for (path, body) in [
            (SIMPLE_PATH, ""),
            (SIMPLE_PATH, "[]"),
            (SIMPLE_PATH, "null"),
            (SIMPLE_PATH, "<html>"),
            (SIMPLE_PATH, r#"{"bitcoin":7}"#),
            (MARKETS_PATH, "{}"),
            (MARKETS_PATH, "[7]"),
            (MARKETS_PATH, ""),
        ] {
            let error = read(path, body, &["BTCUSDT"]).unwrap_err();
            assert!(
                matches!(&error, FetchError::Corrupt(why) if why.starts_with("host/path: ")),
                "{body}: {error:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn damaged_prices_are_prices_or_refused(changes in prop::collection::vec(change(), 1..6)) {
            for (path, body) in [(SIMPLE_PATH, SIMPLE), (MARKETS_PATH, MARKETS)] {
                let text = String::from_utf8_lossy(&damaged(body.into(), &changes)).into_owned();
                match read(path, &text, &["BTCUSDT", "1000SHIBUSDT"]) {
                    Ok(quotes) => {
                        assert_eq!(quotes.quotes.len() + quotes.refused.len(), 2);
                        assert!(quotes.quotes.iter().all(|q| q.price.value() > 0.0 && q.as_of > Timestamp::EPOCH));
                    }
                    Err(error) => assert!(matches!(error, FetchError::Corrupt(_)), "{error:?}"),
                }
            }
        }

        #[test]
        fn moving_the_point_multiplies(mantissa in 1u64..1_000_000_000_000, scale in 0usize..15, power in 1u32..7) {
            let digits = format!("{mantissa:0>width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let moved: f64 = shifted(&format!("{whole}.{fraction}"), power).unwrap().parse().unwrap();
            let expected: f64 = format!("{mantissa}e{}", i64::from(power) - scale as i64).parse().unwrap();
            assert_eq!(moved, expected);
        }
    }
}
