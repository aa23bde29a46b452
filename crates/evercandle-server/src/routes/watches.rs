//! `/v1/watches`: what is kept warm without anybody asking.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemBody};
use crate::wire::symbols::{PriceWatchBody, SeriesWatchBody, WatchesBody};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(watches))
}

/// What is watched: series and instruments that are refreshed on a schedule.
#[utoipa::path(
    get, path = "/v1/watches", tag = "data",
    responses(
        (status = 200, description = "what is watched", body = WatchesBody),
        (status = 400, description = "the question makes no sense", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn watches(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    let watches = app.scheduler().watches();
    let prices = watches.prices.iter().flat_map(|(market, symbols)| {
        symbols.iter().map(|symbol| PriceWatchBody {
            symbol: symbol.to_string(),
            market: market.as_str(),
        })
    });
    let body = WatchesBody {
        klines: watches.klines.iter().map(SeriesWatchBody::from).collect(),
        prices: prices.collect(),
        sentiment: watches.sentiment,
    };
    let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    Ok((headers, Json(body)).into_response())
}
