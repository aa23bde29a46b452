//! What a market lists, and what is watched of it.

use evercandle::Series;
use evercandle::provider::Instrument;
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::price::ViaWord;

/// The instruments of a market.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SymbolsBody {
    /// `spot`, `um` or `cm`.
    pub(crate) market: &'static str,
    /// In alphabetical order.
    pub(crate) symbols: Vec<SymbolBody>,
    /// How many fit the question.
    pub(crate) found: usize,
    /// How many the market lists.
    pub(crate) listed: usize,
    /// How current the listing is: `current`, or `last_known` when nobody could tell now.
    #[schema(example = "current")]
    pub(crate) state: &'static str,
    /// How long ago it was fetched.
    pub(crate) age_seconds: f64,
    /// When; UTC.
    #[schema(format = DateTime)]
    pub(crate) fetched_at: String,
    /// Whether it was asked for now or remembered.
    pub(crate) via: ViaWord,
}

/// An instrument.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SymbolBody {
    /// The exchange's spelling.
    #[schema(example = "BTCUSDT")]
    pub(crate) symbol: String,
    /// What is traded.
    #[schema(example = "BTC")]
    pub(crate) base: String,
    /// What it is paid in.
    #[schema(example = "USDT")]
    pub(crate) quote: String,
    /// The exchange's word; `TRADING` is traded now.
    #[schema(example = "TRADING")]
    pub(crate) status: String,
    /// Since when, where the exchange says; UTC.
    pub(crate) listed_at: Option<String>,
}

impl From<&Instrument> for SymbolBody {
    fn from(instrument: &Instrument) -> SymbolBody {
        SymbolBody {
            symbol: instrument.symbol.clone(),
            base: instrument.base.clone(),
            quote: instrument.quote.clone(),
            status: instrument.status.clone(),
            listed_at: instrument.listed_at.map(|at| at.to_string()),
        }
    }
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct WatchesBody {
    /// Series whose newest klines are kept.
    pub(crate) klines: Vec<SeriesWatchBody>,
    /// Instruments whose price is kept.
    pub(crate) prices: Vec<PriceWatchBody>,
    /// Whether the sentiment is.
    pub(crate) sentiment: bool,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SeriesWatchBody {
    /// The exchange's spelling.
    #[schema(example = "BTCUSDT")]
    pub(crate) symbol: String,
    /// `spot`, `um` or `cm`.
    pub(crate) market: &'static str,
    /// How long each kline is.
    #[schema(example = "1m")]
    pub(crate) interval: &'static str,
}

impl From<&Series> for SeriesWatchBody {
    fn from(series: &Series) -> SeriesWatchBody {
        SeriesWatchBody {
            symbol: series.symbol().to_string(),
            market: series.market().as_str(),
            interval: series.interval().as_str(),
        }
    }
}

/// An instrument.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PriceWatchBody {
    /// The exchange's spelling.
    #[schema(example = "BTCUSDT")]
    pub(crate) symbol: String,
    /// `spot`, `um` or `cm`.
    pub(crate) market: &'static str,
}
