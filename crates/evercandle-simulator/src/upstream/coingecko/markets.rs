//! `/coins/markets`: a table by market capitalisation, nearly every cell of which can be null.

use serde_json::{Value, json};

use super::error::Refusal;
use super::{Asked, bent, hidden, printed, whole};
use crate::market::{Coin, coins};
use crate::time::{DAY, HOUR, iso};

/// Rows per page, asked for or not.
const PAGE: (usize, usize) = (100, 250);
/// Spans that changes can be asked for.
const SPANS: [(&str, i64); 7] = [
    ("1h", HOUR),
    ("24h", DAY),
    ("7d", 7 * DAY),
    ("14d", 14 * DAY),
    ("30d", 30 * DAY),
    ("200d", 200 * DAY),
    ("1y", 365 * DAY),
];

pub(super) fn answer(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let parameters = &asked.parameters;
    let vs = parameters.require("vs_currency")?;
    if !asked.world.market.index_currencies().contains(&vs) {
        return Err(Refusal::InvalidCurrency);
    }
    // Trimmed, unlike on `/simple/price`.
    let ids: Option<Vec<&str>> = parameters.get("ids").map(|ids| ids.split(',').map(str::trim).collect());
    let symbols: Option<Vec<&str>> = parameters
        .get("symbols")
        .map(|it| it.split(',').map(str::trim).collect());
    let wanted = |coin: &Coin| match (&ids, &symbols) {
        (Some(ids), _) => ids.contains(&coin.id),
        (None, Some(symbols)) => symbols.iter().any(|symbol| symbol.eq_ignore_ascii_case(coin.symbol)),
        (None, None) => true,
    };
    let size = parameters.count("per_page", PAGE.0).min(PAGE.1);
    let skipped = (parameters.count("page", 1) - 1).saturating_mul(size);
    let ranked = coins().iter().enumerate().filter(|(_, coin)| wanted(coin));
    let rows = ranked.skip(skipped).take(size);
    let rows = rows.filter(|(_, coin)| !hidden(coin.id, asked.effects));
    Ok(Value::Array(
        rows.map(|(rank, coin)| row(asked, coin, rank + 1, vs)).collect(),
    ))
}

fn row(asked: &Asked<'_>, coin: &Coin, rank: usize, vs: &str) -> Value {
    let quote = asked.world.market.index_quote(coin.id, vs, asked.shown);
    let of = |value: Option<f64>| value.map_or(Value::Null, whole);
    let price = |value: Option<f64>| value.map_or(Value::Null, |value| printed(value, None));
    let change = quote.map(|quote| quote.price - quote.price_day_ago);
    // Ether has no largest supply; the index then has no diluted value either.
    let capped = coin.id != "ethereum" && coin.supply > 0.0;
    let supply = (coin.supply > 0.0).then_some(coin.supply);
    let image = format!(
        "https://coin-images.coingecko.com/coins/images/{rank}/large/{}.png",
        coin.id
    );
    let mut row = json!({
        "id": coin.id, "symbol": coin.symbol, "name": coin.name, "image": image,
        "current_price": bent(price(quote.map(|quote| quote.price)), asked.effects),
        "market_cap": of(quote.map(|quote| quote.market_cap.round())),
        "market_cap_rank": quote.map(|_| rank),
        "fully_diluted_valuation": of(quote.filter(|_| capped).map(|quote| (quote.market_cap * 1.05).round())),
        "total_volume": of(quote.map(|quote| quote.volume.round())),
        "high_24h": price(quote.map(|quote| quote.high)), "low_24h": price(quote.map(|quote| quote.low)),
        "price_change_24h": change,
        "price_change_percentage_24h": quote.map(|quote| round(quote.change_percent(), 5)),
        "market_cap_change_24h": of(change.map(|change| (change * coin.supply).round())),
        "market_cap_change_percentage_24h": quote.map(|quote| round(quote.change_percent(), 5)),
        "circulating_supply": supply, "total_supply": supply,
        "max_supply": supply.filter(|_| capped).map(|supply| supply * 1.05),
        "ath": price(quote.map(|quote| quote.high * 1.5)), "ath_change_percentage": quote.map(|_| -33.3),
        "ath_date": quote.map(|_| "2025-10-06T18:57:42.558Z"),
        "atl": price(quote.map(|quote| quote.low * 0.01)), "atl_change_percentage": quote.map(|_| 9900.0),
        "atl_date": quote.map(|_| "2015-10-20T00:00:00.000Z"),
        "roi": null, "last_updated": quote.map(|quote| iso(quote.updated_at)),
    });
    for (name, span) in SPANS {
        let wanted = asked.parameters.get("price_change_percentage");
        if wanted.is_some_and(|spans| spans.split(',').any(|span| span.trim() == name)) {
            let before = asked.world.market.index_price(coin.id, vs, asked.shown - span);
            let change = quote
                .zip(before)
                .map(|(quote, before)| (quote.price / before - 1.0) * 100.0);
            row[format!("price_change_percentage_{name}_in_currency")] = json!(change);
        }
    }
    row
}

fn round(number: f64, places: i32) -> f64 {
    let factor = 10f64.powi(places);
    (number * factor).round() / factor
}
