//! From a request to a reply: the whole internet as one function.
//!
//! No socket, no runtime and no wall clock here, so most tests of the simulator, and of anything that can be handed a
//! transport, need none either.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use libdeflater::{CompressionLvl, Compressor};

use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, CONTROL_HOST};
use crate::door::{Door, Doors};
use crate::fault::{Effect, Fault, FaultId, Faults};
use crate::journal::{Entry, Journal};
use crate::market::{ExchangeMarket, Halt, Market, SymbolStatus};
use crate::message::{Delivery, Reply, Request, Response};
use crate::politeness::{PeakWeight, Politeness};
use crate::time::{SECOND, http_date};
use crate::upstream::alternative_me::AlternativeMe;
use crate::upstream::binance_rest::{BinanceRest, error, quota};
use crate::upstream::binance_vision::BinanceVision;
use crate::upstream::coingecko::{self, CoinGecko};
use crate::upstream::{Upstream, Upstreams, World};

/// Bytes from which an answer is worth packing.
const GZIP_FROM: usize = 1024;

/// How long after a refusal a caller on a socket must have read it: loopback takes far less, a busy machine may not.
const HEARD_AFTER: Duration = Duration::from_millis(50);

/// A pretend internet. Clones share one state.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    world: World,
    upstreams: Upstreams,
    faults: Faults,
    journal: Journal,
    doors: Doors,
    politeness: Arc<Politeness>,
    clock: Clock,
    born: Instant,
}

impl Simulator {
    /// A simulator that nobody can reach yet; see [`Simulator::start`] for one on a socket.
    pub fn new(config: Config) -> Self {
        let faults = Faults::new(config.seed);
        let clock = Clock::new(config.clock);
        for fault in config.faults {
            faults.inject_at(fault, Some(clock.now()));
        }
        let politeness = Arc::new(Politeness::default());
        let world = World {
            market: Market::with(config.seed, config.symbols, config.halts),
            replay: config.replay,
        };
        let upstreams = Upstreams::new(
            BinanceRest::new(&config.quotas, &politeness),
            BinanceVision::new(config.publication),
            CoinGecko::new(config.coingecko, &politeness),
            AlternativeMe {
                delay: config.fear_greed_delay,
            },
        );
        Self {
            inner: Arc::new(Inner {
                world,
                upstreams,
                faults,
                journal: Journal::default(),
                doors: Doors::default(),
                politeness,
                clock,
                born: Instant::now(),
            }),
        }
    }

    /// The truth.
    pub fn market(&self) -> &Market {
        &self.inner.world.market
    }

