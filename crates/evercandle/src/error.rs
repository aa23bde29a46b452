//! What can go wrong, by what the caller can do about it.

use std::time::Duration;

use crate::answer::{Answer, ProviderName, RestingReason};
use crate::model::series::{Market, SeriesError};
use crate::model::symbol::{Symbol, SymbolError};

/// Why there is no answer. Add a variant only when a caller will do something different because of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The question makes no sense; the message says what was wrong and what was expected. Change the question.
    #[error("{0}")]
    BadRequest(String),
    /// The exchange does not know the symbol in that market, and no archive or cache has any kline of it.
    #[error("{symbol}: the exchange does not know this symbol in market {market}: {why}")]
    UnknownSymbol {
        /// Where it was looked for.
        market: Market,
        /// What was asked for.
        symbol: Symbol,
        /// What the upstream said.
        why: String,
    },
    /// Complete data was required and something is missing; what was found is inside, nothing fetched is lost.
    #[error("{}", incomplete(.0))]
    Incomplete(Box<Answer>),
    /// Nothing at all could be had, from anywhere; the answer inside holds no rows, only the gaps and the trail.
    #[error("{}", unavailable(.0))]
    Unavailable(Box<Answer>),
    /// Nobody could answer a question that is not about klines; every upstream's reason is inside.
    #[error("no upstream could tell the {what}: {}", told(reasons))]
    NoUpstream {
        /// What was asked for.
        what: String,
        /// What each upstream said.
        reasons: Vec<(ProviderName, String)>,
        /// In how long the first of them is asked again, where that is known.
        retry_after: Option<Duration>,
    },
    /// The local cache could not be used where it was indispensable (opening it, listing it, evicting from it).
    #[error("cache: {0}")]
    Cache(String),
    /// The configuration is wrong; the message names the setting, its value and what was expected.
    #[error("configuration: {0}")]
    Config(String),
}

impl Error {
    /// In how long asking again is worth a try, where everybody who might answer rests until then.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Incomplete(answer) | Error::Unavailable(answer) => answer.resting.map(|rest| rest.retry_after),
            Error::NoUpstream { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether klines are missing because everybody who might have them wants to be left alone: for as long as that
    /// lasts, and not only when it is said for the first time.
    pub fn is_rate_limited(&self) -> bool {
        match self {
            Error::Incomplete(answer) | Error::Unavailable(answer) => {
                answer.resting.is_some_and(|rest| rest.reason == RestingReason::Limited)
            }
            _ => false,
        }
    }
}

impl From<SymbolError> for Error {
    fn from(error: SymbolError) -> Error {
        Error::BadRequest(error.to_string())
    }
}

impl From<SeriesError> for Error {
    fn from(error: SeriesError) -> Error {
        Error::BadRequest(error.to_string())
    }
}

fn incomplete(answer: &Answer) -> String {
    let gaps: Vec<String> = answer
        .gaps
        .iter()
        .filter(|g| !g.reason.is_final())
        .take(3)
        .map(|g| format!("{} ({})", g.range, g.reason))
        .collect();
    format!(
        "{}: incomplete: {} {}s found, missing {}",
        answer.series,
        answer.len(),
        answer.series.kind().noun(),
        gaps.join(", ")
    )
}

fn told(reasons: &[(ProviderName, String)]) -> String {
    let said: Vec<String> = reasons.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    match said.is_empty() {
        true => "none serves it, or none is enabled".to_owned(),
        false => said.join("; "),
    }
}

fn unavailable(answer: &Answer) -> String {
    let why = answer
        .gaps
        .iter()
        .find(|g| !g.reason.is_final())
        .map(|g| g.reason.to_string());
    format!(
        "{} {}: nothing could be had: {}",
        answer.series,
        answer.range,
        why.unwrap_or_default()
    )
}
