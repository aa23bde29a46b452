//! The scheduler and its runs, as JSON. Pure.

use std::collections::BTreeMap;

use evercandle::config::ScheduleConfig;
use evercandle::schedule::{JobStatus, Run, RunError, RunStatus, ScheduleStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::health::Providers;
use crate::wire::reason::Reason;

/// The scheduler, what it did last, and whom it asked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleBody {
    /// Whether anything is to be refreshed at all.
    pub(crate) enabled: bool,
    /// Whether its loop is alive.
    pub(crate) running: bool,
    /// Its settings.
    #[schema(value_type = Object)]
    pub(crate) config: ScheduleConfig,
    /// What it will do.
    pub(crate) job: JobBody,
    /// The newest run of every kind, summed up; null before the first one ended.
    pub(crate) last_run: Option<LastRun>,
    /// By name.
    pub(crate) providers: Providers,
}

/// The scheduler in short.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Short {
    /// Whether anything is to be refreshed at all.
    pub(crate) enabled: bool,
    /// Whether its loop is alive.
    pub(crate) running: bool,
    /// When the next run begins.
    pub(crate) next_run_at: Option<String>,
    /// How the newest runs went: `ok`, `degraded`, `failed`; null before the first one ended.
    pub(crate) last_status: Option<&'static str>,
    /// When the newest run ended.
    pub(crate) last_completed_at: Option<String>,
    /// Errors of the newest runs.
    pub(crate) errors: usize,
}

/// What the scheduler will do.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct JobBody {
    /// When the next run of any kind begins.
    pub(crate) next_run_at: Option<String>,
    /// One per kind that has a watch.
    pub(crate) kinds: Vec<KindBody>,
}

/// One kind of refresh.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct KindBody {
    /// `klines`, `prices`, `sentiment`.
    pub(crate) kind: &'static str,
    /// Between the beginnings of two runs.
    pub(crate) every_seconds: f64,
    /// How much is watched.
    pub(crate) watches: usize,
    /// How many of them rest because they failed.
    pub(crate) resting: usize,
    /// When the run under way began.
    pub(crate) running_since: Option<String>,
    /// When the next run begins; null while one is under way.
    pub(crate) next_run_at: Option<String>,
    /// Runs completed.
    pub(crate) runs: u64,
    /// Ticks skipped because the run before had not ended.
    pub(crate) skipped: u64,
}

/// The newest run of every kind, summed up: the worst status, the earliest start, the latest end, summed counts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LastRun {
    /// `ok`, `degraded`, `failed`.
    pub(crate) status: &'static str,
    /// When the first of them began; UTC.
    pub(crate) started_at: String,
    /// When the last of them ended; UTC.
    pub(crate) completed_at: String,
    /// How long the longest of them took: they run side by side.
    pub(crate) duration_seconds: f64,
    /// Symbols that were to be refreshed, counted once for each kind that watches them.
    pub(crate) symbols: usize,
    /// Those for which everything went well.
    pub(crate) successful_symbols: usize,
    /// What went wrong.
    pub(crate) errors: Vec<RunErrorBody>,
    /// One per kind.
    pub(crate) runs: Vec<RunBody>,
}

/// What one run came to.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct RunBody {
    /// `klines`, `prices`, `sentiment`.
    pub(crate) kind: &'static str,
    /// Which one, from 1.
    pub(crate) number: u64,
    /// `ok`, `degraded`, `failed`.
    pub(crate) status: &'static str,
    /// When it began; UTC.
    pub(crate) started_at: String,
    /// When it ended; UTC.
    pub(crate) completed_at: String,
    /// How long it took, by the monotonic clock.
    pub(crate) duration_seconds: f64,
    /// Symbols that were to be refreshed.
    pub(crate) symbols: usize,
    /// Symbols for which everything went well.
    pub(crate) successful_symbols: usize,
    /// What went wrong.
    pub(crate) errors: Vec<RunErrorBody>,
    /// Upstreams that supplied something, and how many answers each.
    pub(crate) providers: BTreeMap<String, u64>,
    /// Answers for which nobody had to be asked.
    pub(crate) cached: u64,
    /// Watches passed over because they rest after failures.
    pub(crate) resting: u64,
}

