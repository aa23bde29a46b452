//! Words that parameters take, for the OpenAPI document; `Parameters` reads them.

use serde::Serialize;
use utoipa::ToSchema;

/// A part of the exchange.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum MarketWord {
    /// Spot pairs.
    Spot,
    /// USD-margined futures.
    Um,
    /// Coin-margined futures.
    Cm,
}

/// Whether something else will do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum Allowance {
    /// Yes, labelled.
    Allow,
    /// No.
    Refuse,
}
