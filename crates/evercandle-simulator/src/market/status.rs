//! Whether a symbol trades, and since when it does not.
//!
//! Most symbols follow from the table: they trade from listing to ending. A test can stop one by hand at an instant; its
//! klines end there, in the middle of a minute if need be, and go on where it is set trading again.

use serde::{Deserialize, Serialize};

use super::halts::{Halt, HaltKind};
use super::symbols::{ExchangeMarket, SymbolSpec};

/// What `exchangeInfo` says about a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SymbolStatus {
    /// It trades.
    Trading,
    /// It stands still for a while.
    Halt,
    /// It was taken off: on spot the state of everything delisted.
    Break,
    /// A futures contract that has ended.
    Settling,
}

impl SymbolStatus {
    /// `TRADING`, `HALT`, `BREAK` or `SETTLING`.
    pub fn name(self) -> &'static str {
        match self {
            SymbolStatus::Trading => "TRADING",
            SymbolStatus::Halt => "HALT",
            SymbolStatus::Break => "BREAK",
            SymbolStatus::Settling => "SETTLING",
        }
    }

    /// Reads one of the four words.
    pub fn from_name(text: &str) -> Option<Self> {
        [Self::Trading, Self::Halt, Self::Break, Self::Settling]
            .into_iter()
            .find(|status| status.name() == text)
    }
}

/// A stretch in which one symbol was stopped by hand.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    pub(super) market: ExchangeMarket,
    pub(super) symbol: String,
    pub(super) status: SymbolStatus,
    pub(super) start: i64,
    /// The end of time while it lasts.
    pub(super) end: i64,
}

impl Stop {
    pub(super) fn concerns(&self, market: ExchangeMarket, symbol: &str) -> bool {
        self.market == market && self.symbol == symbol
    }

    pub(super) fn lasts(&self) -> bool {
        self.end == i64::MAX
    }

    /// The same as a halt that happens to one symbol.
    pub(super) fn halt(&self) -> Halt {
        Halt {
            market: self.market,
            start: self.start,
            end: self.end,
            kind: HaltKind::Absent,
        }
    }
}

/// The status that follows from the table, and from a stop in force at `now`.
pub(super) fn status(spec: &SymbolSpec, stops: &[Stop], now: i64) -> SymbolStatus {
    let stopped = stops
        .iter()
        .rev()
        .find(|stop| stop.concerns(spec.market, &spec.name) && (stop.start..stop.end).contains(&now));
    match (stopped, spec.trades_at(now), spec.market) {
        (Some(stop), _, _) => stop.status,
        (None, true, _) => SymbolStatus::Trading,
        (None, false, ExchangeMarket::Spot) => SymbolStatus::Break,
        (None, false, _) => SymbolStatus::Settling,
    }
}
