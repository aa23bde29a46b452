//! `/simple/price`: a map by coin and currency, in which whatever is unknown is simply not there.

use serde_json::{Map, Value, json};

use super::error::Refusal;
use super::{Asked, bent, hidden, printed, whole};
use crate::market::{Coin, coins};
use crate::time::SECOND;

pub(super) fn price(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let parameters = &asked.parameters;
    let chosen = chosen(asked)?;
    // Not trimmed: a blank after a comma makes the rest unknown.
    let currencies: Vec<&str> = parameters.require("vs_currencies")?.split(',').collect();
    let mut answer = Map::new();
    for coin in chosen.into_iter().filter(|coin| !hidden(coin.id, asked.effects)) {
        answer.insert(coin.id.to_owned(), Value::Object(row(asked, &coin, &currencies)));
    }
    Ok(Value::Object(answer))
}

/// The coins named by id, by name or by symbol; of several with one symbol the largest, unless all are wanted.
fn chosen(asked: &Asked<'_>) -> Result<Vec<Coin>, Refusal> {
    let parameters = &asked.parameters;
    let all = || coins().iter().copied();
    if let Some(names) = parameters.get("names").filter(|_| parameters.get("ids").is_none()) {
        let named = |name: &str| all().find(|coin| coin.name.eq_ignore_ascii_case(name));
        return Ok(names.split(',').filter_map(named).collect());
    }
    if let Some(symbols) = parameters.get("symbols").filter(|_| parameters.get("ids").is_none()) {
        let every = parameters.get("include_tokens") == Some("all");
        let with = |symbol: &str| {
            let found = all().filter(|coin| coin.symbol.eq_ignore_ascii_case(symbol));
            found.take(if every { usize::MAX } else { 1 }).collect::<Vec<_>>()
        };
        return Ok(symbols.split(',').flat_map(with).collect());
    }
    let ids = parameters.require("ids")?;
    Ok(ids.split(',').filter_map(|id| asked.world.market.coin(id)).collect())
}

fn row(asked: &Asked<'_>, coin: &Coin, currencies: &[&str]) -> Map<String, Value> {
    let parameters = &asked.parameters;
    let precision = parameters.get("precision");
    let mut row = Map::new();
    let mut updated_at = None;
    for vs in currencies {
        let Some(quote) = asked.world.market.index_quote(coin.id, vs, asked.shown) else {
            continue;
        };
        updated_at = Some(quote.updated_at / SECOND);
        row.insert((*vs).to_owned(), bent(printed(quote.price, precision), asked.effects));
        let extras = [
            ("include_market_cap", "market_cap", whole(quote.market_cap)),
            ("include_24hr_vol", "24h_vol", whole(quote.volume)),
            ("include_24hr_change", "24h_change", json!(quote.change_percent())),
        ];
        for (wanted, name, value) in extras {
            if parameters.is_set(wanted) {
                row.insert(format!("{vs}_{name}"), value);
            }
        }
    }
    if let Some(updated_at) = updated_at.filter(|_| parameters.is_set("include_last_updated_at")) {
        row.insert("last_updated_at".to_owned(), json!(updated_at));
    }
    row
}