/// One watch that could not be refreshed, or an upstream that others stood in for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct RunErrorBody {
    /// The upstream that others stood in for; null where it is about a watch.
    pub(crate) provider: Option<String>,
    /// `spot`, `um`, `cm`; null for the sentiment and for an upstream.
    pub(crate) market: Option<&'static str>,
    /// Which instrument; null for the sentiment and for an upstream.
    pub(crate) symbol: Option<String>,
    /// Which interval, for klines.
    pub(crate) interval: Option<&'static str>,
    /// What is wrong.
    pub(crate) what: String,
    /// What every upstream said.
    pub(crate) reasons: Vec<Reason>,
    /// Failures in a row, this one included; for an upstream, answers that had to do without it.
    pub(crate) failures: u32,
    /// When it is tried again; UTC.
    pub(crate) retry_at: Option<String>,
}

/// Everything about the scheduler.
pub(crate) fn schedule(status: &ScheduleStatus, config: &ScheduleConfig, providers: Providers) -> ScheduleBody {
    ScheduleBody {
        enabled: status.enabled,
        running: status.running,
        config: config.clone(),
        job: JobBody {
            next_run_at: next_run_at(status),
            kinds: status.jobs.iter().map(kind).collect(),
        },
        last_run: last_run(status),
        providers,
    }
}

/// The same in short.
pub(crate) fn short(status: &ScheduleStatus) -> Short {
    let last = last_run(status);
    Short {
        enabled: status.enabled,
        running: status.running,
        next_run_at: next_run_at(status),
        last_status: last.as_ref().map(|last| last.status),
        last_completed_at: last.as_ref().map(|last| last.completed_at.clone()),
        errors: last.map_or(0, |last| last.errors.len()),
    }
}

fn next_run_at(status: &ScheduleStatus) -> Option<String> {
    let next = status.jobs.iter().filter_map(|job| job.next_run_at).min();
    next.map(|at| at.to_string())
}

fn kind(job: &JobStatus) -> KindBody {
    KindBody {
        kind: job.kind.as_str(),
        every_seconds: job.every.as_secs_f64(),
        watches: job.watches,
        resting: job.resting,
        running_since: job.running_since.map(|at| at.to_string()),
        next_run_at: job.next_run_at.map(|at| at.to_string()),
        runs: job.runs,
        skipped: job.skipped,
    }
}

fn last_run(status: &ScheduleStatus) -> Option<LastRun> {
    let runs: Vec<&Run> = status.jobs.iter().filter_map(|job| job.last_run.as_deref()).collect();
    let worst = runs.iter().map(|run| run.status).max_by_key(|status| match status {
        RunStatus::Ok => 0,
        RunStatus::Degraded => 1,
        RunStatus::Failed => 2,
    })?;
    Some(LastRun {
        status: worst.as_str(),
        started_at: runs.iter().map(|run| run.started_at).min()?.to_string(),
        completed_at: runs.iter().map(|run| run.completed_at).max()?.to_string(),
        duration_seconds: runs.iter().map(|run| run.duration).max()?.as_secs_f64(),
        symbols: runs.iter().map(|run| run.symbols).sum(),
        successful_symbols: runs.iter().map(|run| run.successful_symbols).sum(),
        errors: runs.iter().flat_map(|run| run.errors.iter().map(run_error)).collect(),
        runs: runs.iter().map(|run| self::run(run)).collect(),
    })
}

