//! What administrators say, and are told.

use evercandle::Timestamp;
use evercandle::store::{Damage, Evicted, VerifyProgress, VerifyReport};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::wire::klines::IntervalWord;
use crate::wire::market::{MarketWord, SymbolWord};

/// What to refresh.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RefreshQuery {
    /// Absent: all of them.
    #[param(value_type = Option<JobWord>, inline)]
    pub(crate) kind: Option<String>,
}

/// What is refreshed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum JobWord {
    Klines,
    Prices,
    Sentiment,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshBody {
    /// Whether a run begins because of this. Otherwise one is under way already, or nothing is watched.
    pub(crate) begun: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CircuitOrder {
    pub(crate) action: CircuitAction,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CircuitAction {
    /// Nothing is sent to the upstream until this is undone.
    ForceOpen,
    /// Everything is sent, however much fails. Quarantines are still obeyed.
    ForceClosed,
    /// As after a restart, and any quarantine is lifted.
    Reset,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CircuitBody {
    pub(crate) provider: String,
    /// As it is now: `closed`, `open` or `half_open`.
    pub(crate) circuit: &'static str,
}

/// What to remove from the cache: either down to a size, or one series.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvictOrder {
    /// Chunks read longest ago go, until the rest takes at most so many bytes.
    pub(crate) to_bytes: Option<u64>,
    /// Everything of this series goes.
    pub(crate) series: Option<SeriesOrder>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesOrder {
    #[schema(value_type = SymbolWord)]
    pub(crate) symbol: String,
    #[schema(value_type = IntervalWord)]
    pub(crate) interval: String,
    /// Absent: as the symbol says, else spot.
    #[schema(value_type = Option<MarketWord>)]
    pub(crate) market: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvictBody {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

impl From<Evicted> for EvictBody {
    fn from(evicted: Evicted) -> EvictBody {
        EvictBody {
            files: evicted.files,
            bytes: evicted.bytes,
        }
    }
}

/// How far a verification of the cache is, or what it found.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct VerifyBody {
    /// `never`, `running`, `completed` or `failed`.
    pub(crate) status: &'static str,
    pub(crate) started_at: Option<String>,
    pub(crate) completed_at: Option<String>,
    pub(crate) files: usize,
    pub(crate) files_total: usize,
    pub(crate) bytes: u64,
    pub(crate) bytes_total: u64,
    /// Files that are what their names say.
    pub(crate) sound: Option<usize>,
    /// Files that were not, and are in quarantine now.
    pub(crate) damaged: Vec<DamageBody>,
    /// Files that could not be read, or are not ours to trust, and were left alone.
    pub(crate) skipped: Vec<DamageBody>,
    /// Why it could not be done.
    pub(crate) error: Option<String>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DamageBody {
    /// Below the cache folder.
    pub(crate) file: String,
    pub(crate) why: String,
}

impl VerifyBody {
    pub(crate) fn never() -> VerifyBody {
        VerifyBody {
            status: "never",
            ..VerifyBody::default()
        }
    }

    pub(crate) fn begun(now: Timestamp) -> VerifyBody {
        VerifyBody {
            status: "running",
            started_at: Some(now.to_string()),
            ..VerifyBody::default()
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.status == "running"
    }

    pub(crate) fn progress(&mut self, progress: &VerifyProgress) {
        (self.files, self.files_total) = (progress.files, progress.files_total);
        (self.bytes, self.bytes_total) = (progress.bytes, progress.bytes_total);
    }

    pub(crate) fn end(&mut self, now: Timestamp, outcome: Result<VerifyReport, String>) {
        self.completed_at = Some(now.to_string());
        match outcome {
            Ok(report) => {
                self.status = "completed";
                self.sound = Some(report.sound);
                self.damaged = report.damaged.iter().map(DamageBody::of).collect();
                self.skipped = report.skipped.iter().map(DamageBody::of).collect();
            }
            Err(error) => {
                self.status = "failed";
                self.error = Some(error);
            }
        }
    }
}

impl DamageBody {
    fn of(damage: &Damage) -> DamageBody {
        DamageBody {
            file: damage.file.display().to_string(),
            why: damage.why.clone(),
        }
    }
}
