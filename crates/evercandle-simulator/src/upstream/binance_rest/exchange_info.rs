//! What trades, and under which limits.

use serde_json::{Value, json};

use super::Dialect;
use super::error::ApiError;
use super::parameters::{Parameters, check_symbol, symbol_list};
use super::tickers::status;
use crate::market::{Ending, ExchangeMarket, SymbolSpec, SymbolStatus};
use crate::message::Request;
use crate::upstream::World;

/// The delivery date of what never expires, as the exchange writes it: 2100-12-25.
const NEVER: i64 = 4_133_404_800_000;

pub(super) fn answer(
    dialect: Dialect,
    world: &World,
    request: &Request,
    weight_limit: u32,
    now: i64,
) -> Result<String, ApiError> {
    let listed: Vec<SymbolSpec> = world
        .market
        .symbols(dialect.market())
        .into_iter()
        .filter(|spec| spec.listed <= now)
        .collect();
    let symbols = if dialect.is_spot() {
        chosen(listed, world, request, now)?
    } else {
        listed
    };
    let rows: Vec<Value> = symbols.iter().map(|spec| row(spec, world, now)).collect();
    let limits = json!([{
        "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit,
    }, {
        "rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000,
    }]);
    Ok(json!({
        "timezone": "UTC",
        "serverTime": now.div_euclid(1000),
        "rateLimits": limits,
        "exchangeFilters": [],
        "symbols": rows,
    })
    .to_string())
}

/// Applies `symbol`, `symbols` or `symbolStatus`, one of them at most; one bad name fails the whole call.
fn chosen(listed: Vec<SymbolSpec>, world: &World, request: &Request, now: i64) -> Result<Vec<SymbolSpec>, ApiError> {
    let mut parameters = Parameters::of(request)?;
    let one = parameters.take("symbol")?;
    let many = parameters.take("symbols")?;
    parameters.take("permissions")?;
    parameters.take("showPermissionSets")?;
    let wanted = parameters.take("symbolStatus")?.map(|text| status(&text)).transpose()?;
    parameters.finish()?;
    let names: Vec<String> = match (one, many, wanted) {
        (Some(one), None, None) => vec![check_symbol(one)?],
        (None, Some(many), None) => symbol_list(&many)?,
        (None, None, None) => return Ok(listed),
        (None, None, wanted) => {
            let matches = |spec: &SymbolSpec| world.market.status(spec.market, &spec.name, now) == wanted;
            return Ok(listed.into_iter().filter(matches).collect());
        }
        _ => return Err(ApiError::BadCombination),
    };
    names
        .iter()
        .map(|name| {
            listed
                .iter()
                .find(|spec| spec.name == *name)
                .cloned()
                .ok_or(ApiError::InvalidSymbol)
        })
        .collect()
}

fn row(spec: &SymbolSpec, world: &World, now: i64) -> Value {
    let step = |decimals: u8| crate::market::decimal(1, decimals);
    let status = world
        .market
        .status(spec.market, &spec.name, now)
        .map(SymbolStatus::name);
    let filters = json!([
        { "filterType": "PRICE_FILTER", "minPrice": step(spec.tick_decimals), "maxPrice": "1000000.00000000",
          "tickSize": step(spec.tick_decimals) },
        { "filterType": "LOT_SIZE", "minQty": step(spec.lot_decimals), "maxQty": "9000000.00000000",
          "stepSize": step(spec.lot_decimals) },
    ]);
    if spec.market == ExchangeMarket::Spot {
        return json!({
            "symbol": spec.name, "status": status, "baseAsset": spec.base, "baseAssetPrecision": 8,
            "quoteAsset": spec.quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
            "filters": filters, "permissions": [], "permissionSets": [["SPOT"]],
        });
    }
    let (contract_type, delivery) = match spec.ending {
        Ending::Delivery(at) => ("CURRENT_QUARTER", at / 1000),
        Ending::Trading | Ending::Delisted(_) => ("PERPETUAL", NEVER),
    };
    let mut row = json!({
        "symbol": spec.name, "pair": spec.pair(), "contractType": contract_type, "deliveryDate": delivery,
        "onboardDate": spec.listed / 1000, "baseAsset": spec.base, "quoteAsset": spec.quote,
        "pricePrecision": spec.tick_decimals, "quantityPrecision": spec.lot_decimals,
        "underlyingType": "COIN", "filters": filters,
    });
    let (status_name, margin) = match spec.market {
        ExchangeMarket::CoinM => ("contractStatus", &spec.base),
        _ => ("status", &spec.quote),
    };
    row[status_name] = json!(status);
    row["marginAsset"] = json!(margin);
    if spec.market == ExchangeMarket::CoinM {
        row["contractSize"] = json!(spec.contract_size);
    }
    row
}
