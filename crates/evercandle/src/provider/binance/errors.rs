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
    let throttled = |wait: Duration, why| FetchError::Throttled {
        retry_after: http::bounded(wait),
        why,
    };
    match (status, code) {
        (451, _) => throttled(RESTRICTED_FOR, why),
        (403, _) => throttled(retry_after.unwrap_or(FIREWALLED_FOR), why),
        (418 | 429, _) | (_, Some(-1003)) => {
            let told = retry_after.or_else(|| banned_for(&parsed.as_ref()?.msg, now));
            let guessed = if status == 418 { BANNED_FOR } else { LIMITED_FOR };
            throttled(told.unwrap_or(guessed), why)
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
