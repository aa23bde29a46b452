//! Everything that can be asked for: one file each.

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

mod health;

/// All routes, with what belongs around every one of them.
pub(crate) fn all(app: App) -> Router {
    let (router, _document) = OpenApiRouter::new().merge(health::routes()).split_for_parts();
    router.with_state(app)
}
