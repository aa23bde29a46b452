//! How the daemon says no: RFC 9457, with what each upstream said where upstreams were asked.
//!
//! A handler returns a [`Problem`]; [`named`] gives it the path it is about, and turns whatever a library refused in plain
//! text (an unknown path, a parameter of the wrong type) into the same shape.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;

/// Longer refusals of libraries are cut.
const WORDS_MAX: usize = 4 * 1024;
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

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
    reasons: Vec<Reason>,
    retry_after: Option<Duration>,
    headers: HeaderMap,
}

/// What one upstream said.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reason {
    pub(crate) provider: String,
    pub(crate) what: String,
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
            detail: detail.into(),
            reasons: Vec::new(),
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

    #[allow(dead_code, reason = "for the answers that come from upstreams")]
    pub(crate) fn reasons(mut self, reasons: Vec<Reason>) -> Problem {
        self.0.reasons = reasons;
        self
    }

    /// When asking again is worth a try; told in the body and in the header.
    pub(crate) fn retry_after(mut self, after: Duration) -> Problem {
        self.0.retry_after = Some(after);
        self
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Problem {
        self.0.headers.insert(name, value);
        self
    }
}

impl Words {
    fn render(&self, instance: &str) -> String {
        let wire = Wire {
            kind: format!("urn:evercandle:problem:{}", self.word),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            reasons: &self.reasons,
            retry_after_seconds: self.retry_after.map(seconds),
        };
        serde_json::to_string(&wire).expect("strings and numbers only")
    }
}

/// As it is sent.
#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[Reason]>::is_empty")]
    reasons: &'a [Reason],
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
