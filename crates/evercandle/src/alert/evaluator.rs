//! The rules, decided in this process from what was seen of it.
//!
//! Time here is *watched* time: between two samples it flows by the monotonic clock, but never by more than a few of the
//! usual distances. So a wall clock that jumps changes nothing, and a process that was stopped for an hour does not
//! wake up to find everything an hour late: nobody was looking.
//!
//! The states are Prometheus's: inactive, pending while the condition holds but not yet for long enough, firing, and
//! resolved, which is remembered for a while so that whoever looks sees what has just ended.
//!
//! A process that has just begun has seen no failure, which is no recovery. So what an earlier one told is resumed, and
//! goes on until this one has looked for as long as the end of such an alert takes, and has seen what would have ended
//! it in the earlier one: an answer, a run. Time alone ends nothing. What was pending begins anew.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::rule::{Condition, Rule, RuleName, STILL_FAILING, Severity, rules};
use crate::answer::ProviderName;
use crate::config::AlertsConfig;
use crate::health::{Health, LatestHealth};
use crate::model::range::Timestamp;
use crate::model::series::Market;
use crate::schedule::{JobKind, ScheduleStatus};

/// Distances between two samples beyond which nobody was looking.
const UNSEEN: u32 = 4;
/// The kinds of values that may be stale.
const VALUES: [&str; 2] = ["prices", "sentiment"];
/// How long an alert that ended is still shown.
const RESOLVED_SHOWN: Duration = Duration::from_secs(900);

/// What the rules look at, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// By the monotonic clock.
    pub instant: Instant,
    /// By the wall clock: for people, nothing is decided by it.
    pub at: Timestamp,
    /// Every upstream that may be asked.
    pub upstreams: Vec<UpstreamSample>,
    /// Whether most of them fail together.
    pub common_cause: bool,
    /// Whether the cache cannot be written.
    pub cache_readonly: bool,
    /// How callers were answered so far, by what they asked for.
    pub latest: Vec<LatestHealth>,
    /// Every kind of refresh: its period, and runs completed so far.
    pub jobs: Vec<(JobKind, Duration, u64)>,
    /// Watched markets of which the last refresh brought no price at all.
    pub without_prices: Vec<Market>,
}

/// An upstream, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSample {
    /// Which.
    pub provider: ProviderName,
    /// What it serves: `klines`, `prices`, `sentiment`.
    pub serves: Vec<&'static str>,
    /// Calls that failed so far.
    pub failures: u64,
    /// Calls that were answered so far. Calls it refused to count (throttled) are neither.
    pub successes: u64,
    /// Whether its circuit is open, half open or on probation.
    pub circuit_open: bool,
    /// Whether it is left alone because it asked for that.
    pub quarantined: bool,
    /// Whether it answered when it was last called or probed; `None`: it was not asked yet.
    pub answered_last: Option<bool>,
}

impl Sample {
    /// What the rules look at in these. Without a schedule nothing is to be refreshed.
    pub fn new(health: &Health, schedule: Option<&ScheduleStatus>, instant: Instant) -> Sample {
        let upstreams = health.upstreams.iter().map(|upstream| UpstreamSample {
            provider: upstream.provider.clone(),
            serves: upstream.serves.clone(),
            failures: upstream.failures_total,
            successes: upstream.success_count,
            circuit_open: upstream.circuit_open,
            quarantined: upstream.quarantine.is_some(),
            answered_last: upstream.answered_last,
        });
        let jobs = schedule
            .filter(|schedule| schedule.enabled)
            .map_or(&[][..], |schedule| &schedule.jobs);
        let prices = jobs.iter().find(|job| job.kind == JobKind::Prices);
        let served = prices.and_then(|job| job.last_run.as_ref()).map(|run| &run.served);
        let without = served.into_iter().flatten().filter(|(_, is_served)| !**is_served);
        Sample {
            instant,
            at: health.at,
            upstreams: upstreams.collect(),
            common_cause: health.common_cause_since.is_some(),
            cache_readonly: health.cache_readonly.is_some(),
            latest: health.latest.clone(),
            jobs: jobs.iter().map(|job| (job.kind, job.every, job.runs)).collect(),
            without_prices: without.map(|(market, _)| *market).collect(),
        }
    }
}

