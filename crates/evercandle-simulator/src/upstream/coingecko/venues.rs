//! `/exchanges/binance/tickers`: which coin ids stand behind the symbols of a venue.

use serde_json::{Value, json};

use super::{Asked, whole};
use crate::market::{CoinSource, ExchangeMarket, SymbolSpec, coins};
use crate::time::{DAY, iso};

/// Rows per page.
const PAGE: usize = 100;

pub(super) fn tickers(asked: &Asked<'_>) -> Value {
    let market = &asked.world.market;
    let listed = market.symbols(ExchangeMarket::Spot);
    let skipped = (asked.parameters.count("page", 1) - 1).saturating_mul(PAGE);
    let wanted: Option<Vec<&str>> = asked.parameters.get("coin_ids").map(|ids| ids.split(',').collect());
    let rows = listed.iter().filter(|spec| match &wanted {
        Some(ids) => coin_id(spec).is_some_and(|id| ids.contains(&id)),
        None => true,
    });
    let rows = rows.filter_map(|spec| row(asked, spec)).skip(skipped).take(PAGE);
    json!({ "name": "Binance", "tickers": rows.collect::<Vec<_>>() })
}

fn row(asked: &Asked<'_>, spec: &SymbolSpec) -> Option<Value> {
    let ticker = asked.world.market.ticker(spec.market, &spec.name, asked.shown)?;
    // What has not traded for long is left out in the end; until then it is stale.
    if asked.shown - ticker.close_time > 30 * DAY {
        return None;
    }
    // Whole seconds with an offset here, milliseconds with a Z elsewhere.
    let traded = iso(ticker.close_time).chars().take(19).collect::<String>() + "+00:00";
    let volume = crate::market::number(ticker.volume, ticker.scales.quantity);
    Some(json!({
        "base": spec.base, "target": spec.quote,
        "market": { "name": "Binance", "identifier": "binance", "has_trading_incentive": false },
        "last": whole(ticker.last_price_number()), "volume": whole(volume),
        "trust_score": "green", "bid_ask_spread_percentage": 0.01,
        "timestamp": traded, "last_traded_at": traded, "last_fetch_at": traded,
        "is_anomaly": false, "is_stale": !ticker.trading,
        "trade_url": format!("https://www.binance.com/en/trade/{}_{}", spec.base, spec.quote), "token_info_url": null,
        "coin_id": coin_id(spec), "target_coin_id": target_id(&spec.quote),
    }))
}

/// The coin behind the base asset of a symbol.
fn coin_id(spec: &SymbolSpec) -> Option<&'static str> {
    let is_it = |source: CoinSource| match source {
        CoinSource::Symbol(market, symbol, _) => market == spec.market && symbol == spec.name,
        CoinSource::InBitcoin(symbol) => symbol == spec.name,
        _ => false,
    };
    coins().iter().find(|coin| is_it(coin.source)).map(|coin| coin.id)
}

fn target_id(asset: &str) -> Option<&'static str> {
    coins()
        .iter()
        .find(|coin| coin.symbol.eq_ignore_ascii_case(asset))
        .map(|coin| coin.id)
}
