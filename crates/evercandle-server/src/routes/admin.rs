//! `/admin/…`: refresh now, circuits by hand, the cache verified and emptied.
//!
//! Behind a token in a header, never a cookie, so that no page of another site can have a browser do any of this. Without
//! a token there is none of it; see [`access`](crate::door::access). Every action is one event in the log, done or refused.

use axum::Json;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::StatusCode;
use evercandle::schedule::JobKind;
use evercandle::store::{Eviction, VerifyProgress, VerifyReport};
use evercandle::{Control, Error, Interval, Market, Series, Timestamp};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::Problem;
use crate::wire::admin::{
    CircuitAction, CircuitBody, CircuitOrder, EvictBody, EvictOrder, RefreshBody, RefreshQuery, SeriesOrder, VerifyBody,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(refresh))
        .routes(routes!(circuit))
        .routes(routes!(verify, verified))
        .routes(routes!(evict))
}

/// The body of a request that orders something.
struct Order<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Order<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Order<T>, Problem> {
        // The framework tells three kinds of bad bodies apart by status; to whoever sends one they are the same.
        match Json::from_request(request, state).await {
            Ok(Json(order)) => Ok(Order(order)),
            Err(refusal) => Err(Problem::bad_request(refusal.body_text())),
        }
    }
}

/// Refreshes now what is watched, without waiting for its time.
#[utoipa::path(
    post, path = "/admin/refresh", tag = "admin", params(RefreshQuery), security(("admin_token" = [])),
    responses(
        (status = 202, description = "whether a run begins", body = RefreshBody),
        (status = 400, description = "an unknown kind"),
        (status = 401, description = "not the token"),
        (status = 404, description = "there is no administration"),
    )
)]
async fn refresh(
    State(app): State<App>,
    Query(query): Query<RefreshQuery>,
) -> Result<(StatusCode, Json<RefreshBody>), Problem> {
    let kind = match query.kind.as_deref() {
        None => None,
        Some(word) => Some(kind(word)?),
    };
    let begun = app.scheduler().refresh_now(kind);
    tracing::info!(
        kind = kind.map_or("all", JobKind::as_str),
        begun,
        "administration: refresh"
    );
    Ok((StatusCode::ACCEPTED, Json(RefreshBody { begun })))
}

fn kind(word: &str) -> Result<JobKind, Problem> {
    let known = JobKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    known.ok_or_else(|| Problem::bad_request(format!("kind={word:?}: expected klines, prices or sentiment")))
}

/// Sets the circuit of an upstream by hand, or back to what it does by itself.
#[utoipa::path(
    post, path = "/admin/providers/{name}/circuit", tag = "admin",
    params(("name" = String, Path, description = "as in /health/scheduler")),
    request_body = CircuitOrder, security(("admin_token" = [])),
    responses(
        (status = 200, description = "the circuit as it is now", body = CircuitBody),
        (status = 400, description = "not JSON, or an unknown action"),
        (status = 401, description = "not the token"),
        (status = 404, description = "no such upstream, or there is no administration"),
    )
)]
async fn circuit(
    State(app): State<App>,
    Path(name): Path<String>,
    Order(order): Order<CircuitOrder>,
) -> Result<Json<CircuitBody>, Problem> {
    let how = match order.action {
        CircuitAction::ForceOpen => Control::ForceOpen,
        CircuitAction::ForceClosed => Control::ForceClosed,
        CircuitAction::Reset => Control::Reset,
    };
    app.client().control(&name, how).map_err(|error| match error {
        Error::BadRequest(words) => Problem::not_found(words),
        other => Problem::bad_request(other.to_string()),
    })?;
    tracing::info!(provider = name, action = ?how, "administration: circuit");
    let health = app.client().health();
    let upstream = health
        .upstreams
        .iter()
        .find(|upstream| upstream.provider.as_str() == name);
    Ok(Json(CircuitBody {
        circuit: upstream.map_or("closed", |upstream| upstream.state.as_str()),
        provider: name,
    }))
}

