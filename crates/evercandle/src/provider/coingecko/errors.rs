//! What CoinGecko means when it does not answer 200.
//!
//! Errors come in four shapes, and none of them is documented for any endpoint: `{"error":"…"}`,
//! `{"status":{"error_code":…,"error_message":"…"}}`, the same inside `{"error":{…}}`, and plain text. So the status
//! decides where it can, and a code of its own where one is found. A code has been seen under a 200, so those are looked
//! through as well.

use std::time::Duration;

use serde_json::Value;

use super::super::FetchError;
use super::super::http::{self, Reply};

/// After a limit that does not say for how long: limits are per minute.
const LIMITED_FOR: Duration = Duration::from_secs(60);
/// After the CDN turned us away, which passes in minutes if at all.
const BLOCKED_FOR: Duration = Duration::from_secs(5 * 60);
/// A limit's error may come under any status, as this text alone.
const THROTTLED: &str = "Throttled";
/// What a 404 says when the endpoint is there and the coin is not. It says nothing about the exchange's symbol.
const NO_SUCH_COIN: &str = "coin not found";
/// Bytes of a body that is looked through for an error; errors are short.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// What an error says about itself.
#[derive(Debug, Default)]
struct Complaint {
    code: Option<u64>,
    message: Option<String>,
}

/// The reply if it is a 200 without a complaint inside; else what follows.
pub(super) fn accept(reply: Reply) -> Result<Reply, FetchError> {
    let body = std::str::from_utf8(&reply.body).unwrap_or_default();
    if reply.status == 200 && !is_complaint(body) {
        return Ok(reply);
    }
    Err(refusal(reply.status, body, reply.retry_after(), &reply.place))
}

/// Whether a body that came with 200 is an error all the same.
fn is_complaint(body: &str) -> bool {
    let text = body.trim();
    text.len() <= ERROR_BYTES_MAX && (text == THROTTLED || complaint(text).code.is_some())
}

/// What follows from a status and a body.
pub(super) fn refusal(status: u16, body: &str, retry_after: Option<Duration>, place: &str) -> FetchError {
    let text = body.trim();
    let said = match text.len() {
        0..=ERROR_BYTES_MAX => complaint(text),
        _ => Complaint::default(),
    };
    let mut why = format!("{place}: HTTP {status}");
    if let Some(code) = said.code {
        why += &format!(": code {code}");
    }
    if let Some(message) = &said.message {
        why += &format!(": {message}");
    }
    let throttled = |guessed, why| FetchError::Throttled {
        retry_after: http::bounded(retry_after.unwrap_or(guessed)),
        told: retry_after.is_some(),
        why,
    };
    match (status, said.code) {
        (429, _) | (_, Some(429)) => throttled(LIMITED_FOR, why),
        _ if text == THROTTLED => throttled(LIMITED_FOR, format!("{why}: {THROTTLED}")),
        (_, Some(code)) if let Some(remedy) = key_remedy(code) => FetchError::Rejected(format!("{why}: {remedy}")),
        (_, Some(10_012)) => FetchError::Rejected(format!("{why}: the range needs a paid plan")),
        (401, _) => FetchError::Rejected(format!("{why}: the key was not accepted, or one is needed")),
        (403 | 418 | 451, _) | (_, Some(1_020)) => throttled(BLOCKED_FOR, why),
        (404, _) if said.message.as_deref() == Some(NO_SUCH_COIN) => FetchError::Absent(why),
        // A parameter that is merely missing is a 500 there, and would be again.
        (500, _) => FetchError::Unreachable { why, retry: false },
        (408 | 501.., _) => FetchError::Unreachable { why, retry: true },
        (400..500, _) => FetchError::Rejected(why),
        (200, _) => FetchError::Corrupt(format!("{why}: an error under a good status")),
        // Redirects are not followed, and nothing else was asked for.
        _ => FetchError::Unreachable { why, retry: false },
    }
}

/// What to do about the key, where the code is about it.
fn key_remedy(code: u64) -> Option<&'static str> {
    Some(match code {
        10_002 => "no key arrived, or not one of its keys: correct the key, or remove it to be asked without one",
        10_005 => "the key's plan does not include this: use another plan, or no key",
        10_010 => "this is a paid key at the public host: give it as the paid key",
        10_011 => "this is a free key at the host for paid ones: give it as the free key",
        _ => return None,
    })
}

/// Reads whichever shape it is.
fn complaint(text: &str) -> Complaint {
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        return Complaint::default();
    };
    let status = [&body["status"], &body["error"]["status"], &body]
        .into_iter()
        .find(|value| value["error_code"].is_u64());
    let message = match status {
        Some(status) => status["error_message"].as_str(),
        None => body["error"].as_str(),
    };
    Complaint {
        code: status.and_then(|status| status["error_code"].as_u64()),
        message: message.map(one_line).filter(|message| !message.is_empty()),
    }
}

