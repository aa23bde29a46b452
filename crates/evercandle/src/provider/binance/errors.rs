//! What the REST interface means when it does not answer 200.
//!
//! The status decides where it can; the body's code where a 400 or a 503 may mean several things. Bodies of 403 are a
//! firewall's web pages and are not read at all.

use std::time::Duration;

use serde::Deserialize;

use super::super::FetchError;
use super::super::http::{self, Reply};
use crate::clock::Clock;
use crate::model::range::Timestamp;

/// After a 429 that does not say for how long: the limits are per minute.
const LIMITED_FOR: Duration = Duration::from_secs(60);
/// After a 418 that does not say for how long: the shortest ban.
const BANNED_FOR: Duration = Duration::from_secs(120);
/// After a 403: the firewall's memory is not published; minutes have been seen.
const FIREWALLED_FOR: Duration = Duration::from_secs(5 * 60);
/// After a 451: nothing changes but by moving house, or by a change of law.
const RESTRICTED_FOR: Duration = Duration::from_secs(24 * 3600);

/// `{"code":-1121,"msg":"Invalid symbol."}`
#[derive(Deserialize)]
struct Body {
    code: i64,
    #[serde(default)]
    msg: String,
}

/// The reply if it is a 200; else what follows.
pub(super) fn accept(reply: Reply) -> Result<Reply, FetchError> {
    if reply.status == 200 {
        return Ok(reply);
    }
    let now = reply.date().unwrap_or_else(|| Clock::system().now());
    let body = std::str::from_utf8(&reply.body).unwrap_or_default();
    Err(refusal(reply.status, body, reply.retry_after(), now, &reply.place))
}

/// The exchange's own code, where a reply carries one.
pub(super) fn code(reply: &Reply) -> Option<i64> {
    let body = serde_json::from_slice::<Body>(&reply.body);
    body.ok().map(|b| b.code).filter(|_| reply.status != 200)
}

/// What follows from a status and a body; `now` is the server's time as well as it is known.
pub(super) fn refusal(
    status: u16,
    body: &str,
    retry_after: Option<Duration>,
    now: Timestamp,
    place: &str,
) -> FetchError {
    let parsed = serde_json::from_str::<Body>(body).ok();
    let code = parsed.as_ref().map(|b| b.code);
    let why = match &parsed {
        Some(Body { code, msg }) => format!("{place}: HTTP {status}: code {code}: {}", one_line(msg)),
        None => format!("{place}: HTTP {status}"),
    };
    let throttled = |told: Option<Duration>, guessed, why| FetchError::Throttled {
        retry_after: http::bounded(told.unwrap_or(guessed)),
        told: told.is_some(),
        why,
    };
    match (status, code) {
        (451, _) => throttled(None, RESTRICTED_FOR, why),
        (403, _) => throttled(retry_after, FIREWALLED_FOR, why),
        (418 | 429, _) | (_, Some(-1003)) => {
            let told = retry_after.or_else(|| banned_for(&parsed.as_ref()?.msg, now));
            let guessed = if status == 418 { BANNED_FOR } else { LIMITED_FOR };
            throttled(told, guessed, why)
        }
        (_, Some(-1121)) => FetchError::UnknownSymbol(why),
        (408 | 500.., _) | (_, Some(-1000 | -1001 | -1006 | -1007 | -1008 | -1016)) => {
            FetchError::Unreachable { why, retry: true }
        }
        (400..500, _) => FetchError::Rejected(why),
        // Redirects are not followed, and nothing else was asked for.
        _ => FetchError::Unreachable { why, retry: false },
    }
}

/// `IP banned until 1659146400000.`, in milliseconds since the epoch.
fn banned_for(message: &str, now: Timestamp) -> Option<Duration> {
    let (_, after) = message.split_once("banned until ")?;
    let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let until = Timestamp::from_millis(after[..digits].parse().ok()?);
    Some(Duration::from_micros(until.since(now).max(0).unsigned_abs()))
}

fn one_line(text: &str) -> String {
    const CHARS: usize = 200;
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn decided(status: u16, body: &str, retry_after: Option<u64>) -> (&'static str, bool, u64) {
        let error = refusal(status, body, retry_after.map(Duration::from_secs), NOW, "host/path");
        assert!(
            error.to_string().contains(&format!("host/path: HTTP {status}")),
            "{error}"
        );
        let wait = match &error {
            FetchError::Throttled { retry_after, .. } => retry_after.as_secs(),
            _ => 0,
        };
        (error.policy().kind, error.policy().retry, wait)
    }

    #[test]
    fn each_status_and_code_leads_to_one_decision() {
        let code = |code: i64| format!("{{\"code\":{code},\"msg\":\"some words\"}}");
        let banned =
            |until: i64| format!("{{\"code\":-1003,\"msg\":\"Way too much; IP banned until {until}. Please\"}}");
        for (status, body, retry_after, expected) in [
            (400, code(-1121), None, ("unknown_symbol", false, 0)),
            (400, code(-1120), None, ("rejected", false, 0)),
            (400, code(-1100), None, ("rejected", false, 0)),
            (400, String::new(), None, ("rejected", false, 0)),
            (404, String::new(), None, ("rejected", false, 0)),
            (429, code(-1003), Some(7), ("throttled", false, 7)),
            (429, code(-1003), None, ("throttled", false, 60)),
            (429, "not json".into(), None, ("throttled", false, 60)),
            (418, banned(1_700_000_090_000), None, ("throttled", false, 90)),
            (418, banned(1_700_000_090_000), Some(33), ("throttled", false, 33)),
            (418, banned(1_600_000_000_000), None, ("throttled", false, 1)),
            (418, banned(1_900_000_000_000), None, ("throttled", false, 259_200)),
            (418, code(-1003), None, ("throttled", false, 120)),
            (400, banned(1_700_000_090_000), None, ("throttled", false, 90)),
            (
                403,
                "<html>Request blocked.</html>".into(),
                None,
                ("throttled", false, 300),
            ),
            (403, String::new(), Some(20), ("throttled", false, 20)),
            (451, code(0), None, ("throttled", false, 86_400)),
            (500, String::new(), None, ("unreachable", true, 0)),
            (503, code(-1008), None, ("unreachable", true, 0)),
            (
                504,
                "<html>Gateway Timeout</html>".into(),
                None,
                ("unreachable", true, 0),
            ),
            (400, code(-1000), None, ("unreachable", true, 0)),
            (400, code(-1001), None, ("unreachable", true, 0)),
            (400, code(-1006), None, ("unreachable", true, 0)),
            (400, code(-1007), None, ("unreachable", true, 0)),
            (400, code(-1016), None, ("unreachable", true, 0)),
            (301, String::new(), None, ("unreachable", false, 0)),
        ] {
            assert_eq!(decided(status, &body, retry_after), expected, "{status} {body}");
        }
    }
}
