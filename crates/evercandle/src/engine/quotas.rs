//! The limits that upstreams share: one quota per group, in the upstream's own minutes.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::health::QuotaUse;
use crate::model::range::Timestamp;
use crate::provider::{QuotaSpec, ReportedWeight};
use crate::resilience::quota::{Class, Quota};
use crate::telemetry;

/// How long a published limit is believed.
const LIMIT_TRUSTED: Duration = Duration::from_secs(24 * 3_600);
/// Share of the allowance, in percent, from which on the limit matters enough to be asked for: well before a limit that
/// is a fifth of what we believe could be broken.
const LIMIT_MATTERS: u64 = 5;

/// The quotas of all groups.
pub(crate) struct Quotas {
    percent: u32,
    reserve_percent: u32,
    clock: Clock,
    groups: Mutex<HashMap<&'static str, Group>>,
}

struct Group {
    quota: Quota,
    /// Microseconds the upstream's clock is ahead of ours.
    offset: i64,
    limit_asked: Option<Instant>,
}

impl Quotas {
    pub(crate) fn new(percent: u32, reserve_percent: u32, clock: Clock) -> Quotas {
        Quotas {
            percent,
            reserve_percent,
            clock,
            groups: Mutex::default(),
        }
    }

    /// Charges a call, or says how long until it can be.
    pub(crate) fn charge(&self, spec: QuotaSpec, class: Class) -> Result<(), Duration> {
        self.with(spec, |group, now| group.quota.charge(spec.weight, class, now))
    }

    /// Takes over the upstream's own count, and its idea of the time.
    pub(crate) fn correct(&self, spec: QuotaSpec, reported: ReportedWeight) {
        let ours = self.clock.now();
        self.with(spec, |group, _| {
            group.offset = reported.at.since(ours);
            group
                .quota
                .correct(reported.weight, reported.at, ours.plus(group.offset));
        });
    }

    /// The upstream published its limit.
    pub(crate) fn publish(&self, spec: QuotaSpec, weight_per_minute: u32) {
        self.with(spec, |group, _| group.quota.publish(weight_per_minute));
    }

    /// Whether it is time to ask for the limit: so much is used that it begins to matter, and it was not asked for
    /// lately. Says so once.
    pub(crate) fn wants_limit(&self, spec: QuotaSpec) -> bool {
        let instant = self.clock.instant();
        self.with(spec, |group, now| {
            let used = group.quota.used(now);
            let matters = u64::from(used.used) * 100 >= u64::from(used.allowed) * LIMIT_MATTERS;
            let known = group
                .limit_asked
                .is_some_and(|at| instant.saturating_duration_since(at) < LIMIT_TRUSTED);
            let wanted = matters && !known;
            if wanted {
                group.limit_asked = Some(instant);
            }
            wanted
        })
    }

    /// What is used of a limit.
    pub(crate) fn in_use(&self, spec: QuotaSpec) -> QuotaUse {
        self.with(spec, |group, now| {
            let used = group.quota.used(now);
            QuotaUse {
                group: spec.group,
                used: used.used,
                allowed: used.allowed,
                limit: used.limit,
            }
        })
    }

    fn with<T>(&self, spec: QuotaSpec, act: impl FnOnce(&mut Group, Timestamp) -> T) -> T {
        let ours = self.clock.now();
        let mut groups = self.groups.lock();
        let group = groups.entry(spec.group).or_insert_with(|| Group {
            quota: Quota::new(spec.weight_per_minute, self.percent, self.reserve_percent),
            offset: 0,
            limit_asked: None,
        });
        let now = ours.plus(group.offset);
        let done = act(group, now);
        let used = group.quota.used(now);
        telemetry::quota_used(spec.group, used.used, used.limit);
        done
    }
}
