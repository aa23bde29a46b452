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
pub(crate) const NOTICES: HeaderName = HeaderName::from_static("evercandle-notices");
pub(crate) const READINGS: HeaderName = HeaderName::from_static("evercandle-readings");
/// All of them.
pub(crate) const TOLD: [HeaderName; 9] = [
    CACHE_STATUS,
    STATE,
    NATURE,
    COMPLETE,
    ROWS,
    SEGMENTS,
    GAPS,
    NOTICES,
    READINGS,
];

/// Bytes of a header that lists something; what does not fit is counted.
const LISTED_BYTES: usize = 2_048;

/// A structured list of bounded length. An empty one is none.
pub(crate) fn list(items: impl ExactSizeIterator<Item = String>) -> Option<HeaderValue> {
    let (mut text, count) = (String::new(), items.len());
    for (i, item) in items.enumerate() {
        if LISTED_BYTES < text.len() + item.len() {
            text.push_str(&format!(", more;count={}", count - i));
            break;
        }
        if 0 < i {
            text.push_str(", ");
        }
        text.push_str(&item);
    }
    let text = text.trim_start_matches(", ");
    (!text.is_empty()).then(|| HeaderValue::from_str(text).ok())?
}

/// Words as an item of a structured list: in quotation marks, and where ASCII has no place for them percent-encoded.
pub(crate) fn quoted(words: &str) -> String {
    let is_plain = |c: char| c.is_ascii() && !c.is_ascii_control();
    if words.chars().all(is_plain) {
        return format!("\"{}\"", words.replace('\\', "\\\\").replace('"', "\\\""));
    }
    // A display string: lower-case hexadecimal.
    let encoded = words.bytes().map(|byte| match byte {
        b'%' | b'"' | ..=0x1f | 0x7f.. => format!("%{byte:02x}"),
        plain => char::from(plain).to_string(),
    });
    format!("%\"{}\"", encoded.collect::<String>())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_structured_fields_of_bounded_length() {
        assert_eq!(quoted(r#"a "b" \c"#), r#""a \"b\" \\c""#);
        assert_eq!(quoted("10 % über\u{7f}"), r#"%"10 %25 %c3%bcber%7f""#);
        let items = |count: usize, length: usize| (0..count).map(move |_| quoted(&"x".repeat(length)));
        assert_eq!(list(items(0, 1)), None);
        assert_eq!(list(items(2, 1)).unwrap(), "\"x\", \"x\"");
        assert_eq!(list(items(2, 3_000)).unwrap(), "more;count=2");
        let cut = list(items(5, 1_000)).unwrap();
        assert!(cut.to_str().unwrap().ends_with("x\", more;count=3"), "{cut:?}");
    }
}
