//! The hosts that can be reached, and what answers behind each.
//!
//! A provider that is not here yet (CoinGecko, alternative.me, the WebSocket streams) gets a variant, a module
//! beside these and an arm in [`Upstreams::respond`]; nothing else has to know.

pub(crate) mod binance_rest;
pub(crate) mod binance_vision;
pub(crate) mod replay;

use crate::fault::Effect;
use crate::market::{ExchangeMarket, Market};
use crate::message::{Request, Response};
use binance_rest::{BinanceRest, Dialect};
use binance_vision::BinanceVision;
use replay::Replay;

/// One of the services pretended here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// `api.binance.com` and its siblings.
    BinanceSpot,
    /// `data-api.binance.vision`: spot market data with a quota of its own.
    BinanceMarketData,
    /// `fapi.binance.com`.
    BinanceUsdM,
    /// `dapi.binance.com`.
    BinanceCoinM,
    /// `data.binance.vision`: the archive.
    BinanceVision,
    /// The bucket behind the archive, which can be listed.
    BinanceVisionListing,
}

/// Spot hosts that share one address pool.
const SPOT_HOSTS: [&str; 6] = [
    "api.binance.com",
    "api1.binance.com",
    "api2.binance.com",
    "api3.binance.com",
    "api4.binance.com",
    "api-gcp.binance.com",
];

impl Upstream {
    /// All of them.
    pub const ALL: [Upstream; 6] = [
        Upstream::BinanceSpot,
        Upstream::BinanceMarketData,
        Upstream::BinanceUsdM,
        Upstream::BinanceCoinM,
        Upstream::BinanceVision,
        Upstream::BinanceVisionListing,
    ];

    /// The name faults use for it.
    pub fn name(self) -> &'static str {
        match self {
            Upstream::BinanceSpot => "binance-spot",
            Upstream::BinanceMarketData => "binance-market-data",
            Upstream::BinanceUsdM => "binance-usdm",
            Upstream::BinanceCoinM => "binance-coinm",
            Upstream::BinanceVision => "binance-vision",
            Upstream::BinanceVisionListing => "binance-vision-listing",
        }
    }

    /// Who answers at a host.
    pub fn of_host(host: &str) -> Option<Self> {
        match host {
            host if SPOT_HOSTS.contains(&host) => Some(Upstream::BinanceSpot),
            "data-api.binance.vision" => Some(Upstream::BinanceMarketData),
            "fapi.binance.com" => Some(Upstream::BinanceUsdM),
            "dapi.binance.com" => Some(Upstream::BinanceCoinM),
            "data.binance.vision" => Some(Upstream::BinanceVision),
            "s3-ap-northeast-1.amazonaws.com" => Some(Upstream::BinanceVisionListing),
            _ => None,
        }
    }

    /// Whether it speaks the REST dialects rather than serving files.
    pub(crate) fn is_rest(self) -> bool {
        !matches!(self, Upstream::BinanceVision | Upstream::BinanceVisionListing)
    }
}

/// What the services answer from.
pub(crate) struct World {
    pub(crate) market: Market,
    pub(crate) replay: Option<Replay>,
}

impl World {
    /// Whether recordings stand in for the market for everything about this symbol.
    pub(crate) fn replays(&self, market: ExchangeMarket, symbol: &str) -> Option<&Replay> {
        self.replay.as_ref().filter(|replay| replay.speaks_for(market, symbol))
    }
}

/// Every service with its state.
pub(crate) struct Upstreams {
    rest: BinanceRest,
    pub(crate) vision: BinanceVision,
}

impl Upstreams {
    pub(crate) fn new(rest: BinanceRest, vision: BinanceVision) -> Self {
        Self { rest, vision }
    }

    /// The answer of one upstream, with the faults that change its content.
    pub(crate) fn respond(
        &self,
        upstream: Upstream,
        world: &World,
        request: &Request,
        effects: &[Effect],
        now: i64,
    ) -> Answer {
        let dialect = match upstream {
            Upstream::BinanceSpot => Dialect::Spot,
            Upstream::BinanceMarketData => Dialect::MarketData,
            Upstream::BinanceUsdM => Dialect::UsdM,
            Upstream::BinanceCoinM => Dialect::CoinM,
            Upstream::BinanceVision => return Answer::free(self.vision.object(world, request, effects, now)),
            Upstream::BinanceVisionListing => return Answer::free(self.vision.listing(world, request, now)),
        };
        self.rest.respond(dialect, world, request, effects, now)
    }
}

/// A response and what it cost the caller's quota.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) weight: u32,
}

impl Answer {
    fn free(response: Response) -> Self {
        Self { response, weight: 0 }
    }
}
