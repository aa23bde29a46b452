//! The refusals of CoinGecko, which has not settled on a shape.

use serde_json::json;

use crate::fault::ErrorShape;
use crate::message::Response;
use crate::time::iso;

const TOO_MANY: &str = "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to \
    subscribe to our API plans for higher rate limits.";

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    MissingParameter(&'static str),
    InvalidCurrency,
    NotFound(&'static str),
    UnknownPath,
    NoKey,
    BadKey,
    /// A paid key at the public host.
    ProKeyAtPublicHost,
    /// A demo key at the paid host.
    DemoKeyAtProHost,
    Internal,
}

impl Refusal {
    pub(super) fn response(&self, now: i64) -> Response {
        use ErrorShape::{Flat, Server, Status};
        let (status, shape, code, message) = match self {
            Refusal::MissingParameter(name) => (422, Flat, 0, format!("Missing parameter {name}")),
            Refusal::InvalidCurrency => (400, Flat, 0, "invalid vs_currency".to_owned()),
            Refusal::NotFound(what) => (404, Flat, 0, (*what).to_owned()),
            Refusal::UnknownPath => {
                let sentence = "Incorrect path. Please check https://www.coingecko.com/api/";
                (404, Flat, 0, sentence.to_owned())
            }
            Refusal::NoKey => (401, Status, 10_002, "API Key Missing".to_owned()),
            Refusal::BadKey => (401, Status, 10_002, "Invalid API Key".to_owned()),
            Refusal::ProKeyAtPublicHost => {
                let sentence = "If you are using Pro API key, please change your root URL from api.coingecko.com to \
                    pro-api.coingecko.com";
                (401, Status, 10_010, sentence.to_owned())
            }
            Refusal::DemoKeyAtProHost => {
                let sentence = "If you are using Demo API key, please change your root URL from pro-api.coingecko.com to \
                    api.coingecko.com";
                (401, Status, 10_011, sentence.to_owned())
            }
            Refusal::Internal => (500, Server, 0, String::new()),
        };
        let response = shaped(shape, status, code, &message, now);
        response.with("Cache-Control", "no-cache")
    }
}

/// A refusal in one of the shapes.
fn shaped(shape: ErrorShape, status: u16, code: i64, message: &str, now: i64) -> Response {
    let body = match shape {
        ErrorShape::Flat => json!({ "error": message }),
        ErrorShape::Status if status == 429 => json!({ "status": { "error_code": code, "error_message": message } }),
        ErrorShape::Status => {
            json!({ "status": { "timestamp": iso(now), "error_code": code, "error_message": message } })
        }
        ErrorShape::Nested => {
            let status = json!({ "timestamp": iso(now), "error_code": code, "error_message": message });
            json!({ "error": { "status": status } })
        }
        ErrorShape::Server => json!({ "status": status, "error": "Internal Server Error" }),
    };
    Response::new(status, "application/json; charset=utf-8", body.to_string())
}

/// A refusal that a fault asks for.
pub(crate) fn refusal(
    shape: ErrorShape,
    status: u16,
    code: i64,
    message: &str,
    retry_after: Option<i64>,
    now: i64,
) -> Response {
    let sentence = if message.is_empty() && status == 429 {
        TOO_MANY
    } else {
        message
    };
    let response = shaped(shape, status, code, sentence, now);
    match retry_after {
        Some(seconds) => response.with("Retry-After", seconds),
        None => response,
    }
}

/// The 429 of its own accord.
pub(crate) fn too_many(retry_after: Option<i64>, now: i64) -> Response {
    refusal(ErrorShape::Status, 429, 429, TOO_MANY, retry_after, now)
}
