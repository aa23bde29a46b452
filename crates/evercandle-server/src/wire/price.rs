//! A price, with how far it can be trusted.

use std::time::Duration;

use evercandle::{Market, MissingPrice, Nature, Price, PriceState, Via};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::reason::Reason;

/// One instrument's newest known price.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PriceBody {
    /// The exchange's spelling.
    #[schema(example = "BTCUSDT")]
    pub(crate) symbol: String,
    /// `spot`, `um` or `cm`.
    pub(crate) market: &'static str,
    /// As printed, because most readers of JSON make doubles of numbers.
    #[schema(example = "61234.10")]
    pub(crate) price: String,
    /// How current it is, in a word.
    pub(crate) state: StateWord,
    /// The provider's word for why the market does not trade.
    pub(crate) halted: Option<String>,
    /// Whose price it is.
    pub(crate) nature: NatureWord,
    /// What stands in, in words.
    pub(crate) substitute: Option<String>,
    /// When it was true; UTC.
    #[schema(format = DateTime)]
    pub(crate) as_of: String,
    /// How long ago that was.
    pub(crate) age_seconds: f64,
    /// Change over the last 24 hours, in percent.
    pub(crate) change_percent: Option<f64>,
    /// Highest of the last 24 hours.
    pub(crate) high: Option<f64>,
    /// Lowest of the last 24 hours.
    pub(crate) low: Option<f64>,
    /// Traded in the last 24 hours, in the base asset (COIN-M: in contracts).
    pub(crate) volume: Option<f64>,
    /// Traded in the last 24 hours, in the quote asset (COIN-M: in the base asset; a substitute: in its own currency).
    pub(crate) quote_volume: Option<f64>,
    /// Who said so.
    #[schema(example = "binance")]
    pub(crate) provider: String,
    /// When it said so; UTC.
    #[schema(format = DateTime)]
    pub(crate) fetched_at: String,
    /// Whether it was asked for now or remembered.
    pub(crate) via: ViaWord,
}

/// How current a price is. A young substitute is no live price: whoever looks at nothing but the state sees that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateWord {
    /// The exchange's own, of a market that trades, as of now.
    Live,
    /// Another instrument's, as of now.
    Substitute,
    /// The provider answered, with an old value.
    Stale,
    /// The market does not trade.
    Halted,
    /// Nobody answered: what was known before.
    LastKnown,
}

impl StateWord {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            StateWord::Live => "live",
            StateWord::Substitute => "substitute",
            StateWord::Stale => "stale",
            StateWord::Halted => "halted",
            StateWord::LastKnown => "last_known",
        }
    }
}

/// Whose price it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NatureWord {
    /// The very instrument's.
    Exchange,
    /// Another's.
    Substitute,
}

/// Whether something was asked for now or remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ViaWord {
    /// Remembered.
    Cache,
    /// Asked for now.
    Upstream,
}

impl From<Via> for ViaWord {
    fn from(via: Via) -> ViaWord {
        match via {
            Via::Cache => ViaWord::Cache,
            Via::Upstream => ViaWord::Upstream,
        }
    }
}

/// Several prices.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PricesBody {
    /// In the order asked for, without those that are missing.
    pub(crate) prices: Vec<PriceBody>,
    /// What could not be had.
    pub(crate) missing: Vec<MissingBody>,
}

/// A symbol without a price.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct MissingBody {
    /// The exchange's spelling.
    pub(crate) symbol: String,
    /// `spot`, `um` or `cm`.
    pub(crate) market: &'static str,
    /// Whether the exchange says that there is no such symbol.
    pub(crate) unknown: bool,
    /// What each upstream said.
    pub(crate) reasons: Vec<Reason>,
}

impl From<&Price> for PriceBody {
    fn from(price: &Price) -> PriceBody {
        let day = price.day.unwrap_or_default();
        let (nature, substitute) = match &price.nature {
            Nature::Exchange => (NatureWord::Exchange, None),
            Nature::Substitute(what) => (NatureWord::Substitute, Some(what.clone())),
        };
        let state = match &price.state {
            PriceState::Live => StateWord::Live,
            PriceState::Substitute => StateWord::Substitute,
            PriceState::Stale => StateWord::Stale,
            PriceState::Halted(_) => StateWord::Halted,
            PriceState::LastKnown => StateWord::LastKnown,
        };
        let halted = match &price.state {
            PriceState::Halted(word) => Some(word.clone()),
            _ => None,
        };
        PriceBody {
            symbol: price.symbol.to_string(),
            market: price.market.as_str(),
            price: price.price.to_string(),
            state,
            halted,
            nature,
            substitute,
            as_of: price.as_of.to_string(),
            age_seconds: seconds(price.age),
            change_percent: day.change_percent,
            high: day.high,
            low: day.low,
            volume: day.volume,
            quote_volume: day.quote_volume,
            provider: price.provider.to_string(),
            fetched_at: price.fetched_at.to_string(),
            via: price.via.into(),
        }
    }
}

impl MissingBody {
    pub(crate) fn new(market: Market, missing: &MissingPrice) -> MissingBody {
        MissingBody {
            symbol: missing.symbol.to_string(),
            market: market.as_str(),
            unknown: missing.unknown,
            reasons: Reason::list(&missing.reasons),
        }
    }
}

/// A duration as a number, to the millisecond.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1e3
}
