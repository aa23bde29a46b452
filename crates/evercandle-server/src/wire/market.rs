//! Words that parameters take, for the OpenAPI document; `Parameters` reads them.

use serde::Serialize;
use utoipa::ToSchema;

/// A symbol as the exchange spells it, or as `BTC/USDT`, `BTC/USDT:USDT`, `BTCUSD_PERP`.
#[derive(Serialize, ToSchema)]
#[schema(
    example = "BTCUSDT",
    min_length = 1,
    max_length = 50,
    pattern = r"^([A-Za-z0-9_/:-]|[^\u0000-\u007f])+$"
)]
pub(crate) struct SymbolWord(String);

/// Symbols, separated by commas.
#[derive(Serialize, ToSchema)]
#[schema(
    example = "BTCUSDT,ETHUSDT",
    min_length = 1,
    pattern = r"^([A-Za-z0-9_/:, -]|[^\u0000-\u007f])+$"
)]
pub(crate) struct SymbolWords(String);

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
