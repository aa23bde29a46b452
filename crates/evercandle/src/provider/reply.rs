//! What came back: a status, a body, and what headers say of time.

use std::time::Duration;

use super::FetchError;
use super::http::HeaderMap;
use crate::clock::Clock;
use crate::model::range::Timestamp;
use bytes::Bytes;

/// The longest time an upstream can make us stay away: Binance's longest ban.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3 * 24 * 3600);
/// The shortest, so that a zero cannot mean a busy loop.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
    /// Host and path that were asked, for messages.
    pub place: String,
    pub(super) headers: HeaderMap,
}

/// How an upstream's status codes deviate from the default meaning; see [`Reply::refusal`].
#[derive(Clone, Copy, Debug)]
pub struct StatusRules {
    /// How long to stay away when told to, but not for how long.
    pub throttled_for: Duration,
    /// Whether a 5xx may be gone on the next try. A CDN keeps its errors for seconds.
    pub retry_server_errors: bool,
}

impl Reply {
    /// A header's value, if there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// When it was sent, by its own account.
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.header("date")?)
    }

    /// What time it was at the origin when this arrived: when it was sent, and how long caches on the way have kept it
    /// since (RFC 9111, `Age`). Older than the truth at worst, never younger.
    pub fn now(&self) -> Option<Timestamp> {
        let age: i64 = self.header("age").and_then(|a| a.trim().parse().ok()).unwrap_or(0);
        let micros = age.clamp(0, 10 * 365 * 86_400) * 1_000_000;
        Some(self.date()?.plus(micros))
    }

    /// What the server asked us to wait, within sane bounds; seconds or a date, as RFC 9110 allows.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        let asked = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                // Measured by the server's own clock where it shows it, so that ours may be wrong.
                let now = self.date().unwrap_or_else(|| Clock::system().now());
                let micros = http_date(text)?.since(now).max(0);
                Duration::from_micros(micros.unsigned_abs())
            }
        };
        Some(bounded(asked))
    }

    /// The usual meaning of a status that is not 200; `None` for 200. Providers that know better look first.
    pub fn refusal(&self, rules: StatusRules) -> Option<FetchError> {
        let why = || format!("{}: HTTP {}{}", self.place, self.status, self.excerpt());
        Some(match self.status {
            200 => return None,
            404 => FetchError::Absent(format!("{}: HTTP 404", self.place)),
            403 | 418 | 429 | 451 => FetchError::Throttled {
                retry_after: self.retry_after().unwrap_or(bounded(rules.throttled_for)),
                told: self.retry_after().is_some(),
                why: why(),
            },
            408 | 500.. => FetchError::Unreachable {
                why: why(),
                retry: rules.retry_server_errors,
            },
            400..500 => FetchError::Rejected(why()),
            // Redirects are not followed, and nothing else was asked for.
            _ => FetchError::Unreachable {
                why: why(),
                retry: false,
            },
        })
    }

    /// The beginning of the body, for messages: one line of printable characters.
    pub fn excerpt(&self) -> String {
        const CHARS: usize = 160;
        let head = &self.body[..self.body.len().min(4 * CHARS)];
        let text: String = String::from_utf8_lossy(head)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .filter(|c| !c.is_control())
            .take(CHARS)
            .collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }

    /// The body, if it is the text it should be.
    pub fn text(&self) -> Result<&str, FetchError> {
        if self.is_html() {
            let why = format!("{}: a web page instead of JSON{}", self.place, self.excerpt());
            return Err(FetchError::Corrupt(why));
        }
        std::str::from_utf8(&self.body).map_err(|e| FetchError::Corrupt(format!("{}: not text: {e}", self.place)))
    }

    /// Whether the body is a web page, whatever was asked for.
    pub fn is_html(&self) -> bool {
        let head = self.body[..self.body.len().min(512)].trim_ascii_start();
        let begins = |with: &[u8]| head.len() >= with.len() && head[..with.len()].eq_ignore_ascii_case(with);
        begins(b"<!doctype html") || begins(b"<html") || begins(b"<head")
    }
}

/// Between one second and three days.
pub fn bounded(wait: Duration) -> Duration {
    wait.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)
}

fn http_date(text: &str) -> Option<Timestamp> {
    // A wrong day of the week is the server's mistake and does not make the date less clear.
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let parsed = parser.parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(parsed.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const RULES: StatusRules = StatusRules {
        throttled_for: Duration::from_secs(30),
        retry_server_errors: true,
    };

    fn reply(status: u16, headers: &[(&'static str, &str)]) -> Reply {
        let pairs = headers.iter().map(|(name, value)| {
            let name = reqwest::header::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        Reply {
            status,
            body: Bytes::new(),
            place: "example.org/x".into(),
            headers: pairs.collect(),
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_kept_within_bounds() {
        let date = ("date", "Tue, 11 Jan 2022 21:04:50 GMT");
        for (text, expected) in [
            ("7", Some(7)),
            (" 120 ", Some(120)),
            ("0", Some(1)),
            ("99999999", Some(3 * 24 * 3600)),
            ("Tue, 11 Jan 2022 21:05:50 GMT", Some(60)),
            ("Tue, 11 Jan 2022 21:00:00 GMT", Some(1)),
            ("Tue, 11 Jan 2032 21:00:00 GMT", Some(3 * 24 * 3600)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            let found = reply(429, &[("retry-after", text), date]).retry_after();
            assert_eq!(found.map(|d| d.as_secs()), expected, "{text:?}");
        }
        assert_eq!(reply(429, &[]).retry_after(), None);
    }

    #[test]
    fn each_status_leads_to_one_decision() {
        for (status, kind, again) in [
            (404, "absent", false),
            (400, "rejected", false),
            (401, "rejected", false),
            (403, "throttled", false),
            (408, "unreachable", true),
            (418, "throttled", false),
            (429, "throttled", false),
            (451, "throttled", false),
            (500, "unreachable", true),
            (503, "unreachable", true),
            (204, "unreachable", false),
            (301, "unreachable", false),
        ] {
            let refusal = reply(status, &[]).refusal(RULES).unwrap();
            let policy = refusal.policy();
            assert_eq!((policy.kind, policy.retry), (kind, again), "{status}");
            assert!(refusal.to_string().contains("example.org/x"), "{refusal}");
        }
        assert_eq!(reply(200, &[]).refusal(RULES), None);
        match reply(429, &[]).refusal(RULES) {
            Some(FetchError::Throttled { retry_after, .. }) => assert_eq!(retry_after.as_secs(), 30),
            other => panic!("{other:?}"),
        }
    }
}
