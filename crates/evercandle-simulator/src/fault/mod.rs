//! Faults switched on and off while the simulator runs.
//!
//! A fault is an effect with an aim (which requests), a budget (how often) and a chance (how likely, decided by seed).
//! Several can touch one request. Those that change archives leave the checksum in agreement, because that is what
//! makes them dangerous; a budget then counts archives, not sidecars, so both tell one story.

mod effect;
mod rest_rows;

use std::time::Duration;

use parking_lot::Mutex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use effect::{Effect, ErrorShape, HeaderStyle};

use crate::market::Noise;
use crate::message::Request;
use crate::upstream::Upstream;
use effect::Reach;
pub(crate) use rest_rows::Page;

/// Mebibytes a bomb unpacks to at the most: it must burst in who asks, not in the simulator.
pub(crate) const BOMB_MEBIBYTES_MAX: usize = 1024;

/// Names a fault so that it can be cleared.
pub type FaultId = u64;

/// Something that will go wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What happens.
    pub effect: Effect,
    /// An upstream's name (`binance-vision`; `binance-futures` for both futures hosts), a whole host, or part of hosts;
    /// empty for all. One that nobody could be meant by is not read.
    #[serde(default, deserialize_with = "known_aim")]
    pub upstream: String,
    /// Part of the decoded path and query; empty for all. `*` stands for anything.
    #[serde(default)]
    pub path: String,
    /// `GET` or `HEAD`; empty for all.
    #[serde(default)]
    pub method: String,
    /// How many requests it touches; `None` until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// How likely it is to touch a request it could. For archives the dice are thrown once per file.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Only in alternating stretches of the simulator's clock, the first of which begins with the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Flapping>,
}

/// A fault that comes and goes: in force for `down`, not for `up`, and again. In microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flapping {
    /// How long it is in force.
    pub down: i64,
    /// How long it is not.
    pub up: i64,
}

impl Flapping {
    /// Whether it is in force so long after it began.
    fn is_down(self, since: i64) -> bool {
        let period = self.down.saturating_add(self.up);
        period <= 0 || since.rem_euclid(period) < self.down
    }
}

/// A fault at a name that nobody has would never strike, and the outage that is rehearsed would pass for survived.
fn known_aim<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let aim = String::deserialize(deserializer)?;
    Upstream::check_aim(&aim).map_err(D::Error::custom)?;
    Ok(aim)
}

fn certain() -> f64 {
    1.0
}

impl Fault {
    /// A fault that touches every request it can, until cleared.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            upstream: String::new(),
            path: String::new(),
            method: String::new(),
            times: None,
            probability: 1.0,
            flapping: None,
        }
    }

    /// Nothing answers at an upstream.
    pub fn down(upstream: Upstream) -> Self {
        Self::new(Effect::Refuse).on(upstream.name())
    }

    /// Only at an upstream by name, or at hosts containing this text.
    ///
    /// # Panics
    /// When nobody is meant by it: such a fault would never strike.
    #[track_caller]
    pub fn on(self, upstream: &str) -> Self {
        if let Err(error) = Upstream::check_aim(upstream) {
            panic!("{error}");
        }
        Self {
            upstream: upstream.to_owned(),
            ..self
        }
    }

    /// Only where the path and query contain this text; `*` stands for anything.
    pub fn path(self, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..self
        }
    }

    /// Only requests with this method: a server whose HEAD passes while its GET fails.
    pub fn method(self, method: &str) -> Self {
        Self {
            method: method.to_owned(),
            ..self
        }
    }

    /// Only this many times.
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// Only with this probability.
    pub fn probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// Only for `down` at a time, with `up` between, by the simulator's clock and from the moment it is switched on.
    pub fn flapping(self, down: Duration, up: Duration) -> Self {
        let microseconds = |length: Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        let (down, up) = (microseconds(down), microseconds(up));
        Self {
            flapping: Some(Flapping { down, up }),
            ..self
        }
    }

    fn aims_at(&self, upstream: Upstream, request: &Request, location: &str) -> bool {
        self.aims_at_host(upstream, &request.host)
            && (self.method.is_empty() || self.method == request.method)
            && (!matches!(self.effect, Effect::HeadNotServed { .. }) || request.method == "HEAD")
            && contains(location, &self.path)
            && self.reaches(upstream, location)
    }

    fn aims_at_host(&self, upstream: Upstream, host: &str) -> bool {
        let named = Upstream::named(&self.upstream);
        if !named.is_empty() {
            return named.contains(&upstream);
        }
        // `api.binance.com` is part of `fapi.binance.com` and must not mean it.
        if Upstream::of_host(&self.upstream).is_some() {
            host == self.upstream
        } else {
            host.contains(&self.upstream)
        }
    }

    fn reaches(&self, upstream: Upstream, location: &str) -> bool {
        match self.effect.reach() {
            Reach::Anything => true,
            Reach::RestKlines => upstream.is_rest() && serves_rows(location),
            Reach::RestTime => upstream.is_rest() && location.contains("/time"),
            Reach::Rows => {
                upstream.is_rest() && serves_rows(location)
                    || upstream == Upstream::BinanceVision && location.contains(".zip")
            }
            Reach::Tickers => upstream.is_binance_rest() && location.contains("/ticker/"),
            Reach::Prices => {
                upstream.is_binance_rest() && location.contains("/ticker/")
                    || upstream == Upstream::CoinGecko
                        && (location.contains("/simple/price") || location.contains("/coins/markets"))
            }
            Reach::CoinGecko => upstream == Upstream::CoinGecko,
            Reach::FearGreed => upstream == Upstream::AlternativeMe,
            Reach::Archive => upstream == Upstream::BinanceVision && location.contains(".zip"),
            Reach::Sidecar => upstream == Upstream::BinanceVision && location.contains(".zip.CHECKSUM"),
        }
    }
}

