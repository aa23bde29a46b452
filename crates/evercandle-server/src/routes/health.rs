//! `/health/…`: whether it lives, whether it can serve, and how everything is.
//!
//! Liveness is that an answer comes at all: it looks at nothing, so that no upstream, lock or disk can have the process
//! killed by whoever watches it. Readiness is that something can be served, if only from the cache. The rest is for
//! people, and for what draws pictures for people.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use evercandle::alert::{Alert, AlertState};
use evercandle::schedule::{Run, RunStatus, ScheduleStatus};
use evercandle::{Health, Timestamp};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::cache_figures::Figures;
use crate::notify::Standing;
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemBody};
use crate::wire::alert;
use crate::wire::health::{self, CacheBody, HealthBody, ReadyBody, Word};
use crate::wire::schedule::{self, ScheduleBody};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(readiness))
        .routes(routes!(everything))
        .routes(routes!(scheduler))
}

/// The process answers. Depends on nothing else.
#[utoipa::path(
    get, path = "/health/live", tag = "health",
    responses((status = 200, description = "the process lives", body = String, content_type = "text/plain"))
)]
async fn live() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}

/// Whether anything can be served: klines are held, or an upstream answers or was not found wanting.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses(
        (status = 200, description = "something can be served", body = ReadyBody),
        (status = 503, description = "nothing can be served, or the daemon was told to stop", body = ReadyBody),
    )
)]
async fn readiness(State(app): State<App>) -> impl IntoResponse {
    let figures = app.figures().look().await;
    let held = figures.map(|figures| figures.stats.series);
    let body = health::ready(&app.client().health(), held, app.stopping().is_cancelled());
    let status = match body.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(body))
}

/// How everything is: in one word, in sentences, and in figures.
#[utoipa::path(
    get, path = "/health", tag = "health",
    responses(
        (status = 200, description = "how everything is", body = HealthBody),
        (status = 400, description = "it takes no parameters", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn everything(State(app): State<App>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    let figures = app.figures().look().await;
    Ok(([(CACHE_CONTROL, "no-store")], Json(body(&app, figures))))
}

/// The scheduler: its settings, what it does next, what came of its last runs, and how every upstream is.
#[utoipa::path(
    get, path = "/health/scheduler", tag = "health",
    responses(
        (status = 200, description = "the scheduler and the upstreams", body = ScheduleBody),
        (status = 400, description = "it takes no parameters", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn scheduler(State(app): State<App>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    let client = app.client();
    let providers = health::providers(&client.health());
    let body = schedule::schedule(&app.schedule(), &client.config().schedule, providers);
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)))
}

fn body(app: &App, figures: Option<Figures>) -> HealthBody {
    let health = app.client().health();
    let schedule = app.schedule();
    let scheduler = schedule::short(&schedule);
    let draining = app.stopping().is_cancelled();
    let cache = cache(&health, figures);
    let alerts = app.alerts();
    let webhooks = app.board().webhooks();
    let (status, summary) = verdict(&health, &cache, &schedule, &webhooks, &alerts, draining);
    HealthBody {
        status,
        summary,
        at: health.at.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.uptime().as_secs_f64(),
        draining,
        common_cause_since: health.common_cause_since.map(|at| at.to_string()),
        cache,
        providers: health::providers(&health),
        alerts: alerts.iter().map(alert::alert).collect(),
        notifier: health::notifier(app.client().config().alerts.enabled, webhooks),
        scheduler,
    }
}

/// That somebody was told, in a sentence: what, of whom, since when.
fn fires(alert: &Alert, now: Timestamp) -> Option<String> {
    let about = match alert.subject.label() {
        Some((_, whom)) => format!(" of {whom}"),
        None => String::new(),
    };
    (alert.state == AlertState::Firing).then(|| {
        format!(
            "alert: {}{about} fires since {} ({})",
            alert.rule.as_str(),
            health::clock(alert.since, now),
            health::span(alert.since, now)
        )
    })
}

fn cache(health: &Health, figures: Option<Figures>) -> CacheBody {
    let counted = figures.as_ref();
    CacheBody {
        dir_writable: counted.map(|figures| figures.writable),
        readonly: health.cache_readonly.clone(),
        series: counted.map(|figures| figures.stats.series),
        files: counted.map(|figures| figures.stats.files),
        bytes: counted.map(|figures| figures.stats.bytes),
        size_max: counted.and_then(|figures| figures.stats.size_max),
        quarantined_files: counted.map(|figures| figures.stats.quarantined_files),
        counted_at: counted.map(|figures| figures.at.to_string()),
    }
}

/// What the last refresh of a kind could not do, in a sentence.
fn unwell(run: &Run, now: Timestamp) -> Option<String> {
    let (kind, ended) = (run.kind.as_str(), health::clock(run.completed_at, now));
    let how = match (run.status, run.symbols.saturating_sub(run.successful_symbols)) {
        (RunStatus::Ok, _) => return None,
        (_, 0) => "with others standing in for who did not answer".to_owned(),
        (_, missed) => format!("without {missed} of {} symbols", run.symbols),
    };
    Some(format!(
        "scheduler: the last refresh of {kind} ended {ended} {how}; see last_run in /health/scheduler"
    ))
}

/// Everything in one word, and what is wrong in sentences.
fn verdict(
    health: &Health,
    cache: &CacheBody,
    schedule: &ScheduleStatus,
    webhooks: &[(String, Standing)],
    alerts: &[Alert],
    draining: bool,
) -> (Word, Vec<String>) {
    let now = health.at;
    let mut wrong: Vec<String> = Vec::new();
    if draining {
        wrong.push("told to stop: answers under way are ended".to_owned());
    }
    if let Some(since) = health.common_cause_since {
        wrong.push(format!(
            "most upstreams fail together since {} ({}): look at our own line, resolver or clock first",
            health::clock(since, now),
            health::span(since, now)
        ));
    }
    wrong.extend(health.upstreams.iter().filter_map(|u| health::sentence(u, now)));
    match (&cache.readonly, cache.dir_writable) {
        (Some(why), _) => wrong.push(format!("cache: not written: {why}")),
        (None, Some(false)) => wrong.push("cache: its folder does not let itself be written".to_owned()),
        (None, _) => {}
    }
    if let Some(files @ 1..) = cache.quarantined_files {
        wrong.push(format!("cache: damaged files set aside: {files}"));
    }
    if schedule.enabled && !schedule.running {
        wrong.push("scheduler: enabled, but not running".to_owned());
    }
    let runs = schedule.jobs.iter().filter_map(|job| job.last_run.as_deref());
    wrong.extend(runs.filter_map(|run| unwell(run, now)));
    wrong.extend(
        webhooks
            .iter()
            .filter_map(|(name, standing)| health::untold(name, standing, now)),
    );
    wrong.extend(alerts.iter().filter_map(|alert| fires(alert, now)));
    // Whether it is to stop does not change what can be served.
    match health::ready(health, cache.series, false) {
        ReadyBody { ready: false, .. } => (Word::Down, wrong),
        _ if wrong.is_empty() => (Word::Ok, wrong),
        _ => (Word::Degraded, wrong),
    }
}
