//! The hosts that can be reached, and what answers behind each.
//!
//! A provider that is not here yet (the WebSocket streams) gets a variant, a module beside these and an arm in [`Upstreams::respond`]; nothing else has to know.

pub(crate) mod alternative_me;
pub(crate) mod binance_rest;
pub(crate) mod binance_vision;
pub(crate) mod coingecko;
pub(crate) mod replay;

use crate::fault::Effect;
use crate::market::{ExchangeMarket, Market};
use crate::message::{Request, Response};
use alternative_me::AlternativeMe;
use binance_rest::{BinanceRest, Dialect};
use binance_vision::BinanceVision;
use coingecko::CoinGecko;
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
    /// `api.coingecko.com` and `pro-api.coingecko.com`.
    CoinGecko,
    /// `api.alternative.me`.
    AlternativeMe,
}

/// Who answers where. Spot hosts share one address pool.
const HOSTS: [(&str, Upstream); 14] = [
    ("api.binance.com", Upstream::BinanceSpot),
    ("api1.binance.com", Upstream::BinanceSpot),
    ("api2.binance.com", Upstream::BinanceSpot),
    ("api3.binance.com", Upstream::BinanceSpot),
    ("api4.binance.com", Upstream::BinanceSpot),
    ("api-gcp.binance.com", Upstream::BinanceSpot),
    ("data-api.binance.vision", Upstream::BinanceMarketData),
    ("fapi.binance.com", Upstream::BinanceUsdM),
    ("dapi.binance.com", Upstream::BinanceCoinM),
    ("data.binance.vision", Upstream::BinanceVision),
    ("s3-ap-northeast-1.amazonaws.com", Upstream::BinanceVisionListing),
    ("api.coingecko.com", Upstream::CoinGecko),
    ("pro-api.coingecko.com", Upstream::CoinGecko),
    ("api.alternative.me", Upstream::AlternativeMe),
];

/// One name for both futures hosts.
const FUTURES: &str = "binance-futures";

impl Upstream {
    /// All of them.
    pub const ALL: [Upstream; 8] = [
        Upstream::BinanceSpot,
        Upstream::BinanceMarketData,
        Upstream::BinanceUsdM,
        Upstream::BinanceCoinM,
        Upstream::BinanceVision,
        Upstream::BinanceVisionListing,
        Upstream::CoinGecko,
        Upstream::AlternativeMe,
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
            Upstream::CoinGecko => "coingecko",
            Upstream::AlternativeMe => "alternative-me",
        }
    }

    /// Who is meant by a name: one upstream, or those whom whoever asks them counts as one.
    pub(crate) fn named(name: &str) -> &'static [Upstream] {
        if name == FUTURES {
            return &[Upstream::BinanceUsdM, Upstream::BinanceCoinM];
        }
        let place = Upstream::ALL.iter().position(|upstream| upstream.name() == name);
        place.map_or(&[], |place| &Upstream::ALL[place..=place])
    }

    /// Whether faults aimed at this could ever strike: a name, or part of a host.
    pub(crate) fn check_aim(aim: &str) -> Result<(), String> {
        if !Upstream::named(aim).is_empty() || HOSTS.iter().any(|(host, _)| host.contains(aim)) {
            return Ok(());
        }
        let names: Vec<&str> = Upstream::ALL.map(Upstream::name).into_iter().chain([FUTURES]).collect();
        Err(format!(
            "unknown upstream `{aim}`, expected one of {}, or part of a host's name such as {}",
            names.join(", "),
            HOSTS[0].0
        ))
    }

    /// Who answers at a host.
    pub fn of_host(host: &str) -> Option<Self> {
        HOSTS
            .iter()
            .find(|(known, _)| *known == host)
            .map(|(_, upstream)| *upstream)
    }

    /// Whether it answers questions rather than serving files.
    pub(crate) fn is_rest(self) -> bool {
        !matches!(self, Upstream::BinanceVision | Upstream::BinanceVisionListing)
    }

    /// Whether it speaks one of Binance's REST dialects.
    pub(crate) fn is_binance_rest(self) -> bool {
        self.dialect().is_some()
    }

    fn dialect(self) -> Option<Dialect> {
        match self {
            Upstream::BinanceSpot => Some(Dialect::Spot),
            Upstream::BinanceMarketData => Some(Dialect::MarketData),
            Upstream::BinanceUsdM => Some(Dialect::UsdM),
            Upstream::BinanceCoinM => Some(Dialect::CoinM),
            _ => None,
        }
    }

    /// The name of the quota that a request is charged to.
    pub(crate) fn pool_name(self, request: &Request) -> String {
        match self.dialect() {
            Some(dialect) => BinanceRest::pool_name(dialect, request).to_owned(),
            None if self == Upstream::CoinGecko => CoinGecko::pool_name(request),
            None => self.name().to_owned(),
        }
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
    coingecko: CoinGecko,
    alternative_me: AlternativeMe,
}

impl Upstreams {
    pub(crate) fn new(
        rest: BinanceRest,
        vision: BinanceVision,
        coingecko: CoinGecko,
        alternative_me: AlternativeMe,
    ) -> Self {
        Self {
            rest,
            vision,
            coingecko,
            alternative_me,
        }
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
        match upstream {
            Upstream::BinanceSpot => self.rest.respond(Dialect::Spot, world, request, effects, now),
            Upstream::BinanceMarketData => self.rest.respond(Dialect::MarketData, world, request, effects, now),
            Upstream::BinanceUsdM => self.rest.respond(Dialect::UsdM, world, request, effects, now),
            Upstream::BinanceCoinM => self.rest.respond(Dialect::CoinM, world, request, effects, now),
            Upstream::BinanceVision => Answer::free(self.vision.object(world, request, effects, now)),
            Upstream::BinanceVisionListing => Answer::free(self.vision.listing(world, request, now)),
            Upstream::CoinGecko => self.coingecko.respond(world, request, effects, now),
            Upstream::AlternativeMe => Answer::free(self.alternative_me.respond(world, request, effects, now)),
        }
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
