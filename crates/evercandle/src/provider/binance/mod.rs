//! Binance: one exchange, two ways to its klines, and its prices.
//!
//! The archives ([`vision`]) hold nearly everything, cost nothing and are a day behind; the REST interface ([`rest`])
//! has everything up to now and counts every call. `README.md` in this folder says what is known of both.

use std::sync::Arc;

use super::{Entry, Roles};
use crate::model::range::Timestamp;

mod archive;
mod checksum;
#[cfg(test)]
mod damage;
mod door;
mod errors;
mod exchange_info;
mod funding;
mod halts;
mod listing;
mod pages;
mod ratios;
pub mod rest;
mod rest_json;
mod tickers;
pub mod vision;
mod vision_csv;

mod usual_row;

mod digits;

/// Archives.
pub const VISION: Entry = Entry {
    name: vision::NAME,
    about: "bulk archives of whole days and months, about a day behind",
    build: |config, http| {
        let vision = Arc::new(vision::Vision::new(config, http)?);
        Ok(Roles {
            provider: vision.clone(),
            klines: Some(vision),
            prices: None,
            sentiment: None,
        })
    },
};

/// REST of the spot market.
pub const SPOT: Entry = Entry {
    name: rest::SPOT,
    about: "REST of the spot market: klines up to the one in progress, and prices; limited by weight per minute",
    build: |config, http| {
        let rest = Arc::new(rest::Rest::spot(config, http)?);
        Ok(Roles {
            provider: rest.clone(),
            klines: Some(rest.clone()),
            prices: Some(rest),
            sentiment: None,
        })
    },
};

/// REST of both futures markets, which share machines and limit.
pub const FUTURES: Entry = Entry {
    name: rest::FUTURES,
    about: "REST of the futures markets: klines up to the one in progress, prices, positioning; limited by weight per minute",
    build: |config, http| {
        let rest = Arc::new(rest::Rest::futures(config, http)?);
        Ok(Roles {
            provider: rest.clone(),
            klines: Some(rest.clone()),
            prices: Some(rest.clone()),
            sentiment: Some(rest),
        })
    },
};

/// Timestamps from here on are microseconds, below milliseconds; 1e14 ms is the year 5138, 1e14 µs is 1973.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;

/// Microseconds per unit of a row's times, told by the magnitude of its open time. The unit was changed once and files
/// of both kinds exist, so the row decides, not the date and not the market.
#[inline]
fn micros_per_unit(open_time: i64) -> i64 {
    if open_time >= MICROSECONDS_FROM { 1 } else { 1_000 }
}

/// The instant of a time as printed, in whichever unit.
fn instant(units: i64) -> Timestamp {
    Timestamp::from_micros(units.saturating_mul(micros_per_unit(units)))
}