/// An alert as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// By which rule.
    pub rule: RuleName,
    /// Who is told.
    pub severity: Severity,
    /// Who or what it is about.
    pub subject: Subject,
    /// How it stands.
    pub state: AlertState,
    /// When that began; UTC.
    pub since: Timestamp,
    /// When the condition began to hold; UTC.
    pub began_at: Timestamp,
    /// What is wrong, in words.
    pub summary: String,
    /// What to do about it.
    pub runbook: &'static str,
}

impl Alert {
    fn pending(rule: &Rule, subject: Subject, at: Timestamp) -> Alert {
        Alert {
            rule: rule.name,
            severity: rule.severity,
            summary: rule.summary.replace("{subject}", &subject.to_string()),
            subject,
            state: AlertState::Pending,
            since: at,
            began_at: at,
            runbook: rule.runbook,
        }
    }
}

/// Who or what an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The daemon as a whole.
    Ourselves,
    /// An upstream.
    Provider(ProviderName),
    /// Values of this kind.
    Values(&'static str),
    /// A market.
    Market(Market),
    /// A kind of refresh.
    Job(JobKind),
}

impl Subject {
    /// The label that carries it in Prometheus, and its value.
    pub fn label(&self) -> Option<(&'static str, &str)> {
        match self {
            Subject::Ourselves => None,
            Subject::Provider(name) => Some(("provider", name.as_str())),
            Subject::Values(what) => Some(("cache_name", what)),
            Subject::Market(market) => Some(("market", market.as_str())),
            Subject::Job(kind) => Some(("kind", kind.as_str())),
        }
    }

    /// The subject with this [`label`](Subject::label), if there is such a one.
    pub fn of_label(label: Option<(&str, &str)>) -> Option<Subject> {
        let Some((kind, value)) = label else {
            return Some(Subject::Ourselves);
        };
        match kind {
            "provider" => Some(Subject::Provider(ProviderName::new(value))),
            "cache_name" => VALUES.into_iter().find(|known| *known == value).map(Subject::Values),
            "market" => Market::ALL
                .into_iter()
                .find(|known| known.as_str() == value)
                .map(Subject::Market),
            "kind" => JobKind::ALL
                .into_iter()
                .find(|job| job.as_str() == value)
                .map(Subject::Job),
            _ => None,
        }
    }

    /// The upstream, if it is one.
    pub fn provider(&self) -> Option<&ProviderName> {
        match self {
            Subject::Provider(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label().map_or("evercandle", |(_, value)| value))
    }
}

/// How an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// The condition holds, but not yet for long enough.
    Pending,
    /// Somebody is told.
    Firing,
    /// It has ended.
    Resolved,
}

impl AlertState {
    /// `pending`, `firing`, `resolved`.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }
}

/// Something somebody must be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An alert fires from now on.
    Fired(Alert),
    /// An alert that fired has ended.
    Resolved(Alert),
}

/// Decides.
#[derive(Clone, Debug)]
pub struct Evaluator {
    rules: Vec<Rule>,
    /// The longest time between two samples that counts in full.
    seen: Duration,
    /// How far back samples are wanted.
    memory: Duration,
    /// By watched time.
    samples: VecDeque<(Duration, Sample)>,
    /// When each kind of refresh was first seen, and when its last run was seen to be complete; in watched time.
    runs: BTreeMap<JobKind, Runs>,
    active: BTreeMap<(RuleName, Subject), Active>,
}

