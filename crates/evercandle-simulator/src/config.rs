//! What a simulator starts with.

use std::net::{Ipv4Addr, SocketAddr};

use crate::clock::ClockMode;
use crate::fault::Fault;
use crate::market::{Halt, SymbolSpec, known_halts, universe};
use crate::time::MINUTE;
use crate::upstream::replay::Replay;

/// Everything that can be chosen before the start. [`Config::default`] is a healthy internet in real time.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every number follows from.
    pub seed: u64,
    /// Where "now" comes from.
    pub clock: ClockMode,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What can be asked for.
    pub symbols: Vec<SymbolSpec>,
    /// When the venue stood still.
    pub halts: Vec<Halt>,
    /// When archives appear.
    pub publication: Publication,
    /// How much weight an address may use.
    pub quotas: Quotas,
    /// Keys and limits of CoinGecko.
    pub coingecko: CoinGeckoRules,
    /// How long after midnight UTC the fear and greed index of the day is put out, in microseconds.
    pub fear_greed_delay: i64,
    /// Faults in force from the first request on.
    pub faults: Vec<Fault>,
    /// Recordings to answer from where they have something to say.
    pub replay: Option<Replay>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            clock: ClockMode::Real { offset: 0 },
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            symbols: universe(),
            halts: known_halts(),
            publication: Publication::default(),
            quotas: Quotas::default(),
            coingecko: CoinGeckoRules::default(),
            fear_greed_delay: 5 * MINUTE,
            faults: Vec::new(),
            replay: None,
        }
    }
}

impl Config {
    /// The same with another seed.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same with a clock that stands at an instant, in microseconds.
    pub fn at(self, at: i64) -> Self {
        Self {
            clock: ClockMode::Fixed { at },
            ..self
        }
    }

    /// The same with recordings.
    pub fn replay(self, replay: Replay) -> Self {
        Self {
            replay: Some(replay),
            ..self
        }
    }

    /// The same with a fault in force from the start.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

/// When archives appear after their period has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// Hours after midnight at which the file of the day before is put out. The exchange's median is four.
    pub daily_delay_hours: i64,
    /// Hours after the first Monday of a month began at which the month before is put out.
    pub monthly_delay_hours: i64,
}

impl Default for Publication {
    fn default() -> Self {
        Self {
            daily_delay_hours: 4,
            monthly_delay_hours: 4,
        }
    }
}

/// Weight per minute and address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// `api.binance.com` and siblings.
    pub spot: u32,
    /// `data-api.binance.vision`.
    pub market_data: u32,
    /// `fapi` and `dapi` together.
    pub futures: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            spot: 6000,
            market_data: 6000,
            futures: 2400,
        }
    }
}

/// What CoinGecko demands and allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoinGeckoRules {
    /// Calls per minute without a key. The real number varies with the load of everybody.
    pub keyless_per_minute: u32,
    /// Calls per minute and demo key.
    pub demo_per_minute: u32,
    /// Calls per minute and paid key.
    pub pro_per_minute: u32,
    /// How a call too many is answered.
    pub throttling: Throttling,
    /// The demo keys that exist. Where neither list has any, every key is what it is sent as.
    pub demo_keys: Vec<String>,
    /// The paid keys that exist.
    pub pro_keys: Vec<String>,
}

impl Default for CoinGeckoRules {
    fn default() -> Self {
        Self {
            keyless_per_minute: 30,
            demo_per_minute: 100,
            pro_per_minute: 500,
            throttling: Throttling::RetryAfter,
            demo_keys: Vec::new(),
            pro_keys: Vec::new(),
        }
    }
}

/// How CoinGecko answers a call too many: always 429, otherwise as the weather is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttling {
    /// JSON with `Retry-After`.
    RetryAfter,
    /// JSON without it.
    NoHeader,
    /// `Throttled`, as text.
    PlainText,
}