/// One run.
pub(crate) fn run(run: &Run) -> RunBody {
    RunBody {
        kind: run.kind.as_str(),
        number: run.number,
        status: run.status.as_str(),
        started_at: run.started_at.to_string(),
        completed_at: run.completed_at.to_string(),
        duration_seconds: run.duration.as_secs_f64(),
        symbols: run.symbols,
        successful_symbols: run.successful_symbols,
        errors: run.errors.iter().map(run_error).collect(),
        providers: run.providers.iter().map(|(name, n)| (name.to_string(), *n)).collect(),
        cached: run.cached,
        resting: run.resting,
    }
}

fn run_error(error: &RunError) -> RunErrorBody {
    let reason = |(provider, what): &(evercandle::ProviderName, String)| Reason {
        provider: provider.to_string(),
        what: what.clone(),
    };
    RunErrorBody {
        provider: error.provider.as_ref().map(ToString::to_string),
        market: error.market.map(|market| market.as_str()),
        symbol: error.symbol.clone(),
        interval: error.interval.map(|interval| interval.as_str()),
        what: error.what.clone(),
        reasons: error.reasons.iter().map(reason).collect(),
        failures: error.failures,
        retry_at: error.retry_at.map(|at| at.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use evercandle::schedule::JobKind;
    use evercandle::{Interval, Market, ProviderName, Timestamp};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
    }

    fn a_run(kind: JobKind, status: RunStatus, started: i64, ended: i64) -> Run {
        Run {
            kind,
            number: 7,
            started_at: at(started),
            completed_at: at(ended),
            duration: Duration::from_secs((ended - started).unsigned_abs()),
            status,
            symbols: 3,
            successful_symbols: 2,
            errors: vec![RunError {
                provider: None,
                market: Some(Market::Spot),
                symbol: Some("BTCUSDT".to_owned()),
                interval: Some(Interval::M1),
                what: "no upstream left".to_owned(),
                reasons: vec![(ProviderName::new("binance"), "connection refused".to_owned())],
                failures: 2,
                retry_at: Some(at(60)),
            }],
            providers: BTreeMap::from([(ProviderName::new("binance"), 4)]),
            cached: 1,
            resting: 0,
            served: BTreeMap::new(),
        }
    }

    fn job(kind: JobKind, next: Option<i64>, last_run: Option<Run>) -> JobStatus {
        JobStatus {
            kind,
            every: Duration::from_secs(180),
            watches: 3,
            resting: 1,
            running_since: None,
            next_run_at: next.map(at),
            runs: 7,
            skipped: 0,
            last_run: last_run.map(Arc::new),
        }
    }

    #[test]
    fn the_newest_runs_are_summed_up_by_the_worst_of_them() {
        let status = ScheduleStatus {
            enabled: true,
            running: true,
            jobs: vec![
                job(
                    JobKind::Klines,
                    Some(180),
                    Some(a_run(JobKind::Klines, RunStatus::Ok, 0, 5)),
                ),
                job(
                    JobKind::Prices,
                    Some(170),
                    Some(a_run(JobKind::Prices, RunStatus::Failed, -10, 2)),
                ),
                job(JobKind::Sentiment, None, None),
            ],
        };
        let last = last_run(&status).unwrap();
        assert_eq!(last.status, "failed");
        assert_eq!(
            (last.started_at, last.completed_at),
            (at(-10).to_string(), at(5).to_string())
        );
        assert_eq!((last.symbols, last.successful_symbols, last.errors.len()), (6, 4, 2));
        assert_eq!((last.duration_seconds, last.runs.len()), (12.0, 2));
        let reason = &last.errors[0].reasons[0];
        assert_eq!((&*reason.provider, &*reason.what), ("binance", "connection refused"));
        assert_eq!(short(&status).next_run_at, Some(at(170).to_string()));
    }

    #[test]
    fn before_the_first_run_has_ended_there_is_none() {
        let status = ScheduleStatus {
            enabled: true,
            running: true,
            jobs: vec![job(JobKind::Klines, Some(0), None)],
        };
        assert_eq!(last_run(&status), None);
        assert_eq!(short(&status).last_status, None);
    }
}
