//! How the market feels, labelled as what it is.

use evercandle::{Reading, Sentiment};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::price::{ViaWord, seconds};

/// Whoever shows the index must name its source.
const ATTRIBUTION: &str = "Data: alternative.me";

/// Readings of one measure.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SentimentBody {
    /// What was measured: `fear_and_greed`, `votes` or `long_short_ratio`.
    #[schema(example = "fear_and_greed")]
    pub(crate) measure: &'static str,
    /// The same in words.
    pub(crate) description: String,
    /// Whether this is the measure that is asked for first; if not, it stands in.
    pub(crate) primary: bool,
    /// How current the newest reading is: `current`, `stale` or `last_known`.
    #[schema(example = "current")]
    pub(crate) state: &'static str,
    /// How long ago the newest reading's period began.
    pub(crate) age_seconds: f64,
    /// Newest first.
    pub(crate) readings: Vec<ReadingBody>,
    /// Days between the oldest and the newest reading for which none was published; UTC.
    pub(crate) missing: Vec<String>,
    /// Who said so.
    pub(crate) provider: String,
    /// When it said so; UTC.
    #[schema(format = DateTime)]
    pub(crate) fetched_at: String,
    /// Whether it was asked for now or remembered.
    pub(crate) via: ViaWord,
    /// What must be shown with it.
    pub(crate) attribution: Option<&'static str>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReadingBody {
    /// When the period it is for began; UTC.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// In the measure's own unit.
    pub(crate) value: f64,
    /// The provider's own word for it.
    #[schema(example = "Extreme Fear")]
    pub(crate) classification: Option<String>,
    /// Until when there will be no newer one, where that is known.
    pub(crate) valid_until: Option<String>,
}

impl From<&Sentiment> for SentimentBody {
    fn from(sentiment: &Sentiment) -> SentimentBody {
        SentimentBody {
            measure: sentiment.measure.as_str(),
            description: sentiment.measure.describe(),
            primary: sentiment.measure.is_primary(),
            state: sentiment.state.as_str(),
            age_seconds: seconds(sentiment.age),
            readings: sentiment.readings.iter().map(ReadingBody::from).collect(),
            missing: sentiment.missing.iter().map(ToString::to_string).collect(),
            provider: sentiment.provider.to_string(),
            fetched_at: sentiment.fetched_at.to_string(),
            via: sentiment.via.into(),
            attribution: sentiment.measure.is_primary().then_some(ATTRIBUTION),
        }
    }
}

impl From<&Reading> for ReadingBody {
    fn from(reading: &Reading) -> ReadingBody {
        ReadingBody {
            at: reading.at.to_string(),
            value: reading.value,
            classification: reading.classification.clone(),
            valid_until: reading.valid_until.map(|at| at.to_string()),
        }
    }
}
