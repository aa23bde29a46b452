//! Prices for the outside: what can be trusted how far, in every format.
//!
//! A substitute is marked where the eye is (the number) and where a program looks (`nature`), because nothing else about
//! it is strange: the digits look right.

use std::time::Duration;

use evercandle::{Market, MissingPrice, Nature, Price, PriceState};
use serde_json::{Value, json};

use super::list::{Column, csv_cell, json_text, left, right, table, tinted};
use crate::args::LatestFormat;
use crate::screen::{Ink, Screen};
use crate::text;

/// Below this, the time of the day says since when.
const A_DAY: Duration = Duration::from_secs(86_400);

const SHOWN: [Column; 9] = [
    left("symbol"),
    left("market").spare(),
    right("price"),
    left("state"),
    right("age").spare(),
    right("24 h").spare(),
    right("volume").spare(),
    left("provider").spare(),
    left("nature"),
];
const NAMES: [&str; 16] = [
    "symbol",
    "market",
    "price",
    "state",
    "halted",
    "nature",
    "substitute",
    "as_of",
    "age_seconds",
    "change_percent",
    "high",
    "low",
    "volume",
    "quote_volume",
    "provider",
    "fetched_at",
];

/// Several prices, and those that are missing with the market they were asked of, as text for stdout.
pub(crate) fn many(
    prices: &[Price],
    missing: &[(Market, MissingPrice)],
    format: LatestFormat,
    screen: &Screen,
) -> String {
    match format {
        LatestFormat::Json => {
            let whole = json!({
                "prices": prices.iter().map(object).collect::<Vec<_>>(),
                "missing": missing.iter().map(reasons).collect::<Vec<_>>(),
            });
            json_text(&format!("{whole:#}\n"))
        }
        _ if prices.is_empty() => String::new(),
        LatestFormat::Table => shown(prices, screen),
        LatestFormat::Csv => csv(prices),
        LatestFormat::Ndjson => prices.iter().map(|p| json_text(&format!("{}\n", object(p)))).collect(),
    }
}

/// One price as text for stdout.
pub(crate) fn one(price: &Price, format: LatestFormat, screen: &Screen) -> String {
    match format {
        LatestFormat::Json => json_text(&format!("{:#}\n", object(price))),
        _ => many(std::slice::from_ref(price), &[], format, screen),
    }
}

/// What must not be overlooked about a price, if anything.
pub(crate) fn warning(price: &Price) -> Option<String> {
    let (symbol, age) = (&price.symbol, text::age(price.age));
    let warning = match (&price.nature, &price.state) {
        (Nature::Substitute(what), state) => {
            let remembered = match state {
                PriceState::LastKnown => ", remembered",
                _ => "",
            };
            Some(format!(
                "{symbol}: not the exchange's price but a substitute{remembered}: {what}; {age} old"
            ))
        }
        (Nature::Exchange, PriceState::Live | PriceState::Substitute) => None,
        (Nature::Exchange, PriceState::Stale) => Some(format!("{symbol}: nothing was traded for {age}")),
        (Nature::Exchange, PriceState::Halted(word)) => Some(format!(
            "{symbol}: the market does not trade ({word}); the price is {age} old"
        )),
        (Nature::Exchange, PriceState::LastKnown) => Some(format!(
            "{symbol}: nobody answered; this price was known before and is {age} old"
        )),
    };
    warning.map(|words| text::foreign(&words))
}

fn shown(prices: &[Price], screen: &Screen) -> String {
    let rows: Vec<Vec<String>> = prices.iter().map(row).collect();
    let text = table(&SHOWN, &rows, screen.stdout_limit);
    match screen.stdout_color {
        true => tinted(&text, "state", |cell| match cell {
            "live" => Some(Ink::Good),
            "substitute" | "last known" => Some(Ink::Warning),
            cell if cell.starts_with("stale") => Some(Ink::Warning),
            cell if cell.starts_with("halted") => Some(Ink::Bad),
            _ => None,
        }),
        false => text,
    }
}

fn row(price: &Price) -> Vec<String> {
    let day = price.day.unwrap_or_default();
    let (mark, nature) = match &price.nature {
        Nature::Exchange => ("", "exchange".to_owned()),
        Nature::Substitute(what) => ("≈ ", format!("SUBSTITUTE: {what}")),
    };
    vec![
        price.symbol.to_string(),
        price.market.to_string(),
        format!("{mark}{}", price.price),
        state(price),
        text::age(price.age),
        day.change_percent.map(|c| format!("{c:+.2} %")).unwrap_or_default(),
        day.volume.map(text::short).unwrap_or_default(),
        price.provider.to_string(),
        nature,
    ]
}

