//! Upstreams: what one must be able to do, and the catalogue of those there are.
//!
//! A provider translates: a question into a request, a response into values. It never sleeps, retries, caches, paginates
//! or chooses; the engine does. Everything peculiar to an upstream (names, hosts, symbols, limits, quirks) stays in its
//! folder. Adding one means adding a folder, its `mod` line and its line in [`CATALOG`].

use std::sync::Arc;

use async_trait::async_trait;

use crate::answer::ProviderName;
use crate::config::{ConfigError, ProviderConfig};
use crate::model::range::Timestamp;
use crate::model::series::{Market, Series};

pub mod alternative_me;
pub mod binance;
pub mod coingecko;
pub mod http;

#[cfg(test)]
mod damage;
mod fetch_error;
mod json;
mod klines;
mod latest;
mod reply;
mod settings;

pub use fetch_error::{FetchError, Policy, Verdict};
pub use klines::{Fetched, Form, Instrument, KlineProvider, Offer, Slice, Supply};
pub use latest::{PriceProvider, Quotes, SentimentProvider};

/// Every upstream, in order of preference where nothing else decides.
pub const CATALOG: &[Entry] = &[
    binance::VISION,
    binance::SPOT,
    binance::FUTURES,
    coingecko::MARKETS,
    alternative_me::FNG,
];

/// One upstream as the catalogue knows it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name in configuration, logs, metrics and answers.
    pub name: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    /// Makes it from its configuration.
    pub build: fn(&ProviderConfig, &http::Http) -> Result<Roles, ConfigError>,
}

/// One upstream, and what it can do for us.
#[derive(Clone)]
pub struct Roles {
    /// The upstream itself.
    pub provider: Arc<dyn Provider>,
    /// Serves klines.
    pub klines: Option<Arc<dyn KlineProvider>>,
    /// Serves prices.
    pub prices: Option<Arc<dyn PriceProvider>>,
    /// Serves a sentiment.
    pub sentiment: Option<Arc<dyn SentimentProvider>>,
}

/// What every upstream has, whatever it serves: a name, a limit, a pulse.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The name in the catalogue.
    fn name(&self) -> ProviderName;

    /// How a call counts against a limit; `None`: no limit is published.
    fn quota(&self, call: Call<'_>) -> Option<QuotaSpec>;

    /// The upstream's own count of the weight used, from the newest reply that carried one; each is told once.
    fn reported_weight(&self) -> Option<ReportedWeight> {
        None
    }

    /// The limit as the upstream itself publishes it now, in weight per minute; `Ok(None)` when it does not, or when
    /// the configuration decides.
    async fn published_limit(&self) -> Result<Option<u32>, FetchError> {
        Ok(None)
    }

    /// The cheapest evidence that it answers at all.
    async fn probe(&self, method: http::Method) -> Result<Pulse, FetchError>;
}

/// What came of a probe that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// It works, as far as a probe can tell.
    Alive,
    /// It answered that it does not serve this method (404, 405, 501); another may do.
    MethodNotServed,
}

impl Pulse {
    /// What a reply to HEAD means; `accept` is what the upstream makes of a status.
    fn of_head(
        reply: http::Reply,
        accept: impl Fn(http::Reply) -> Result<http::Reply, FetchError>,
    ) -> Result<Pulse, FetchError> {
        match reply.status {
            404 | 405 | 501 => Ok(Pulse::MethodNotServed),
            _ => accept(reply).map(|_| Pulse::Alive),
        }
    }
}

/// What is asked, as far as a limit is concerned.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// A slice of klines.
    Slice(&'a Slice),
    /// When a series began.
    FirstOpen(&'a Series),
    /// The exchange's clock.
    Time(Market),
    /// The list of instruments.
    Instruments(Market),
    /// The newest prices of so many symbols.
    Prices(Market, usize),
    /// A page for finding symbols; see [`PriceProvider::resolve`].
    Resolve,
    /// So many readings.
    Readings(u32),
    /// The published limit.
    Limit,
    /// A probe.
    Probe,
}

/// How a call is counted against an upstream's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSpec {
    /// Calls with the same group share one limit.
    pub group: &'static str,
    /// Weight per minute that the upstream allows, as far as known before it said so itself.
    pub weight_per_minute: u32,
    /// Weight of this call.
    pub weight: u32,
}

/// An upstream's own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedWeight {
    /// Weight used by our address in the upstream's current minute.
    pub weight: u32,
    /// When the upstream said so, by its own clock.
    pub at: Timestamp,
}
