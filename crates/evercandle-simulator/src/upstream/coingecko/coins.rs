//! `/coins/list` and `/coins/{id}`.

use serde_json::{Map, Value, json};

use super::error::Refusal;
use super::{Asked, printed, whole};
use crate::market::{CoinSource, IndexQuote, coins};
use crate::time::iso;

/// Every coin by id. Symbols repeat, and are neither all lower case nor all ASCII.
pub(super) fn list(asked: &Asked<'_>) -> Value {
    let platforms = asked.parameters.is_set("include_platform");
    let inactive = asked.parameters.get("status") == Some("inactive");
    let rows = coins()
        .iter()
        .filter(|coin| inactive == (coin.source == CoinSource::Dormant && asked.parameters.get("status").is_some()));
    Value::Array(
        rows.map(|coin| {
            let mut row = json!({ "id": coin.id, "symbol": coin.symbol, "name": coin.name });
            if platforms {
                row["platforms"] = json!({});
            }
            row
        })
        .collect(),
    )
}

/// One coin with its votes and its prices in every currency.
pub(super) fn one(asked: &Asked<'_>, id: &str) -> Result<Value, Refusal> {
    let market = &asked.world.market;
    let coin = market.coin(id).ok_or(Refusal::NotFound("coin not found"))?;
    let quotes: Vec<(&str, IndexQuote)> = market
        .index_currencies()
        .into_iter()
        .filter_map(|vs| Some((vs, market.index_quote(id, vs, asked.shown)?)))
        .collect();
    let by_currency = |value: &dyn Fn(&IndexQuote) -> Value| {
        let pairs = quotes.iter().map(|(vs, quote)| ((*vs).to_owned(), value(quote)));
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    let updated = quotes.first().map(|(_, quote)| iso(quote.updated_at));
    let up = market.coin_votes_up(id, asked.shown);
    let rank = coins().iter().position(|known| known.id == id).map(|rank| rank + 1);
    Ok(json!({
        "id": coin.id, "symbol": coin.symbol, "name": coin.name, "categories": [],
        "sentiment_votes_up_percentage": up,
        "sentiment_votes_down_percentage": up.map(|up| ((100.0 - up) * 100.0).round() / 100.0),
        "market_cap_rank": rank.filter(|_| !quotes.is_empty()),
        "market_data": {
            "current_price": by_currency(&|quote| printed(quote.price, None)),
            "market_cap": by_currency(&|quote| whole(quote.market_cap.round())),
            "total_volume": by_currency(&|quote| whole(quote.volume.round())),
            "price_change_percentage_24h": quotes.first().map(|(_, quote)| quote.change_percent()),
            "last_updated": updated,
        },
        "last_updated": updated,
    }))
}
