//! Binance: one exchange, two ways to its klines.
//!
//! The archives ([`vision`]) hold nearly everything, cost nothing and are a day behind; the REST interface ([`rest`])
//! has everything up to now and counts every call. `README.md` in this folder says what is known of both.

use super::{Entry, Roles};
use crate::config::{ConfigError, ProviderConfig};

mod archive;
mod checksum;
#[cfg(test)]
mod damage;
mod errors;
mod exchange_info;
mod halts;
mod listing;
pub mod rest;
mod rest_json;
pub mod vision;
mod vision_csv;

mod usual_row;

mod digits;

/// Archives.
pub const VISION: Entry = Entry {
    name: vision::NAME,
    about: "bulk archives of whole days and months, about a day behind",
    build: |config, http| {
        Ok(Roles {
            klines: Some(std::sync::Arc::new(vision::Vision::new(config, http)?)),
        })
    },
};

/// REST.
pub const REST: Entry = Entry {
    name: rest::NAME,
    about: "REST, up to the kline in progress, limited by weight per minute",
    build: |config, http| {
        Ok(Roles {
            klines: Some(std::sync::Arc::new(rest::Rest::new(config, http)?)),
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

/// Settings of one upstream with their defaults; names that are not known are refused.
struct Settings<'a> {
    provider: &'static str,
    config: &'a ProviderConfig,
}

impl<'a> Settings<'a> {
    fn new(
        provider: &'static str,
        config: &'a ProviderConfig,
        hosts: &[&str],
        limits: &[&str],
    ) -> Result<Settings<'a>, ConfigError> {
        let unknown = |kind: &str, name: &str, known: &[&str]| {
            let known = known.join(", ");
            ConfigError(format!(
                "providers.{provider}.{kind}.{name}: unknown; expected one of {known}"
            ))
        };
        if let Some(name) = config.hosts.keys().find(|k| !hosts.contains(&k.as_str())) {
            return Err(unknown("hosts", name, hosts));
        }
        if let Some(name) = config.limits.keys().find(|k| !limits.contains(&k.as_str())) {
            return Err(unknown("limits", name, limits));
        }
        Ok(Settings { provider, config })
    }

    fn hosts(&self, role: &str, default: &[&str]) -> Result<Vec<String>, ConfigError> {
        let Some(hosts) = self.config.hosts.get(role) else {
            return Ok(default.iter().map(|h| (*h).to_owned()).collect());
        };
        let fits = |h: &String| !h.is_empty() && h.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c));
        match hosts.iter().find(|h| !fits(h)) {
            None if !hosts.is_empty() => Ok(hosts.clone()),
            wrong => Err(ConfigError(format!(
                "providers.{}.hosts.{role} = {wrong:?}: expected at least one host name, without scheme and path",
                self.provider
            ))),
        }
    }

    fn limit(&self, name: &str, default: u32, max: u32) -> Result<u32, ConfigError> {
        let value = self.config.limits.get(name).copied().unwrap_or(u64::from(default));
        match u32::try_from(value) {
            Ok(value) if (1..=max).contains(&value) => Ok(value),
            _ => Err(ConfigError(format!(
                "providers.{}.limits.{name} = {value}: expected 1 to {max}",
                self.provider
            ))),
        }
    }
}
