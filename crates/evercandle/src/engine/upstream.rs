//! A provider plus everything learnt about it: whether it may be called, how fast, how many at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::answer::ProviderName;
use crate::clock::Clock;
use crate::config::EngineConfig;
use crate::model::range::DAY;
use crate::model::series::Series;
use crate::provider::{FetchError, KlineProvider, QuotaSpec, Slice, Verdict};
use crate::resilience::breaker::{Breaker, BreakerConfig, Lesson, Permit, Rejection};
use crate::resilience::quarantine::Quarantine;
use crate::resilience::quota::{Class, Quota};
use crate::telemetry;

/// A provider plus everything learnt about it.
pub(crate) struct Upstream {
    pub(crate) name: ProviderName,
    pub(crate) provider: Arc<dyn KlineProvider>,
    /// How many calls may be in flight.
    pub(crate) slots: Semaphore,
    gate: Mutex<Gate>,
    /// Files that are not worth asking for now, until when, and why.
    poor_files: Mutex<HashMap<Slice, (Instant, FetchError)>>,
}

/// How long a file that was not there is not asked for again: young ones may be published any minute.
const ABSENT_YOUNG: Duration = Duration::from_secs(600);
const ABSENT_OLD: Duration = Duration::from_secs(6 * 3_600);
/// A file counts as young for so long after the end of its period: publication has been late by a week, but rarely.
const YOUNG: i64 = 3 * DAY;
/// How long a file whose bytes were wrong, twice, is left alone.
const CORRUPT_RESTS: Duration = Duration::from_secs(3_600);
/// Files remembered at the most; beyond, all are forgotten, which costs a request each.
const POOR_FILES_MAX: usize = 10_000;

struct Gate {
    breaker: Breaker,
    quarantine: Quarantine,
}

impl Upstream {
    pub(crate) fn new(provider: Arc<dyn KlineProvider>, slots: usize, config: &EngineConfig) -> Upstream {
        let breaker = BreakerConfig {
            consecutive: config.breaker_failures,
            cooldown: Duration::from_millis(config.breaker_cooldown_ms),
            ..BreakerConfig::default()
        };
        Upstream {
            name: provider.name(),
            provider,
            slots: Semaphore::new(slots.max(1)),
            poor_files: Mutex::default(),
            gate: Mutex::new(Gate {
                breaker: Breaker::new(breaker),
                quarantine: Quarantine::default(),
            }),
        }
    }

    /// Leave to call now, or why not. Quarantine first: it binds trials too.
    pub(crate) fn admit(&self, clock: &Clock) -> Result<Permit, String> {
        let mut gate = self.gate.lock();
        if let Some((until, why)) = gate.quarantine.until(clock.instant()) {
            return Err(quarantined(until, why, clock));
        }
        let now = clock.instant();
        gate.breaker.admit(now).map_err(|why| circuit_open(why, now))
    }

    /// Why it may not be called now, if so; takes no permit.
    pub(crate) fn resting(&self, clock: &Clock) -> Option<String> {
        let gate = self.gate.lock();
        if let Some((until, why)) = gate.quarantine.until(clock.instant()) {
            return Some(quarantined(until, why, clock));
        }
        let now = clock.instant();
        gate.breaker.would_admit(now).err().map(|why| circuit_open(why, now))
    }

    /// Teaches breaker and quarantine what came of a call.
    pub(crate) fn settle(&self, permit: Permit, verdict: Verdict, clock: &Clock) {
        let lesson = match verdict {
            Verdict::Success => Lesson::Success,
            Verdict::Failure => Lesson::Failure,
            Verdict::Ignored | Verdict::Throttled => Lesson::Ignored,
        };
        let mut gate = self.gate.lock();
        gate.breaker
            .settle(permit, lesson, clock.instant(), rand::random(), false);
    }

    /// Remembers that a file is absent or corrupt, so that not every request asks for it again.
    pub(crate) fn remember(&self, slice: &Slice, error: &FetchError, clock: &Clock) {
        let rests = match error {
            FetchError::Absent(_) if clock.now().since(slice.range.end()) < YOUNG => ABSENT_YOUNG,
            FetchError::Absent(_) => ABSENT_OLD,
            FetchError::Corrupt(why) => {
                telemetry::archive_quarantined(&self.name, &slice.range.to_string(), why);
                CORRUPT_RESTS
            }
            _ => return,
        };
        let mut files = self.poor_files.lock();
        if files.len() >= POOR_FILES_MAX {
            files.clear();
        }
        files.insert(slice.clone(), (clock.instant() + rests, error.clone()));
    }

    /// The files of a series that are not worth asking for now, and why.
    pub(crate) fn remembered(&self, series: &Series, clock: &Clock) -> Vec<(Slice, FetchError)> {
        let (mut files, now) = (self.poor_files.lock(), clock.instant());
        files.retain(|_, (until, _)| *until > now);
        files
            .iter()
            .filter(|(s, _)| s.series == *series)
            .map(|(s, (_, e))| (s.clone(), e.clone()))
            .collect()
    }

    /// Leaves it alone for as long as it asked.
    pub(crate) fn quarantine(&self, retry_after: Duration, why: &str, clock: &Clock) {
        self.gate
            .lock()
            .quarantine
            .extend(retry_after, true, why, clock.instant());
    }
}

fn quarantined(until: Instant, why: &str, clock: &Clock) -> String {
    let wait = until.duration_since(clock.instant()).as_micros();
    let until = clock.now().plus(i64::try_from(wait).unwrap_or(i64::MAX));
    format!("quarantined until {until}: {why}")
}

fn circuit_open(why: Rejection, now: Instant) -> String {
    let (Rejection::Open { retry_at: until } | Rejection::Busy { until }) = why else {
        return "circuit open: by hand".to_owned();
    };
    let wait = until.duration_since(now).as_secs().max(1);
    format!("circuit open: it failed repeatedly; asked again in {wait} s")
}

/// The quotas of all groups. Upstreams that share an address limit share a group.
pub(crate) struct Quotas {
    percent: u32,
    groups: Mutex<HashMap<&'static str, Quota>>,
}

impl Quotas {
    pub(crate) fn new(percent: u32) -> Quotas {
        Quotas {
            percent,
            groups: Mutex::default(),
        }
    }

    /// Charges a slice, or says how long until it can be.
    pub(crate) fn charge(&self, spec: QuotaSpec, clock: &Clock) -> Result<(), Duration> {
        self.with(spec, |quota| quota.charge(spec.weight, Class::Interactive, clock.now()))
    }

    /// Takes over the upstream's own count.
    pub(crate) fn correct(&self, spec: QuotaSpec, used: u32, clock: &Clock) {
        self.with(spec, |quota| quota.correct(used, clock.now(), clock.now()));
    }

    fn with<T>(&self, spec: QuotaSpec, act: impl FnOnce(&mut Quota) -> T) -> T {
        let mut groups = self.groups.lock();
        act(groups
            .entry(spec.group)
            .or_insert_with(|| Quota::new(spec.weight_per_minute, self.percent, 0)))
    }
}
