//! The daemon: market data by HTTP, kept warm on a schedule, with health, metrics, alerts and a page to look at.
//!
//! In reading order: [`Server`] (bind, serve, drain), `door` (connections, and what every request passes), `app` (what every
//! route may use), `routes` (one file per thing that can be asked for), `klines` (how those are served), `wire` (the only
//! JSON), `problem` (how it says no).

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests"))]

mod server;

mod door;

mod app;

mod routes;

mod compression;

mod klines;

mod parameters;

mod freshness;

mod problem;

mod wire;

mod feed;

mod notify;

mod listings;

mod cache_figures;

mod recheck;

mod supervision;

mod metrics;

pub use metrics::install_recorder;
pub use notify::{WebhookError, Webhooks};
pub use server::{Secrets, ServeError, Server};
