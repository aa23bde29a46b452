//! Who may ask, and how often.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::error::{Refusal, too_many};
use crate::config::{CoinGeckoRules, Throttling};
use crate::message::{Request, Response};
use crate::politeness::Politeness;
use crate::time::{MINUTE, SECOND};

const PRO_HOST: &str = "pro-api.coingecko.com";
/// Keys whose calls are counted; a test that invents more starts counting anew.
const KEYS_MAX: usize = 10_000;

/// What kind of key a request presents.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    None,
    Demo(String),
    Pro(String),
}

/// The keys with their calls of the minute.
pub(super) struct Keys {
    rules: CoinGeckoRules,
    /// Minute and calls in it, and calls ever, by pool.
    calls: Mutex<HashMap<String, (i64, u32, u64)>>,
    record: Arc<Politeness>,
}

/// Whether a request goes to the paid host.
pub(super) fn is_pro(request: &Request) -> bool {
    request.host == PRO_HOST
}

impl Keys {
    pub(super) fn new(rules: CoinGeckoRules, record: Arc<Politeness>) -> Self {
        Self {
            rules,
            calls: Mutex::default(),
            record,
        }
    }

    pub(super) fn pool_name(request: &Request) -> String {
        match presented(request) {
            Key::None => "coingecko".to_owned(),
            Key::Demo(key) | Key::Pro(key) => format!("coingecko:{key}"),
        }
    }

    /// Whether key and host go together.
    pub(super) fn admit(&self, request: &Request) -> Result<(), Refusal> {
        match (self.known(presented(request))?, is_pro(request)) {
            (Key::None, true) => Err(Refusal::NoKey),
            (Key::Demo(_), true) => Err(Refusal::DemoKeyAtProHost),
            (Key::Pro(_), false) => Err(Refusal::ProKeyAtPublicHost),
            _ => Ok(()),
        }
    }

    /// Where keys are listed, the list decides what a key is, not the name it is sent under.
    fn known(&self, key: Key) -> Result<Key, Refusal> {
        let (Key::Demo(text) | Key::Pro(text)) = &key else {
            return Ok(key);
        };
        if self.rules.demo_keys.is_empty() && self.rules.pro_keys.is_empty() {
            return Ok(key);
        }
        if self.rules.demo_keys.contains(text) {
            return Ok(Key::Demo(text.clone()));
        }
        if self.rules.pro_keys.contains(text) {
            return Ok(Key::Pro(text.clone()));
        }
        Err(Refusal::BadKey)
    }

    /// Counts a call; the refusal if it is one too many.
    pub(super) fn charge(&self, request: &Request, now: i64) -> Option<Response> {
        let pool = Self::pool_name(request);
        let limit = self.limit(request);
        let minute = now.div_euclid(MINUTE);
        let mut calls = self.calls.lock();
        if calls.len() >= KEYS_MAX && !calls.contains_key(&pool) {
            calls.clear();
        }
        let count = calls.entry(pool.clone()).or_default();
        if count.0 != minute {
            (count.0, count.1) = (minute, 0);
        }
        count.1 = count.1.saturating_add(1);
        count.2 += 1;
        self.record.used(&pool, minute * MINUTE, count.1, limit);
        if count.1 <= limit {
            return None;
        }
        let wait = ((minute + 1) * MINUTE - now + SECOND - 1) / SECOND;
        Some(match self.rules.throttling {
            Throttling::RetryAfter => too_many(Some(wait), now),
            Throttling::NoHeader => too_many(None, now),
            Throttling::PlainText => Response::new(429, "text/plain", "Throttled"),
        })
    }

    /// What `/key` says.
    pub(super) fn report(&self, request: &Request) -> Value {
        let limit = self.limit(request);
        let used = self
            .calls
            .lock()
            .get(&Self::pool_name(request))
            .map_or(0, |count| count.2);
        let credit = 500_000u64;
        json!({
            "plan": "Analyst", "rate_limit_request_per_minute": limit, "monthly_call_credit": credit,
            "current_total_monthly_calls": used, "current_remaining_monthly_calls": credit.saturating_sub(used),
            "api_key_rate_limit_request_per_minute": limit, "api_key_monthly_call_credit": credit,
            "current_api_key_total_monthly_calls": used,
        })
    }

    fn limit(&self, request: &Request) -> u32 {
        match presented(request) {
            Key::None => self.rules.keyless_per_minute,
            _ if is_pro(request) => self.rules.pro_per_minute,
            _ => self.rules.demo_per_minute,
        }
    }
}

fn presented(request: &Request) -> Key {
    let pairs = request.query_pairs();
    let sent = |header: &str| {
        let parameter = header.replace('-', "_");
        let in_query = pairs.iter().find(|(name, _)| *name == parameter);
        let found = request.header(header).or(in_query.map(|(_, value)| value.as_str()));
        found.filter(|key| !key.is_empty()).map(str::to_owned)
    };
    if let Some(key) = sent("x-cg-pro-api-key") {
        return Key::Pro(key);
    }
    sent("x-cg-demo-api-key").map_or(Key::None, Key::Demo)
}
