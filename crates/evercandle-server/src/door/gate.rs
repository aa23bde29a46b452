//! What every request passes on its way to a handler, and every answer on its way back. One function, in this order:
//! a name for the request, who asks, what is asked, how much is being done already; then the handler, which may panic or
//! take too long; then the headers that keep browsers from misusing an answer, and one event for the log.
//!
//! Counting is another layer, outside of this one, so that refusals are counted too.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};

use crate::app::App;
use crate::compression;
use crate::door::access::Door;
use crate::door::conversation::Crowded;
use crate::door::limits::{self, Limits, Permit};
use crate::door::line::Lasting;
use crate::metrics;
use crate::problem::{self, Problem};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer names of requests are not taken over.
const REQUEST_ID_MAX: usize = 64;

/// Nothing from elsewhere, nothing in frames. Styles may be inline: the page of the API's description sets some.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const SAFETY: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// The layer.
pub(crate) async fn pass(State(app): State<App>, mut request: Request<Body>, next: Next) -> Response {
    let began = Instant::now();
    let id = name(request.headers());
    // Handlers that log can say which request it was about.
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match admit(&app, request).await {
        Ok(admitted) => answer(&app, admitted, next).await,
        Err(problem) => problem.into_response(),
    };
    let mut response = problem::named(response, &path).await;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    for (name, value) in SAFETY {
        headers.entry(name).or_insert(value);
    }
    log(&method, &path, response.status(), &id, began);
    response
}

/// A request that may be answered.
struct Admitted {
    request: Request<Body>,
    /// None for those that are never refused.
    permit: Option<Permit>,
    /// Whether its answer must begin in time.
    is_timed: bool,
}

async fn admit(app: &App, request: Request<Body>) -> Result<Admitted, Problem> {
    let path = request.uri().path();
    let (load, door) = (Load::of(path), Door::of(path));
    if request.extensions().get::<Crowded>().is_some() && load != Load::Health {
        metrics::shed("connections");
        return Err(crowded());
    }
    Limits::check_length(&request)?;
    app.access().check(&request, door)?;
    compression::check(request.headers()).await?;
    let request = app.limits().read_body(request).await?;
    let permit = match load {
        Load::Work => {
            let permit = app.limits().request()?;
            // Most answers are made without ever waiting. Would this one be made here and now, whoever came after it would
            // wait unseen for a thread, health included, and the limit would never be reached: so all of them come to this
            // point before any goes on.
            tokio::task::yield_now().await;
            Some(permit)
        }
        Load::Health | Load::Stream => None,
    };
    Ok(Admitted {
        request,
        permit,
        is_timed: load != Load::Stream,
    })
}

/// What is said beyond the cap.
pub(super) fn crowded() -> Problem {
    Problem::overloaded(
        "as many connections are open as server.connections_max allows; close what is not needed, and ask again",
    )
}

/// How a request counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// Against `server.requests_max`.
    Work,
    /// Not at all.
    Health,
    /// Against `server.streams_max`, by its handler.
    Stream,
}

impl Load {
    fn of(path: &str) -> Load {
        match path {
            "/v1/stream" => Load::Stream,
            "/metrics" | "/health" => Load::Health,
            path if path.starts_with("/health/") => Load::Health,
            _ => Load::Work,
        }
    }
}

/// So many of a connection's first bytes are looked at: as many as the longest beginning below has.
pub(super) const OPENING_BYTES: usize = 13;

/// Whether a connection that begins like this is about [`Load::Health`]; `None`: that cannot be told yet.
pub(super) fn is_about_health(opening: &[u8]) -> Option<bool> {
    let beginnings: [&[u8]; 4] = [b"GET /health", b"GET /metrics", b"HEAD /health", b"HEAD /metrics"];
    if beginnings.iter().any(|beginning| opening.starts_with(beginning)) {
        return Some(true);
    }
    match beginnings.iter().any(|beginning| beginning.starts_with(opening)) {
        true => None,
        false => Some(false),
    }
}

async fn answer(app: &App, admitted: Admitted, next: Next) -> Response {
    let Admitted {
        request,
        permit,
        is_timed,
    } = admitted;
    // A handler holds no lock that its end could leave half done: the library's are never held while waiting.
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    let outcome = match is_timed {
        true => tokio::time::timeout(app.limits().patience(), work).await,
        false => Ok(work.await.map(|mut response| {
            response.extensions_mut().insert(Lasting);
            response
        })),
    };
    match outcome {
        Ok(Ok(response)) => match permit {
            Some(permit) => limits::held(response, permit),
            None => response,
        },
        Ok(Err(panic)) => broken(panic.as_ref()).into_response(),
        Err(_) => app.limits().too_late().into_response(),
    }
}

/// A handler panicked: a mistake of ours.
fn broken(panic: &(dyn std::any::Any + Send)) -> Problem {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = words, "a request was not answered: the daemon has a mistake");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "broken",
        "The daemon has a mistake",
        "answering this request failed in a way it should not; the log says more, under this request's id",
    )
}

/// What the caller calls this request, if that is sane, else a new name.
fn name(headers: &HeaderMap) -> HeaderValue {
    let is_sane = |id: &&HeaderValue| {
        let id = id.as_bytes();
        !id.is_empty()
            && id.len() <= REQUEST_ID_MAX
            && id
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    let theirs = headers.get(REQUEST_ID).filter(is_sane);
    theirs.cloned().unwrap_or_else(|| {
        let id = hex::encode(rand::random::<[u8; 8]>());
        HeaderValue::from_str(&id).expect("hexadecimal digits")
    })
}

/// One event per request. Without the query, which may hold what was not meant for us.
fn log(method: &Method, path: &str, status: StatusCode, id: &HeaderValue, began: Instant) {
    let (method, status, id) = (method.as_str(), status.as_u16(), id.to_str().unwrap_or_default());
    let milliseconds = began.elapsed().as_secs_f64() * 1_000.0;
    match status {
        // Refusals under load are counted; a line for each would make the load worse.
        ..=399 | 503 => tracing::debug!(method, path, status, id, milliseconds, "answered"),
        400..=499 => tracing::info!(method, path, status, id, milliseconds, "refused"),
        _ => tracing::warn!(method, path, status, id, milliseconds, "failed"),
    }
}

#[cfg(test)]
mod tests;
