//! Asks resting upstreams whether they are back, so that it is not a caller who pays for finding out.
//!
//! An upstream whose breaker opens gets a prober: a task that sleeps through the cooldown, sends one HEAD (or, where
//! HEAD is not served, the cheapest GET), and goes home when the breaker lets calls through again. Quarantines bind it
//! too. Nobody has to ask for anything meanwhile. Should there be no prober (no runtime, a process that slept), the
//! breaker lets a caller through after a while.
//!
//! All changes of all breakers pass through here, because one question needs all of them: is it us? When most remote
//! upstreams fail at once, cooldowns are not lengthened, there is one finding instead of several, and the first to
//! answer has all others probed at once.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::engine::quotas::Quotas;
use crate::engine::upstream::{Probing, Upstream};
use crate::provider::http::Method;
use crate::provider::{Call, FetchError, Pulse, Verdict};
use crate::resilience::breaker::{Change, Permit};
use crate::resilience::common_cause::CommonCause;
use crate::resilience::quota::Class;
use crate::telemetry;

/// How long a prober that was refused leave waits before it looks again: somebody else's call is finding out.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What watches over all upstreams of one engine.
pub(crate) struct Probes {
    clock: Clock,
    quotas: Arc<Quotas>,
    upstreams: OnceLock<Vec<Weak<Upstream>>>,
    common_cause: Mutex<CommonCause>,
    /// How long a probe may take, whatever it is doing.
    expires: Duration,
}

impl Probes {
    pub(crate) fn new(
        clock: Clock,
        quotas: Arc<Quotas>,
        upstreams: &[Arc<Upstream>],
        expires: Duration,
    ) -> Arc<Probes> {
        let probes = Probes {
            clock,
            quotas,
            upstreams: OnceLock::new(),
            common_cause: Mutex::new(CommonCause::new(upstreams.len())),
            expires,
        };
        let _ = probes.upstreams.set(upstreams.iter().map(Arc::downgrade).collect());
        Arc::new(probes)
    }

    /// Since when most upstreams fail together, if they do.
    pub(crate) fn suspected(&self) -> Option<Instant> {
        self.common_cause.lock().suspected()
    }

    /// A permit that is given back whatever happens.
    pub(crate) fn hold<'a>(self: &'a Arc<Self>, upstream: &'a Upstream, permit: Permit) -> PermitGuard<'a> {
        PermitGuard {
            probes: self,
            upstream,
            permit: Some(permit),
        }
    }

    /// Teaches an upstream what came of a call, and sees to what follows.
    pub(crate) fn settle(self: &Arc<Self>, upstream: &Upstream, permit: Permit, verdict: Verdict) {
        let common_cause = self.suspected().is_some();
        let change = upstream.settle(permit, verdict, common_cause, &self.clock);
        if verdict == Verdict::Success {
            self.recovered(upstream);
        }
        self.follow(upstream, change);
    }

    /// Sees to what follows from a change of a breaker.
    pub(crate) fn follow(self: &Arc<Self>, upstream: &Upstream, change: Option<Change>) {
        let Some(change) = change else { return };
        let (state, wait) = match change {
            Change::Opened { cooldown, .. } => ("open", Some(cooldown)),
            Change::HalfOpened => ("half_open", None),
            Change::Closed => ("closed", None),
        };
        telemetry::circuit_changed(&upstream.name, state, wait);
        if state == "open" {
            let (before, since) = {
                let mut cause = self.common_cause.lock();
                let before = cause.suspected();
                if let Some(index) = self.index(upstream) {
                    cause.opened(index, self.clock.instant());
                }
                (before, cause.suspected())
            };
            if before.is_none() && since.is_some() {
                telemetry::common_cause(true);
                self.ask_the_others();
            }
            self.send_prober(upstream);
        }
    }

    /// One answer proves the line: whoever else is open is probed at once.
    fn recovered(&self, upstream: &Upstream) {
        let Some(index) = self.index(upstream) else { return };
        let over = {
            let mut cause = self.common_cause.lock();
            let suspected = cause.suspected().is_some();
            cause.recovered(index);
            suspected
        };
        if over {
            telemetry::common_cause(false);
            for other in self.upstreams().filter(|u| u.name != upstream.name) {
                other.retry_now(&self.clock);
            }
        }
    }

    /// Whoever is not open may know better than those that are: one answer settles whether it is us.
    fn ask_the_others(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        for other in self.upstreams() {
            let probes = self.clone();
            runtime.spawn(async move { probes.check(&other).await });
        }
    }

