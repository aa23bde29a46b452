//! How an upstream looks to whoever asks about its health: its status, and since when.

use tokio::time::Instant;

use crate::clock::Clock;
use crate::engine::outcomes::Outcomes;
use crate::engine::quotas::Quotas;
use crate::engine::upstream::{Upstream, wall};
use crate::health::{CircuitState, Status, UpstreamHealth};
use crate::provider::Call;
use crate::resilience::breaker::{Change, Phase, Snapshot};
use crate::telemetry;

/// Its status as it was seen last, after whatever happened last.
#[derive(Clone, Copy)]
pub(super) struct Condition {
    status: Status,
    since: Instant,
    /// When it ends by time alone, where that is known beforehand.
    ends: Option<Instant>,
}

/// How it looks at one instant.
pub(super) struct Look {
    breaker: Snapshot,
    ban: Option<(Instant, String)>,
    outcomes: Outcomes,
    status: Status,
}

impl Upstream {
    /// Time alone may have closed it; what changed.
    pub(crate) fn tick(&self, clock: &Clock) -> Option<Change> {
        let change = self.gate.lock().breaker.tick(clock.instant());
        self.look(clock);
        change
    }

    /// How it looks now. Looked at after everything that happens to it, so that whoever asks hears since when: only what
    /// time alone changed may be noticed late, and when a ban ended is known all the same. It looks at memory only, because
    /// it is looked at often and by those who must be answered while a disk hangs: another process' ban shows once a call
    /// was planned or asked leave.
    pub(super) fn look(&self, clock: &Clock) -> Look {
        let now = clock.instant();
        let (breaker, ban, banned_since) = {
            let gate = self.gate.lock();
            let ban = gate.quarantine.until(now).map(|(until, why)| (until, why.to_owned()));
            (gate.breaker.snapshot(now), ban, gate.quarantine.since(now))
        };
        let outcomes = self.outcomes.lock().clone();
        let status = match breaker.phase {
            _ if ban.is_some() => Status::Quarantined,
            Phase::Open => Status::Down,
            Phase::HalfOpen => Status::Degraded,
            Phase::Closed if outcomes.answered_last == Some(false) => Status::Degraded,
            // Failures of probes while it rested are over once one is answered; those of real calls are not, for a while.
            Phase::Closed if !breaker.on_probation && breaker.failure_count > 0 && !outcomes.is_long_over() => {
                Status::Degraded
            }
            Phase::Closed => Status::Ok,
        };
        {
            let mut condition = self.condition.lock();
            let was_alone = condition.status == Status::Quarantined;
            // A ban may have begun in an earlier process, or in another one.
            let began = banned_since.unwrap_or(now);
            condition.becomes(status, began, ban.as_ref().map(|(until, _)| *until), now);
            if was_alone != ban.is_some() {
                telemetry::left_alone(&self.name, ban.is_some());
            }
        }
        Look {
            breaker,
            ban,
            outcomes,
            status,
        }
    }

    /// Everything an operator must know of it.
    pub(crate) fn health(&self, quotas: &Quotas, clock: &Clock) -> UpstreamHealth {
        let Look {
            breaker: look,
            ban,
            outcomes,
            status,
        } = self.look(clock);
        let since = self.condition.lock().since;
        let retry_at = match (&ban, look.retry_at) {
            (Some((until, _)), retry) => Some(retry.map_or(*until, |r| r.max(*until))),
            (None, retry) => retry,
        };
        UpstreamHealth {
            provider: self.name.clone(),
            serves: self.serves(),
            status,
            status_since: wall(since, clock),
            state: match look.phase {
                Phase::Closed => CircuitState::Closed,
                Phase::Open => CircuitState::Open,
                Phase::HalfOpen => CircuitState::HalfOpen,
            },
            circuit_open: look.phase != Phase::Closed,
            forced: look.forced.is_some(),
            failure_count: look.failure_count,
            success_count: outcomes.successes,
            failures_total: outcomes.failures,
            skipped_total: outcomes.skipped,
            opened_at: look.opened_at.map(|at| wall(at, clock)),
            cooldown: look.cooldown,
            retry_at: retry_at.map(|at| wall(at, clock)),
            quarantine: ban.map(|(_, why)| why),
            latency: outcomes.latency(),
            answered_last: outcomes.answered_last,
            last_error: outcomes.last_error,
            last_success_at: outcomes.last_success_at,
            last_probe: outcomes.last_probe,
            quota: self.provider().quota(Call::Probe).map(|spec| quotas.in_use(spec)),
        }
    }

    fn serves(&self) -> Vec<&'static str> {
        [
            (self.roles.klines.is_some(), "klines"),
            (self.roles.prices.is_some(), "prices"),
            (self.roles.sentiment.is_some(), "sentiment"),
        ]
        .into_iter()
        .filter_map(|(does, what)| does.then_some(what))
        .collect()
    }
}

impl Condition {
    /// Of one that nothing has happened to yet.
    pub(super) fn new(now: Instant) -> Condition {
        Condition {
            status: Status::Ok,
            since: now,
            ends: None,
        }
    }

    /// It is seen to be so; `began`: since then at the earliest; `ends`: until then, by time alone.
    fn becomes(&mut self, status: Status, began: Instant, ends: Option<Instant>, now: Instant) {
        if status != self.status {
            (self.status, self.since) = (status, self.ends.filter(|end| *end <= now).unwrap_or(began));
        }
        self.ends = ends;
    }
}
