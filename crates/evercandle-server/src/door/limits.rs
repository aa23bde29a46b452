//! How much is done at once, and for how long.
//!
//! Whatever is beyond a limit is refused at once, with a time to come back: a queue would only make everybody late. An
//! answer counts until its last byte is handed to the connection, since until then it holds memory.
//!
//! Event streams last for hours and do little, so what feeds them counts them on their own. Health and metrics are never
//! refused: who looks at a daemon that has too much to do must see that, not another refusal.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use evercandle::config::ServerConfig;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics;
use crate::problem::Problem;

/// What is being done, and how much that may be.
pub(crate) struct Limits {
    requests: Arc<Semaphore>,
    requests_max: usize,
    turns: Turns,
    body_bytes_max: usize,
    body_patience: Duration,
    patience: Duration,
}

impl Limits {
    pub(crate) fn new(config: &ServerConfig) -> Limits {
        Limits {
            requests: Arc::new(Semaphore::new(config.requests_max)),
            requests_max: config.requests_max,
            turns: Turns::new(),
            body_bytes_max: config.body_bytes_max,
            body_patience: Duration::from_millis(config.body_timeout_ms),
            patience: Duration::from_millis(config.request_timeout_ms),
        }
    }

    /// By when an answer must have begun.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// One more request is being answered, until the value is dropped.
    pub(crate) fn request(&self) -> Result<Permit, Problem> {
        permit(&self.requests).ok_or_else(|| {
            metrics::shed("requests");
            Problem::overloaded(format!(
                "{} requests are being answered, as many as server.requests_max allows; ask again in a moment",
                self.requests_max
            ))
        })
    }

    /// Whose turn it is to compute.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// A body says beforehand how long it is. Chunks are what requests are smuggled in, and what is posted here is short.
    pub(crate) fn check_length(request: &Request<Body>) -> Result<(), Problem> {
        if !request.headers().contains_key(header::TRANSFER_ENCODING) {
            return Ok(());
        }
        Err(closing(Problem::new(
            StatusCode::LENGTH_REQUIRED,
            "length-required",
            "The body's length is needed",
            "a request's body is read by its Content-Length; Transfer-Encoding is not taken",
        )))
    }

    /// The request with all of its body, which must be small and must not trickle. A handler never waits for a caller.
    pub(crate) async fn read_body(&self, request: Request<Body>) -> Result<Request<Body>, Problem> {
        if request.body().is_end_stream() {
            return Ok(request);
        }
        let announced = request.body().size_hint().lower();
        if (self.body_bytes_max as u64) < announced {
            return Err(self.too_large());
        }
        let (parts, body) = request.into_parts();
        let reading = Limited::new(body, self.body_bytes_max).collect();
        match tokio::time::timeout(self.body_patience, reading).await {
            Ok(Ok(body)) => Ok(Request::from_parts(parts, Body::from(body.to_bytes()))),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(self.too_large()),
            Ok(Err(_)) => Err(closing(Problem::bad_request("the request's body broke off"))),
            Err(_) => Err(self.too_slow()),
        }
    }

    fn too_large(&self) -> Problem {
        closing(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The request's body is too large",
            format!("at most {} bytes are read (server.body_bytes_max)", self.body_bytes_max),
        ))
    }

    fn too_slow(&self) -> Problem {
        let within = self.body_patience.as_millis();
        closing(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            "The request's body took too long",
            format!("it must arrive within {within} ms (server.body_timeout_ms)"),
        ))
    }

    /// What is said when an answer has not begun in time.
    pub(crate) fn too_late(&self) -> Problem {
        Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "too-late",
            "The answer took too long",
            format!(
                "it had not begun after {} ms (server.request_timeout_ms); a shorter range, or completeness=best_effort, is \
                 answered sooner",
                self.patience.as_millis()
            ),
        )
        .retry_after(Duration::from_secs(5))
    }
}

/// What is left of the body is not waited for.
fn closing(problem: Problem) -> Problem {
    problem.header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// Takes turns at what keeps a processor busy for longer than a moment: writing klines.
///
/// As many are at it as there are processors. More would not be served sooner, only all at the same late time; and
/// whoever needs a processor for a moment, health above all, would wait behind every one of them.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new() -> Turns {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Turns(Arc::new(Semaphore::new(processors)))
    }

    /// Waits for one, in the order of asking; it is over when the value is dropped.
    pub(crate) async fn take(&self) -> Turn {
        Turn {
            _held: Arc::clone(&self.0).acquire_owned().await.ok(),
        }
    }
}

/// Somebody's turn.
pub(crate) struct Turn {
    _held: Option<OwnedSemaphorePermit>,
}

/// A place among those who are served.
#[derive(Debug)]
pub(crate) struct Permit {
    _held: OwnedSemaphorePermit,
}

fn permit(semaphore: &Arc<Semaphore>) -> Option<Permit> {
    let held = Arc::clone(semaphore).try_acquire_owned().ok()?;
    Some(Permit { _held: held })
}

/// The response, which keeps its place until its body ends.
pub(crate) fn held(response: Response, permit: Permit) -> Response {
    let held = move |error| {
        let _held = &permit;
        error
    };
    response.map(|body| Body::new(body.map_err(held)))
}
