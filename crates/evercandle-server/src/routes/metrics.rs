//! `/metrics`: everything that is counted, for Prometheus.

use axum::extract::RawQuery;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::metrics::{self, Exposition};
use crate::parameters::Parameters;
use crate::problem::ProblemBody;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(exposition))
}

/// Everything that is counted: Prometheus text 0.0.4, or OpenMetrics 1.0 for those who ask for it.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    params(("Accept" = Option<String>, Header, description = "`application/openmetrics-text` or `text/plain`")),
    responses(
        (status = 200, description = "the metrics", content(
            (String = "text/plain; version=0.0.4; charset=utf-8"),
            (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        )),
        (status = 400, description = "it takes no parameters", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "nobody counts in this process", body = String, content_type = "text/plain"),
    )
)]
async fn exposition(RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    if let Err(problem) = Parameters::read(query.as_deref(), &[]) {
        return problem.into_response();
    }
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let form = Exposition::wanted(accept);
    match metrics::render(form) {
        Some(text) => ([(CONTENT_TYPE, form.content_type())], text).into_response(),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "this process counts nothing: the program did not install a recorder\n",
        )
            .into_response(),
    }
}