    /// The time of day.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Switches a fault on, from now on by the simulator's clock.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.inner.faults.inject_at(fault, Some(self.clock().now()))
    }

    /// The peak of every window of every quota, oldest first: what must stay below the limits.
    pub fn peak_weights(&self) -> Vec<PeakWeight> {
        self.inner.politeness.peaks()
    }

    /// Calls that came to a quota which had answered 429 or 418 with `Retry-After` before that was over, by the
    /// simulator's clock. Over a socket, what was sent up to 50 ms after the refusal may have crossed it and is forgiven.
    pub fn calls_in_quarantine(&self) -> usize {
        self.inner.politeness.calls_in_quarantine()
    }

    /// Stops a symbol, or lets it trade again, from now on; `false` if there is no such symbol.
    pub fn set_status(&self, market: ExchangeMarket, symbol: &str, status: SymbolStatus) -> bool {
        let known = self.market().set_status(market, symbol, status, self.clock().now());
        self.inner.upstreams.vision.forget();
        known
    }

    /// The requests seen.
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// Adds a halt to history, and forgets the archives built from another one.
    pub fn add_halt(&self, halt: Halt) {
        self.inner.world.market.add_halt(halt);
        self.inner.upstreams.vision.forget();
    }

    /// Opens a further address of this simulator, whose behaviour below HTTP can be switched.
    pub async fn open_door(&self) -> io::Result<Door> {
        self.open_door_blocking()
    }

    /// The same for callers without a runtime.
    pub fn open_door_blocking(&self) -> io::Result<Door> {
        self.inner.doors.open(WeakSimulator(Arc::downgrade(&self.inner)))
    }

    /// The doors that have not been closed.
    pub fn doors(&self) -> Vec<Door> {
        self.inner.doors.list()
    }

    /// Closes a door by its id; `false` if there is none.
    pub fn close_door(&self, id: u64) -> bool {
        self.inner.doors.close(id)
    }

    pub(crate) fn close_doors(&self) {
        self.inner.doors.close_all();
    }

    /// Answers a request as of `now`, in microseconds.
    pub fn respond(&self, request: &Request, now: i64) -> Reply {
        self.answer(request, now, Duration::ZERO)
    }

    /// The same for a caller on a socket, who hears of it later.
    pub(crate) fn respond_by_wire(&self, request: &Request, now: i64) -> Reply {
        self.answer(request, now, HEARD_AFTER)
    }

    fn answer(&self, request: &Request, now: i64, heard_after: Duration) -> Reply {
        if request.host == CONTROL_HOST {
            return whole(control::respond(self, request));
        }
        let Some(upstream) = Upstream::of_host(&request.host) else {
            return whole(Response::new(
                502,
                "text/plain",
                format!("no such host here: {}", request.host),
            ));
        };
        let elapsed = self.inner.born.elapsed().as_micros() as i64;
        let pool = upstream.pool_name(request);
        let in_quarantine = self.inner.politeness.knocks(&pool, now, elapsed);
        let effects = self.inner.faults.strike(upstream, request, now);
        let (response, weight) = match effects.iter().find_map(|effect| replacement(effect, upstream, now)) {
            Some(response) => (response, 0),
            None => {
                let answer = self
                    .inner
                    .upstreams
                    .respond(upstream, &self.inner.world, request, &effects, now);
                (answer.response, answer.weight)
            }
        };
        let response = if effects.contains(&Effect::TruncatedBody) {
            halved(response)
        } else {
            response
        };
        // Whoever serves anything says what time it is there.
        let response = match response.header("Date") {
            Some(_) => response,
            None => response.with("Date", http_date(now)),
        };
        let reply = deliver(compressed(request, upstream, response), &effects);
        if let Some(seconds) = wait(&reply) {
            let travel = match heard_after {
                Duration::ZERO => Duration::ZERO,
                after => reply.delay.saturating_add(after),
            };
            let heard = elapsed.saturating_add(i64::try_from(travel.as_micros()).unwrap_or(i64::MAX));
            self.inner.politeness.told_to_wait(&pool, now, seconds, heard);
        }
        self.inner.journal.record(Entry {
            at: now,
            elapsed,
            method: request.method.clone(),
            host: request.host.clone(),
            path: request.decoded_path(),
            query: request.query.clone(),
            status: reply.response.status,
            weight,
            in_quarantine,
            bytes: reply.response.body.len(),
            faults: effects,
        });
        reply
    }
}

/// A simulator seen from something that it owns.
#[derive(Clone)]
pub(crate) struct WeakSimulator(Weak<Inner>);

impl WeakSimulator {
    /// The simulator, if it is still there.
    pub(crate) fn upgrade(&self) -> Option<Simulator> {
        self.0.upgrade().map(|inner| Simulator { inner })
    }
}

/// Seconds that a refusal tells the caller to wait, if it gets there.
fn wait(reply: &Reply) -> Option<i64> {
    let lost = matches!(reply.delivery, Delivery::Drop | Delivery::Silence);
    if lost || !matches!(reply.response.status, 429 | 418) {
        return None;
    }
    reply.response.header("retry-after")?.parse().ok()
}

fn halved(response: Response) -> Response {
    Response {
        body: response.body.slice(..response.body.len() / 2),
        ..response
    }
}

