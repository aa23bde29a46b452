//! One question to one upstream: the whole resilience policy in one function.
//!
//! The order is the policy: **slot** (how many at once) → **quota** (how fast) → **admit** (quarantine, then breaker) →
//! **ask once** → **settle** (teach the breaker) → **record** (trail, metrics, log) → pause and again, or give up.
//! All waiting happens before *admit*, so a delay of our own can neither burn a trial nor count as a failure. A caller's
//! expired deadline is no evidence against the upstream.
//!
//! Nobody waits for a quota in a slot: a backfill that has spent its share of a minute would hold them all, and somebody
//! who wants one price would wait behind it though there is quota left for them. Nor is a quota charged before there is
//! a slot: the upstream counts a call when it arrives, which may be in the next minute. For the same reason bulk queues
//! at a door of its own, which leaves some of the slots to those who are waited for.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::answer::{Attempt, Outcome};
use crate::clock::Clock;
use crate::engine::probe::{PermitGuard, Probes};
use crate::engine::quotas::Quotas;
use crate::engine::slots::Slot;
use crate::engine::upstream::{Refusal, Upstream};
use crate::model::range::TimeRange;
use crate::provider::{Call, FetchError, Fetched, QuotaSpec, Quotes, Verdict};
use crate::resilience::backoff::Backoff;
use crate::resilience::deadline::Deadline;
use crate::resilience::quota::Class;
use crate::telemetry;

/// How often, and with which pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    /// The first included.
    pub(crate) max: u32,
    pub(crate) backoff: Backoff,
}

/// On which terms an upstream is asked.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) quotas: &'a Quotas,
    pub(crate) probes: &'a Arc<Probes>,
    pub(crate) clock: &'a Clock,
    pub(crate) deadline: &'a Deadline,
    pub(crate) tries: Tries,
    pub(crate) class: Class,
    /// How long to wait for a quota, or for a call that is finding out whether the upstream works.
    pub(crate) patience: Duration,
}

/// What is asked, for the trail.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    /// For the log: a series, a market, a measure.
    pub(crate) subject: &'a (dyn fmt::Display + Sync),
    /// The slots asked for, when klines are.
    pub(crate) range: Option<TimeRange>,
    /// `page`, `day`, `month`, `listing`, `time`, `instruments`, `prices`, `symbols`, `readings`, `limit`.
    pub(crate) form: &'static str,
    pub(crate) call: Call<'a>,
}

/// What an upstream can answer with.
pub(crate) trait Reply {
    /// For the trail.
    fn outcome(&self) -> Outcome;

    /// What it says about the upstream. An answer that was given without asking anybody says nothing.
    fn verdict(&self) -> Verdict {
        Verdict::Success
    }
}

impl Reply for Fetched {
    fn outcome(&self) -> Outcome {
        Outcome::Rows(self.batch.len())
    }
}

impl Reply for Quotes {
    fn outcome(&self) -> Outcome {
        Outcome::Answered
    }

    fn verdict(&self) -> Verdict {
        match self.quotes.is_empty() && self.told_at.is_none() {
            true => Verdict::Ignored,
            false => Verdict::Success,
        }
    }
}

impl Reply for bool {
    fn outcome(&self) -> Outcome {
        Outcome::Answered
    }
}

impl<T> Reply for Vec<T> {
    fn outcome(&self) -> Outcome {
        Outcome::Answered
    }
}

impl<T> Reply for Option<T> {
    fn outcome(&self) -> Outcome {
        Outcome::Answered
    }

    fn verdict(&self) -> Verdict {
        match self {
            Some(_) => Verdict::Success,
            None => Verdict::Ignored,
        }
    }
}

/// Asks until there is an answer, a reason not to ask again, or no time left. Every try is added to `trail`.
pub(crate) async fn attempt<'a, T: Reply>(
    upstream: &Upstream,
    terms: Terms<'_>,
    errand: Errand<'_>,
    trail: &mut Vec<Attempt>,
    ask: impl Fn() -> BoxFuture<'a, Result<T, FetchError>> + Sync,
) -> Result<T, FetchError> {
    let Terms { clock, deadline, .. } = terms;
    let tries_max = terms.tries.max.min(upstream.tries_max);
    let quota = upstream.provider().quota(errand.call);
    let mut number = 0;
    let mut failed = None;
    loop {
        number += 1;
        let at = clock.now();
        let (skipped, began, result) = match admitted(upstream, terms, quota).await {
            // The wait for a slot or a quota is ours; what the upstream took begins here.
            Ok(leave) => (None, clock.instant(), ask_once(leave, terms, &ask).await),
            Err(Skipped { reason, why }) => (Some(reason), clock.instant(), Err(FetchError::Refused(why))),
        };
        if let (Some(spec), Some(reported)) = (quota, upstream.provider().reported_weight()) {
            terms.quotas.correct(spec, reported);
        }
        let outcome = match &result {
            Ok(reply) => reply.outcome(),
            Err(error) => Outcome::Failed {
                kind: error.policy().kind,
                why: error.to_string(),
            },
        };
        let took = clock.instant().saturating_duration_since(began);
        let made = Attempt {
            provider: upstream.name.clone(),
            range: errand.range,
            form: errand.form,
            number: if skipped.is_none() { number } else { 0 },
            at,
            took,
            outcome,
        };
        upstream.note(skipped.is_none(), result.as_ref().map(|_| ()), took, clock);
        telemetry::attempt(errand.subject, &made, skipped);
        trail.push(made);
        match result {
            Err(error) if error.policy().retry && number < tries_max => {
                let remaining = deadline.remaining(clock.instant());
                let Some(pause) = terms.tries.backoff.pause(number, remaining, &mut rand::rng()) else {
                    return Err(error);
                };
                clock.sleep(pause).await;
                failed = Some(error);
            }
            // That it was not asked again explains less than what it answered before.
            Err(FetchError::Refused(why)) if skipped.is_some() => {
                return Err(failed.unwrap_or(FetchError::Refused(why)));
            }
            settled => return settled,
        }
    }
}

