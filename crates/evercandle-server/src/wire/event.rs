//! What event streams tell, as JSON in one line each. Pure.

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{Answer, Gap, Market, MissingPrice, Price, Series, Status, TimeRange, Timestamp, UpstreamHealth, Via};
use evercandle_formats::{DecimalFormat, Dialect, Style, TimeFormat, json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::wire::health::{self, ProviderBody};
use crate::wire::price::{MissingBody, PriceBody};

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
    let via = segment.map(|s| match s.via {
        Via::Cache => "cache",
        Via::Upstream => "upstream",
    });
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
pub(crate) fn skipped(series: &Series, range: TimeRange, most: u32) -> String {
    let gap = serde_json::json!({
        "start": range.start().to_string(),
        "end": range.end().to_string(),
        "reason": "not_streamed",
        "final": false,
        "what": format!("a stream makes up for {most} candles at the most; ask /v1/klines for these"),
    });
    format!("{{\"series\":{},\"gap\":{gap}}}", json::series(series))
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