/// Begins to compare every file of the cache with what its name promises. One at a time; GET tells how far it is.
#[utoipa::path(
    post, path = "/admin/cache/verify", tag = "admin", security(("admin_token" = [])),
    responses(
        (status = 202, description = "it has begun", body = VerifyBody),
        (status = 401, description = "not the token"),
        (status = 404, description = "there is no administration"),
        (status = 409, description = "one is under way"),
    )
)]
async fn verify(State(app): State<App>) -> Result<(StatusCode, Json<VerifyBody>), Problem> {
    let clock = app.client().clock().clone();
    let Some(begun) = app.verification().begin(clock.now()) else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "under-way",
            "This is being done already",
            "the cache is being verified; GET /admin/cache/verify tells how far it is",
        ));
    };
    tracing::info!("administration: the cache is being verified");
    // Whoever asked does not wait, and may hang up.
    tokio::spawn(async move {
        let work = app.clone();
        let verified = tokio::task::spawn_blocking(move || {
            let progress = &mut |progress| work.verification().progress(&progress);
            work.client().store().verify(progress)
        });
        let outcome = match verified.await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(panic) => Err(panic.to_string()),
        };
        match &outcome {
            Ok(report) => {
                let (sound, damaged) = (report.sound, report.damaged.len());
                tracing::info!(sound, damaged, "administration: the cache was verified");
            }
            Err(why) => tracing::warn!(why, "administration: the cache could not be verified"),
        }
        app.verification().end(clock.now(), outcome);
    });
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

/// How far the verification of the cache is, or what the last one found.
#[utoipa::path(
    get, path = "/admin/cache/verify", tag = "admin", security(("admin_token" = [])),
    responses(
        (status = 200, description = "how far it is, or what it found", body = VerifyBody),
        (status = 401, description = "not the token"),
        (status = 404, description = "there is no administration"),
    )
)]
async fn verified(State(app): State<App>) -> Json<VerifyBody> {
    Json(app.verification().look())
}

/// Removes files from the cache: those read longest ago, down to a size, or all of one series. What was used in the last
/// minute stays.
#[utoipa::path(
    post, path = "/admin/cache/evict", tag = "admin", request_body = EvictOrder, security(("admin_token" = [])),
    responses(
        (status = 200, description = "what was removed", body = EvictBody),
        (status = 400, description = "neither a size nor a series, or both"),
        (status = 401, description = "not the token"),
        (status = 404, description = "there is no administration"),
    )
)]
async fn evict(State(app): State<App>, Order(order): Order<EvictOrder>) -> Result<Json<EvictBody>, Problem> {
    let what = match (order.to_bytes, &order.series) {
        // JSON's integers are signed where its documents are read, and no disk is larger.
        (Some(bytes), None) if i64::try_from(bytes).is_err() => {
            return Err(Problem::bad_request(format!("to_bytes: expected 0 to {}", i64::MAX)));
        }
        (Some(bytes), None) => Eviction::ToSize(bytes),
        (None, Some(order)) => Eviction::Series(series(order)?),
        _ => {
            return Err(Problem::bad_request(
                "expected either {\"to_bytes\": N} or {\"series\": {\"symbol\", \"interval\", \"market\"}}",
            ));
        }
    };
    let words = format!("{what:?}");
    let store = app.client().store().clone();
    let done = tokio::task::spawn_blocking(move || store.evict(what)).await;
    let evicted = done
        .map_err(|panic| failed(panic.to_string()))?
        .map_err(|error| failed(error.to_string()))?;
    tracing::info!(
        what = words,
        files = evicted.files,
        bytes = evicted.bytes,
        "administration: evicted"
    );
    Ok(Json(evicted.into()))
}

fn series(order: &SeriesOrder) -> Result<Series, Problem> {
    let wrong = |what: String| Problem::bad_request(format!("series: {what}"));
    let interval: Interval = order.interval.parse().map_err(|e| wrong(format!("{e}")))?;
    let market = match order.market.as_deref() {
        None => None,
        Some(word) => Some(word.parse::<Market>().map_err(|e| wrong(format!("{e}")))?),
    };
    Series::parse(&order.symbol, interval, market).map_err(|e| wrong(e.to_string()))
}

fn failed(why: String) -> Problem {
    tracing::warn!(why, "administration: the cache could not be changed");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "cache",
        "The cache could not be changed",
        why,
    )
}

/// The verification that is under way, or the last one.
pub(crate) struct CacheVerification(Mutex<VerifyBody>);

impl CacheVerification {
    pub(crate) fn new() -> CacheVerification {
        CacheVerification(Mutex::new(VerifyBody::never()))
    }

    /// `None` while another one is under way.
    fn begin(&self, now: Timestamp) -> Option<VerifyBody> {
        let mut body = self.0.lock();
        if body.is_running() {
            return None;
        }
        *body = VerifyBody::begun(now);
        Some(body.clone())
    }

    fn progress(&self, progress: &VerifyProgress) {
        self.0.lock().progress(progress);
    }

    fn end(&self, now: Timestamp, outcome: Result<VerifyReport, String>) {
        self.0.lock().end(now, outcome);
    }

    fn look(&self) -> VerifyBody {
        self.0.lock().clone()
    }
}
