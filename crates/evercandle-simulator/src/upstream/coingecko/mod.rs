//! CoinGecko: prices of an index, by coin id.
//!
//! Two hosts share the routes: the public one takes no key or a demo key, the other insists on a paid one. What makes it
//! hard to read is what it leaves out without a word: unknown ids and currencies are absent from a 200, a blank after a
//! comma makes an id unknown on one route and not on the next, and whole numbers come without a point.

mod coins;
mod error;
mod keys;
mod markets;
mod parameters;
mod simple;
mod venues;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::CoinGeckoRules;
use crate::fault::Effect;
use crate::message::{Request, Response};
use crate::politeness::Politeness;
use crate::time::{HOUR, MINUTE, SECOND};
use crate::upstream::{Answer, World};
use error::Refusal;
pub(crate) use error::{refusal, too_many};
use keys::Keys;
use parameters::Parameters;

/// The service with its keys.
pub(crate) struct CoinGecko {
    keys: Keys,
}

/// The question as every route sees it.
struct Asked<'a> {
    world: &'a World,
    parameters: Parameters,
    effects: &'a [Effect],
    /// The moment prices are looked up at: now, unless a fault says otherwise.
    shown: i64,
}

impl CoinGecko {
    pub(crate) fn new(rules: CoinGeckoRules, record: &Arc<Politeness>) -> Self {
        Self {
            keys: Keys::new(rules, Arc::clone(record)),
        }
    }

    /// The name of the quota that a request is charged to.
    pub(crate) fn pool_name(request: &Request) -> String {
        Keys::pool_name(request)
    }

    pub(crate) fn respond(&self, world: &World, request: &Request, effects: &[Effect], now: i64) -> Answer {
        let free = |response| Answer { response, weight: 0 };
        if let Err(refusal) = self.keys.admit(request) {
            return free(refusal.response(now));
        }
        if let Some(response) = self.keys.charge(request, now) {
            return Answer { response, weight: 1 };
        }
        let hours = effects.iter().fold(0i64, |hours, effect| match effect {
            Effect::StalePrice { hours: more } => hours.saturating_add(*more),
            _ => hours,
        });
        let asked = Asked {
            world,
            parameters: Parameters::of(request),
            effects,
            shown: now.saturating_sub(hours.saturating_mul(HOUR)).clamp(0, now.max(0)),
        };
        let response = match self.route(&asked, request) {
            Ok(value) => cached(
                Response::new(200, "application/json; charset=utf-8", value.to_string()),
                now,
            ),
            Err(refusal) => refusal.response(now),
        };
        Answer { response, weight: 1 }
    }

    fn route(&self, asked: &Asked<'_>, request: &Request) -> Result<Value, Refusal> {
        let path = request.decoded_path();
        let Some(route) = path.strip_prefix("/api/v3/") else {
            return Err(Refusal::UnknownPath);
        };
        let parts: Vec<&str> = route.trim_end_matches('/').split('/').collect();
        match parts[..] {
            ["ping"] => Ok(json!({ "gecko_says": "(V3) To the Moon!" })),
            ["simple", "price"] => simple::price(asked),
            ["simple", "supported_vs_currencies"] => Ok(json!(asked.world.market.index_currencies())),
            ["coins", "list"] => Ok(coins::list(asked)),
            ["coins", "markets"] => markets::answer(asked),
            ["coins", id] => coins::one(asked, id),
            // Forgetting a parameter is the caller's fault, and answered as if it were the server's.
            ["coins", _, "ohlc"] if asked.parameters.get("vs_currency").is_none() => Err(Refusal::Internal),
            ["coins", _, "ohlc"] if asked.parameters.get("days").is_none() => Err(Refusal::Internal),
            ["exchanges", "binance", "tickers"] => Ok(venues::tickers(asked)),
            ["exchanges", _, "tickers"] => Err(Refusal::NotFound("exchange not found")),
            ["key"] if keys::is_pro(request) => Ok(self.keys.report(request)),
            _ => Err(Refusal::UnknownPath),
        }
    }
}

/// Everything is served from an edge whose copies get older than they promise.
fn cached(response: Response, now: i64) -> Response {
    let age = now.div_euclid(SECOND).rem_euclid(MINUTE / SECOND);
    response
        .with("Cache-Control", "max-age=30, public, must-revalidate, s-maxage=60")
        .with("Age", age)
        .with("Cf-Cache-Status", "HIT")
        .with("Server", "cloudflare")
}

/// A price as CoinGecko prints it: whole when large, six digits when small, or as many places as asked for.
fn printed(price: f64, precision: Option<&str>) -> Value {
    let places = match precision {
        Some("full") => return json!(price),
        Some(places) => places.parse::<i32>().ok().filter(|places| (0..=18).contains(places)),
        None => None,
    };
    let places = match places {
        Some(places) => places,
        None if price.abs() >= 1000.0 => 0,
        None => (5 - price.abs().max(1e-12).log10().floor() as i32).clamp(0, 18),
    };
    let factor = 10f64.powi(places);
    whole((price * factor).round() / factor)
}

/// A number without a point where there is nothing behind it.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        json!(number as i64)
    } else {
        json!(number)
    }
}

/// Puts what a fault wants in the place of a price.
fn bent(price: Value, effects: &[Effect]) -> Value {
    effects.iter().fold(price, |price, effect| match effect {
        Effect::PriceText { text } => json!(text),
        _ => price,
    })
}

/// Whether a fault hides a coin from answers about many.
fn hidden(id: &str, effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::MissingTicker { symbol } if symbol == id))
}
