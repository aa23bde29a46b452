//! Long and short positioning: the four statistics under `/futures/data/`.
//!
//! They carry no weight but are counted per call, and remember thirty days. Values are noise around the usual ones, and
//! the three account ratios satisfy `longAccount + shortAccount = 1`, `longShortRatio = longAccount / shortAccount`.

use std::fmt;

use serde_json::{Value, json};

use super::error::ApiError;
use super::parameters::{Parameters, check_symbol};
use crate::market::{ExchangeMarket, Interval, Noise};
use crate::message::Request;
use crate::time::DAY;
use crate::upstream::World;

/// How far back they go.
const MEMORY: i64 = 30 * DAY;
/// Rows when `limit` is not given, and at the most.
const LIMITS: (i64, i64) = (30, 500);

/// Which statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ratio {
    Accounts,
    TopAccounts,
    TopPositions,
    Takers,
}

impl Ratio {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "globalLongShortAccountRatio" => Ratio::Accounts,
            "topLongShortAccountRatio" => Ratio::TopAccounts,
            "topLongShortPositionRatio" => Ratio::TopPositions,
            "takerlongshortRatio" => Ratio::Takers,
            _ => return None,
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

pub(super) fn answer(ratio: Ratio, world: &World, request: &Request, now: i64) -> Result<String, ApiError> {
    let mut parameters = Parameters::of(request)?;
    let symbol = check_symbol(parameters.require("symbol")?)?;
    let period = parameters.require("period")?;
    let limit = parameters.number("limit")?.unwrap_or(LIMITS.0).clamp(1, LIMITS.1);
    let start = parameters.number("startTime")?.map(|value| value.saturating_mul(1000));
    let end = parameters.number("endTime")?.map(|value| value.saturating_mul(1000));
    parameters.finish()?;
    let period = Interval::from_rest(&period)
        .filter(|interval| (Interval::M5..=Interval::D1).contains(interval) && *interval != Interval::H8)
        .and_then(Interval::length)
        .ok_or(ApiError::InvalidValue("period"))?;
    let Some(spec) = world.market.symbol(ExchangeMarket::UsdM, &symbol) else {
        return Err(ApiError::InvalidSymbol);
    };
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        return Err(ApiError::StartAfterEnd);
    }
    let first = (now - MEMORY).max(spec.listed).max(start.unwrap_or(i64::MIN));
    let last = now
        .min(end.unwrap_or(i64::MAX))
        .min(world.market.ended(spec.market, &spec.name).unwrap_or(i64::MAX) - 1);
    let (first, last) = (
        first.div_euclid(period) + i64::from(first.rem_euclid(period) > 0),
        last.div_euclid(period),
    );
    // A start means the oldest from there, as everywhere at this exchange; otherwise the newest.
    let slots = if start.is_some() {
        first..(last + 1).min(first.saturating_add(limit))
    } else {
        first.max(last + 1 - limit)..last + 1
    };
    let noise = Noise::new(world.market.seed(), &format!("{ratio}/{symbol}"));
    let rows: Vec<Value> = slots.map(|slot| row(ratio, &symbol, noise, slot * period)).collect();
    Ok(Value::Array(rows).to_string())
}

fn row(ratio: Ratio, symbol: &str, noise: Noise, at: i64) -> Value {
    let index = at / crate::time::MINUTE;
    let timestamp = at / 1000;
    if ratio == Ratio::Takers {
        let (buy, sell) = (
            400.0 + 600.0 * noise.unit(0, index),
            400.0 + 600.0 * noise.unit(1, index),
        );
        return json!({
            "buySellRatio": format!("{:.4}", buy / sell), "buyVol": format!("{buy:.4}"),
            "sellVol": format!("{sell:.4}"), "timestamp": timestamp,
        });
    }
    let long = ((0.55 + 0.15 * noise.smooth(0, index, 24 * 60)) * 10_000.0).round() / 10_000.0;
    let short = 1.0 - long;
    json!({
        "symbol": symbol, "longAccount": format!("{long:.4}"), "longShortRatio": format!("{:.4}", long / short),
        "shortAccount": format!("{short:.4}"), "timestamp": timestamp,
    })
}