/// REST answers come packed to those who accept it; short ones are not worth it.
fn compressed(request: &Request, upstream: Upstream, response: Response) -> Response {
    let accepted = request
        .header("accept-encoding")
        .is_some_and(|accept| accept.contains("gzip"));
    let packed = response.header("content-encoding").is_some();
    if !accepted || packed || !upstream.is_rest() || response.body.len() < GZIP_FROM {
        return response;
    }
    let body = gzip(&response.body).into();
    Response { body, ..response }.with("Content-Encoding", "gzip")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::fastest());
    let mut packed = vec![0; compressor.gzip_compress_bound(content.len())];
    let length = compressor.gzip_compress(content, &mut packed).unwrap_or(0);
    packed.truncate(length);
    packed
}

fn whole(response: Response) -> Reply {
    Reply {
        response,
        delivery: Delivery::Whole,
        delay: Duration::ZERO,
    }
}

/// The answer that takes the place of the true one.
fn replacement(effect: &Effect, upstream: Upstream, now: i64) -> Option<Response> {
    Some(match effect {
        Effect::Status { status, body } => Response::new(*status, "text/plain", body.clone()),
        Effect::HeadNotServed { status } => Response::new(*status, "text/plain", ""),
        Effect::CoinGeckoError {
            shape,
            status,
            code,
            message,
            retry_after,
        } => coingecko::refusal(*shape, *status, *code, message, *retry_after, now),
        Effect::RateLimited { retry_after } if upstream == Upstream::CoinGecko => {
            coingecko::too_many(Some(*retry_after), now)
        }
        Effect::RateLimited { retry_after } if upstream == Upstream::AlternativeMe => {
            Response::new(429, "text/plain", "Too Many Requests").with("Retry-After", retry_after)
        }
        Effect::RateLimited { retry_after } => quota::throttled(6000, *retry_after),
        Effect::Banned { retry_after } => {
            quota::banned(now.saturating_add(retry_after.saturating_mul(SECOND)), *retry_after)
        }
        Effect::Forbidden if upstream.is_rest() => quota::blocked(),
        Effect::Forbidden => {
            let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            Response::new(403, "application/xml", body)
        }
        Effect::RestrictedLocation => error::body(451, 0, RESTRICTED),
        Effect::ApiError { code } => error::by_code(*code),
        Effect::Html => {
            let page = "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body></body></html>\n";
            Response::new(200, "text/html; charset=UTF-8", page)
        }
        Effect::GzipBomb { mebibytes } => {
            let blanks = vec![b' '; (*mebibytes).min(crate::fault::BOMB_MEBIBYTES_MAX) * 1024 * 1024];
            Response::json(200, gzip(&blanks)).with("Content-Encoding", "gzip")
        }
        Effect::EmptyBody => Response::json(200, ""),
        Effect::EmptyArray => Response::json(200, "[]"),
        Effect::EmptyObject => Response::json(200, "{}"),
        _ => return None,
    })
}

const RESTRICTED: &str = "Service unavailable from a restricted location according to 'b. Eligibility' in \
    https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in error.";

/// Applies what happens on the way.
fn deliver(response: Response, effects: &[Effect]) -> Reply {
    let mut delivery = Delivery::Whole;
    let mut delay = Duration::ZERO;
    for effect in effects {
        match *effect {
            Effect::Refuse => delivery = Delivery::Drop,
            Effect::BlackHole => delivery = Delivery::Silence,
            Effect::ResetMidBody { after } => delivery = Delivery::ResetAfter(after),
            Effect::ShortBody { missing } => delivery = Delivery::Short(missing),
            Effect::Trickle { bytes_per_second } => delivery = Delivery::Trickle(bytes_per_second),
            Effect::EndlessBody => delivery = Delivery::Endless,
            Effect::UnfinishedChunks => delivery = Delivery::Unfinished,
            Effect::Latency { milliseconds } => delay = delay.saturating_add(Duration::from_millis(milliseconds)),

            _ => {}
        }
    }
    Reply {
        response,
        delivery,
        delay,
    }
}
