//! `/v1/sentiment`: how the market feels, by which measure.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use evercandle::{Secondary, SentimentRequest, SentimentState, Via};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::freshness::{self, CACHE_STATUS, READINGS, SERVED_STALE, STATE};
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemBody};
use crate::wire::market::Allowance;
use crate::wire::sentiment::SentimentBody;

const NAMES: &[&str] = &["count", "secondary"];
/// Readings of one answer: more days than there are.
const COUNT_MAX: u64 = 10_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sentiment))
}

/// How the market feels.
///
/// The Fear & Greed Index, else another measure, labelled as what it is, else the last reading known, with its age.
/// Measures are never blended, and there is no neutral default. Where fewer readings are known than were asked for,
/// `fewer` says why.
#[utoipa::path(
    get, path = "/v1/sentiment", tag = "data",
    params(
        ("count" = Option<u32>, Query, description = "how many readings, newest first; 1 unless said otherwise", minimum = 1, maximum = 10000),
        ("secondary" = Option<Allowance>, Query, description = "whether another measure will do; allow unless said otherwise"),
    ),
    responses(
        (status = 200, description = "what could be had", body = SentimentBody, headers(
            ("Age" = u64, description = "seconds since remembered readings were fetched"),
            ("Cache-Status" = String, description = "whether they were remembered (RFC 9211)"),
            ("Evercandle-State" = String, description = "as `state`"),
            ("Evercandle-Readings" = String, description = "how many there are, how many were asked for, and why there are fewer (RFC 9651)"),
        )),
        (status = 400, description = "the question makes no sense", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "nobody could tell; what each upstream said is inside", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn sentiment(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), NAMES)?;
    let words = [("allow", Secondary::Allow), ("refuse", Secondary::Refuse)];
    let count = parameters.number("count", 1, COUNT_MAX)?.unwrap_or(1);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let request = SentimentRequest {
        count,
        secondary: parameters.one_of("secondary", &words)?.unwrap_or_default(),
        deadline: None,
    };
    let answer = app.client().sentiment(request).await?;
    let body = SentimentBody::new(&answer, count);
    let found = answer.sentiment;
    let mut headers = HeaderMap::new();
    let since = app.client().clock().now().since(found.fetched_at) / 1_000_000;
    let age = (found.via == Via::Cache).then(|| u64::try_from(since).unwrap_or(0));
    freshness::aged(&mut headers, age);
    let status = match found.state {
        SentimentState::LastKnown => SERVED_STALE,
        _ => freshness::cache_status([found.via]),
    };
    headers.insert(CACHE_STATUS, status);
    headers.insert(STATE, HeaderValue::from_static(found.state.as_str()));
    let fewer = body.fewer.as_ref();
    let why = fewer.map_or(String::new(), |fewer| format!(";why={}", fewer.why.as_str()));
    if let Ok(readings) = HeaderValue::from_str(&format!("{};asked={count}{why}", body.readings.len())) {
        headers.insert(READINGS, readings);
    }
    Ok((headers, Json(body)).into_response())
}
