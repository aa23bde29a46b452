//! What event streams tell, as JSON in one line each. Pure.

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{
    Answer, Gap, Market, MissingPrice, Nature, Price, PriceState, Series, Status, TimeRange, Timestamp, UpstreamHealth,
    Via,
};
use evercandle_formats::{DecimalFormat, Dialect, Style, TimeFormat, json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::health::{self, ProviderBody};
use crate::wire::schedule::Reason;

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
    symbol: String,
    market: &'static str,
    price: Option<String>,
    state: &'static str,
    unknown: bool,
    at: String,
    reasons: Vec<Reason>,
}

/// A price that cannot be had, and what every upstream said.
pub(crate) fn unavailable(market: Market, missing: &MissingPrice, now: Timestamp) -> String {
    let reason = |(provider, what): &(evercandle::ProviderName, String)| Reason {
        provider: provider.to_string(),
        what: what.clone(),
    };
    line(&Unavailable {
        symbol: missing.symbol.to_string(),
        market: market.as_str(),
        price: None,
        state: "unavailable",
        unknown: missing.unknown,
        at: now.to_string(),
        reasons: missing.reasons.iter().map(reason).collect(),
    })
}

/// A price that is known.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PriceEvent {
    symbol: String,
    market: &'static str,
    price: String,
    state: &'static str,
    halted: Option<String>,
    nature: &'static str,
    substitute: Option<String>,
    as_of: String,
    age_seconds: f64,
    change_percent: Option<f64>,
    high: Option<f64>,
    low: Option<f64>,
    volume: Option<f64>,
    quote_volume: Option<f64>,
    provider: String,
    fetched_at: String,
    via: &'static str,
}

/// A price, and how far it can be trusted.
pub(crate) fn price(price: &Price) -> String {
    let day = price.day.unwrap_or_default();
    let substitute = match &price.nature {
        Nature::Exchange => None,
        Nature::Substitute(words) => Some(words.clone()),
    };
    line(&PriceEvent {
        symbol: price.symbol.to_string(),
        market: price.market.as_str(),
        price: price.price.as_str().to_owned(),
        state: price.state.as_str(),
        halted: match &price.state {
            PriceState::Halted(word) => Some(word.clone()),
            _ => None,
        },
        nature: match substitute {
            None => "exchange",
            Some(_) => "substitute",
        },
        substitute,
        as_of: price.as_of.to_string(),
        age_seconds: price.age.as_secs_f64(),
        change_percent: day.change_percent,
        high: day.high,
        low: day.low,
        volume: day.volume,
        quote_volume: day.quote_volume,
        provider: price.provider.to_string(),
        fetched_at: price.fetched_at.to_string(),
        via: match price.via {
            Via::Cache => "cache",
            Via::Upstream => "upstream",
        },
    })
}
