//! Everything that can be asked for: one file each.

use axum::Router;
use axum::middleware;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

mod health;
mod metrics;

/// All routes, with what belongs around every one of them.
pub(crate) fn all(app: App) -> Router {
    let (router, _document) = OpenApiRouter::new()
        .merge(health::routes())
        .merge(metrics::routes())
        .split_for_parts();
    router
        // Outermost, so that what the other layers refuse is counted too.
        .layer(middleware::from_fn(crate::metrics::count))
        .with_state(app)
}
