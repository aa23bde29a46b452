//! Which answers are worth compressing.
//!
//! Texts of some length, and only those: Arrow of doubles hardly gets smaller, Parquet is compressed already, and events
//! would wait in the compressor for more. Fast rather than small: what is compressed is read once.

use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

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
