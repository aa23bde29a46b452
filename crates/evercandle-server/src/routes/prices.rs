//! `/v1/price/{symbol}` and `/v1/prices`: the newest prices, and how far they can be trusted.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use evercandle::{Client, Market, MissingPrice, Price, PriceRequest, PriceState, Prices, Substitutes, Symbol, Via};
use futures::future::join_all;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::freshness::{self, CACHE_STATUS, NATURE, SERVED_STALE, STATE};
use crate::parameters::{Parameters, symbol};
use crate::problem::{Problem, ProblemBody};
use crate::wire::market::{Allowance, MarketWord, SymbolWord, SymbolWords};
use crate::wire::price::{MissingBody, NatureWord, PriceBody, PricesBody};
use crate::wire::reason::Reason;

const ONE: &[&str] = &["market", "substitutes"];
const MANY: &[&str] = &["symbols", "market", "substitutes"];

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(one)).routes(routes!(many))
}

/// The newest price of one instrument.
///
/// From the exchange, else another instrument's, labelled in `state`, `nature` and the headers, else the last one known,
/// with its age.
#[utoipa::path(
    get, path = "/v1/price/{symbol}", tag = "data",
    params(
        ("symbol" = SymbolWord, Path, description = "what is traded; a slash is written as %2F"),
        ("market" = Option<MarketWord>, Query, description = "where it is traded; spot, unless the spelling says otherwise"),
        ("substitutes" = Option<Allowance>, Query, description = "whether another instrument's price will do when the exchange cannot be asked; allow unless said otherwise"),
    ),
    responses(
        (status = 200, description = "the newest price that could be had", body = PriceBody, headers(
            ("Age" = u64, description = "seconds since a remembered price was fetched"),
            ("Cache-Status" = String, description = "whether it was remembered (RFC 9211)"),
            ("Evercandle-State" = String, description = "as `state`"),
            ("Evercandle-Nature" = String, description = "as `nature`"),
        )),
        (status = 400, description = "the question makes no sense", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "the exchange does not know the symbol", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "nobody could tell; what each upstream said is inside", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), ONE)?;
    let Path(text) = path.map_err(|error| Problem::parameter("symbol", error.body_text()))?;
    let (market, symbol) = symbol(&text, parameters.market()?)?;
    let request = PriceRequest {
        substitutes: substitutes(&parameters)?,
        ..PriceRequest::new(market, vec![symbol])
    };
    let mut answer = app.client().prices(request).await?;
    let Some(price) = answer.prices.pop() else {
        return Err(match answer.missing.pop() {
            Some(missing) => missing.into_error(market).into(),
            None => Problem::unavailable("neither a price nor a reason came back", None),
        });
    };
    let body = PriceBody::from(&price);
    let headers = headers(&app, std::slice::from_ref(&price), std::slice::from_ref(&body));
    Ok((headers, Json(body)).into_response())
}

/// The newest prices of several instruments.
///
/// What cannot be had is in `missing`, with every upstream's reason.
#[utoipa::path(
    get, path = "/v1/prices", tag = "data",
    params(
        ("symbols" = SymbolWords, Query, description = "what is traded"),
        ("market" = Option<MarketWord>, Query, description = "where they are traded; spot, unless the spelling says otherwise"),
        ("substitutes" = Option<Allowance>, Query, description = "whether another instrument's price will do when the exchange cannot be asked; allow unless said otherwise"),
    ),
    responses(
        (status = 200, description = "the newest prices that could be had", body = PricesBody, headers(
            ("Age" = u64, description = "seconds since the oldest remembered price was fetched"),
            ("Cache-Status" = String, description = "whether they were remembered (RFC 9211)"),
            ("Evercandle-State" = String, description = "every `state` among them"),
            ("Evercandle-Nature" = String, description = "every `nature` among them"),
        )),
        (status = 400, description = "the question makes no sense", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "the exchange knows none of the symbols", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "nobody could tell any; what each upstream said is inside", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn many(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), MANY)?;
    let wanted = wanted(&parameters, app.config().symbols_max)?;
    let substitutes = substitutes(&parameters)?;
    let (prices, missing) = ask(app.client(), &wanted, substitutes).await?;
    if prices.is_empty() {
        return Err(none(&missing));
    }
    let body = PricesBody {
        prices: prices.iter().map(PriceBody::from).collect(),
        missing: missing
            .iter()
            .map(|(market, one)| MissingBody::new(*market, one))
            .collect(),
    };
    Ok((headers(&app, &prices, &body.prices), Json(body)).into_response())
}

