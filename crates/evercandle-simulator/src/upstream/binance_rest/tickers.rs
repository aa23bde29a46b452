//! The ticker endpoints: `ticker/price` and `ticker/24hr`.
//!
//! Spot answers one object for `symbol` and an array otherwise, checks a `symbolStatus`, and drops the symbols of a list
//! that do not match without a word. USD-M does the first only; COIN-M always answers an array.
//! Symbols that stopped trading answer too, with the price they stopped at: `closeTime` is all that tells.

use serde_json::{Map, Value, json};

use super::Dialect;
use super::error::ApiError;
use super::parameters::{Parameters, check_symbol, symbol_list};
use crate::fault::Effect;
use crate::market::{SymbolSpec, SymbolStatus, Ticker, decimal};
use crate::message::Request;
use crate::time::{HOUR, TimeUnit};
use crate::upstream::World;

/// Which of the two endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Price,
    Day,
}

/// What a call costs: by the number of symbols asked for.
pub(super) fn weight(kind: Kind, dialect: Dialect, request: &Request) -> u32 {
    let pairs = request.query_pairs();
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let one = value("symbol").is_some() || (dialect == Dialect::CoinM && value("pair").is_some());
    let many = value("symbols").map(|list| list.split(',').count());
    match (kind, dialect.is_spot()) {
        (Kind::Price, true) => {
            if one {
                2
            } else {
                4
            }
        }
        (Kind::Day, true) => match many {
            _ if one => 2,
            Some(..=20) => 2,
            Some(..=100) => 40,
            _ => 80,
        },
        (Kind::Price, false) => 2 - u32::from(one),
        (Kind::Day, false) => {
            if one {
                1
            } else {
                40
            }
        }
    }
}

/// What a request asks for, once it has proved legal.
struct Query {
    chosen: Vec<SymbolSpec>,
    /// Whether it named one symbol, so that the answer is no array.
    single: bool,
    /// `type=MINI`
    mini: bool,
}

pub(super) fn answer(
    kind: Kind,
    dialect: Dialect,
    world: &World,
    request: &Request,
    unit: TimeUnit,
    effects: &[Effect],
    now: i64,
) -> Result<String, ApiError> {
    let query = parse(kind, dialect, world, request, now)?;
    let hours = effects.iter().fold(0i64, |hours, effect| match effect {
        Effect::StalePrice { hours: more } => hours.saturating_add(*more),
        _ => hours,
    });
    let as_of = |instant: i64, spec: &SymbolSpec| -> Option<Value> {
        let ticker = world.market.ticker(spec.market, &spec.name, instant)?;
        let row = match kind {
            Kind::Price => price(dialect, spec, &ticker, unit),
            Kind::Day => day(dialect, spec, &ticker, unit, query.mini),
        };
        Some(Value::Object(row))
    };
    let shown = now.saturating_sub(hours.saturating_mul(HOUR)).clamp(0, now.max(0));
    let mut rows: Vec<Value> = query.chosen.iter().filter_map(|spec| as_of(shown, spec)).collect();
    if !query.single {
        for effect in effects {
            match effect {
                Effect::MissingTicker { symbol } => rows.retain(|row| row["symbol"] != symbol.as_str()),
                Effect::DuplicateTickers => {
                    let older = shown.saturating_sub(HOUR);
                    rows.extend(
                        query
                            .chosen
                            .iter()
                            .filter_map(|spec| as_of(older, spec))
                            .collect::<Vec<_>>(),
                    );
                }
                _ => {}
            }
        }
    }
    for effect in effects {
        match effect {
            Effect::MislabelledTicker { symbol } => {
                if let Some(row) = rows.first_mut() {
                    row["symbol"] = json!(symbol);
                }
            }
            Effect::PriceText { text } => {
                let name = if kind == Kind::Price { "price" } else { "lastPrice" };
                rows.iter_mut().for_each(|row| row[name] = json!(text));
            }
            _ => {}
        }
    }
    Ok(match (query.single && dialect != Dialect::CoinM, rows.is_empty()) {
        (true, false) => rows.swap_remove(0).to_string(),
        (true, true) => return Err(ApiError::InvalidSymbol),
        (false, _) => Value::Array(rows).to_string(),
    })
}

