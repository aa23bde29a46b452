//! What an answer of klines looks like as JSON, for the OpenAPI document.
//!
//! Nothing is made of these types: rows are written straight from the columns by `evercandle-formats`. The tests hold
//! what is written against the document that is made of this.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::wire::market::{MarketWord, SymbolWord};
use crate::wire::price::ViaWord;
use crate::wire::reason::Reason;

/// What may be asked.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct KlinesParameters {
    /// What is traded.
    symbol: SymbolWord,
    /// Where it is traded; `spot`, unless the spelling says otherwise.
    market: Option<MarketWord>,
    /// How long each kline is.
    interval: IntervalWord,
    /// When the first kline may open: a date, an RFC 3339 time, or an epoch time in s, ms or µs; UTC unless it says
    /// otherwise. It excludes `last`.
    #[param(example = "2024-01-01")]
    start: Option<String>,
    /// Before when the last kline opens; as `start`. Absent: everything that has closed.
    #[param(example = "2024-01-02")]
    end: Option<String>,
    /// How far back from `end`; it excludes `start`.
    #[param(example = "7d")]
    last: Option<String>,
    /// So many slots: the first from `start` on, or, without `start`, the newest of the range or of all that have closed.
    #[param(minimum = 1, maximum = 5300000)]
    limit: Option<u64>,
    /// Whether an incomplete answer will do; `required` unless said otherwise.
    completeness: Option<CompletenessWord>,
    /// Whether the kline still open is wanted.
    forming: Option<bool>,
    /// How times are written in JSON, NDJSON and CSV.
    time: Option<TimeWord>,
    /// Whether decimals are numbers or what the exchange printed, digit for digit.
    decimals: Option<DecimalWord>,
    /// Some columns, separated by commas, in the order wanted.
    #[param(example = "open_time,close,volume")]
    columns: Option<String>,
    /// Overrules `Accept`.
    format: Option<FormatWord>,
}

/// How long a kline is.
#[derive(Serialize, ToSchema)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum IntervalWord {
    #[serde(rename = "1s")]
    S1,
    #[serde(rename = "1m")]
    M1,
    #[serde(rename = "3m")]
    M3,
    #[serde(rename = "5m")]
    M5,
    #[serde(rename = "15m")]
    M15,
    #[serde(rename = "30m")]
    M30,
    #[serde(rename = "1h")]
    H1,
    #[serde(rename = "2h")]
    H2,
    #[serde(rename = "4h")]
    H4,
    #[serde(rename = "6h")]
    H6,
    #[serde(rename = "8h")]
    H8,
    #[serde(rename = "12h")]
    H12,
    #[serde(rename = "1d")]
    D1,
    #[serde(rename = "3d")]
    D3,
    #[serde(rename = "1w")]
    W1,
    #[serde(rename = "1M")]
    Mo1,
}

/// Whether an incomplete answer will do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum CompletenessWord {
    Required,
    BestEffort,
}

/// How times are written.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum TimeWord {
    Rfc3339,
    Ms,
    Us,
}

/// How prices and volumes are written.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum DecimalWord {
    Float,
    Exact,
}

/// What klines are served as.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum FormatWord {
    Json,
    Csv,
    Ndjson,
    Arrow,
    Parquet,
}

/// Klines of one series, with where each part came from and what is missing.
#[derive(Serialize, ToSchema)]
pub(crate) struct KlinesBody {
    series: SeriesBody,
    range: RangeBody,
    /// In time order.
    klines: Vec<KlineBody>,
    /// Where they came from, in time order.
    segments: Vec<SegmentBody>,
    /// What is missing and why, in time order.
    gaps: Vec<GapBody>,
    /// What else was noticed while this was fetched: rows that an upstream repeated or contradicted, prices kept as
    /// published although they make no sense, a clock that is off, a cache that could not be written. What comes from the
    /// cache was noticed when it was fetched, and is not told again.
    notices: Vec<String>,
    /// Whether everything that exists was delivered.
    complete: bool,
}

/// What identifies a series.
#[derive(Serialize, ToSchema)]
pub(crate) struct SeriesBody {
    #[schema(example = "binance")]
    exchange: String,
    #[schema(example = "spot")]
    market: String,
    #[schema(example = "BTCUSDT")]
    symbol: String,
    #[schema(example = "1m")]
    interval: String,
    /// What `volume` counts.
    #[schema(example = "base")]
    volume_unit: String,
    /// What `quote_volume` counts.
    #[schema(example = "quote")]
    quote_volume_unit: String,
}

/// Half-open; UTC.
#[derive(Serialize, ToSchema)]
pub(crate) struct RangeBody {
    #[schema(format = DateTime)]
    start: String,
    #[schema(format = DateTime)]
    end: String,
}

/// One kline, of the columns that were asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct KlineBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    open_time: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<Amount>,
    /// As published: around halts it is not the next open.
    #[serde(skip_serializing_if = "Option::is_none")]
    close_time: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote_volume: Option<Amount>,
    /// Trades.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taker_buy_volume: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taker_buy_quote_volume: Option<Amount>,
}

/// A text, or with `time=ms` and `time=us` a number.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum Instant {
    Text(String),
    Number(i64),
}

/// A number, or with `decimals=exact` the text that the exchange printed.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum Amount {
    Number(f64),
    Text(String),
}

/// A run of klines with one origin.
#[derive(Serialize, ToSchema)]
pub(crate) struct SegmentBody {
    #[schema(format = DateTime)]
    start: String,
    #[schema(format = DateTime)]
    end: String,
    /// Who supplied them.
    #[schema(example = "binance-vision")]
    provider: String,
    via: ViaWord,
    /// When they came; of klines that came bit by bit, when the first of them did.
    #[schema(format = DateTime)]
    fetched_at: String,
    verification: VerificationBody,
}

/// What vouches for klines.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerificationBody {
    kind: VerificationWord,
    /// The archive's, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    etag: Option<String>,
}

/// What was checked beyond structure and values.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum VerificationWord {
    /// The archive's published checksum.
    Checksum,
    /// Nothing beyond.
    Structural,
    /// Nothing beyond, and the kline may still change.
    Unsettled,
}

/// Slots that are missing.
#[derive(Serialize, ToSchema)]
pub(crate) struct GapBody {
    #[schema(format = DateTime)]
    start: String,
    #[schema(format = DateTime)]
    end: String,
    /// How many.
    slots: u64,
    reason: GapWord,
    /// Whether no later attempt could fill it.
    #[serde(rename = "final")]
    is_final: bool,
    /// What each upstream said.
    tried: Vec<Reason>,
}

/// Why slots are missing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum GapWord {
    BeforeListing,
    NotYetClosed,
    VenueHalt,
    AbsentUpstream,
    NoUpstreamLeft,
}
