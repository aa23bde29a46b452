//! Headers that say how current an answer is, for caches and for whoever reads no bodies.
//!
//! `Age` and `Cache-Status` (RFC 9211) are what HTTP has for it; `Evercandle-State` and `Evercandle-Nature` say what HTTP
//! has no words for, as structured lists (RFC 9651). A value is never called fresh that is not, and a substitute never
//! the exchange's.

use axum::http::header::{AGE, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use evercandle::Via;

pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
pub(crate) const STATE: HeaderName = HeaderName::from_static("evercandle-state");
pub(crate) const NATURE: HeaderName = HeaderName::from_static("evercandle-nature");

pub(crate) const COMPLETE: HeaderName = HeaderName::from_static("evercandle-complete");
pub(crate) const ROWS: HeaderName = HeaderName::from_static("evercandle-rows");
pub(crate) const SEGMENTS: HeaderName = HeaderName::from_static("evercandle-segments");
pub(crate) const GAPS: HeaderName = HeaderName::from_static("evercandle-gaps");
/// All of them.
pub(crate) const TOLD: [HeaderName; 7] = [CACHE_STATUS, STATE, NATURE, COMPLETE, ROWS, SEGMENTS, GAPS];

/// Where an answer's parts came from, as `Cache-Status` says it.
pub(crate) fn cache_status(vias: impl IntoIterator<Item = Via>) -> HeaderValue {
    let (mut held, mut fetched) = (false, false);
    for via in vias {
        match via {
            Via::Cache => held = true,
            Via::Upstream => fetched = true,
        }
    }
    HeaderValue::from_static(match (held, fetched) {
        (true, false) => "evercandle; hit",
        (true, true) => "evercandle; fwd=partial",
        (false, _) => "evercandle; fwd=miss",
    })
}

/// Nobody answered, and what was known before is served.
pub(crate) const SERVED_STALE: HeaderValue = HeaderValue::from_static("evercandle; fwd=stale; detail=last_known");

/// How old the oldest part is, and that it should be asked for again rather than kept.
pub(crate) fn aged(headers: &mut HeaderMap, age: Option<u64>) {
    if let Some(seconds) = age {
        headers.insert(AGE, HeaderValue::from(seconds));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

/// A structured list of distinct words.
pub(crate) fn words(words: impl IntoIterator<Item = &'static str>) -> Option<HeaderValue> {
    let mut distinct: Vec<&str> = Vec::new();
    for word in words {
        if !distinct.contains(&word) {
            distinct.push(word);
        }
    }
    (!distinct.is_empty()).then(|| HeaderValue::from_str(&distinct.join(", ")).ok())?
}