/// Waits until whatever call is finding out about an upstream has ended, or there is no time left.
pub(crate) async fn wait_for_trial(upstream: &Upstream, clock: &Clock, deadline: &Deadline) {
    // Registered before looking, so that a result between the two is not missed.
    let settled = upstream.settled.notified();
    tokio::pin!(settled);
    settled.as_mut().enable();
    if let Some(Refusal::Busy(until)) = upstream.resting(clock) {
        let wait = until.saturating_duration_since(clock.instant());
        let wait = wait
            .min(deadline.remaining(clock.instant()))
            .max(Duration::from_millis(1));
        tokio::select! {
            () = settled => {}
            () = clock.sleep(wait) => {}
        }
    }
}

/// Leave to call, with what must be given back afterwards.
struct Leave<'a> {
    _slot: Slot<'a>,
    permit: PermitGuard<'a>,
}

/// Why nothing was sent.
struct Skipped {
    /// A stable word for metrics: `circuit_open`, `quarantined`, `quota`, `deadline`.
    reason: &'static str,
    why: String,
}

impl Skipped {
    fn out_of_time() -> Skipped {
        Skipped {
            reason: "deadline",
            why: "the request's deadline has passed".to_owned(),
        }
    }

    fn resting(refusal: &Refusal) -> Skipped {
        Skipped {
            reason: refusal.reason(),
            why: refusal.why(),
        }
    }
}

/// Slot, quota, admission, in this order, all within the deadline.
async fn admitted<'a>(
    upstream: &'a Upstream,
    terms: Terms<'a>,
    quota: Option<QuotaSpec>,
) -> Result<Leave<'a>, Skipped> {
    let Terms { clock, deadline, .. } = terms;
    // Whoever rests is passed over at once, and not after waiting for a quota.
    match upstream.resting(clock) {
        None | Some(Refusal::Busy(_)) => {}
        Some(refusal) => return Err(Skipped::resting(&refusal)),
    }
    let slot = loop {
        let slot = within(deadline, clock, upstream.slots.acquire(terms.class))
            .await
            .ok_or_else(Skipped::out_of_time)?;
        let Some(spec) = quota else { break slot };
        let Err(wait) = terms.quotas.charge(spec, terms.class) else {
            break slot;
        };
        drop(slot);
        if wait >= deadline.remaining(clock.instant()).min(terms.patience) {
            let (group, wait) = (spec.group, wait.as_secs() + 1);
            return Err(Skipped {
                reason: "quota",
                why: format!("quota of {group} is spent for another {wait} s"),
            });
        }
        clock.sleep(wait.max(Duration::from_millis(1))).await;
        // It may have begun to rest meanwhile, and then nobody needs the next minute's quota.
        if let Some(refusal @ (Refusal::Quarantined(_) | Refusal::CircuitOpen(_))) = upstream.resting(clock) {
            return Err(Skipped::resting(&refusal));
        }
    };
    let patient_until = clock.instant() + terms.patience;
    loop {
        if deadline.cuts() && deadline.has_passed(clock.instant()) {
            return Err(Skipped::out_of_time());
        }
        match upstream.admit(clock) {
            Ok(permit) => {
                let permit = terms.probes.hold(upstream, permit);
                return Ok(Leave { _slot: slot, permit });
            }
            // One call is finding out whether it works; what it finds holds for us too.
            Err(Refusal::Busy(_)) if clock.instant() < patient_until => {
                let until = Deadline::fixed(clock.instant(), deadline.remaining(clock.instant()).min(terms.patience));
                wait_for_trial(upstream, clock, &until).await;
            }
            Err(refusal) => return Err(Skipped::resting(&refusal)),
        }
    }
}

async fn ask_once<'a, T: Reply>(
    leave: Leave<'_>,
    terms: Terms<'_>,
    ask: &(impl Fn() -> BoxFuture<'a, Result<T, FetchError>> + Sync),
) -> Result<T, FetchError> {
    // A provider that panics has failed this call, and only this call.
    let asked = AssertUnwindSafe(async { ask().await }).catch_unwind();
    let result = match within(terms.deadline, terms.clock, asked).await {
        Some(Ok(result)) => result,
        Some(Err(_)) => Err(FetchError::Panicked(
            "internal fault: the provider panicked on the answer".to_owned(),
        )),
        None => Err(FetchError::Refused(
            "the request's deadline passed while waiting for the answer".to_owned(),
        )),
    };
    let verdict = match &result {
        Ok(reply) => reply.verdict(),
        Err(error) => error.policy().verdict,
    };
    if let Err(FetchError::Throttled { retry_after, told, why }) = &result {
        leave.permit.quarantine(*retry_after, *told, why);
    }
    leave.permit.settle(verdict);
    result
}

/// Waits for what is bounded by itself, but no longer than a deadline that cuts.
async fn within<T>(deadline: &Deadline, clock: &Clock, work: impl Future<Output = T>) -> Option<T> {
    if deadline.cuts() {
        tokio::time::timeout(deadline.remaining(clock.instant()), work)
            .await
            .ok()
    } else {
        Some(work.await)
    }
}
