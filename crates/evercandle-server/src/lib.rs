//! The daemon: market data by HTTP, kept warm on a schedule, with health, metrics, alerts and a page to look at.
//!
//! In reading order: [`Server`] (bind, serve, drain), `listener` (connections and their time limits), `gate` (what every
//! request passes: `access`, `limits`), `app` (what every route may use), `routes` (one file per thing that can be asked
//! for), `wire` (the only JSON), `problem` (how it says no). Behind the klines: `question` (what a URL asks, read from
//! `parameters`), `negotiation` (in which format), `pages` (a body made as it is read), `seal` (what may be kept for ever).

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests"))]

mod server;

mod listener;

mod gate;

mod access;

mod limits;

mod app;

mod routes;

mod compression;

mod parameters;

mod question;

mod negotiation;

mod pages;

mod seal;

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
