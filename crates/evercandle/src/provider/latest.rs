//! Serving the newest value of something: a price, a sentiment.

use async_trait::async_trait;

use super::{FetchError, Provider};
use crate::model::range::Timestamp;
use crate::model::series::Market;
use crate::model::symbol::Symbol;
use crate::price::Quote;
use crate::sentiment::{Measure, Reading};

/// Serves prices.
#[async_trait]
pub trait PriceProvider: Provider {
    /// Whether its prices are another instrument's, standing in for the exchange's.
    fn substitutes(&self) -> bool {
        false
    }

    /// How many symbols of a market one question may name; 0: it does not serve that market.
    fn symbols_max(&self, market: Market) -> usize;

    /// Asks once for the prices of up to [`symbols_max`](PriceProvider::symbols_max) symbols. What it does not have is
    /// missing from the answer, with the reason where there is one; nothing else is ever in it.
    ///
    /// # Errors
    /// [`FetchError::UnknownSymbol`] when the question failed because at least one symbol does not exist.
    async fn prices(&self, market: Market, symbols: &[Symbol]) -> Result<Quotes, FetchError>;

    /// Reads one more page of whatever it needs to find symbols it does not know yet; `Ok(false)` when there is no
    /// further one. Asked only after [`Quotes::unresolved`] named some.
    async fn resolve(&self) -> Result<bool, FetchError> {
        Ok(false)
    }
}

/// What a provider says of several prices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quotes {
    /// At most one per symbol asked for.
    pub quotes: Vec<Quote>,
    /// Symbols it does not serve, and why: no such pair, ambiguous, no usable value.
    pub refused: Vec<(Symbol, String)>,
    /// Symbols that do not exist at the exchange, by its own list.
    pub unknown: Vec<Symbol>,
    /// Symbols it could not look up yet; [`PriceProvider::resolve`] may find them.
    pub unresolved: Vec<Symbol>,
    /// When it said so, by its own clock, so that ages do not depend on ours.
    pub told_at: Option<Timestamp>,
}

/// Serves a sentiment.
#[async_trait]
pub trait SentimentProvider: Provider {
    /// What it measures. Values of different measures are never mixed.
    fn measure(&self) -> Measure;

    /// Asks once for the newest `count` readings, newest first. Those that do not exist are left out.
    async fn readings(&self, count: u32) -> Result<Vec<Reading>, FetchError>;
}
