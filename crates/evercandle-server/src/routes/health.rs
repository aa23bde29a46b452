//! `/health/…`: whether it lives, whether it can serve, and how everything is.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live))
}

/// The process answers. Depends on nothing else.
#[utoipa::path(get, path = "/health/live", responses((status = 200, body = String)))]
async fn live() -> &'static str {
    "ok\n"
}
