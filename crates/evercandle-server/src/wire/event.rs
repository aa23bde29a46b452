//! What event streams tell, as JSON in one line each. Pure.

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{Answer, Gap, Market, MissingPrice, Price, Series, Status, TimeRange, Timestamp, UpstreamHealth};
use evercandle_formats::{DecimalFormat, Dialect, Style, TimeFormat, json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{Problem, ProblemBody};
use crate::wire::health::{self, ProviderBody};
use crate::wire::klines::{KlineBody, SeriesBody};
use crate::wire::price::{MissingBody, PriceBody, ViaWord};
use crate::wire::reason::Reason;
use crate::wire::schedule::RunBody;

/// What the data of every event of `/v1/stream` is, by the event's name. Only for the description of the interface; the
/// tests hold what is told against it.
#[derive(Serialize, ToSchema)]
pub(crate) struct StreamEvents {
    snapshot: SnapshotEvent,
    candle: CandleEvent,
    gap: GapEvent,
    refused: RefusedEvent,
    price: PriceEvent,
    provider: ProviderEvent,
    run: RunBody,
    reset: ResetEvent,
    end: EndEvent,
}

/// What is known when a stream begins, of what it is about.
#[derive(Serialize, ToSchema)]
struct SnapshotEvent {
    /// When this was true; UTC.
    #[schema(format = DateTime)]
    at: String,
    /// How the upstreams are.
    providers: Vec<ProviderEvent>,
    /// What was told last of every price.
    prices: Vec<PriceEvent>,
    /// The candle that was told last of every series.
    candles: Vec<CandleEvent>,
    /// Series that there are not.
    refused: Vec<RefusedEvent>,
    /// The last run of every kind.
    runs: Vec<RunBody>,
}

/// A closed candle.
#[derive(Serialize, ToSchema)]
struct CandleEvent {
    series: SeriesBody,
    kline: KlineBody,
    /// Who supplied it.
    provider: Option<String>,
    via: Option<ViaWord>,
}

/// Slots without a candle.
#[derive(Serialize, ToSchema)]
struct GapEvent {
    series: SeriesBody,
    gap: StreamGap,
}

/// Which slots, and why.
#[derive(Serialize, ToSchema)]
struct StreamGap {
    #[schema(format = DateTime)]
    start: String,
    #[schema(format = DateTime)]
    end: String,
    /// How many.
    slots: u64,
    /// As the reasons of `/v1/klines`, or `not_streamed`: too many to be made up for.
    #[schema(example = "absent_upstream")]
    reason: &'static str,
    /// Whether no later attempt could fill it.
    #[serde(rename = "final")]
    is_final: bool,
    /// What each upstream said.
    tried: Vec<Reason>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
}

/// A series that there is not, and why.
#[derive(Serialize, ToSchema)]
struct RefusedEvent {
    series: SeriesBody,
    problem: ProblemBody<'static>,
}

/// A price, or that it cannot be had.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is used")]
enum PriceEvent {
    Had(PriceBody),
    Unavailable(Unavailable),
}

/// Something may have been missed. A snapshot follows.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResetEvent {
    /// `unknown_id`, `too_old`, `not_followed`.
    pub(crate) reason: &'static str,
    /// The same in words.
    pub(crate) what: &'static str,
    /// Since when, as far as that is known; UTC.
    pub(crate) missing_since: Option<String>,
    /// When this was told; UTC.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// What to do about it.
    #[serde(rename = "do")]
    pub(crate) advice: &'static str,
}

/// The stream ends here. It has no id: the last one before it is the one to come back with.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndEvent {
    /// `stopping`, `too_slow`.
    pub(crate) reason: &'static str,
    /// The same in words.
    pub(crate) what: &'static str,
    /// What to do about it.
    #[serde(rename = "do")]
    pub(crate) advice: &'static str,
}

/// One value in one line.
pub(crate) fn line(value: &impl Serialize) -> String {
    // Our own types hold texts, numbers and lists: there is nothing in them that has no JSON.
    serde_json::to_string(value).unwrap_or_default()
}

/// An upstream whose state changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ProviderEvent {
    /// Its name in the catalogue.
    pub(crate) name: String,
    /// Its status before; null in a snapshot.
    pub(crate) previous_status: Option<&'static str>,
    #[serde(flatten)]
    pub(crate) provider: ProviderBody,
}

/// An upstream as it is, and what it was.
pub(crate) fn provider(upstream: &UpstreamHealth, previous: Option<Status>) -> String {
    line(&ProviderEvent {
        name: upstream.provider.to_string(),
        previous_status: previous.map(Status::as_str),
        provider: health::provider(upstream),
    })
}

/// A closed candle: a row of a batch of an answer.
pub(crate) fn candle(answer: &Answer, (batch, row): (usize, usize)) -> String {
    let rows = &answer.batches[batch];
    let open = Timestamp::from_micros(rows.open_times()[row]);
    let segment = answer
        .segments
        .iter()
        .find(|s| s.range.contains(answer.grid.floor(open)));
    let via = segment.map(|s| s.via.as_str());
    format!(
        "{{\"series\":{},\"kline\":{},\"provider\":{},\"via\":{}}}",
        json::series(&answer.series),
        json::kline(rows, row, &style()),
        line(&segment.map(|s| s.origin.provider.as_str())),
        line(&via),
    )
}

/// Slots that the exchange has nothing for, or that nobody could supply while later ones came.
pub(crate) fn gap(answer: &Answer, gap: &Gap) -> String {
    format!(
        "{{\"series\":{},\"gap\":{}}}",
        json::series(&answer.series),
        json::gap(gap, answer.grid, Dialect::Wire)
    )
}

/// Slots that were left out because they are too many to be made up for.
pub(crate) fn skipped(series: &Series, range: TimeRange, slots: u64, most: u32) -> String {
    let gap = StreamGap {
        start: range.start().to_string(),
        end: range.end().to_string(),
        slots,
        reason: "not_streamed",
        is_final: false,
        tried: Vec::new(),
        what: Some(format!(
            "a stream makes up for {most} candles at the most; ask /v1/klines for these"
        )),
    };
    format!("{{\"series\":{},\"gap\":{}}}", json::series(series), line(&gap))
}

/// A series that there is not, and why.
pub(crate) fn refused(series: &Series, problem: &Problem) -> String {
    format!(
        "{{\"series\":{},\"problem\":{}}}",
        json::series(series),
        problem.body("/v1/stream")
    )
}

fn style() -> Style {
    Style {
        time: TimeFormat::default(),
        decimals: DecimalFormat::default(),
        columns: (0..COLUMN_NAMES.len()).collect(),
        dialect: Dialect::Wire,
    }
}

/// A price that cannot be had.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Unavailable {
    /// There is none.
    price: Option<String>,
    /// `unavailable`.
    state: &'static str,
    /// When that was so; UTC.
    at: String,
    #[serde(flatten)]
    missing: MissingBody,
}

/// A price that cannot be had, and what every upstream said.
pub(crate) fn unavailable(market: Market, missing: &MissingPrice, now: Timestamp) -> String {
    line(&Unavailable {
        price: None,
        state: "unavailable",
        at: now.to_string(),
        missing: MissingBody::new(market, missing),
    })
}

/// A price, and how far it can be trusted.
pub(crate) fn price(price: &Price) -> String {
    line(&PriceBody::from(price))
}
