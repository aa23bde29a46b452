//! Which answers are worth compressing.
//!
//! Texts of some length, and only those: Arrow of doubles hardly gets smaller, Parquet is compressed already, and events
//! would wait in the compressor for more. Fast rather than small: what is compressed is read once.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use axum::http::{Extensions, HeaderMap, Request, StatusCode, Version};
use axum::response::Response;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

use crate::problem::Problem;

/// Shorter bodies fit into a packet as they are.
const BYTES_MIN: u64 = 1_024;

type IsText = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses what is worth it for whoever can read it.
pub(crate) fn layer() -> CompressionLayer<And<SizeAbove, IsText>> {
    let is_text: IsText = is_text;
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(BYTES_MIN).and(is_text))
}

/// That a caller can read what is served. The layer has a no of its own, but says it of an answer that was made, and of an
/// order that was carried out; so it is asked beforehand, about an answer of nothing.
pub(crate) async fn check(headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return Ok(());
    }
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers.clone();
    let nothing = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let Ok(response) = layer().layer(nothing).oneshot(request).await;
    if response.status() != StatusCode::NOT_ACCEPTABLE {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "not-acceptable",
        "There is no such format",
        "Accept-Encoding refuses everything that is served: gzip, zstd, and no encoding at all",
    )
    .hint("leave the header out, or do not refuse identity"))
}

fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    matches!(
        kind,
        "application/json"
            | "application/x-ndjson"
            | "application/problem+json"
            | "application/openmetrics-text"
            | "application/javascript"
            | "image/svg+xml"
    ) || (kind.starts_with("text/") && kind != "text/event-stream")
}