    fn upstreams(&self) -> impl Iterator<Item = Arc<Upstream>> + '_ {
        self.upstreams.get().into_iter().flatten().filter_map(Weak::upgrade)
    }

    fn index(&self, upstream: &Upstream) -> Option<usize> {
        let all = self.upstreams.get()?;
        all.iter().position(|u| std::ptr::eq(u.as_ptr(), upstream))
    }

    fn send_prober(self: &Arc<Self>, upstream: &Upstream) {
        // Without a runtime nobody can be sent; the breaker then lets a caller find out.
        let (Some(index), Ok(runtime)) = (self.index(upstream), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let Some(upstream) = self.upstreams.get().map(|all| all[index].clone()) else {
            return;
        };
        if let Some(there) = upstream.upgrade()
            && there.wants_prober()
        {
            let (probes, clock, woken) = (Arc::downgrade(self), self.clock.clone(), there.woken.clone());
            runtime.spawn(probe_until_closed(probes, upstream, clock, woken));
        }
    }

    /// Probes an upstream that is let through anyway, for whoever wants to know how it is. One that rests is left to its
    /// prober, or to the end of its ban; one on probation, to real calls.
    pub(crate) async fn check(self: &Arc<Self>, upstream: &Upstream) {
        if upstream.is_let_through(&self.clock)
            && let Ok(permit) = upstream.admit(&self.clock)
        {
            let leave = self.hold(upstream, permit);
            // The breaker learns nothing: that a probe passes is no evidence that real calls do, and what a check counted
            // as a failure, no check could take back.
            if self.probed(upstream, &leave).await == Verdict::Success {
                self.recovered(upstream);
            }
            leave.settle(Verdict::Ignored);
        }
    }

    /// One probe of an upstream that gave leave for it; what it says.
    async fn probed(self: &Arc<Self>, upstream: &Upstream, leave: &PermitGuard<'_>) -> Verdict {
        let began = self.clock.instant();
        let mut result = self.pulse(upstream, upstream.probe_method()).await;
        if result == Ok(Pulse::MethodNotServed) && upstream.probe_method() == Method::Head {
            upstream.probe_by_get();
            result = self.pulse(upstream, Method::Get).await;
        }
        let result = match result {
            Ok(Pulse::Alive) => Ok(()),
            Ok(Pulse::MethodNotServed) => Err(FetchError::Rejected(
                "it serves neither HEAD nor GET for a probe".into(),
            )),
            Err(error) => Err(error),
        };
        let took = self.clock.instant().saturating_duration_since(began);
        let kind = result.as_ref().err().map(|e: &FetchError| e.policy().kind);
        telemetry::probed(&upstream.name, kind, took);
        upstream.note_probe(result.as_ref().err().map(ToString::to_string), took, &self.clock);
        if let Err(FetchError::Throttled { retry_after, told, why }) = &result {
            leave.quarantine(*retry_after, *told, why);
        }
        match &result {
            Ok(()) => Verdict::Success,
            // A probe that is refused as a bad question has not found it working.
            Err(FetchError::Rejected(_) | FetchError::Refused(_)) => Verdict::Failure,
            Err(error) => error.policy().verdict,
        }
    }

    async fn pulse(&self, upstream: &Upstream, method: Method) -> Result<Pulse, FetchError> {
        let provider = upstream.provider();
        let quota = provider.quota(Call::Probe);
        if let Some(spec) = quota {
            // The last of a quota is kept for probes; should even that be gone, the minute's end is near.
            while let Err(wait) = self.quotas.charge(spec, Class::Probe) {
                self.clock.sleep(wait).await;
            }
        }
        let asked = AssertUnwindSafe(provider.probe(method)).catch_unwind();
        let result = match tokio::time::timeout(self.expires, asked).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(FetchError::Panicked("the probe panicked".to_owned())),
            Err(_) => {
                let limit = self.expires.as_millis();
                Err(FetchError::TimedOut(format!("the probe did not end within {limit} ms")))
            }
        };
        if let (Some(spec), Some(reported)) = (quota, provider.reported_weight()) {
            self.quotas.correct(spec, reported);
        }
        result
    }
}

/// Leave for one call. Given back even when the caller goes away in the middle: cancellation says nothing; a panic is a
/// failure.
pub(crate) struct PermitGuard<'a> {
    probes: &'a Arc<Probes>,
    upstream: &'a Upstream,
    permit: Option<Permit>,
}

impl PermitGuard<'_> {
    /// What came of the call.
    pub(crate) fn settle(mut self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            self.probes.settle(self.upstream, permit, verdict);
        }
    }

    /// The upstream asked to be left alone.
    pub(crate) fn quarantine(&self, retry_after: Duration, told: bool, why: &str) {
        self.upstream.quarantine(retry_after, told, why, &self.probes.clock);
    }
}

impl Drop for PermitGuard<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let verdict = match std::thread::panicking() {
                true => Verdict::Failure,
                false => Verdict::Ignored,
            };
            self.probes.settle(self.upstream, permit, verdict);
        }
    }
}

/// The prober of one upstream. Ends with the engine, or when the upstream is let through again.
async fn probe_until_closed(probes: Weak<Probes>, upstream: Weak<Upstream>, clock: Clock, woken: Arc<Notify>) {
    loop {
        let (Some(probes), Some(there)) = (probes.upgrade(), upstream.upgrade()) else {
            return;
        };
        probes.follow(&there, there.tick(&clock));
        let wait = match there.probing(&clock) {
            Probing::Done => return,
            Probing::Until(at) => at.saturating_duration_since(clock.instant()),
            Probing::Now => match there.begin_probe(&clock) {
                Ok(permit) => {
                    let leave = probes.hold(&there, permit);
                    let verdict = probes.probed(&there, &leave).await;
                    leave.settle(verdict);
                    continue;
                }
                Err(_) => LOOK_AGAIN,
            },
        };
        // Nothing is held while waiting, so that a client that is dropped is gone.
        drop((probes, there));
        tokio::select! {
            () = clock.sleep(wait) => {}
            () = woken.notified() => {}
        }
    }
}
