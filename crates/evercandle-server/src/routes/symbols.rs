//! `/v1/symbols`: what a market lists.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use evercandle::Market;
use evercandle::provider::Instrument;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemBody};
use crate::wire::market::MarketWord;
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
#[utoipa::path(
    get, path = "/v1/symbols", tag = "data",
    params(
        ("market" = Option<MarketWord>, Query, description = "spot unless said otherwise"),
        ("search" = Option<String>, Query, description = "part of the symbol, in either case; `/` and `-` do not matter", example = "BTC", max_length = 64),
        ("limit" = Option<u64>, Query, description = "at most so many; all unless said otherwise", minimum = 1, maximum = 100000),
    ),
    responses(
        (status = 200, description = "what the market lists", body = SymbolsBody),
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
    let listed = app.client().instruments(market).await?;
    let mut found: Vec<&Instrument> = listed
        .iter()
        .filter(|instrument| instrument.symbol.to_uppercase().contains(&search))
        .collect();
    found.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let body = SymbolsBody {
        market: market.as_str(),
        symbols: found.iter().take(most).map(|one| SymbolBody::from(*one)).collect(),
        found: found.len(),
        listed: listed.len(),
    };
    let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    Ok((headers, Json(body)).into_response())
}
