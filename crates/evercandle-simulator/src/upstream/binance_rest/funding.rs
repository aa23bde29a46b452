//! The history of funding rates: `fundingRate` of both futures interfaces.
//!
//! From a start on, the oldest first; with neither end given the newest, 200 of them on USD-M. USD-M counts calls, 500
//! in five minutes, together with `fundingInfo`; on COIN-M each weighs 1. Contracts that expire have none, which is no
//! error.

use serde_json::{Value, json};

use super::Dialect;
use super::error::ApiError;
use super::parameters::Parameters;
use crate::fault::Effect;
use crate::market::FundingRate;
use crate::message::Request;
use crate::time::{DAY, HOUR};
use crate::upstream::World;

/// Rows when `limit` is not given, and at the most.
const LIMITS: (i64, i64) = (100, 1000);
/// Rows of USD-M when nothing is given.
const NEWEST: i64 = 200;
/// No instant is later.
const LATEST: i64 = 250_000_000_000_000_000;

pub(super) fn answer(
    dialect: Dialect,
    world: &World,
    request: &Request,
    effects: &[Effect],
    now: i64,
) -> Result<String, ApiError> {
    let mut parameters = Parameters::of(request)?;
    let mut symbol = parameters.symbol()?;
    let instant = |value: i64| value.saturating_mul(1000).min(LATEST);
    let start = parameters.number("startTime")?.map(instant);
    let end = parameters.number("endTime")?.map(instant);
    let limit = parameters.number("limit")?;
    parameters.finish()?;
    if world.market.symbol(dialect.market(), &symbol).is_none() {
        return Err(ApiError::InvalidSymbol);
    }
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        return Err(ApiError::StartAfterEnd);
    }
    let default = match (start, end) {
        (None, None) if dialect == Dialect::UsdM => NEWEST,
        _ => LIMITS.0,
    };
    let mut limit = limit.unwrap_or(default).clamp(1, LIMITS.1) as usize;
    let mut window = (start.unwrap_or(0), end.unwrap_or(LATEST));
    for effect in effects {
        match effect {
            Effect::WrongSymbol { symbol: other } => symbol.clone_from(other),
            Effect::WrongRange { hours } => {
                let by = hours.saturating_mul(HOUR);
                window = (
                    window.0.saturating_add(by).min(LATEST),
                    window.1.saturating_add(by).min(LATEST),
                );
            }
            Effect::CapRows { rows } => limit = limit.min(*rows),
            _ => {}
        }
    }
    // Both ends are included, in milliseconds.
    let until = window.1.saturating_add(1000).min(now.saturating_add(1));
    let listed = world
        .market
        .symbol(dialect.market(), &symbol)
        .map_or(0, |spec| spec.listed);
    let from = window.0.max(listed);
    let newest = start.is_none();
    let rates = page(limit, newest, from..until, |instants| {
        world.market.funding_rates(dialect.market(), &symbol, instants)
    });
    let mut rows: Vec<Value> = rates.iter().map(|rate| row(dialect, &symbol, rate)).collect();
    effects.iter().for_each(|effect| bend(&mut rows, effect));
    Ok(Value::Array(rows).to_string())
}

/// The rates of a page, without inventing those of all the years that are not on it.
fn page(
    limit: usize,
    newest: bool,
    instants: std::ops::Range<i64>,
    rates: impl Fn(std::ops::Range<i64>) -> Vec<FundingRate>,
) -> Vec<FundingRate> {
    // Eight hours apart at the most, and a day for a beginning between two.
    let span = (limit as i64 + 3).saturating_mul(8 * HOUR) + DAY;
    if newest {
        let mut found = rates(instants.end.saturating_sub(span).max(instants.start)..instants.end);
        return found.split_off(found.len().saturating_sub(limit));
    }
    let mut found = rates(instants.start..instants.end.min(instants.start.saturating_add(span)));
    found.truncate(limit);
    found
}

fn row(dialect: Dialect, symbol: &str, rate: &FundingRate) -> Value {
    let (time, text) = (rate.funding_time / 1000, rate.rate_text());
    match dialect {
        Dialect::CoinM => json!({ "symbol": symbol, "fundingTime": time, "fundingRate": text }),
        _ => json!({
            "symbol": symbol, "fundingTime": time, "fundingRate": text, "markPrice": rate.mark_price,
            "rateType": "Regular",
        }),
    }
}

fn bend(rows: &mut Vec<Value>, effect: &Effect) {
    let middle = rows.len() / 2;
    match effect {
        Effect::ExtraFields => rows.iter_mut().for_each(|row| row["extra"] = json!(null)),
        Effect::QuotedNumbers => rows
            .iter_mut()
            .for_each(|row| row["fundingTime"] = json!(row["fundingTime"].to_string())),
        Effect::MissingRow if rows.len() > 2 => drop(rows.remove(middle)),
        Effect::FutureRow => {
            if let Some(mut row) = rows.last().cloned() {
                row["fundingTime"] = json!(row["fundingTime"].as_i64().unwrap_or(0) + 2 * DAY / 1000);
                rows.push(row);
            }
        }
        Effect::PageRepeatsRows => {
            *rows = rows.drain(..).flat_map(|row| std::iter::repeat_n(row, 3)).collect();
        }
        Effect::PageOutOfOrder => rows.rotate_left(middle),
        Effect::NotANumber => {
            if let Some(row) = rows.get_mut(middle) {
                row["fundingRate"] = json!("NaN");
            }
        }
        _ => {}
    }
}
