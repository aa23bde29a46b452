//! `/v1/symbols`: what a market lists.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use evercandle::provider::Instrument;
use evercandle::{Market, Via};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::freshness::{self, CACHE_STATUS, SERVED_STALE, STATE};
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemBody};
use crate::wire::market::MarketWord;
use crate::wire::price::seconds;
use crate::wire::symbols::{SymbolBody, SymbolsBody};

const NAMES: &[&str] = &["market", "search", "limit"];
/// More than any market lists.
const LIMIT_MAX: u64 = 100_000;
/// The longest text to look for.
const SEARCH_MAX: usize = 64;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(symbols))
}

/// The instruments of a market, from the first upstream that lists them.
///
/// Asked for at most every ten minutes, and remembered: when nobody can tell, the last listing is served with its age.
#[utoipa::path(
    get, path = "/v1/symbols", tag = "data",
    params(
        ("market" = Option<MarketWord>, Query, description = "spot unless said otherwise"),
        ("search" = Option<String>, Query, description = "part of the symbol, in either case; `/` and `-` do not matter", example = "BTC", max_length = 64),
        ("limit" = Option<u64>, Query, description = "at most so many; all unless said otherwise", minimum = 1, maximum = 100000),
    ),
    responses(
        (status = 200, description = "what the market lists", body = SymbolsBody, headers(
            ("Age" = u64, description = "seconds since a remembered listing was fetched"),
            ("Cache-Status" = String, description = "whether it was remembered (RFC 9211)"),
            ("Evercandle-State" = String, description = "as `state`"),
        )),
        (status = 400, description = "the question makes no sense", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "nobody could tell; what each upstream said is inside", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn symbols(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), NAMES)?;
    let market = parameters.market()?.unwrap_or(Market::Spot);
    let limit = parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_MAX);
    let search = parameters.text("search").unwrap_or_default();
    if SEARCH_MAX < search.chars().count() {
        return Err(Problem::parameter(
            "search",
            format!("has more than {SEARCH_MAX} characters"),
        ));
    }
    let search = search.to_uppercase().replace(['/', '-'], "");
    let listing = app.listings().of(market, app.client()).await?;
    let mut found: Vec<&Instrument> = listing
        .instruments
        .iter()
        .filter(|instrument| instrument.symbol.to_uppercase().contains(&search))
        .collect();
    found.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let age = app.client().clock().now().since(listing.fetched_at).max(0);
    let state = if listing.is_last_known { "last_known" } else { "current" };
    let body = SymbolsBody {
        market: market.as_str(),
        symbols: found.iter().take(most).map(|one| SymbolBody::from(*one)).collect(),
        found: found.len(),
        listed: listing.instruments.len(),
        state,
        age_seconds: seconds(Duration::from_micros(age.unsigned_abs())),
        fetched_at: listing.fetched_at.to_string(),
        via: listing.via.into(),
    };
    let mut headers = HeaderMap::new();
    let whole_seconds = (age / 1_000_000).unsigned_abs();
    freshness::aged(&mut headers, (listing.via == Via::Cache).then_some(whole_seconds));
    let status = match listing.is_last_known {
        true => SERVED_STALE,
        false => freshness::cache_status([listing.via]),
    };
    headers.insert(CACHE_STATUS, status);
    headers.insert(STATE, HeaderValue::from_static(state));
    Ok((headers, Json(body)).into_response())
}
