//! Words that parameters take, for the OpenAPI document; `Parameters` reads them.

#![allow(dead_code, reason = "only their shapes are used")]

use serde::Serialize;
use utoipa::ToSchema;

/// A part of the exchange.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
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
pub(crate) enum Allowance {
    /// Yes, labelled.
    Allow,
    /// No.
    Refuse,
}
