//! A provider plus everything learnt about it: whether it may be called, how it has done, what it lacks.
//!
//! The breaker, the quarantine and the record of calls live behind one lock that is never held across an `await`; what
//! follows from a change of the breaker (log, metrics, a probe) is done after the lock is gone.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::answer::ProviderName;
use crate::clock::Clock;
use crate::config::BreakerSettings;
use crate::engine::bans::Bans;
use crate::engine::look::Condition;
use crate::engine::outcomes::Outcomes;
use crate::engine::poor_files::PoorFiles;
use crate::engine::slots::Slots;
use crate::model::range::Timestamp;
use crate::model::series::Series;
use crate::provider::http::Method;
use crate::provider::{
    FetchError, KlineProvider, Offer, PriceProvider, Provider, Roles, SentimentProvider, Slice, Verdict,
};
use crate::resilience::breaker::{Breaker, BreakerConfig, Change, Lesson, Permit, Phase, Rejection};
use crate::resilience::quarantine::Quarantine;
use crate::telemetry;

/// A provider plus everything learnt about it.
pub(crate) struct Upstream {
    pub(crate) name: ProviderName,
    pub(super) roles: Roles,
    /// How many calls may be in flight.
    pub(crate) slots: Slots,
    /// Tries per question, the first included.
    pub(crate) tries_max: u32,
    pub(super) gate: Mutex<Gate>,
    bans: Bans,
    pub(super) outcomes: Mutex<Outcomes>,
    pub(super) condition: Mutex<Condition>,
    /// Told whenever a call was settled, for those who wait behind a trial.
    pub(crate) settled: Notify,
    /// Told whenever its prober should look again.
    pub(crate) woken: Arc<Notify>,
    poor_files: PoorFiles,
}

/// How often a prober looks whether probation is over.
const PROBATION_LOOK: Duration = Duration::from_secs(1);

pub(super) struct Gate {
    pub(super) breaker: Breaker,
    pub(super) quarantine: Quarantine,
    /// How it is probed: by HEAD until it says that it does not serve that.
    probe_method: Method,
    /// Whether somebody sees to its being probed.
    has_prober: bool,
}

/// Why an upstream may not be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It wants to be left alone.
    Quarantined(String),
    /// The breaker is open.
    CircuitOpen(String),
    /// A probe or a trial is finding out whether it works; worth waiting for, until then.
    Busy(Instant),
}

impl Refusal {
    /// A stable word for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Refusal::Quarantined(_) => "quarantined",
            Refusal::CircuitOpen(_) | Refusal::Busy(_) => "circuit_open",
        }
    }

    /// In words.
    pub(crate) fn why(&self) -> String {
        match self {
            Refusal::Quarantined(why) | Refusal::CircuitOpen(why) => why.clone(),
            Refusal::Busy(_) => "circuit half open: one call at a time, and one is under way".to_owned(),
        }
    }
}

/// What a prober should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    /// Nothing: it is not open.
    Done,
    /// Wait.
    Until(Instant),
    /// Probe.
    Now,
}

impl Upstream {
    pub(crate) fn new(
        roles: Roles,
        slots: usize,
        tries_max: u32,
        settings: &BreakerSettings,
        bans: Bans,
        clock: &Clock,
    ) -> Upstream {
        let millis = Duration::from_millis;
        let breaker = Breaker::new(BreakerConfig {
            failures: settings.failures,
            window: millis(settings.window_ms),
            failure_ratio: settings.failure_ratio,
            consecutive: settings.consecutive,
            cooldown: millis(settings.cooldown_ms),
            cooldown_max: millis(settings.cooldown_max_ms),
            permit_expires: millis(settings.permit_ms),
        });
        let quarantine = bans.restored(clock);
        Upstream {
            name: roles.provider.name(),
            roles,
            slots: Slots::new(slots),
            tries_max: tries_max.max(1),
            gate: Mutex::new(Gate {
                breaker,
                quarantine,
                probe_method: Method::Head,
                has_prober: false,
            }),
            bans,
            outcomes: Mutex::default(),
            condition: Mutex::new(Condition::new(clock.instant())),
            settled: Notify::new(),
            woken: Arc::default(),
            poor_files: PoorFiles::default(),
        }
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.roles.provider
    }

    /// As a supplier of klines, if it is one.
    pub(crate) fn klines(&self) -> Option<&dyn KlineProvider> {
        self.roles.klines.as_deref()
    }

    /// As a supplier of prices, if it is one.
    pub(crate) fn prices(&self) -> Option<&dyn PriceProvider> {
        self.roles.prices.as_deref()
    }

