//! The REST interfaces of Binance: spot, USD-M and COIN-M futures, and the market-data host.
//!
//! One handler serves all four, because they differ in four facts (market, page size, weights, window rule) and share
//! the rest: validation, error sentences, weights in headers, the kline in progress at the end of the newest page.
//! A route that is not in [`Route`] answers 404 as any unknown path does.

pub(crate) mod error;
mod exchange_info;
mod funding;
mod klines;
mod parameters;
pub(crate) mod quota;
mod ratios;
mod tickers;

use std::sync::Arc;

use super::{Answer, World};
use crate::config::Quotas;
use crate::fault::Effect;
use crate::market::ExchangeMarket;
use crate::message::{Request, Response};
use crate::politeness::Politeness;
use crate::time::{MINUTE, TimeUnit};
use error::ApiError;
use quota::{Pool, Verdict};
use ratios::Ratio;

/// Which interface a host speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Spot,
    /// Spot's routes without an account, on a quota of their own.
    MarketData,
    UsdM,
    CoinM,
}

impl Dialect {
    fn market(self) -> ExchangeMarket {
        match self {
            Dialect::Spot | Dialect::MarketData => ExchangeMarket::Spot,
            Dialect::UsdM => ExchangeMarket::UsdM,
            Dialect::CoinM => ExchangeMarket::CoinM,
        }
    }

    fn is_spot(self) -> bool {
        self.market() == ExchangeMarket::Spot
    }

    fn prefix(self) -> &'static str {
        match self {
            Dialect::Spot | Dialect::MarketData => "/api/v3/",
            Dialect::UsdM => "/fapi/v1/",
            Dialect::CoinM => "/dapi/v1/",
        }
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Ping,
    Time,
    ExchangeInfo,
    Klines,
    Ticker(tickers::Kind),
    /// USD-M only, outside its prefix and on a quota of its own.
    Ratio(Ratio),
    /// Futures only; on USD-M on a quota of its own.
    Funding,
}

impl Route {
    fn of(dialect: Dialect, path: &str) -> Option<Self> {
        if dialect == Dialect::UsdM {
            if path == "/fapi/v2/ticker/price" {
                return Some(Route::Ticker(tickers::Kind::Price));
            }
            if let Some(name) = path.strip_prefix("/futures/data/") {
                return Ratio::of(name).map(Route::Ratio);
            }
        }
        match path.strip_prefix(dialect.prefix())? {
            "ping" => Some(Route::Ping),
            "time" => Some(Route::Time),
            "exchangeInfo" => Some(Route::ExchangeInfo),
            "klines" => Some(Route::Klines),
            "ticker/price" => Some(Route::Ticker(tickers::Kind::Price)),
            "ticker/24hr" => Some(Route::Ticker(tickers::Kind::Day)),
            "fundingRate" if !dialect.is_spot() => Some(Route::Funding),
            _ => None,
        }
    }

    /// What a call costs, legal or not.
    fn weight(self, dialect: Dialect, request: &Request) -> u32 {
        match self {
            Route::Ping | Route::Time | Route::Funding => 1,
            Route::ExchangeInfo if dialect.is_spot() => 20,
            Route::ExchangeInfo => 1,
            Route::Ticker(kind) => tickers::weight(kind, dialect, request),
            // One call of a thousand in five minutes.
            Route::Ratio(_) => 1,
            Route::Klines if dialect.is_spot() => 2,
            Route::Klines => {
                let pairs = request.query_pairs();
                let limit = pairs
                    .iter()
                    .find(|(name, _)| name == "limit")
                    .and_then(|(_, value)| value.parse().ok());
                match limit.unwrap_or(500u32) {
                    0..100 => 1,
                    100..500 => 2,
                    500..=1000 => 5,
                    _ => 10,
                }
            }
        }
    }
}

/// Calls for USD-M's funding rates per five minutes and address.
const FUNDING_CALLS_MAX: u32 = 500;
/// Calls to `/futures/data/` per five minutes and address.
const RATIO_CALLS_MAX: u32 = 1000;

/// The interfaces with their quotas.
pub(crate) struct BinanceRest {
    spot: Pool,
    market_data: Pool,
    /// USD-M and COIN-M share one since 2026-06.
    futures: Pool,
    ratios: Pool,
    funding: Pool,
}

impl BinanceRest {
    pub(crate) fn new(quotas: &Quotas, record: &Arc<Politeness>) -> Self {
        Self {
            spot: Pool::new("binance-spot", quotas.spot, MINUTE, record),
            market_data: Pool::new("binance-market-data", quotas.market_data, MINUTE, record),
            futures: Pool::new("binance-futures", quotas.futures, MINUTE, record),
            ratios: Pool::new("binance-futures-data", RATIO_CALLS_MAX, 5 * MINUTE, record),
            funding: Pool::new("binance-futures-funding", FUNDING_CALLS_MAX, 5 * MINUTE, record),
        }
    }

