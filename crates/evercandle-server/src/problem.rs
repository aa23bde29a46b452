//! How the daemon says no: RFC 9457, with what each upstream said where upstreams were asked.
//!
//! A handler returns a [`Problem`]; [`named`] gives it the path it is about, and turns whatever a library refused in plain
//! text (an unknown path, a parameter of the wrong type) into the same shape. What was wrong and what to do about it is
//! said in words for people (`detail`, `hint`) and in members for programs (`type`, `parameter`, `gaps`, `reasons`).

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use evercandle::{Error, Gap, GapReason};
use evercandle_formats::{Dialect, Story, json, words};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::wire::klines::GapBody;
use crate::wire::reason::Reason;

/// Longer refusals of libraries are cut.
const WORDS_MAX: usize = 4 * 1024;
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Gaps told in a problem.
const LISTED_MAX: usize = 20;
/// When nothing says in how long an upstream is asked again.
const RETRY_USUAL: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Words>);

#[derive(Clone, Debug)]
struct Words {
    status: StatusCode,
    /// A stable word for machines, as in `urn:evercandle:problem:overloaded`.
    word: &'static str,
    title: &'static str,
    detail: String,
    parameter: Option<String>,
    hint: Option<String>,
    reasons: Vec<Reason>,
    missing: Option<Missing>,
    retry_after: Option<Duration>,
    headers: HeaderMap,
}

/// Klines that were asked for and could not be had.
#[derive(Clone, Debug)]
struct Missing {
    rows: u64,
    gaps: Vec<Value>,
}

impl Problem {
    /// The detail says what was wrong, what was expected, and what to do.
    pub(crate) fn new(
        status: StatusCode,
        word: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem(Box::new(Words {
            status,
            word,
            title,
            // Upstreams' words are in some of these, and callers' in others.
            detail: words::foreign(&detail.into()),
            parameter: None,
            hint: None,
            reasons: Vec::new(),
            missing: None,
            retry_after: None,
            headers: HeaderMap::new(),
        }))
    }

    /// What the caller sent cannot be understood.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request cannot be understood",
            detail,
        )
    }

    /// A parameter is wrong; the detail goes on where its name ends.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Problem {
        let mut problem = Problem::bad_request(format!("{name}: {}", detail.into()));
        problem.0.parameter = Some(words::foreign(name));
        problem
    }

    /// More is asked for than one answer may hold.
    pub(crate) fn too_much(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "too-much",
            "That is more than one answer may hold",
            detail,
        )
    }

    /// The exchange does not know what was asked for.
    pub(crate) fn unknown_symbol(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-symbol",
            "The exchange does not know this symbol",
            detail,
        )
    }

    /// Nobody could tell.
    pub(crate) fn unavailable(detail: impl Into<String>, retry_after: Option<Duration>) -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Nobody could tell",
            detail,
        )
        .retry_after(retry_after.unwrap_or(RETRY_USUAL))
    }

    /// Klines are missing that might still be had.
    pub(crate) fn missing(story: &Story) -> Problem {
        let retry_after = story.resting.map(|rest| rest.retry_after);
        let open: Vec<&Gap> = story.gaps.iter().filter(|gap| !gap.reason.is_final()).collect();
        let slots: u64 = open.iter().map(|gap| story.grid.count(gap.range)).sum();
        let detail = format!(
            "{}: {slots} of {} klines are missing: {}",
            story.series,
            story.grid.count(story.range),
            open.first().map(|gap| gap.reason.to_string()).unwrap_or_default()
        );
        let mut problem = match story.rows {
            0 => Problem::unavailable(detail, retry_after),
            _ => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "incomplete",
                "Something is missing",
                detail,
            )
            .retry_after(retry_after.unwrap_or(RETRY_USUAL))
            .hint("completeness=best_effort answers with what was found"),
        };
        let tried = open.iter().filter_map(|gap| match &gap.reason {
            GapReason::NoUpstreamLeft(tried) => Some(tried),
            _ => None,
        });
        problem.0.reasons = Reason::list(tried.flatten());
        let gaps = open.iter().take(LISTED_MAX);
        problem.0.missing = Some(Missing {
            rows: story.rows,
            gaps: gaps.map(|gap| json::gap(gap, story.grid, Dialect::Wire)).collect(),
        });
        problem
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.0.hint = Some(words::foreign(&hint.into()));
        self
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// Too much is being asked at once.
    pub(crate) fn overloaded(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "Too much is being asked",
            detail,
        )
        .retry_after(Duration::from_secs(1))
    }

    pub(crate) fn reasons(mut self, reasons: Vec<Reason>) -> Problem {
        self.0.reasons = reasons;
        self
    }

    /// When asking again is worth a try; told in the body and in the header.
    pub(crate) fn retry_after(mut self, after: Duration) -> Problem {
        self.0.retry_after = Some(after);
        self
    }

    /// For a connection that is then closed, where nothing is known of what was asked.
    pub(crate) fn as_bytes(&self) -> Vec<u8> {
        let body = self.0.render("");
        let retry_after = self.0.retry_after.map(seconds);
        let retry_after = retry_after.map_or(String::new(), |after| format!("retry-after: {after}\r\n"));
        format!(
            "HTTP/1.1 {}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n{retry_after}\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.0.status,
            body.len()
        )
        .into_bytes()
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Problem {
        self.0.headers.insert(name, value);
        self
    }

    /// As JSON in one line; `instance` is the path that was asked for.
    pub(crate) fn body(&self, instance: &str) -> String {
        self.0.render(instance)
    }
}

