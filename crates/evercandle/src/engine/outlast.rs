//! Work that nobody waits for outlasts outages: when everybody who might have what is missing rests, it waits until the
//! first of them may be asked again, and goes on.
//!
//! Who waits for an answer wants to know at once that there is none; a download of hours wants to be whole in the end.
//! How long it waits is bounded, and the bound is the job's and not each request's: a thousand series must not wait a
//! thousand times for the same outage. Whatever is asked for within a minute belongs to one job, and everything that
//! arrives for it makes the patience whole again. A ban that ends later is not waited for; whoever failed is looked at
//! once more shortly before the end, however long it is to be left alone.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::{RestingReason, Waiting};
use crate::engine::Engine;
use crate::engine::assembly::Assembly;
use crate::engine::upstream::{Refusal, Upstream, wall};
use crate::error::Error;
use crate::model::range::Timestamp;
use crate::provider::Offer;
use crate::request::Request;
use crate::resilience::deadline::Deadline;

/// How long after a request another one still belongs to the same job.
const ONE_JOB: Duration = Duration::from_secs(60);
/// How often in a row somebody who failed and does not rest is asked again: by then it rests, if it is an outage.
const AGAIN_MAX: u32 = 3;
/// How long before the end of patience those who failed are looked at once more, which takes a probe and a call; what
/// is found out so soon is always waited for.
const MOMENT: Duration = Duration::from_secs(10);
/// Patience beyond this is for ever, and dates stay within calendars.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// How long the bulk requests of one engine have waited in vain, and what they wait for.
pub(crate) struct Patience {
    bound: Duration,
    outage: Mutex<Outage>,
    waiting: watch::Sender<Option<Waiting>>,
}

#[derive(Default)]
struct Outage {
    /// When the first request began to wait, and nothing arrived since.
    since: Option<Instant>,
    /// When the last request looked.
    seen: Option<Instant>,
    waiters: usize,
}

impl Patience {
    pub(crate) fn new(bound: Duration) -> Patience {
        Patience {
            bound: bound.min(FOR_EVER),
            outage: Mutex::default(),
            waiting: watch::Sender::new(None),
        }
    }

    /// Something arrived.
    pub(crate) fn renew(&self) {
        self.outage.lock().since = None;
    }

    /// What is waited for, and every change of it.
    pub(crate) fn waiting(&self) -> watch::Receiver<Option<Waiting>> {
        self.waiting.subscribe()
    }

    /// When whoever must wait now gives up.
    fn ends_at(&self, now: Instant) -> Instant {
        let mut outage = self.outage.lock();
        let goes_on = outage.waiters > 0 || outage.seen.is_some_and(|seen| now.duration_since(seen) <= ONE_JOB);
        let since = outage.since.filter(|_| goes_on).unwrap_or(now);
        (outage.since, outage.seen) = (Some(since), Some(now));
        since + self.bound
    }

    /// Somebody waits until the guard goes.
    fn wait(&self) -> Waits<'_> {
        self.outage.lock().waiters += 1;
        Waits(self)
    }
}

/// Somebody waits.
struct Waits<'a>(&'a Patience);

impl Waits<'_> {
    /// Of what several wait for, one is told until it is over.
    fn tell(&self, waiting: Waiting, now: Timestamp) {
        self.0.waiting.send_if_modified(|told| {
            let is_news = told
                .as_ref()
                .is_none_or(|told| told.until <= now && told.until < waiting.until);
            if is_news {
                *told = Some(waiting);
            }
            is_news
        });
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut outage = self.0.outage.lock();
        outage.waiters -= 1;
        if outage.waiters == 0 {
            self.0.waiting.send_if_modified(|told| told.take().is_some());
        }
    }
}

impl Engine {
    /// What bulk requests wait for.
    pub(crate) fn waiting(&self) -> watch::Receiver<Option<Waiting>> {
        self.patience.waiting()
    }

    /// Fills what could not be filled as soon as somebody may be asked again, until nothing is missing that somebody
    /// might have, or there is no patience left. Can be dropped at any time: what was fetched is stored.
    pub(crate) async fn outlast(
        self: &Arc<Self>,
        request: &Request,
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let upstreams = self.eligible(request)?;
        let mut again = 0;
        while !self.patience.bound.is_zero() && !assembly.missing().is_empty() {
            let missing = assembly.missing();
            if assembly.resting().is_some() {
                if !self.rested(&upstreams, assembly, deadline).await {
                    break;
                }
            } else if again < AGAIN_MAX && assembly.failed_at_last() {
                again += 1;
                let pause = Duration::from_millis(self.config.backoff_max_ms);
                if deadline.cuts() && deadline.remaining(self.clock.instant()) <= pause {
                    break;
                }
                self.clock.sleep(pause).await;
            } else {
                break;
            }
            deadline.progress(self.clock.instant());
            assembly.begin_again();
            self.fill(request, assembly, deadline).await?;
            if assembly.missing() != missing {
                again = 0;
            }
        }
        Ok(())
    }

    /// Waits until somebody of those who might have what is missing may be asked; whether that is so.
    async fn rested(&self, upstreams: &[(Arc<Upstream>, Offer)], assembly: &mut Assembly, deadline: &Deadline) -> bool {
        let mut waits = None;
        loop {
            // Registered before looking, so that a change between the two is not missed.
            let mut settled: FuturesUnordered<_> = upstreams
                .iter()
                .map(|(upstream, _)| {
                    let mut settled = Box::pin(upstream.settled.notified());
                    settled.as_mut().enable();
                    settled
                })
                .collect();
            let now = self.clock.instant();
            let Some(resting) = self.resting(upstreams, assembly) else {
                return true;
            };
            let (rested_at, ends_at) = (now + resting.retry_after, self.patience.ends_at(now));
            let left = ends_at.saturating_duration_since(now);
            let until = match resting.reason {
                RestingReason::Failing if rested_at > ends_at && left > MOMENT => now + (left - MOMENT),
                _ => rested_at,
            };
            let is_busy = |u: &Upstream| matches!(u.resting(&self.clock), Some(Refusal::Busy(_)));
            let is_looked_at = upstreams.iter().any(|(upstream, _)| is_busy(upstream));
            let is_over = until > ends_at && until - now >= MOMENT && !is_looked_at;
            if is_over || (deadline.cuts() && until - now >= deadline.remaining(now)) {
                assembly.set_resting(Some(resting));
                let bound = self.patience.bound.as_secs();
                let waited = (self.patience.bound - left).as_secs();
                assembly.notice(match is_over {
                    true => {
                        format!("waited {waited} s, and nobody may be asked again within the patience of {bound} s")
                    }
                    false => format!("waited {waited} s, and nobody may be asked again before the deadline"),
                });
                return false;
            }
            let waits = waits.get_or_insert_with(|| self.patience.wait());
            if until <= ends_at && !is_looked_at {
                let waiting = Waiting {
                    until: wall(until, &self.clock),
                    gives_up_at: wall(ends_at, &self.clock),
                    reasons: assembly.reasons(),
                };
                waits.tell(waiting, self.clock.now());
            }
            tokio::select! {
                () = self.clock.sleep_until(until) => {
                    for (upstream, _) in upstreams.iter().filter(|_| until < rested_at) {
                        upstream.retry_now(&self.clock);
                    }
                }
                _ = settled.next() => {}
            }
        }
    }
}