fn one_line(text: &str) -> String {
    const CHARS: usize = 200;
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::damage::{change, damaged};
    use super::*;

    fn decided(status: u16, body: &str, retry_after: Option<u64>) -> (&'static str, bool, u64) {
        let error = refusal(status, body, retry_after.map(Duration::from_secs), "host/path");
        assert!(
            error.to_string().starts_with(&format!("host/path: HTTP {status}")),
            "{error}"
        );
        let wait = match &error {
            FetchError::Throttled {
                retry_after: wait,
                told,
                ..
            } => {
                assert_eq!(*told, retry_after.is_some());
                wait.as_secs()
            }
            _ => 0,
        };
        (error.policy().kind, error.policy().retry, wait)
    }

    #[test]
    fn each_status_shape_and_code_leads_to_one_decision() {
        let flat = |text: &str| format!(r#"{{"error":"{text}"}}"#);
        let status = |code: u32| format!(r#"{{"status":{{"error_code":{code},"error_message":"some words"}}}}"#);
        let nested = |code: u32| {
            format!(
                r#"{{"error":{{"status":{{"timestamp":"2024-01-01T00:00:00Z","error_code":{code},"error_message":"some words"}}}}}}"#
            )
        };
        for (code, body, retry_after, expected) in [
            (429, status(429), Some(119), ("throttled", false, 119)),
            (429, status(429), None, ("throttled", false, 60)),
            (429, "Throttled".to_owned(), None, ("throttled", false, 60)),
            (503, "Throttled\n".to_owned(), None, ("throttled", false, 60)),
            (200, status(429), None, ("throttled", false, 60)),
            (200, "Throttled".to_owned(), None, ("throttled", false, 60)),
            (401, status(10_002), None, ("rejected", false, 0)),
            (401, nested(10_005), None, ("rejected", false, 0)),
            (400, status(10_010), None, ("rejected", false, 0)),
            (403, status(10_011), None, ("rejected", false, 0)),
            (401, nested(10_012), None, ("rejected", false, 0)),
            (401, String::new(), None, ("rejected", false, 0)),
            (
                403,
                "<html>Attention Required!</html>".to_owned(),
                None,
                ("throttled", false, 300),
            ),
            (400, "{\"error_code\":1020}".to_owned(), None, ("throttled", false, 300)),
            (403, String::new(), Some(20), ("throttled", false, 20)),
            (404, flat("coin not found"), None, ("absent", false, 0)),
            (404, String::new(), None, ("rejected", false, 0)),
            (400, flat("invalid vs_currency"), None, ("rejected", false, 0)),
            (422, flat("Missing parameter ids"), None, ("rejected", false, 0)),
            (
                500,
                r#"{"status":500,"error":"Internal Server Error"}"#.to_owned(),
                None,
                ("unreachable", false, 0),
            ),
            (408, String::new(), None, ("unreachable", true, 0)),
            (
                502,
                "<html>Bad gateway</html>".to_owned(),
                None,
                ("unreachable", true, 0),
            ),
            (503, status(503), None, ("unreachable", true, 0)),
            (200, status(7), None, ("corrupt", true, 0)),
            (301, String::new(), None, ("unreachable", false, 0)),
        ] {
            assert_eq!(decided(code, &body, retry_after), expected, "{code} {body}");
        }
    }

    #[test]
    fn what_was_said_is_passed_on_with_what_to_do_about_it() {
        let said = |status, body: &str| refusal(status, body, None, "host/path").to_string();
        assert!(said(422, r#"{"error":"Missing parameter ids"}"#).ends_with("HTTP 422: Missing parameter ids"));
        let paid = said(400, r#"{"status":{"error_code":10010,"error_message":"x"}}"#);
        assert!(paid.contains("code 10010: x: this is a paid key"), "{paid}");
        assert!(said(401, "").contains("the key was not accepted"));
        assert!(said(500, &"x".repeat(1 << 20)).len() < 100);
    }

    #[test]
    fn an_answer_is_not_taken_for_a_complaint() {
        for body in [
            r#"{"bitcoin":{"usd":1}}"#,
            "[]",
            "{}",
            r#"{"status":{"usd":1}}"#,
            "",
            r#"{"error":{"usd":1}}"#,
        ] {
            assert!(!is_complaint(body), "{body}");
        }
    }

    proptest! {
        #[test]
        fn damaged_complaints_are_errors_all_the_same(
            changes in prop::collection::vec(change(), 1..6),
            status in 100u16..600,
        ) {
            let body = br#"{"error":{"status":{"error_code":10012,"error_message":"some words"}}}"#;
            let text = String::from_utf8_lossy(&damaged(body.to_vec(), &changes)).into_owned();
            assert!(!refusal(status, &text, None, "host/path").to_string().is_empty());
            is_complaint(&text);
        }
    }
}