fn substitutes(parameters: &Parameters) -> Result<Substitutes, Problem> {
    let words = [("allow", Substitutes::Allow), ("refuse", Substitutes::Refuse)];
    Ok(parameters.one_of("substitutes", &words)?.unwrap_or_default())
}

/// The instruments, at least one.
fn wanted(parameters: &Parameters, symbols_max: usize) -> Result<Vec<(Market, Symbol)>, Problem> {
    parameters.required("symbols", "BTCUSDT,ETHUSDT")?;
    let wanted = parameters.symbols(symbols_max)?;
    match wanted.is_empty() {
        false => Ok(wanted),
        true => Err(Problem::parameter("symbols", "names no symbol").hint("name some: symbols=BTCUSDT,ETHUSDT")),
    }
}

type Found = (Vec<Price>, Vec<(Market, MissingPrice)>);

/// One question per market, all at once; the prices come back in the order of `wanted`.
async fn ask(client: &Client, wanted: &[(Market, Symbol)], substitutes: Substitutes) -> Result<Found, Problem> {
    let request = |market: Market| PriceRequest {
        substitutes,
        ..PriceRequest::new(
            market,
            wanted
                .iter()
                .filter(|one| one.0 == market)
                .map(|one| one.1.clone())
                .collect(),
        )
    };
    let asked = |market: &Market| wanted.iter().any(|one| one.0 == *market);
    let markets: Vec<Market> = Market::ALL.into_iter().filter(asked).collect();
    let answers = join_all(markets.iter().map(|market| client.prices(request(*market)))).await;
    let (mut prices, mut missing) = (Vec::new(), Vec::new());
    for (market, answer) in markets.iter().zip(answers) {
        let Prices {
            prices: found,
            missing: lacking,
            ..
        } = answer?;
        prices.extend(found);
        missing.extend(lacking.into_iter().map(|one| (*market, one)));
    }
    let place: HashMap<(Market, &Symbol), usize> =
        wanted.iter().enumerate().map(|(i, one)| ((one.0, &one.1), i)).collect();
    prices.sort_by_key(|price: &Price| place.get(&(price.market, &price.symbol)).copied());
    Ok((prices, missing))
}

/// Not one price could be had.
fn none(missing: &[(Market, MissingPrice)]) -> Problem {
    let symbols: Vec<String> = missing
        .iter()
        .take(10)
        .map(|(market, one)| format!("{market} {}", one.symbol))
        .collect();
    let more = if symbols.len() < missing.len() { ", …" } else { "" };
    let symbols = symbols.join(", ");
    let reasons = Reason::list(missing.iter().flat_map(|(_, one)| &one.reasons));
    if missing.iter().all(|(_, one)| one.unknown) {
        let detail = format!("the exchange knows none of these symbols: {symbols}{more}");
        return Problem::unknown_symbol(detail)
            .reasons(reasons)
            .hint("/v1/symbols lists what there is");
    }
    let wait = missing.iter().filter_map(|(_, one)| one.retry_after).min();
    Problem::unavailable(format!("no upstream could tell the prices of {symbols}{more}"), wait).reasons(reasons)
}

fn headers(app: &App, prices: &[Price], bodies: &[PriceBody]) -> HeaderMap {
    let now = app.client().clock().now();
    let mut headers = HeaderMap::new();
    let remembered = prices.iter().filter(|price| price.via == Via::Cache);
    let ages = remembered.map(|price| u64::try_from(now.since(price.fetched_at) / 1_000_000).unwrap_or(0));
    freshness::aged(&mut headers, ages.max());
    let status = match prices.iter().any(|price| price.state == PriceState::LastKnown) {
        true => SERVED_STALE,
        false => freshness::cache_status(prices.iter().map(|price| price.via)),
    };
    headers.insert(CACHE_STATUS, status);
    if let Some(states) = freshness::words(bodies.iter().map(|body| body.state.as_str())) {
        headers.insert(STATE, states);
    }
    let nature = |body: &PriceBody| match body.nature {
        NatureWord::Exchange => "exchange",
        NatureWord::Substitute => "substitute",
    };
    if let Some(natures) = freshness::words(bodies.iter().map(nature)) {
        headers.insert(NATURE, natures);
    }
    headers
}