#[derive(Clone, Copy, Debug)]
struct Runs {
    count: u64,
    first_seen: Duration,
    completed: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Active {
    alert: Alert,
    /// Whether an earlier process told it.
    resumed: bool,
    /// When the condition began to hold, or when it ended; in watched time.
    since: Duration,
}

impl Evaluator {
    /// Begins without a past.
    pub fn new(config: &AlertsConfig) -> Evaluator {
        let rules: Vec<Rule> = rules(config)
            .into_iter()
            .filter(|rule| rule.condition != Condition::Unreachable)
            .collect();
        Evaluator {
            memory: rules
                .iter()
                .map(|rule| memory(&rule.condition).max(rule.clear))
                .max()
                .unwrap_or_default(),
            rules,
            seen: Duration::from_millis(config.every_ms).saturating_mul(UNSEEN),
            samples: VecDeque::new(),
            runs: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }

    /// An alert that fires, as an earlier process told it and in today's words; `None` if no rule has this name.
    pub fn recalled(&self, rule: &str, subject: Subject, since: Timestamp, began_at: Timestamp) -> Option<Alert> {
        let rule = self.rules.iter().find(|known| known.name.as_str() == rule)?;
        Some(Alert {
            state: AlertState::Firing,
            since,
            ..Alert::pending(rule, subject, began_at)
        })
    }

    /// Goes on with what an earlier process told. To be called before the first step.
    pub fn resume(&mut self, alert: Alert) {
        let key = (alert.rule, alert.subject.clone());
        let resumed = Active {
            alert,
            resumed: true,
            since: Duration::ZERO,
        };
        self.active.insert(key, resumed);
    }

    /// Takes a sample, and says what somebody must be told.
    pub fn step(&mut self, sample: Sample) -> Vec<Change> {
        let now = self.samples.back().map_or(Duration::ZERO, |(watched, last)| {
            *watched + sample.instant.saturating_duration_since(last.instant).min(self.seen)
        });
        let at = sample.at;
        for (kind, _, count) in &sample.jobs {
            let runs = self.runs.entry(*kind).or_insert(Runs {
                count: *count,
                first_seen: now,
                completed: (*count > 0).then_some(now),
            });
            if runs.count != *count {
                (runs.count, runs.completed) = (*count, Some(now));
            }
        }
        self.samples.push_back((now, sample));
        // One sample from before the windows stays, so that it is known that there was a before.
        while self
            .samples
            .get(1)
            .is_some_and(|(then, _)| then.saturating_add(self.memory) < now)
        {
            self.samples.pop_front();
        }
        let mut changes = Vec::new();
        for rule in self.rules.clone() {
            let holding = self.holding(&rule, now);
            self.follow(&rule, holding, now, at, &mut changes);
        }
        changes
    }

    /// Every alert that is pending, fires, or ended a while ago; by rule, then by whom it is about.
    pub fn alerts(&self) -> Vec<Alert> {
        self.active.values().map(|active| active.alert.clone()).collect()
    }

    /// Whom a rule holds of.
    fn holding(&self, rule: &Rule, now: Duration) -> Vec<Subject> {
        let Some((_, latest)) = self.samples.back() else {
            return Vec::new();
        };
        let mut holding: Vec<Subject> = match rule.condition {
            Condition::Failing {
                window,
                share,
                calls_min,
            } => self.upstreams(latest, |name| {
                let is_open = |s: &Sample| upstream(s, name).is_some_and(|u| u.circuit_open);
                self.lasts(rule, &Subject::Provider(name.clone()), window, share, now, is_open)
                    || match self.is_told(rule.name, &Subject::Provider(name.clone())) {
                        true => self.fails(name, rule.clear, share * STILL_FAILING, 1, now),
                        false => {
                            self.has_watched(window, share, now) && self.fails(name, window, share, calls_min, now)
                        }
                    }
            }),
            Condition::CircuitOpen { window, share } => self.upstreams(latest, |name| {
                let is_open = |s: &Sample| upstream(s, name).is_some_and(|u| u.circuit_open);
                self.lasts(rule, &Subject::Provider(name.clone()), window, share, now, is_open)
            }),
            Condition::Quarantined { window, share } => self.upstreams(latest, |name| {
                let is_quarantined = |s: &Sample| upstream(s, name).is_some_and(|u| u.quarantined);
                self.lasts(
                    rule,
                    &Subject::Provider(name.clone()),
                    window,
                    share,
                    now,
                    is_quarantined,
                )
            }),
            Condition::CommonCause { window } => {
                let window = match self.is_told(rule.name, &Subject::Ourselves) {
                    true => rule.clear,
                    false => window,
                };
                let suspected = self.within(now.checked_sub(window), now).any(|s| s.common_cause);
                suspected.then_some(Subject::Ourselves).into_iter().collect()
            }
            Condition::StaleServed { window } => {
                let poorly = |what: &str, end: Option<Duration>| {
                    let Some(end) = end else { return false };
                    let count = |s: &Sample| {
                        let of = s.latest.iter().find(|l| l.cache_name == what);
                        of.map_or(0, |l| l.stale_served.saturating_add(l.stale_refused))
                    };
                    let mut counts = self.within(end.checked_sub(window), end).map(count);
                    let first = counts.next();
                    counts.last() > first && first.is_some()
                };
                let goes_on = |l: &&LatestHealth| {
                    let what = l.cache_name;
                    l.not_fresh && self.is_told(rule.name, &Subject::Values(what))
                        || poorly(what, Some(now)) && poorly(what, now.checked_sub(window))
                };
                let lately = latest.latest.iter().filter(goes_on);
                lately.map(|l| Subject::Values(l.cache_name)).collect()
            }
            Condition::CacheReadonly { window, share } => {
                let lasts = self.lasts(rule, &Subject::Ourselves, window, share, now, |s| s.cache_readonly);
                lasts.then_some(Subject::Ourselves).into_iter().collect()
            }
            Condition::WithoutPrices => {
                let is_without = |market: &Market, s: &Sample| s.without_prices.contains(market);
                let goes_on = |market: &Market| {
                    is_without(market, latest)
                        || self.is_told(rule.name, &Subject::Market(*market))
                            && self
                                .within(now.checked_sub(rule.clear), now)
                                .any(|s| is_without(market, s))
                };
                Market::ALL.into_iter().filter(goes_on).map(Subject::Market).collect()
            }
            Condition::NoRun { periods, first_within } => {
                let late = |(kind, every, _): &&(JobKind, Duration, u64)| {
                    let runs = self.runs.get(kind);
                    runs.is_some_and(|runs| match runs.completed {
                        Some(completed) => now.saturating_sub(completed) > every.saturating_mul(periods),
                        None => {
                            let first = every.saturating_mul(periods).max(first_within);
                            now.saturating_sub(runs.first_seen) >= first
                        }
                    })
                };
                latest
                    .jobs
                    .iter()
                    .filter(late)
                    .map(|(kind, ..)| Subject::Job(*kind))
                    .collect()
            }
            Condition::Unreachable => Vec::new(),
        };
        if rule.waits_for_common_cause && self.is_told(RuleName::CommonCause, &Subject::Ourselves) {
            // What was told before goes on; taking it back would say that it has ended.
            holding.retain(|subject| self.is_told(rule.name, subject));
        }
        let unsure = self.active.iter().filter(|((name, subject), active)| {
            *name == rule.name
                && active.resumed
                && !holding.contains(subject)
                && self.is_unsure(rule, subject, latest, now)
        });
        let unsure: Vec<Subject> = unsure.map(|((_, subject), _)| subject.clone()).collect();
        holding.extend(unsure);
        holding
    }

    /// Whether too little was seen yet to say that what an earlier process told has ended.
    fn is_unsure(&self, rule: &Rule, subject: &Subject, latest: &Sample, now: Duration) -> bool {
        let enough = match rule.clear {
            Duration::ZERO => memory(&rule.condition),
            clear => clear,
        };
        let looked = enough <= now;
        // Who is silent after a ban is not banned any more.
        let may_be_silent = !matches!(rule.condition, Condition::Quarantined { .. });
        let awaits_run = |kind| self.runs.get(&kind).is_some_and(|runs| runs.completed.is_none());
        match subject {
            Subject::Provider(name) => {
                let is_silent = |u: &UpstreamSample| may_be_silent && u.answered_last == Some(false);
                upstream(latest, name).is_some_and(|u| !looked || is_silent(u))
            }
            Subject::Job(kind) => awaits_run(*kind),
            // Where nothing is refreshed any more, nobody waits for it.
            Subject::Market(_) => !looked || awaits_run(JobKind::Prices),
            Subject::Values(what) => {
                let of = latest.latest.iter().find(|l| l.cache_name == *what);
                let is_fresh = of.is_some_and(|l| 0 < l.fresh_served && !l.not_fresh);
                // One that answers may serve another market than those that were asked for in vain.
                let mut serving = latest.upstreams.iter().filter(|u| u.serves.contains(what));
                !looked || !is_fresh && !serving.all(answers)
            }
            // One answer proves the line, which then has to hold.
            Subject::Ourselves if matches!(rule.condition, Condition::CommonCause { .. }) => {
                let mut lately = self.within(now.checked_sub(rule.clear), now);
                !looked || lately.any(|s| !s.upstreams.is_empty() && !s.upstreams.iter().any(answers))
            }
            Subject::Ourselves => !looked,
        }
    }

    /// Moves a rule's alerts to where they belong, given whom it holds of.
    fn follow(&mut self, rule: &Rule, holding: Vec<Subject>, now: Duration, at: Timestamp, changes: &mut Vec<Change>) {
        for ((_, subject), active) in self.active.iter_mut().filter(|((name, _), _)| *name == rule.name) {
            if active.alert.state == AlertState::Firing && !holding.contains(subject) {
                (active.alert.state, active.alert.since, active.since) = (AlertState::Resolved, at, now);
                changes.push(Change::Resolved(active.alert.clone()));
            }
        }
        self.active.retain(|(name, subject), active| {
            *name != rule.name
                || match active.alert.state {
                    AlertState::Firing => true,
                    AlertState::Pending => holding.contains(subject),
                    AlertState::Resolved => now.saturating_sub(active.since) < RESOLVED_SHOWN,
                }
        });
        for subject in holding {
            let pending = || Active {
                alert: Alert::pending(rule, subject.clone(), at),
                resumed: false,
                since: now,
            };
            let active = self.active.entry((rule.name, subject.clone())).or_insert_with(pending);
            if active.alert.state == AlertState::Resolved {
                *active = pending();
            }
            if active.alert.state == AlertState::Pending && rule.hold <= now.saturating_sub(active.since) {
                (active.alert.state, active.alert.since) = (AlertState::Firing, at);
                changes.push(Change::Fired(active.alert.clone()));
            }
        }
    }

    fn upstreams(&self, latest: &Sample, holds: impl Fn(&ProviderName) -> bool) -> Vec<Subject> {
        let names = latest.upstreams.iter().map(|u| &u.provider);
        names
            .filter(|name| holds(name))
            .cloned()
            .map(Subject::Provider)
            .collect()
    }

    /// Whether somebody was told, and not yet that it ended.
    fn is_told(&self, rule: RuleName, subject: &Subject) -> bool {
        let active = self.active.get(&(rule, subject.clone()));
        active.is_some_and(|active| active.alert.state == AlertState::Firing)
    }

    /// Whether something was so for more than this share of the window, or at any moment lately if it was told.
    fn lasts(
        &self,
        rule: &Rule,
        subject: &Subject,
        window: Duration,
        share: f64,
        now: Duration,
        is: impl Fn(&Sample) -> bool,
    ) -> bool {
        match self.is_told(rule.name, subject) {
            true => self.within(now.checked_sub(rule.clear), now).any(is),
            false => self.has_watched(window, share, now) && share < self.share_of_time(window, now, is),
        }
    }

    /// Whether this share of the window has been watched: a minute says nothing about ten.
    fn has_watched(&self, window: Duration, share: f64, now: Duration) -> bool {
        window.mul_f64(share) <= now
    }

    /// In how many of the window's samples something is so.
    fn share_of_time(&self, window: Duration, now: Duration, is: impl Fn(&Sample) -> bool) -> f64 {
        let (mut all, mut so) = (0_u32, 0_u32);
        for sample in self.within(now.checked_sub(window), now) {
            all += 1;
            so += u32::from(is(sample));
        }
        f64::from(so) / f64::from(all.max(1))
    }

    /// Whether an upstream failed at more than this share of its calls within the window, and was called often enough.
    fn fails(&self, name: &ProviderName, window: Duration, share: f64, calls_min: u32, now: Duration) -> bool {
        let mut counts = self
            .within(now.checked_sub(window), now)
            .filter_map(|sample| upstream(sample, name))
            .map(|u| (u.failures, u.successes));
        let Some(first) = counts.next() else { return false };
        let last = counts.last().unwrap_or(first);
        let (failures, successes) = (last.0.saturating_sub(first.0), last.1.saturating_sub(first.1));
        let calls = failures + successes;
        u64::from(calls_min.max(1)) <= calls && share < failures as f64 / calls as f64
    }

    /// Samples from `start` (the beginning, if that was before it) to `end`, both included.
    fn within(&self, start: Option<Duration>, end: Duration) -> impl Iterator<Item = &Sample> {
        let start = start.unwrap_or_default();
        self.samples
            .iter()
            .filter(move |(watched, _)| start <= *watched && *watched <= end)
            .map(|(_, sample)| sample)
    }
}

fn upstream<'a>(sample: &'a Sample, name: &ProviderName) -> Option<&'a UpstreamSample> {
    sample.upstreams.iter().find(|u| u.provider == *name)
}

/// Whether it gave an answer when it was asked last. To be sent away is none.
fn answers(upstream: &UpstreamSample) -> bool {
    upstream.answered_last == Some(true) && !upstream.quarantined
}

/// How far back a condition looks.
fn memory(condition: &Condition) -> Duration {
    match condition {
        Condition::Failing { window, .. }
        | Condition::CircuitOpen { window, .. }
        | Condition::Quarantined { window, .. }
        | Condition::CacheReadonly { window, .. }
        | Condition::CommonCause { window } => *window,
        Condition::StaleServed { window } => window.saturating_mul(2),
        Condition::WithoutPrices | Condition::NoRun { .. } | Condition::Unreachable => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
