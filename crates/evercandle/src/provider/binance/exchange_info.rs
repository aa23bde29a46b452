//! The lists of instruments and the clock.
//!
//! Megabytes of fields of which we use six; unknown ones are ignored and missing ones are normal: spot has no listing
//! time, COIN-M spells `status` otherwise, and entries of the future may lack anything but a name.

use serde::Deserialize;

use super::super::{FetchError, Instrument, json};
use super::instant;
use crate::model::range::Timestamp;

#[derive(Deserialize)]
struct ExchangeInfo {
    symbols: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    symbol: Option<String>,
    status: Option<String>,
    /// COIN-M's word for `status`.
    contract_status: Option<String>,
    base_asset: Option<String>,
    quote_asset: Option<String>,
    /// Futures only.
    onboard_date: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    rate_limits: Vec<RateLimit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimit {
    rate_limit_type: String,
    interval: String,
    interval_num: u32,
    limit: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerTime {
    server_time: i64,
}

/// The instruments of an `exchangeInfo` body.
pub(super) fn parse(place: &str, body: &str) -> Result<Vec<Instrument>, FetchError> {
    let info: ExchangeInfo = json::read(place, body)?;
    let instruments = info.symbols.into_iter().filter_map(|listed| {
        Some(Instrument {
            symbol: listed.symbol.filter(|s| !s.is_empty())?,
            base: listed.base_asset.unwrap_or_default(),
            quote: listed.quote_asset.unwrap_or_default(),
            status: listed.status.or(listed.contract_status).unwrap_or_default(),
            listed_at: listed.onboard_date.filter(|at| *at > 0).map(instant),
        })
    });
    Ok(instruments.collect())
}

/// The weight an address may use in a minute, by an `exchangeInfo` body.
pub(super) fn weight_per_minute(place: &str, body: &str) -> Result<Option<u32>, FetchError> {
    let limits: Limits = json::read(place, body)?;
    let weight = limits
        .rate_limits
        .into_iter()
        .find(|l| l.rate_limit_type == "REQUEST_WEIGHT" && l.interval == "MINUTE" && l.interval_num > 0);
    Ok(weight.map(|l| l.limit / l.interval_num).filter(|limit| *limit > 0))
}

/// The instant of a `time` body.
pub(super) fn server_time(place: &str, body: &str) -> Result<Timestamp, FetchError> {
    json::read::<ServerTime>(place, body).map(|t| instant(t.server_time))
}