fn state(price: &Price) -> String {
    match &price.state {
        PriceState::Stale => {
            let since = text::second(price.as_of);
            let (day, clock) = since.split_once(' ').unwrap_or((&since, ""));
            match price.age < A_DAY {
                true => format!("stale since {clock}"),
                false => format!("stale since {day}"),
            }
        }
        PriceState::Halted(word) => format!("halted ({word})"),
        PriceState::LastKnown => "last known".to_owned(),
        state @ (PriceState::Live | PriceState::Substitute) => state.as_str().to_owned(),
    }
}

fn csv(prices: &[Price]) -> String {
    let mut text = NAMES.join(",") + "\n";
    for price in prices {
        let object = object(price);
        let cell = |name: &&str| csv_cell(object.get(name).unwrap_or(&object["day"][name]));
        text += &NAMES.iter().map(cell).collect::<Vec<_>>().join(",");
        text.push('\n');
    }
    text
}

/// The price itself is a string, as the exchange prints it: most readers of JSON make doubles of numbers.
fn object(price: &Price) -> Value {
    let day = price.day.map(|day| {
        json!({
            "change_percent": day.change_percent,
            "high": day.high,
            "low": day.low,
            "volume": day.volume,
            "quote_volume": day.quote_volume,
        })
    });
    let (nature, substitute) = match &price.nature {
        Nature::Exchange => ("exchange", None),
        Nature::Substitute(what) => ("substitute", Some(what)),
    };
    let halted = match &price.state {
        PriceState::Halted(word) => Some(word),
        _ => None,
    };
    json!({
        "symbol": price.symbol.as_str(),
        "market": price.market.as_str(),
        "price": price.price.as_str(),
        "state": price.state.as_str(),
        "halted": halted,
        "nature": nature,
        "substitute": substitute,
        "as_of": price.as_of.to_string(),
        "age_seconds": super::seconds(price.age),
        "day": day,
        "provider": price.provider.as_str(),
        "fetched_at": price.fetched_at.to_string(),
        "via": price.via.as_str(),
    })
}

fn reasons((market, missing): &(Market, MissingPrice)) -> Value {
    let told = missing.reasons.iter();
    json!({
        "symbol": missing.symbol.as_str(),
        "market": market.as_str(),
        "unknown": missing.unknown,
        "reasons": told.map(|(name, why)| json!({"provider": name.as_str(), "why": why})).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_table_tells_prices_apart_that_look_alike() {
        let (prices, screen) = (fixture::prices(), fixture::screen(Some(130)));
        insta::assert_snapshot!("prices", many(&prices, &[], LatestFormat::Table, &screen));
        let narrow = many(&prices, &[], LatestFormat::Table, &fixture::screen(Some(60)));
        assert!(
            narrow.contains("≈ 61250.5") && narrow.contains("SUBSTITUTE"),
            "{narrow}"
        );
        assert!(narrow.lines().all(|l| l.chars().count() <= 60), "{narrow}");
    }

    #[test]
    fn colours_go_by_state_and_shift_nothing() {
        let prices = fixture::prices();
        let plain = many(&prices, &[], LatestFormat::Table, &fixture::screen(Some(130)));
        let screen = Screen {
            stdout_color: true,
            ..fixture::screen(Some(130))
        };
        let coloured = many(&prices, &[], LatestFormat::Table, &screen);
        assert!(coloured.contains("\x1b[32mlive\x1b[0m"), "{coloured}");
        assert!(coloured.contains("\x1b[31mhalted (BREAK)\x1b[0m"), "{coloured}");
        let bare = coloured
            .replace("\x1b[0m", "")
            .replace("\x1b[31m", "")
            .replace("\x1b[32m", "")
            .replace("\x1b[33m", "");
        assert_eq!(bare, plain);
    }

    #[test]
    fn programs_get_every_field() {
        let (prices, screen) = (fixture::prices(), fixture::screen(None));
        let unknown = MissingPrice {
            retry_after: None,
            symbol: evercandle::Symbol::new("NOSUCHUSDT").unwrap(),
            unknown: true,
            reasons: vec![(evercandle::ProviderName::new("binance"), "code -1121".to_owned())],
        };
        let missing = [(Market::Spot, unknown)];
        insta::assert_snapshot!("prices_json", many(&prices[..2], &missing, LatestFormat::Json, &screen));
        insta::assert_snapshot!("prices_csv", many(&prices, &missing, LatestFormat::Csv, &screen));
        assert_eq!(
            many(&prices, &[], LatestFormat::Ndjson, &screen).lines().count(),
            prices.len()
        );
    }

    #[test]
    fn only_a_live_price_of_the_exchange_comes_without_a_warning() {
        let warnings: Vec<Option<String>> = fixture::prices().iter().map(warning).collect();
        insta::assert_snapshot!(
            "price_warnings",
            warnings.iter().flatten().cloned().collect::<Vec<_>>().join("\n")
        );
        assert_eq!(warnings.iter().filter(|w| w.is_none()).count(), 1);
    }
}
