//! A sentiment: what one index says, labelled as what it is.
//!
//! Indices of the same name measure different things, and none of them can stand in for another's history. So a reading
//! carries its measure, measures are never blended, and there is no neutral default: what is not known is an error.

use std::time::Duration;

use crate::answer::{Attempt, ProviderName, Via};
use crate::model::range::Timestamp;

/// A question: how the market feels.
#[derive(Clone, Debug)]
pub struct SentimentRequest {
    /// How many readings, newest first; 1 is the current one alone.
    pub count: u32,
    /// Whether another measure will do when the primary one cannot be had and is not remembered for today.
    pub secondary: Secondary,
    /// How long the whole answer may take; absent: the configured default.
    pub deadline: Option<Duration>,
}

impl Default for SentimentRequest {
    fn default() -> SentimentRequest {
        SentimentRequest {
            count: 1,
            secondary: Secondary::Allow,
            deadline: None,
        }
    }
}

/// Whether another measure will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Secondary {
    /// Yes, labelled as what it is.
    #[default]
    Allow,
    /// Only the primary measure, if need be an old reading of it.
    Refuse,
}

/// Readings of one measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentiment {
    /// What was measured.
    pub measure: Measure,
    /// Newest first; never empty.
    pub readings: Vec<Reading>,
    /// Days (00:00 UTC) between the oldest and the newest reading for which none was published.
    pub missing: Vec<Timestamp>,
    /// How current the newest reading is.
    pub state: SentimentState,
    /// How long ago the newest reading's period began when the answer was given.
    pub age: Duration,
    /// Who said so.
    pub provider: ProviderName,
    /// When it said so; UTC.
    pub fetched_at: Timestamp,
    /// Whether it was asked for now or remembered.
    pub via: Via,
}

/// A sentiment with its story.
#[derive(Clone, Debug)]
pub struct SentimentAnswer {
    /// What could be had.
    pub sentiment: Sentiment,
    /// Every upstream call and every upstream passed over, in order of time.
    pub trail: Vec<Attempt>,
}

/// What a reading measures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The Crypto Fear & Greed Index of alternative.me: 0 (fear) to 100 (greed), once a day.
    FearAndGreed,
    /// Share of CoinGecko's visitors who feel good about a coin, in percent. Slow, and biased to what is popular.
    Votes {
        /// The coin's id there.
        coin: String,
    },
    /// Accounts that are long per account that is short, on an exchange's futures: positioning, not mood.
    LongShortRatio {
        /// The contract.
        symbol: String,
    },
}

impl Measure {
    /// A stable word for machines: `fear_and_greed`, `votes`, `long_short_ratio`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Measure::FearAndGreed => "fear_and_greed",
            Measure::Votes { .. } => "votes",
            Measure::LongShortRatio { .. } => "long_short_ratio",
        }
    }

    /// In words, for people.
    pub fn describe(&self) -> String {
        match self {
            Measure::FearAndGreed => "Crypto Fear & Greed Index, 0 to 100 (alternative.me)".to_owned(),
            Measure::Votes { coin } => format!("votes in favour of {coin}, in percent (CoinGecko)"),
            Measure::LongShortRatio { symbol } => {
                format!("long accounts per short account on {symbol} (Binance futures)")
            }
        }
    }

    /// Whether this is the measure that is asked for first.
    pub fn is_primary(&self) -> bool {
        *self == Measure::FearAndGreed
    }
}

/// One value of one measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// In the measure's own unit.
    pub value: f64,
    /// The provider's own word for it (`Extreme Fear`), where it has one.
    pub classification: Option<String>,
    /// When the period it is for began; UTC.
    pub at: Timestamp,
    /// Until when the provider will not have a newer one, where that is known.
    pub valid_until: Option<Timestamp>,
}

/// How current a sentiment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentimentState {
    /// There is no newer reading yet.
    Current,
    /// The provider answered, but should have had a newer reading.
    Stale,
    /// Nobody could be asked: this is what was known before, and a newer one exists by now.
    LastKnown,
}

impl SentimentState {
    /// A stable word for machines: `current`, `stale`, `last_known`.
    pub fn as_str(self) -> &'static str {
        match self {
            SentimentState::Current => "current",
            SentimentState::Stale => "stale",
            SentimentState::LastKnown => "last_known",
        }
    }
}
