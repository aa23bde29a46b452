//! A price: a number plus how far it can be trusted.
//!
//! The same digits can be the exchange's last trade a second ago, an index of other venues, or what was known before an
//! outage. Whoever shows a price must be able to tell these apart, so none of them is ever just a number.

use std::fmt;
use std::time::Duration;

use crate::answer::{Attempt, ProviderName, Via};
use crate::error::Error;
use crate::model::range::Timestamp;
use crate::model::series::Market;
use crate::model::symbol::Symbol;

/// A question: the newest prices of some symbols of one market.
#[derive(Clone, Debug)]
pub struct PriceRequest {
    /// Where they are traded.
    pub market: Market,
    /// Which; asked for in as few calls as the upstreams allow.
    pub symbols: Vec<Symbol>,
    /// Whether another instrument's price will do when the exchange cannot be asked.
    pub substitutes: Substitutes,
    /// How long the whole answer may take; absent: the configured default.
    pub deadline: Option<Duration>,
}

impl PriceRequest {
    /// These symbols, substitutes allowed, within the default deadline.
    pub fn new(market: Market, symbols: Vec<Symbol>) -> PriceRequest {
        PriceRequest {
            market,
            symbols,
            substitutes: Substitutes::Allow,
            deadline: None,
        }
    }
}

/// Whether another instrument's price will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Substitutes {
    /// Yes, labelled.
    #[default]
    Allow,
    /// Only the exchange's own price, if need be an old one.
    Refuse,
}

/// The newest prices that could be had.
#[derive(Clone, Debug)]
pub struct Prices {
    /// In the order asked for, without those that are missing.
    pub prices: Vec<Price>,
    /// Symbols without any price, and every upstream's reason.
    pub missing: Vec<MissingPrice>,
    /// Every upstream call and every upstream passed over, in order of time.
    pub trail: Vec<Attempt>,
}

/// A symbol without a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPrice {
    /// Which.
    pub symbol: Symbol,
    /// Whether the exchange says that there is no such symbol.
    pub unknown: bool,
    /// What each upstream said.
    pub reasons: Vec<(ProviderName, String)>,
    /// In how long the first upstream is asked again, when all of them rest.
    pub retry_after: Option<Duration>,
}

impl MissingPrice {
    /// The same as an error, for whoever asked for this one alone: [`Error::UnknownSymbol`] or [`Error::NoUpstream`].
    pub fn into_error(self, market: Market) -> Error {
        let MissingPrice {
            symbol,
            unknown,
            reasons,
            retry_after,
        } = self;
        match unknown {
            true => Error::UnknownSymbol {
                market,
                symbol,
                why: reasons
                    .first()
                    .map(|(name, why)| format!("{name}: {why}"))
                    .unwrap_or_default(),
            },
            false => Error::NoUpstream {
                what: format!("price of {market} {symbol}"),
                reasons,
                retry_after,
            },
        }
    }
}

/// One instrument's newest known price.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// Where it is traded.
    pub market: Market,
    /// Which instrument.
    pub symbol: Symbol,
    /// The price, in units of the symbol's quote asset (for a substitute: nearly; see [`Nature::Substitute`]).
    pub price: Decimal,
    /// Whose price it is.
    pub nature: Nature,
    /// How current it is.
    pub state: PriceState,
    /// When it was true: the last trade, or the index's own time stamp; UTC.
    pub as_of: Timestamp,
    /// How long ago that was when the answer was given.
    pub age: Duration,
    /// The last 24 hours, where the provider says.
    pub day: Option<DayStatistics>,
    /// Who said so.
    pub provider: ProviderName,
    /// When it said so; UTC.
    pub fetched_at: Timestamp,
    /// Whether it was asked for now or remembered.
    pub via: Via,
}

impl Price {
    /// Whether this is the exchange's own price, of a market that trades, as of now.
    pub fn is_live(&self) -> bool {
        self.state == PriceState::Live
    }
}

/// Whose price it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nature {
    /// The last trade of the very instrument.
    Exchange,
    /// Another instrument's, standing in: says which, in words (`bitcoin in usd, an index over venues`).
    Substitute(String),
}

/// How current a price is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceState {
    /// The exchange answered, the market trades, and the value is young.
    Live,
    /// Another provider answered, about another instrument, and its value is young: not the exchange's price.
    Substitute,
    /// The provider answered, but its value is older than what counts as live: nothing was traded, or it lags.
    Stale,
    /// The provider answered that the market does not trade; its word for it.
    Halted(String),
    /// Nobody answered: this is what was known before.
    LastKnown,
}

impl PriceState {
    /// A stable word for machines: `live`, `substitute`, `stale`, `halted`, `last_known`.
    pub fn as_str(&self) -> &'static str {
        match self {
            PriceState::Live => "live",
            PriceState::Substitute => "substitute",
            PriceState::Stale => "stale",
            PriceState::Halted(_) => "halted",
            PriceState::LastKnown => "last_known",
        }
    }
}

/// The last 24 hours of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct DayStatistics {
    /// Traded, in the base asset (COIN-M: in contracts).
    pub volume: Option<f64>,
    /// Traded, in the quote asset (COIN-M: in the base asset; a substitute: in its own currency).
    pub quote_volume: Option<f64>,
    /// Change of the price, in percent.
    pub change_percent: Option<f64>,
    /// Highest price.
    pub high: Option<f64>,
    /// Lowest price.
    pub low: Option<f64>,
}

/// What one provider says of one price; the engine makes a [`Price`] of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// Which instrument, as asked.
    pub symbol: Symbol,
    /// The price, already in the symbol's own units (multiplier symbols rescaled).
    pub price: Decimal,
    /// Whose price it is.
    pub nature: Nature,
    /// When it was true, by the provider's account.
    pub as_of: Timestamp,
    /// The provider's word for why the market does not trade, if it does not.
    pub halted: Option<String>,
    /// The last 24 hours.
    pub day: Option<DayStatistics>,
}

/// A positive decimal as it was printed, and as a double.
#[derive(Clone, Debug, PartialEq)]
pub struct Decimal {
    text: String,
    value: f64,
}

impl Decimal {
    /// Takes a printed number; `None` unless it is finite and above zero.
    pub fn positive(text: &str) -> Option<Decimal> {
        let text = text.trim();
        let value: f64 = fast_float2::parse(text).ok()?;
        (value.is_finite() && value > 0.0).then(|| Decimal {
            text: text.to_owned(),
            value,
        })
    }

    /// The characters as printed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The nearest double.
    pub fn value(&self) -> f64 {
        self.value
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_numbers_above_zero_are_prices() {
        for wrong in ["", "0", "0.00000000", "-1", "NaN", "inf", "1e999", "1,5", "null"] {
            assert_eq!(Decimal::positive(wrong), None, "{wrong:?}");
        }
        let price = Decimal::positive("61234.10000000").unwrap();
        assert_eq!((price.as_str(), price.value()), ("61234.10000000", 61_234.1));
    }
}