impl Words {
    fn render(&self, instance: &str) -> String {
        let body = ProblemBody {
            kind: format!("urn:evercandle:problem:{}", self.word),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            parameter: self.parameter.as_deref(),
            hint: self.hint.as_deref(),
            reasons: &self.reasons,
            rows: self.missing.as_ref().map(|missing| missing.rows),
            gaps: self.missing.as_ref().map(|missing| &missing.gaps[..]),
            retry_after_seconds: self.retry_after.map(seconds),
        };
        serde_json::to_string(&body).expect("strings and numbers only")
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let said = error.to_string();
        match error {
            Error::BadRequest(_) => Problem::bad_request(said),
            Error::UnknownSymbol { market, .. } => {
                Problem::unknown_symbol(said).hint(format!("/v1/symbols?market={market} lists what there is"))
            }
            Error::Incomplete(answer) | Error::Unavailable(answer) => {
                let mut story = Story::new(answer.series.clone(), answer.range);
                story.add(*answer);
                Problem::missing(&story)
            }
            Error::NoUpstream {
                reasons, retry_after, ..
            } => Problem::unavailable(said, retry_after).reasons(Reason::list(&reasons)),
            Error::Cache(_) | Error::Config(_) => {
                tracing::error!(error = said, "a request failed for a reason of our own");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "The daemon failed", said)
            }
        }
    }
}

/// Why there is no answer (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Which kind of problem it is: a name that stays.
    #[serde(rename = "type")]
    #[schema(example = "urn:evercandle:problem:bad-request")]
    kind: String,
    /// The kind in words.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: &'a str,
    /// What was asked for: the path.
    instance: &'a str,
    /// The parameter that was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// What each upstream said.
    #[serde(skip_serializing_if = "<[Reason]>::is_empty")]
    #[schema(required = false)]
    reasons: &'a [Reason],
    /// How many of the klines that were asked for were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    /// What is missing of them, the first few gaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<GapBody>>)]
    gaps: Option<&'a [Value]>,
    /// In how many seconds asking again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

/// Whole seconds, never too few.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() != 0)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives a refusal its body; every other response passes. `instance` is the path that was asked for.
pub(crate) async fn named(mut response: Response, instance: &str) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return with_body(response, &problem.0, instance);
    }
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || has_words_for_machines(response.headers()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    // What is longer was not written by a library that refuses.
    let words = Limited::new(body, WORDS_MAX).collect().await;
    let words = words.map(|words| words.to_bytes()).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let detail = match (status, words.trim()) {
        (StatusCode::NOT_FOUND, "") => format!("{instance}: there is nothing here; /docs shows what can be asked for"),
        (StatusCode::METHOD_NOT_ALLOWED, "") => {
            format!("{instance}: this method is not served here; see the header Allow")
        }
        (_, "") => status.canonical_reason().unwrap_or("refused").to_owned(),
        (_, words) => words.to_owned(),
    };
    let (word, title) = match status {
        StatusCode::NOT_FOUND => ("not-found", "There is no such thing"),
        StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "This is not how to ask"),
        StatusCode::PAYLOAD_TOO_LARGE => ("body-too-large", "The request's body is too large"),
        status if status.is_client_error() => ("bad-request", "The request cannot be understood"),
        _ => ("failed", "The daemon failed"),
    };
    let problem = Problem::new(status, word, title, detail);
    with_body(Response::from_parts(parts, Body::empty()), &problem.0, instance)
}

/// Whoever speaks of pages, data or problems knows what it says.
fn has_words_for_machines(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"))
}

fn with_body(response: Response, problem: &Words, instance: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    // A refusal describes a moment.
    parts
        .headers
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(after) = problem.retry_after {
        parts
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds(after)));
    }
    parts.headers.extend(problem.headers.clone());
    Response::from_parts(parts, Body::from(problem.render(instance)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parts(response: Response) -> (u16, HeaderMap, String) {
        let (parts, body) = named(response, "/v1/x").await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status.as_u16(),
            parts.headers,
            String::from_utf8_lossy(&body).into_owned(),
        )
    }

    #[tokio::test]
    async fn a_problem_says_what_where_and_when_to_come_back() {
        let problem = Problem::overloaded("128 requests are being answered").retry_after(Duration::from_millis(1_200));
        let (status, headers, body) = parts(problem.into_response()).await;
        assert_eq!(status, 503);
        assert_eq!(headers[header::RETRY_AFTER], "2");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        let expected = r#"{"type":"urn:evercandle:problem:overloaded","title":"Too much is being asked","status":503,"detail":"128 requests are being answered","instance":"/v1/x","retry_after_seconds":2}"#;
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn refusals_of_libraries_take_the_same_shape_and_keep_their_words() {
        let (_, headers, body) = parts((StatusCode::BAD_REQUEST, "limit: expected a number").into_response()).await;
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert!(body.contains(r#""detail":"limit: expected a number""#), "{body}");
        let (_, _, body) = parts(StatusCode::NOT_FOUND.into_response()).await;
        assert!(body.contains("/docs"), "{body}");
    }

    #[tokio::test]
    async fn answers_and_pages_pass_untouched() {
        for (status, kind) in [(200, "text/plain"), (503, "application/json"), (404, "text/html")] {
            let response = Response::builder().status(status).header("content-type", kind);
            let (left, headers, body) = parts(response.body(Body::from("x")).unwrap()).await;
            assert_eq!(
                (left, headers[header::CONTENT_TYPE].to_str().unwrap(), &body[..]),
                (status, kind, "x")
            );
        }
    }
}
