//! From a request to a reply: the whole internet as one function.
//!
//! No socket, no runtime and no wall clock here, so most tests of the simulator, and of anything that can be handed a
//! transport, need none either.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, CONTROL_HOST};
use crate::fault::{Effect, Fault, FaultId, Faults};
use crate::journal::{Entry, Journal};
use crate::market::{Halt, Market};
use crate::message::{Delivery, Reply, Request, Response};
use crate::time::SECOND;
use crate::upstream::binance_rest::{BinanceRest, error, quota};
use crate::upstream::binance_vision::BinanceVision;
use crate::upstream::{Upstream, Upstreams, World};

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
    clock: Clock,
}

impl Simulator {
    /// A simulator that nobody can reach yet; see [`Simulator::start`] for one on a socket.
    pub fn new(config: Config) -> Self {
        let faults = Faults::new(config.seed);
        for fault in config.faults {
            faults.inject(fault);
        }
        let world = World {
            market: Market::with(config.seed, config.symbols, config.halts),
            replay: config.replay,
        };
        let upstreams = Upstreams::new(BinanceRest::new(&config.quotas), BinanceVision::new(config.publication));
        let clock = Clock::new(config.clock);
        Self {
            inner: Arc::new(Inner {
                world,
                upstreams,
                faults,
                journal: Journal::default(),
                clock,
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

    /// Switches a fault on; short for `faults().inject(fault)`.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.inner.faults.inject(fault)
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

    /// Answers a request as of `now`, in microseconds.
    pub fn respond(&self, request: &Request, now: i64) -> Reply {
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
        let effects = self.inner.faults.strike(upstream, request);
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
        let reply = deliver(response, &effects);
        self.inner.journal.record(Entry {
            at: now,
            method: request.method.clone(),
            host: request.host.clone(),
            path: request.decoded_path(),
            query: request.query.clone(),
            status: reply.response.status,
            weight,
            bytes: reply.response.body.len(),
            faults: effects,
        });
        reply
    }
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
        Effect::RateLimited { retry_after } => quota::throttled(6000, *retry_after),
        Effect::Banned { retry_after } => quota::banned(now + retry_after * SECOND, *retry_after),
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
        Effect::EmptyBody => Response::json(200, ""),
        Effect::EmptyArray => Response::json(200, "[]"),
        Effect::EmptyObject => Response::json(200, "{}"),
        _ => return None,
    })
}

const RESTRICTED: &str = "Service unavailable from a restricted location according to 'b. Eligibility' in \
    https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in error.";

/// Applies what happens on the way.
fn deliver(mut response: Response, effects: &[Effect]) -> Reply {
    let mut delivery = Delivery::Whole;
    let mut delay = Duration::ZERO;
    for effect in effects {
        match *effect {
            Effect::Refuse => delivery = Delivery::Drop,
            Effect::BlackHole => delivery = Delivery::Silence,
            Effect::ResetMidBody { after } => delivery = Delivery::ResetAfter(after),
            Effect::ShortBody { missing } => delivery = Delivery::Short(missing),
            Effect::Trickle { bytes_per_second } => delivery = Delivery::Trickle(bytes_per_second),
            Effect::Latency { milliseconds } => delay += Duration::from_millis(milliseconds),
            Effect::TruncatedBody => response.body = response.body.slice(..response.body.len() / 2),
            _ => {}
        }
    }
    Reply {
        response,
        delivery,
        delay,
    }
}