/// Pages of klines, and of funding rates, which can go wrong in the same ways.
fn serves_rows(location: &str) -> bool {
    location.contains("/klines") || location.contains("/fundingRate")
}

/// Whether the pieces between the stars of `pattern` occur in `text` in this order.
fn contains(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    for piece in pattern.split('*') {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

/// A fault in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActiveFault {
    /// Its name.
    pub id: FaultId,
    /// What it is; `times` counts down.
    pub fault: Fault,
    /// How many requests it has touched.
    pub applied: u64,
    /// How many requests it could have touched.
    #[serde(skip)]
    seen: u64,
    /// When it began by the simulator's clock, once that is known.
    #[serde(skip)]
    since: Option<i64>,
}

/// The faults in force, in the order they were injected.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    next: FaultId,
    active: Vec<ActiveFault>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            book: Mutex::default(),
        }
    }

    /// Switches a fault on. One that flaps begins with the first request it could touch; see [`crate::Simulator::inject`]
    /// for one that begins now.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.inject_at(fault, None)
    }

    pub(crate) fn inject_at(&self, fault: Fault, since: Option<i64>) -> FaultId {
        let mut book = self.book.lock();
        book.next += 1;
        let id = book.next;
        book.active.push(ActiveFault {
            id,
            fault,
            applied: 0,
            seen: 0,
            since,
        });
        id
    }

    /// Switches one off; `false` if it was not on.
    pub fn clear(&self, id: FaultId) -> bool {
        let mut book = self.book.lock();
        let before = book.active.len();
        book.active.retain(|active| active.id != id);
        book.active.len() < before
    }

    /// Switches all off.
    pub fn clear_all(&self) {
        self.book.lock().active.clear();
    }

    /// Those in force, spent ones included.
    pub fn active(&self) -> Vec<ActiveFault> {
        self.book.lock().active.clone()
    }

    /// The effects on a request, charged to their budgets.
    pub(crate) fn strike(&self, upstream: Upstream, request: &Request, now: i64) -> Vec<Effect> {
        let mut location = request.decoded_path();
        if !request.query.is_empty() {
            location = format!("{location}?{}", request.query);
        }
        let sidecar = location.ends_with(".CHECKSUM");
        let mut effects = Vec::new();
        for active in &mut self.book.lock().active {
            if active.fault.times == Some(0) || !active.fault.aims_at(upstream, request, &location) {
                continue;
            }
            if let Some(flapping) = active.fault.flapping {
                let since = *active.since.get_or_insert(now);
                if !flapping.is_down(now.saturating_sub(since)) {
                    continue;
                }
            }
            // A sidecar shares the fate of its archive: the dice are thrown per file, and only archives cost budget.
            let of_archive = match active.fault.effect.reach() {
                Reach::Archive => true,
                Reach::Rows => !upstream.is_rest(),
                _ => false,
            };
            let dice = if of_archive {
                Noise::new(self.seed, location.trim_end_matches(".CHECKSUM")).unit(active.id, 0)
            } else {
                active.seen += 1;
                Noise::new(self.seed, "faults").unit(active.id, active.seen as i64)
            };
            if dice >= active.fault.probability {
                continue;
            }
            if !(of_archive && sidecar) {
                active.applied += 1;
                active.fault.times = active.fault.times.map(|times| times - 1);
            }
            effects.push(active.fault.effect.clone());
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn strike(faults: &Faults, target: &str) -> usize {
        let request = Request::get(target);
        let upstream = Upstream::of_host(&request.host).unwrap();
        faults.strike(upstream, &request, 0).len()
    }

    #[test]
    fn a_fault_strikes_only_where_it_aims_and_as_often_as_it_may() {
        let faults = Faults::new(1);
        faults.inject(
            Fault::new(Effect::EmptyArray)
                .on("binance-spot")
                .path("klines*ETHUSDT")
                .times(2),
        );
        assert_eq!(strike(&faults, "api.binance.com/api/v3/klines?symbol=BTCUSDT"), 0);
        assert_eq!(strike(&faults, "fapi.binance.com/fapi/v1/klines?symbol=ETHUSDT"), 0);
        for expected in [1, 1, 0] {
            assert_eq!(
                strike(&faults, "api2.binance.com/api/v3/klines?symbol=ETHUSDT"),
                expected
            );
        }
    }

    #[test]
    fn a_sidecar_shares_the_fate_of_its_archive_without_spending_the_budget() {
        let faults = Faults::new(1);
        faults.inject(Fault::new(Effect::CorruptZip).times(1));
        let zip = "data.binance.vision/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip";
        let sidecar = format!("{zip}.CHECKSUM");
        assert_eq!(strike(&faults, &sidecar), 1);
        assert_eq!(strike(&faults, zip), 1);
        assert_eq!(strike(&faults, zip), 0);
        assert_eq!(strike(&faults, &sidecar), 0);
    }

    #[test]
    fn a_whole_host_means_that_host_and_a_method_means_that_method() {
        let faults = Faults::new(1);
        faults.inject(Fault::new(Effect::Html).on("api.binance.com").method("GET"));
        assert_eq!(strike(&faults, "api.binance.com/api/v3/ping"), 1);
        assert_eq!(strike(&faults, "fapi.binance.com/fapi/v1/ping"), 0);
        let head = Request::new("HEAD", "api.binance.com/api/v3/ping");
        assert!(faults.strike(Upstream::BinanceSpot, &head, 0).is_empty());
    }

    #[test]
    fn chances_are_decided_by_the_seed() {
        let run = |seed| -> Vec<usize> {
            let faults = Faults::new(seed);
            faults.inject(Fault::new(Effect::Html).probability(0.5));
            (0..64)
                .map(|_| strike(&faults, "api.binance.com/api/v3/ping"))
                .collect()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
        assert!((16..48).contains(&run(3).iter().sum::<usize>()));
    }

    #[test]
    fn a_flapping_fault_comes_and_goes_with_the_clock() {
        let faults = Faults::new(1);
        let (down, up) = (Duration::from_secs(2), Duration::from_secs(3));
        faults.inject_at(Fault::new(Effect::Html).flapping(down, up), Some(100 * SECOND));
        let request = Request::get("api.binance.com/api/v3/ping");
        let struck: Vec<usize> = (100..112)
            .map(|second| faults.strike(Upstream::BinanceSpot, &request, second * SECOND).len())
            .collect();
        assert_eq!(struck, [1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1]);
        let read: Fault =
            serde_json::from_str(r#"{"effect":{"kind":"html"},"flapping":{"down":2000000,"up":3000000}}"#).unwrap();
        assert_eq!(read, Fault::new(Effect::Html).flapping(down, up));
    }

    #[test]
    fn a_server_without_head_still_serves_get() {
        let faults = Faults::new(1);
        faults.inject(Fault::new(Effect::HeadNotServed { status: 405 }));
        assert_eq!(strike(&faults, "api.binance.com/api/v3/ping"), 0);
        let head = Request::new("HEAD", "api.binance.com/api/v3/ping");
        assert_eq!(faults.strike(Upstream::BinanceSpot, &head, 0).len(), 1);
    }

    #[test]
    fn faults_read_from_json_with_everything_optional_but_the_effect() {
        let fault: Fault =
            serde_json::from_str(r#"{"effect":{"kind":"truncated_day","hour":18},"upstream":"binance-vision"}"#)
                .unwrap();
        assert_eq!(
            fault,
            Fault::new(Effect::TruncatedDay { hour: 18 }).on("binance-vision")
        );
    }
}