    fn pool(&self, dialect: Dialect, route: Route) -> &Pool {
        match (dialect, route) {
            (_, Route::Ratio(_)) => &self.ratios,
            (Dialect::UsdM, Route::Funding) => &self.funding,
            (Dialect::Spot, _) => &self.spot,
            (Dialect::MarketData, _) => &self.market_data,
            (Dialect::UsdM | Dialect::CoinM, _) => &self.futures,
        }
    }

    /// The name of the quota that a request is charged to.
    pub(crate) fn pool_name(dialect: Dialect, request: &Request) -> &'static str {
        match dialect {
            Dialect::Spot => "binance-spot",
            Dialect::MarketData => "binance-market-data",
            Dialect::UsdM if request.path.starts_with("/futures/data/") => "binance-futures-data",
            Dialect::UsdM if request.path == "/fapi/v1/fundingRate" => "binance-futures-funding",
            Dialect::UsdM | Dialect::CoinM => "binance-futures",
        }
    }

    pub(crate) fn respond(
        &self,
        dialect: Dialect,
        world: &World,
        request: &Request,
        effects: &[Effect],
        now: i64,
    ) -> Answer {
        let Some(route) = Route::of(dialect, &request.path) else {
            return Answer {
                response: unknown_path(request),
                weight: 0,
            };
        };
        let pool = self.pool(dialect, route);
        let weight = route.weight(dialect, request);
        let verdict = pool.charge(weight, now);
        let response = match pool.refusal(&verdict) {
            Some(refusal) => refusal,
            None => match self.answer(route, dialect, world, request, effects, now) {
                Ok(body) => Response::json(200, body),
                Err(error) => error.response(),
            },
        };
        let response = match verdict {
            _ if matches!(route, Route::Ratio(_)) => response,
            _ if matches!((dialect, route), (Dialect::UsdM, Route::Funding)) => response,
            Verdict::Admitted { used } | Verdict::Throttled { used, .. } => response
                .with("x-mbx-used-weight", used)
                .with("x-mbx-used-weight-1m", used),
            Verdict::Banned { .. } | Verdict::Blocked => response,
        };
        Answer {
            response: response.with("Cache-Control", "no-cache"),
            weight,
        }
    }

    fn answer(
        &self,
        route: Route,
        dialect: Dialect,
        world: &World,
        request: &Request,
        effects: &[Effect],
        now: i64,
    ) -> Result<String, ApiError> {
        let unit = if dialect.is_spot() {
            time_unit(request)?
        } else {
            TimeUnit::Milliseconds
        };
        match route {
            Route::Ping => Ok("{}".to_owned()),
            Route::Time => {
                let skew = effects.iter().fold(0i64, |skew, effect| match effect {
                    Effect::ClockSkew { milliseconds } => skew.saturating_add(milliseconds.saturating_mul(1000)),
                    _ => skew,
                });
                Ok(format!("{{\"serverTime\":{}}}", unit.count(now.saturating_add(skew))))
            }
            Route::ExchangeInfo => {
                exchange_info::answer(dialect, world, request, self.pool(dialect, route).limit(), now)
            }
            Route::Ticker(kind) => tickers::answer(kind, dialect, world, request, unit, effects, now),
            Route::Ratio(ratio) => ratios::answer(ratio, world, request, now),
            Route::Funding => funding::answer(dialect, world, request, effects, now),
            Route::Klines => {
                let rows = klines::rows(dialect, world, request, unit, effects, now)?;
                let rows: Vec<String> = rows.iter().map(|cells| format!("[{}]", cells.join(","))).collect();
                Ok(format!("[{}]", rows.join(",")))
            }
        }
    }
}

fn time_unit(request: &Request) -> Result<TimeUnit, ApiError> {
    match request.header("x-mbx-time-unit") {
        None | Some("MILLISECOND" | "millisecond") => Ok(TimeUnit::Milliseconds),
        Some("MICROSECOND" | "microsecond") => Ok(TimeUnit::Microseconds),
        Some(_) => Err(ApiError::BadTimeUnit),
    }
}

/// HTML only for those who accept it.
fn unknown_path(request: &Request) -> Response {
    if request
        .header("accept")
        .is_some_and(|accept| accept.contains("text/html"))
    {
        let page = "<html>\n<head><title>404 Not Found</title></head>\n<body><h1>404 Not Found</h1></body>\n</html>\n";
        return Response::new(404, "text/html", page);
    }
    Response::new(404, "text/plain", "")
}
