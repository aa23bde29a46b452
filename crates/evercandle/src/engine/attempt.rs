//! One question to one upstream: the whole resilience policy in one function.
//!
//! The order is the policy: **slot** (how many at once) → **quota** (how fast) → **admit** (quarantine, then breaker) →
//! **ask once** → **settle** (teach the breaker) → **record** (trail, metrics, log) → pause and again, or give up.
//! All waiting happens before *admit*, so a delay of our own can neither burn a trial nor count as a failure. A caller's
//! expired deadline is no evidence against the upstream.

use std::time::Duration;

use futures::future::BoxFuture;

use crate::answer::{Attempt, Outcome};
use crate::clock::Clock;
use crate::engine::upstream::{Quotas, Upstream};
use crate::model::range::TimeRange;
use crate::model::series::Series;
use crate::provider::{FetchError, Fetched, QuotaSpec, Verdict};
use crate::resilience::backoff::Backoff;
use crate::resilience::breaker::Permit;
use crate::resilience::deadline::Deadline;
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
    pub(crate) clock: &'a Clock,
    pub(crate) deadline: &'a Deadline,
    pub(crate) tries: Tries,
}

/// What is asked, for the trail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand<'a> {
    pub(crate) series: &'a Series,
    pub(crate) range: TimeRange,
    /// `page`, `day`, `month`, `listing`, `time`, `instruments`.
    pub(crate) form: &'static str,
    pub(crate) quota: Option<QuotaSpec>,
}

/// What an upstream can answer with.
pub(crate) trait Reply {
    /// For the trail.
    fn outcome(&self) -> Outcome;
    /// The upstream's own count of weight used, if it sent one.
    fn used_weight(&self) -> Option<u32> {
        None
    }
}

impl Reply for Fetched {
    fn outcome(&self) -> Outcome {
        Outcome::Rows(self.batch.len())
    }

    fn used_weight(&self) -> Option<u32> {
        self.used_weight
    }
}

impl<T> Reply for Option<T> {
    fn outcome(&self) -> Outcome {
        Outcome::Answered
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
    let Terms {
        quotas,
        clock,
        deadline,
        tries,
    } = terms;
    let mut number = 0;
    let mut failed = None;
    loop {
        number += 1;
        let (at, began) = (clock.now(), clock.instant());
        let (sent, result) = match admitted(upstream, terms, errand).await {
            Ok(leave) => (true, ask_once(leave, clock, deadline, ask()).await),
            Err(refused) => (false, Err(refused)),
        };
        if let (Some(spec), Ok(reply)) = (errand.quota, &result)
            && let Some(used) = reply.used_weight()
        {
            quotas.correct(spec, used, clock);
        }
        let outcome = match &result {
            Ok(reply) => reply.outcome(),
            Err(error) => Outcome::Failed {
                kind: error.policy().kind,
                why: error.to_string(),
            },
        };
        let took = clock.instant().duration_since(began);
        let number_sent = if sent { number } else { 0 };
        let (provider, range, form) = (upstream.name.clone(), errand.range, errand.form);
        trail.push(Attempt {
            provider,
            range,
            form,
            number: number_sent,
            at,
            took,
            outcome,
        });
        telemetry::attempt(errand.series, &trail[trail.len() - 1]);
        match result {
            Err(error) if error.policy().retry && number < tries.max => {
                let remaining = deadline.remaining(clock.instant());
                let Some(pause) = tries.backoff.pause(number, remaining, &mut rand::rng()) else {
                    return Err(error);
                };
                clock.sleep(pause).await;
                failed = Some(error);
            }
            // That it was not asked again explains less than what it answered before.
            Err(FetchError::Refused(why)) if !sent => return Err(failed.unwrap_or(FetchError::Refused(why))),
            settled => return settled,
        }
    }
}

/// Leave to call, with what must be given back afterwards.
struct Leave<'a> {
    _slot: tokio::sync::SemaphorePermit<'a>,
    permit: Guard<'a>,
}

/// Slot, quota, admission, in this order, all within the deadline.
async fn admitted<'a>(upstream: &'a Upstream, terms: Terms<'a>, errand: Errand<'_>) -> Result<Leave<'a>, FetchError> {
    let Terms {
        quotas,
        clock,
        deadline,
        ..
    } = terms;
    let out_of_time = || FetchError::Refused("the request's deadline has passed".to_owned());
    let slot = within(deadline, clock, upstream.slots.acquire())
        .await
        .ok_or_else(out_of_time)?
        .map_err(|closed| FetchError::Refused(closed.to_string()))?;
    if let Some(spec) = errand.quota {
        while let Err(wait) = quotas.charge(spec, clock) {
            if wait >= deadline.remaining(clock.instant()) {
                let (group, wait) = (spec.group, wait.as_secs() + 1);
                return Err(FetchError::Refused(format!(
                    "quota of {group} is spent for another {wait} s"
                )));
            }
            clock.sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
    if deadline.cuts() && deadline.has_passed(clock.instant()) {
        return Err(out_of_time());
    }
    let permit = upstream.admit(clock).map_err(FetchError::Refused)?;
    Ok(Leave {
        _slot: slot,
        permit: Guard {
            upstream,
            clock,
            permit: Some(permit),
        },
    })
}

async fn ask_once<T>(
    leave: Leave<'_>,
    clock: &Clock,
    deadline: &Deadline,
    answer: BoxFuture<'_, Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let result = within(deadline, clock, answer).await.unwrap_or_else(|| {
        Err(FetchError::Refused(
            "the request's deadline passed while waiting for the answer".to_owned(),
        ))
    });
    let verdict = match &result {
        Ok(_) => Verdict::Success,
        Err(error) => error.policy().verdict,
    };
    if let Err(FetchError::Throttled { retry_after, why }) = &result {
        leave.permit.upstream.quarantine(*retry_after, why, clock);
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

/// Gives the breaker's permit back even when the caller goes away in the middle: cancellation says nothing.
struct Guard<'a> {
    upstream: &'a Upstream,
    clock: &'a Clock,
    permit: Option<Permit>,
}

impl Guard<'_> {
    fn settle(mut self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            self.upstream.settle(permit, verdict, self.clock);
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.upstream.settle(permit, Verdict::Ignored, self.clock);
        }
    }
}