    /// As a supplier of a sentiment, if it is one.
    pub(crate) fn sentiment(&self) -> Option<&dyn SentimentProvider> {
        self.roles.sentiment.as_deref()
    }

    /// What it can supply of a series.
    pub(crate) fn offer(&self, series: &Series) -> Option<Offer> {
        self.klines()?.offer(series)
    }

    // --- may it be called? -------------------------------------------------------------------------------------------

    /// Leave to call now, or why not. Quarantine first: it binds trials and probes too.
    pub(crate) fn admit(&self, clock: &Clock) -> Result<Permit, Refusal> {
        let mut gate = self.informed(clock);
        quarantined(&gate, clock)?;
        let now = clock.instant();
        gate.breaker.admit(now).map_err(|r| refusal(r, now))
    }

    /// Why it may not be called now, if so; takes no permit.
    pub(crate) fn resting(&self, clock: &Clock) -> Option<Refusal> {
        let gate = self.informed(clock);
        if let Err(refused) = quarantined(&gate, clock) {
            return Some(refused);
        }
        let now = clock.instant();
        gate.breaker.would_admit(now).err().map(|r| refusal(r, now))
    }

    /// The gate as whoever is about to call needs it: it knows what other processes were told. Their file is read before
    /// the gate is locked, so that whoever only looks never waits for a disk.
    fn informed(&self, clock: &Clock) -> MutexGuard<'_, Gate> {
        let news = self.bans.news(clock);
        let mut gate = self.gate.lock();
        if let Some(record) = news {
            gate.quarantine.adopt(&record, clock.instant(), clock.now());
        }
        gate
    }

    /// Whether calls go through without any doubt about it.
    pub(crate) fn is_let_through(&self, clock: &Clock) -> bool {
        let gate = self.informed(clock);
        let look = gate.breaker.snapshot(clock.instant());
        look.phase == Phase::Closed && !look.on_probation && quarantined(&gate, clock).is_ok()
    }

    /// In how long it is worth asking again, if it rests.
    pub(crate) fn rests_for(&self, clock: &Clock) -> Option<Duration> {
        let (gate, now) = (self.gate.lock(), clock.instant());
        let ban = gate.quarantine.until(now).map(|(until, _)| until);
        let open = match gate.breaker.would_admit(now) {
            Err(Rejection::Open { retry_at: until } | Rejection::Busy { until }) => Some(until),
            Ok(()) | Err(Rejection::Forced) => None,
        };
        ban.max(open).map(|until| until.saturating_duration_since(now))
    }

    // --- what came of it ---------------------------------------------------------------------------------------------

    /// Teaches breaker and quarantine what came of a call; what changed.
    pub(crate) fn settle(&self, permit: Permit, verdict: Verdict, common_cause: bool, clock: &Clock) -> Option<Change> {
        let lesson = match verdict {
            Verdict::Success => Lesson::Success,
            Verdict::Failure => Lesson::Failure,
            Verdict::Ignored | Verdict::Throttled => Lesson::Ignored,
        };
        let change = {
            let mut gate = self.gate.lock();
            if verdict == Verdict::Success {
                gate.quarantine.recovered();
            }
            let roll = rand::random::<f64>();
            gate.breaker.settle(permit, lesson, clock.instant(), roll, common_cause)
        };
        self.look(clock);
        self.settled.notify_waiters();
        change
    }

    /// What an attempt's trail line says, for the health report.
    pub(crate) fn note(&self, sent: bool, result: Result<(), &FetchError>, took: Duration, clock: &Clock) {
        self.outcomes.lock().add(sent, result, took, clock.now());
        self.look(clock);
    }

    /// It was not even planned for.
    pub(crate) fn skipped(&self) {
        self.outcomes.lock().skipped += 1;
    }

    /// Leaves it alone for as long as it asked, across restarts.
    pub(crate) fn quarantine(&self, retry_after: Duration, told: bool, why: &str, clock: &Clock) {
        let record = {
            let mut gate = self.gate.lock();
            gate.quarantine.extend(retry_after, told, why, clock.instant());
            gate.quarantine.record(clock.instant(), clock.now())
        };
        self.look(clock);
        telemetry::quarantined(&self.name, why, retry_after);
        if let Some(record) = record {
            self.bans.save(record);
        }
    }

    // --- probes ------------------------------------------------------------------------------------------------------

    /// What its prober should do now. `Done` dismisses the prober.
    pub(crate) fn probing(&self, clock: &Clock) -> Probing {
        let (mut gate, now) = (self.informed(clock), clock.instant());
        let look = gate.breaker.snapshot(now);
        if look.phase == Phase::Closed || look.forced.is_some() {
            gate.has_prober = false;
            return Probing::Done;
        }
        if look.phase == Phase::HalfOpen {
            // A trial is out, or calls go through on probation: they decide, and the prober waits for what they find.
            return Probing::Until(now + PROBATION_LOOK);
        }
        let ban = gate.quarantine.until(now).map(|(until, _)| until);
        match look.retry_at.max(ban) {
            Some(until) if until > now => Probing::Until(until),
            _ => Probing::Now,
        }
    }

    /// Leave for one probe.
    pub(crate) fn begin_probe(&self, clock: &Clock) -> Result<Permit, Refusal> {
        let (mut gate, now) = (self.informed(clock), clock.instant());
        quarantined(&gate, clock)?;
        gate.breaker.begin_probe(now).map_err(|r| refusal(r, now))
    }

    /// Whether a prober must be sent: it is open, and nobody sees to it yet.
    pub(crate) fn wants_prober(&self) -> bool {
        !std::mem::replace(&mut self.gate.lock().has_prober, true)
    }

    /// How it is to be probed.
    pub(crate) fn probe_method(&self) -> Method {
        self.gate.lock().probe_method
    }

    /// It does not serve HEAD: the cheapest GET from now on.
    pub(crate) fn probe_by_get(&self) {
        self.gate.lock().probe_method = Method::Get;
    }

    /// What came of a probe, for the health report.
    pub(crate) fn note_probe(&self, failed: Option<String>, took: Duration, clock: &Clock) {
        self.outcomes.lock().probed(failed, took, clock.now());
        self.look(clock);
    }

    /// Others recovered: if it is open, it is probed at once.
    pub(crate) fn retry_now(&self, clock: &Clock) {
        self.gate.lock().breaker.retry_now(clock.instant());
        self.woken.notify_one();
    }

    // --- by hand -----------------------------------------------------------------------------------------------------

    pub(crate) fn force_open(&self, clock: &Clock) -> Option<Change> {
        let change = self.gate.lock().breaker.force_open(clock.instant());
        self.look(clock);
        change
    }

    pub(crate) fn force_closed(&self, clock: &Clock) -> Option<Change> {
        let change = self.gate.lock().breaker.force_closed(clock.instant());
        self.look(clock);
        change
    }

    /// As new: breaker closed, quarantine lifted, also on disk.
    pub(crate) fn reset(&self, clock: &Clock) -> Option<Change> {
        let change = {
            let mut gate = self.gate.lock();
            gate.quarantine.lift();
            gate.breaker.reset(clock.instant())
        };
        self.bans.forget();
        self.look(clock);
        self.settled.notify_waiters();
        change
    }

    // --- files -------------------------------------------------------------------------------------------------------

    /// Remembers that a file is absent or corrupt.
    pub(crate) fn remember(&self, slice: &Slice, error: &FetchError, clock: &Clock) {
        if let FetchError::Corrupt(why) = error {
            telemetry::archive_quarantined(&self.name, &slice.range.to_string(), why);
        }
        self.poor_files.add(slice, error, clock);
    }

    /// The files of a series that are not worth asking for now, and why.
    pub(crate) fn remembered(&self, series: &Series, clock: &Clock) -> Vec<(Slice, FetchError)> {
        self.poor_files.of(series, clock)
    }
}

fn quarantined(gate: &Gate, clock: &Clock) -> Result<(), Refusal> {
    match gate.quarantine.until(clock.instant()) {
        None => Ok(()),
        Some((until, why)) => {
            let until = wall(until, clock);
            Err(Refusal::Quarantined(format!("quarantined until {until}: {why}")))
        }
    }
}

fn refusal(rejection: Rejection, now: Instant) -> Refusal {
    match rejection {
        Rejection::Busy { until } => Refusal::Busy(until),
        Rejection::Open { retry_at } => {
            let seconds = retry_at.saturating_duration_since(now).as_secs().max(1);
            Refusal::CircuitOpen(format!(
                "circuit open: it failed repeatedly; asked again in {seconds} s"
            ))
        }
        Rejection::Forced => Refusal::CircuitOpen("circuit open: opened by hand".to_owned()),
    }
}

/// A monotonic instant on the wall clock as it reads now.
pub(crate) fn wall(at: Instant, clock: &Clock) -> Timestamp {
    let (now, micros) = (clock.instant(), |d: Duration| {
        i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
    });
    let away = micros(at.saturating_duration_since(now)) - micros(now.saturating_duration_since(at));
    clock.now().plus(away)
}
