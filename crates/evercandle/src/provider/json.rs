//! An upstream's JSON: how a body is read, and how one that is not what was expected is named.
//!
//! A number that becomes a value of ours is taken as the text it was printed as, never as a double first. Some upstreams
//! put quotes around numbers and some do not, and some have changed their mind; both are read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::FetchError;

/// Characters of a parser's complaint that are passed on; it may quote the body.
const COMPLAINT_CHARS_MAX: usize = 200;

/// Reads a body; fields that are not known are ignored.
pub(super) fn read<'a, T: Deserialize<'a>>(place: &str, body: &'a str) -> Result<T, FetchError> {
    serde_json::from_str(body).map_err(|e| {
        let why: String = e.to_string().chars().take(COMPLAINT_CHARS_MAX).collect();
        FetchError::Corrupt(format!("{place}: not the JSON expected: {why}"))
    })
}

/// A value as printed, without the quotes of a string. An escaped character stays as it is and is then not a digit.
pub(super) fn printed(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// A value as printed, for messages: short, whatever it is.
pub(super) fn shown(raw: Option<&RawValue>) -> String {
    const CHARS: usize = 40;
    raw.map_or_else(|| "nothing".to_owned(), |raw| raw.get().chars().take(CHARS).collect())
}

/// A finite double, for what is not a price.
pub(super) fn number(raw: Option<&RawValue>) -> Option<f64> {
    let value: f64 = fast_float2::parse(printed(raw?)).ok()?;
    value.is_finite().then_some(value)
}

/// A whole number.
pub(super) fn integer(raw: Option<&RawValue>) -> Option<i64> {
    printed(raw?).parse().ok()
}