fn parse(kind: Kind, dialect: Dialect, world: &World, request: &Request, now: i64) -> Result<Query, ApiError> {
    let mut parameters = Parameters::of(request)?;
    let one = parameters.take("symbol")?.map(check_symbol).transpose()?;
    let (mut many, mut wanted, mut mini, mut pair) = (None, None, false, None);
    if dialect.is_spot() {
        many = parameters.take("symbols")?.map(|text| symbol_list(&text)).transpose()?;
        wanted = parameters.take("symbolStatus")?.map(|text| status(&text)).transpose()?;
        if kind == Kind::Day {
            mini = match parameters.take("type")?.as_deref() {
                None | Some("FULL") => false,
                Some("MINI") => true,
                Some(_) => return Err(ApiError::BadTickerType),
            };
        }
    } else if dialect == Dialect::CoinM {
        pair = parameters.take("pair")?;
    }
    parameters.finish()?;
    if one.is_some() && (many.is_some() || pair.is_some()) {
        return Err(ApiError::BadCombination);
    }
    let market = dialect.market();
    let listed: Vec<SymbolSpec> = world
        .market
        .symbols(market)
        .into_iter()
        .filter(|spec| spec.listed <= now)
        .collect();
    let matches = |spec: &SymbolSpec| match wanted {
        Some(wanted) => world.market.status(market, &spec.name, now) == Some(wanted),
        None => true,
    };
    let find = |name: &String| {
        let found = listed.iter().find(|spec| spec.name == *name);
        found.cloned().ok_or(ApiError::InvalidSymbol)
    };
    let single = one.is_some();
    let chosen = match (&one, &many) {
        (Some(name), _) => {
            let spec = find(name)?;
            if !matches(&spec) {
                return Err(ApiError::StatusMismatch);
            }
            vec![spec]
        }
        (None, Some(names)) => {
            let found: Vec<SymbolSpec> = names.iter().map(find).collect::<Result<_, _>>()?;
            found.into_iter().filter(matches).collect()
        }
        (None, None) => {
            // Futures list what trades; spot answers for what is gone as well.
            let shown = |spec: &SymbolSpec| dialect.is_spot() || spec.trades_at(now);
            listed
                .iter()
                .filter(|spec| shown(spec) && pair.as_ref().is_none_or(|pair| spec.pair() == *pair))
                .filter(|spec| matches(spec))
                .cloned()
                .collect()
        }
    };
    Ok(Query { chosen, single, mini })
}

/// The statuses that can be asked for.
pub(super) fn status(text: &str) -> Result<SymbolStatus, ApiError> {
    SymbolStatus::from_name(text)
        .filter(|status| *status != SymbolStatus::Settling)
        .ok_or(ApiError::BadStatus)
}

fn price(dialect: Dialect, spec: &SymbolSpec, ticker: &Ticker, unit: TimeUnit) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("symbol".to_owned(), json!(ticker.symbol));
    if dialect == Dialect::CoinM {
        row.insert("ps".to_owned(), json!(spec.pair()));
    }
    row.insert("price".to_owned(), json!(ticker.last_price_text()));
    if !dialect.is_spot() {
        row.insert("time".to_owned(), json!(unit.count(ticker.close_time)));
    }
    row
}

fn day(dialect: Dialect, spec: &SymbolSpec, ticker: &Ticker, unit: TimeUnit, mini: bool) -> Map<String, Value> {
    let quantity = |mantissa: i128| json!(decimal(mantissa, ticker.scales.quantity));
    let price = |mantissa: i64| json!(ticker.price_text(mantissa));
    let worth = |mantissa: i128| json!(decimal(mantissa, ticker.scales.quote));
    let last_quantity = ticker.volume / i128::from(ticker.trades.max(1));
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| drop(row.insert(name.to_owned(), value));
    put("symbol", json!(ticker.symbol));
    if dialect == Dialect::CoinM {
        put("pair", json!(spec.pair()));
    }
    if !mini {
        put("priceChange", price(ticker.last_price - ticker.open_price));
        put("priceChangePercent", json!(ticker.change_percent_text()));
        put("weightedAvgPrice", price(ticker.average_price()));
        if dialect.is_spot() {
            put("prevClosePrice", price(ticker.open_price));
        }
    }
    put("lastPrice", price(ticker.last_price));
    if !mini {
        put("lastQty", quantity(last_quantity));
    }
    if dialect.is_spot() && !mini {
        // Nobody bids for what does not trade.
        let offers = i64::from(ticker.trading);
        put("bidPrice", price(ticker.last_price * offers));
        put("bidQty", quantity(last_quantity * i128::from(offers) * 3));
        put("askPrice", price((ticker.last_price + ticker.tick) * offers));
        put("askQty", quantity(last_quantity * i128::from(offers) * 2));
    }
    put("openPrice", price(ticker.open_price));
    put("highPrice", price(ticker.high_price));
    put("lowPrice", price(ticker.low_price));
    put("volume", quantity(ticker.volume));
    let value_name = if dialect == Dialect::CoinM {
        "baseVolume"
    } else {
        "quoteVolume"
    };
    put(value_name, worth(ticker.quote_volume));
    put("openTime", json!(unit.count(ticker.open_time)));
    put("closeTime", json!(unit.count(ticker.close_time)));
    let (first, last) = trade_ids(spec, ticker);
    put("firstId", json!(first));
    put("lastId", json!(last));
    put("count", json!(ticker.trades));
    row
}

/// Numbers for trades that nobody numbered: they grow with time, and agree with the count.
fn trade_ids(spec: &SymbolSpec, ticker: &Ticker) -> (i64, i64) {
    if ticker.trades == 0 {
        return (-1, -1);
    }
    let minutes = (ticker.open_time - spec.listed).max(0) / crate::time::MINUTE;
    let first = (minutes as f64 * spec.trades_per_minute * 4.0) as i64;
    (first, first + ticker.trades as i64 - 1)
}
