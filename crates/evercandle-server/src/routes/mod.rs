//! Everything that can be asked for: one file each.

use axum::Router;
use axum::middleware;
use evercandle::config::ServerConfig;
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::door::{access, gate};
use crate::{compression, freshness};

pub(crate) mod admin;
mod dashboard;
mod health;
mod klines;
mod metrics;
mod openapi;
mod prices;
mod sentiment;
mod stream;
mod symbols;
mod watches;

/// All routes, with what belongs around every one of them.
pub(crate) fn all(app: App) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(openapi::document())
        .merge(klines::routes())
        .merge(prices::routes())
        .merge(sentiment::routes())
        .merge(symbols::routes())
        .merge(watches::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(admin::routes())
        .merge(stream::routes())
        .split_for_parts();
    let router = router
        .merge(dashboard::routes())
        .merge(openapi::routes(document))
        .layer(compression::layer())
        .layer(middleware::from_fn_with_state(app.clone(), gate::pass));
    let router = match app.config().allow_origins.is_empty() {
        true => router,
        false => router.layer(other_sites(app.config())),
    };
    router
        // Outermost, so that what the other layers refuse is counted too.
        .layer(middleware::from_fn(crate::metrics::count))
        .with_state(app)
}

/// Which pages of other sites may read answers, with the key they were given; never the administration.
fn other_sites(config: &ServerConfig) -> CorsLayer {
    let origins = config
        .allow_origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([
            header::AUTHORIZATION,
            header::ACCEPT,
            header::IF_NONE_MATCH,
            HeaderName::from_static("x-api-key"),
            HeaderName::from_static("last-event-id"),
            gate::REQUEST_ID,
        ])
        .expose_headers(
            freshness::TOLD
                .into_iter()
                .chain([header::ETAG, header::AGE, header::RETRY_AFTER, gate::REQUEST_ID])
                .collect::<Vec<_>>(),
        )
        .max_age(access::PREFLIGHT_AGE)
}
