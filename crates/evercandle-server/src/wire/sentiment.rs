//! How the market feels, labelled as what it is.

use evercandle::{Outcome, ProviderName, Reading, SentimentAnswer, Via};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::price::{ViaWord, seconds};
use crate::wire::reason::Reason;

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
    /// How many readings were asked for.
    pub(crate) asked: u32,
    /// Why there are fewer, if there are.
    pub(crate) fewer: Option<FewerBody>,
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

/// Why there are fewer readings than were asked for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct FewerBody {
    /// Why, in a word.
    pub(crate) why: FewerWord,
    /// How many there are, and why, in words.
    pub(crate) what: String,
    /// What each upstream said that could not tell more.
    pub(crate) reasons: Vec<Reason>,
}

/// Why there are fewer readings, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FewerWord {
    /// The provider was asked, and has no more.
    NoMore,
    /// Nobody answered: these are the ones that are remembered.
    Unanswered,
}

impl FewerWord {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            FewerWord::NoMore => "no_more",
            FewerWord::Unanswered => "unanswered",
        }
    }
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

impl SentimentBody {
    /// An answer to a question for so many readings.
    pub(crate) fn new(answer: &SentimentAnswer, asked: u32) -> SentimentBody {
        let sentiment = &answer.sentiment;
        SentimentBody {
            asked,
            fewer: fewer(answer, asked),
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

fn fewer(answer: &SentimentAnswer, asked: u32) -> Option<FewerBody> {
    let (known, provider) = (answer.sentiment.readings.len(), &answer.sentiment.provider);
    if asked as usize <= known {
        return None;
    }
    let failed = answer.trail.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Failed { why, .. } => Some((attempt.provider.clone(), why.clone())),
        Outcome::Rows(_) | Outcome::Answered => None,
    });
    let failed: Vec<(ProviderName, String)> = failed.collect();
    let (why, what) = match answer.sentiment.via {
        Via::Upstream => (FewerWord::NoMore, format!("{provider} has no more of this measure")),
        Via::Cache => (
            FewerWord::Unanswered,
            "nobody answered, and no more are remembered".to_owned(),
        ),
    };
    Some(FewerBody {
        why,
        what: format!("{asked} readings were asked for and {known} are known: {what}"),
        reasons: Reason::list(&failed),
    })
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
