//! How a request becomes an answer: read the store → plan → fetch → record → close.
//!
//! One loop. In each round the pure planner assigns what is missing to the best upstreams given what has been tried, the
//! steps run concurrently, and what they brought, or failed to bring, changes what is missing. It ends when nothing is
//! missing or nobody is left to ask; there is no other fallback logic.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::answer::{Answer, Attempt, Outcome, ProviderName, Verification};
use crate::clock::Clock;
use crate::config::{Config, EngineConfig, LatestConfig};
use crate::error::Error;
use crate::model::batch::Batch;
use crate::model::interval::Grid;
use crate::model::range::{RangeSet, TimeRange};
use crate::model::series::{Kind, Market, Series};
use crate::provider::{FetchError, Form, Offer, Slice};
use crate::request::{Completeness, Forming, Priority, Request, Sources};
use crate::resilience::backoff::Backoff;
use crate::resilience::deadline::Deadline;
use crate::resilience::quota::Class;
use crate::store::{Held, Hole, Parcel, Store};
use crate::telemetry;

pub(crate) mod plan;

mod slice;

mod learn;

pub(crate) mod attempt;

pub(crate) mod assembly;

pub(crate) mod upstream;

pub(crate) mod bans;

mod look;

mod poor_files;

mod outcomes;

pub(crate) mod quotas;

mod weights;

pub(crate) mod slots;

mod probe;

mod last_known;

mod strangers;

mod resting;

mod outlast;

mod control;

mod listing;

mod latest;

mod prices;

mod sentiment;

pub(crate) mod in_flight;

#[cfg(test)]
mod tests;

use assembly::{Assembly, origin};
use attempt::{Terms, Tries};
use in_flight::InFlight;
use last_known::LastKnown;
use outlast::Patience;
use plan::{Question, Step, Tried, View, plan};
use probe::Probes;
use quotas::Quotas;
use slice::{HOLE_SETTLES, Settled};
use strangers::{Strangers, Unlisted};
use upstream::{Refusal, Upstream};

/// Rounds of planning per answer: month, days, pages, a page cut short by rows nobody foresaw, and one to spare for
/// each. Reaching it is visible as a gap with the failures so far.
const ROUNDS_MAX: usize = 64;

/// How long a bulk download waits without progress: the exchange's quota comes back every minute.
const BULK_PATIENCE: Duration = Duration::from_secs(180);

/// How long klines are worth waiting for, within the deadline: beyond any minute of quota and any trial.
const LONG_PATIENCE: Duration = Duration::from_secs(3_600);

/// The engine. Shared by everything that asks.
pub(crate) struct Engine {
    config: EngineConfig,
    clock: Clock,
    store: Store,
    upstreams: Vec<Arc<Upstream>>,
    quotas: Arc<Quotas>,
    probes: Arc<Probes>,
    latest_config: LatestConfig,
    last_known: LastKnown,
    strangers: Strangers,
    unlisted: Unlisted,
    patience: Patience,
    /// By class too: who waits must not join what waits for its share of a quota.
    in_flight: InFlight<(Slice, Class), Arc<Settled>>,
    latest_in_flight: InFlight<latest::Wanted, latest::Shared>,
    learning: InFlight<learn::Question, Arc<learn::Learnt>>,
    clock_offsets: Mutex<HashMap<Market, (i64, Instant)>>,
}

/// How often an answer is fetched again of which somebody else evicted a part between its storing and its reading.
const EVICTIONS_MAX: u32 = 3;

impl Engine {
    pub(crate) fn new(config: &Config, clock: Clock, store: Store, upstreams: Vec<Arc<Upstream>>) -> Engine {
        let (latest_config, permit) = (config.latest.clone(), Duration::from_millis(config.breaker.permit_ms));
        let config = config.engine.clone();
        let quotas = Quotas::new(config.quota_percent, config.quota_reserve_percent, clock.clone());
        let quotas = Arc::new(quotas);
        telemetry::describe(upstreams.iter().map(|u| &u.name));
        telemetry::cache_readonly(store.readonly().is_some());
        Engine {
            probes: Probes::new(clock.clone(), quotas.clone(), &upstreams, permit),
            last_known: LastKnown::new(store.clone()),
            strangers: Strangers::default(),
            unlisted: Unlisted::default(),
            patience: Patience::new(Duration::from_millis(config.patience_ms)),
            config,
            latest_config,
            clock,
            store,
            upstreams,
            quotas,
            in_flight: InFlight::default(),
            latest_in_flight: InFlight::default(),
            learning: InFlight::default(),
            clock_offsets: Mutex::default(),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Klines, from wherever they can be had.
    pub(crate) async fn answer(self: &Arc<Self>, request: &Request) -> Result<Answer, Error> {
        let deadline = self.deadline(request.deadline, request.priority);
        let damaged = self.store.damaged();
        let mut assembly = self.begin(request);
        if self.store.damaged() > damaged {
            let place = self.store.dir().join("quarantine");
            assembly.notice(format!("damaged cache files were set aside in {}", place.display()));
        }
        if request.sources != Sources::CacheOnly {
            self.fill(request, &mut assembly, &deadline).await?;
            if request.priority == Priority::Bulk {
                self.outlast(request, &mut assembly, &deadline).await?;
            }
        } else {
            let offline = ProviderName::new("cache");
            for range in assembly.missing().iter() {
                assembly.add_failure(range, &offline, "not held, and nothing may be asked for while offline");
            }
        }
        let read = |assembly: &Assembly| self.store.read(&request.series, assembly.wanted());
        let mut reread = assembly.reread_needed().then(|| read(&assembly));
        for _ in 0..EVICTIONS_MAX {
            match &reread {
                Some(held) if assembly.lose(held) => self.fill(request, &mut assembly, &deadline).await?,
                _ => break,
            }
            reread = Some(read(&assembly));
        }
        if request.priority == Priority::Bulk {
            self.store.release(&request.series);
        }
        judge(assembly.close(reread), request.completeness)
    }

    fn deadline(&self, asked: Option<Duration>, priority: Priority) -> Deadline {
        let (now, usual) = (self.clock.instant(), Duration::from_millis(self.config.deadline_ms));
        match (asked, priority) {
            (Some(budget), _) => Deadline::fixed(now, budget),
            (None, Priority::Interactive) => Deadline::sliding(now, usual),
            (None, Priority::Refresh | Priority::Bulk) => Deadline::sliding(now, usual.max(BULK_PATIENCE)),
        }
    }

    /// What is held, before anyone is asked.
    fn begin(&self, request: &Request) -> Assembly {
        let series = &request.series;
        let now = self.exchange_time_believed(series.market());
        // The anchor of a `3d` grid is not known before reading, so a little more is read than may be wanted.
        let range = Grid::new(series.interval(), None).align(request.range);
        let held = match request.sources {
            Sources::Named(_) => Held {
                anchor: self.store.read(series, range).anchor,
                ..Held::default()
            },
            Sources::All | Sources::CacheOnly => {
                let began = self.clock.instant();
                let held = self.store.read(series, range);
                let missing = RangeSet::from(range).difference(&held.covered);
                let result = match (held.covered.is_empty(), missing.is_empty()) {
                    (_, true) => "hit",
                    (true, false) => "miss",
                    (false, false) => "partial",
                };
                telemetry::cache_read(result, self.clock.instant().duration_since(began));
                held
            }
        };
        let through_store = !matches!(request.sources, Sources::Named(_));
        Assembly::new(series.clone(), request.range, now, held, through_store)
    }

    /// The loop.
    async fn fill(
        self: &Arc<Self>,
        request: &Request,
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let series = &request.series;
        let upstreams = self.eligible(request)?;
        // A rate has no length to be in the middle of.
        let forming = request.forming == Forming::Include && series.kind() == Kind::Klines;
        if forming {
            assembly.want_forming();
        }
        if assembly.missing().is_empty() && !forming {
            return Ok(());
        }
        // Whoever hangs must leave something of a strict deadline for the others.
        let alone = upstreams.len() == 1;
        let part = || match alone {
            true => deadline.clone(),
            false => deadline.part(self.clock.instant()),
        };
        self.learn_time(request, &upstreams, assembly, &part().part(self.clock.instant()))
            .await;
        let mut unknown_symbol = self.stranger(series, &upstreams, assembly, &part()).await;
        if unknown_symbol.is_none() {
            if forming {
                self.fetch_forming(series, &upstreams, assembly, deadline).await;
            }
            unknown_symbol = self.learn_listing(series, &upstreams, assembly, &part()).await;
        }
        let (mut archived, mut passed_over) = (false, HashSet::new());
        let mut tried = self.remembered(series, &upstreams, assembly);
        // Whoever wanted the same may have stored it while this one learnt what time it is.
        if assembly.is_through_store() {
            assembly.look_again(self.store.read(series, assembly.wanted()));
        }
        for _ in 0..ROUNDS_MAX {
            let missing = assembly.missing();
            let Some(hull) = missing.hull() else { break };
            if deadline.has_passed(self.clock.instant()) {
                for (upstream, _) in &upstreams {
                    assembly.add_refusal(
                        hull,
                        &upstream.name,
                        "the request's deadline passed before it was asked",
                    );
                }
                break;
            }
            if let (Some(why), false, false) = (&unknown_symbol, archived, assembly.has_rows()) {
                archived = self.is_archived(series, &upstreams, assembly, deadline).await;
                if !archived {
                    self.unlisted.meet(series, why, self.clock.instant());
                    let (market, symbol, why) = (series.market(), series.symbol().clone(), why.clone());
                    return Err(Error::UnknownSymbol { market, symbol, why });
                }
            }
            let resting: Vec<Option<Refusal>> = upstreams.iter().map(|(u, _)| u.resting(&self.clock)).collect();
            for ((upstream, _), refusal) in upstreams.iter().zip(&resting) {
                if let Some(refusal) = refusal
                    && passed_over.insert(upstream.name.clone())
                {
                    let passed = self.pass_over(upstream, refusal, hull);
                    assembly.trail_mut().push(passed);
                }
            }
            let view = |((_, offer), resting): (&(Arc<Upstream>, Offer), &Option<Refusal>)| View {
                offer: *offer,
                usable: resting.is_none(),
            };
            let views: Vec<View> = upstreams.iter().zip(&resting).map(view).collect();
            let question = Question {
                grid: assembly.grid(),
                missing: &missing,
                now: assembly.now(),
                priority: request.priority,
                views: &views,
                tried: &tried,
            };
            let steps = plan(&question);
            if steps.is_empty() {
                // Nobody is left but perhaps somebody whom another call is just trying out.
                match upstreams
                    .iter()
                    .zip(&resting)
                    .find(|(_, r)| matches!(r, Some(Refusal::Busy(_))))
                {
                    Some(((upstream, _), _)) if !deadline.has_passed(self.clock.instant()) => {
                        attempt::wait_for_trial(upstream, &self.clock, deadline).await;
                        continue;
                    }
                    _ => break,
                }
            }
            let (now, grid, class) = (assembly.now(), assembly.grid(), class_of(request.priority));
            let in_part = part();
            let in_part = &in_part;
            let mut running = futures::stream::iter(steps)
                .map(|step| {
                    let upstream = upstreams[step.upstream].0.clone();
                    let slice = Slice {
                        series: series.clone(),
                        range: match step.form {
                            Form::Page => series.telling(step.range, grid, now),
                            Form::Day | Form::Month => step.range,
                        },
                        form: step.form,
                    };
                    async move { (step, self.settled(upstream, slice, grid, now, in_part, class).await) }
                })
                .buffer_unordered(self.config.concurrency.max(1));
            while let Some((step, settled)) = running.next().await {
                let name = &upstreams[step.upstream].0.name;
                unknown_symbol = record(assembly, &mut tried, step, name, settled.as_deref()).or(unknown_symbol);
                if settled.is_some_and(|s| s.result.is_ok()) {
                    deadline.progress(self.clock.instant());
                    if request.priority == Priority::Bulk {
                        self.patience.renew();
                    }
                }
            }
        }
        // Whoever rests might know better, so this comes before anything is taken for proven.
        self.explain_resting(&upstreams, assembly);
        self.record_proven(series, assembly).await;
        if assembly.first_open().is_none() && assembly.begins_with_nothing() {
            self.ask_listing(series, &upstreams, assembly, deadline).await;
        }
        let resting = self.resting(&upstreams, assembly);
        assembly.set_resting(resting);
        Ok(())
    }

    /// Files that were absent or corrupt a while ago count as tried.
    fn remembered(&self, series: &Series, upstreams: &[(Arc<Upstream>, Offer)], assembly: &mut Assembly) -> Tried {
        let mut tried = Tried::default();
        for (index, (upstream, _)) in upstreams.iter().enumerate() {
            for (slice, error) in upstream.remembered(series, &self.clock) {
                tried.mark(Step {
                    upstream: index,
                    range: slice.range,
                    form: slice.form,
                });
                let why = format!("not asked again yet: {error}");
                match error {
                    FetchError::Absent(_) => assembly.add_absence(slice.range, &upstream.name, &why, false),
                    _ => assembly.add_failure(slice.range, &upstream.name, &why),
                }
            }
        }
        tried
    }

    /// The upstreams that may be asked and have something to offer.
    fn eligible(&self, request: &Request) -> Result<Vec<(Arc<Upstream>, Offer)>, Error> {
        if let Sources::Named(names) = &request.sources
            && let Some(unknown) = names.iter().find(|n| self.upstreams.iter().all(|u| u.name != **n))
        {
            let known: Vec<&str> = self.upstreams.iter().map(|u| u.name.as_str()).collect();
            return Err(Error::BadRequest(format!(
                "unknown source {unknown}: expected one of {}",
                known.join(", ")
            )));
        }
        let named = |u: &Upstream| match &request.sources {
            Sources::Named(names) => names.contains(&u.name),
            Sources::All => true,
            Sources::CacheOnly => false,
        };
        Ok(self
            .upstreams
            .iter()
            .filter(|u| named(u))
            .filter_map(|u| Some((u.clone(), u.offer(&request.series)?)))
            .collect())
    }

    /// What everyone agrees does not exist is remembered, so that it is not asked for on every call.
    async fn record_proven(self: &Arc<Self>, series: &Series, assembly: &mut Assembly) {
        let now = assembly.now();
        let proven = assembly.proven_absent(now.plus(-HOLE_SETTLES));
        let hole = |range| Hole {
            range,
            halt: false,
            first_seen: now,
            checked_at: now,
        };
        let holes: Vec<Hole> = proven.iter().map(hole).collect();
        if !holes.is_empty() {
            assembly.add_holes(&holes);
            let nothing = Parcel {
                batch: Batch::empty(series.clone()),
                origin: origin(&ProviderName::new("engine"), self.clock.now(), Verification::Structural),
                holes,
                quiet: RangeSet::empty(),
            };
            let mut notices = Vec::new();
            self.save(assembly.grid(), nothing, &mut notices).await;
            notices.into_iter().for_each(|notice| assembly.notice(notice));
        }
    }

    /// Whoever was passed over because it rests belongs in the reasons of what is still missing, and in the trail.
    fn explain_resting(&self, upstreams: &[(Arc<Upstream>, Offer)], assembly: &mut Assembly) {
        let missing = assembly.missing();
        for (upstream, _) in upstreams {
            let Some(refusal) = upstream.resting(&self.clock) else {
                continue;
            };
            if let Some(hull) = missing.hull() {
                assembly.add_refusal(hull, &upstream.name, &refusal.why());
            }
        }
    }

    /// Counts and tells that an upstream is not even planned for, because it rests.
    fn pass_over(&self, upstream: &Upstream, refusal: &Refusal, range: TimeRange) -> Attempt {
        upstream.skipped();
        telemetry::passed_over(&upstream.name, refusal.reason());
        Attempt {
            provider: upstream.name.clone(),
            range: Some(range),
            form: "plan",
            number: 0,
            at: self.clock.now(),
            took: Duration::ZERO,
            outcome: Outcome::Failed {
                kind: "refused",
                why: refusal.why(),
            },
        }
    }

    fn terms<'a>(&'a self, deadline: &'a Deadline, class: Class) -> Terms<'a> {
        let millis = Duration::from_millis;
        let (base, max) = (millis(self.config.backoff_ms), millis(self.config.backoff_max_ms));
        let tries = Tries {
            max: u32::MAX,
            backoff: Backoff { base, max },
        };
        Terms {
            quotas: &self.quotas,
            probes: &self.probes,
            clock: &self.clock,
            deadline,
            tries,
            class,
            patience: LONG_PATIENCE,
        }
    }
}

/// Who spends a quota for whom.
fn class_of(priority: Priority) -> Class {
    match priority {
        Priority::Interactive => Class::Interactive,
        Priority::Refresh | Priority::Bulk => Class::Bulk,
    }
}

/// Adds what came of a step to the answer; what the upstream said if it does not know the symbol.
fn record(
    assembly: &mut Assembly,
    tried: &mut Tried,
    step: Step,
    name: &ProviderName,
    settled: Option<&Settled>,
) -> Option<String> {
    let Some(settled) = settled else {
        assembly.add_failure(step.range, name, "internal fault: the call panicked");
        tried.mark(step);
        return None;
    };
    assembly.trail_mut().extend(settled.trail.iter().cloned());
    for notice in &settled.notices {
        assembly.notice(notice.clone());
    }
    match &settled.result {
        Ok(brought) => {
            assembly.add(brought.piece.clone(), &brought.quiet, brought.saved);
            if let Some(unsettled) = &brought.unsettled {
                assembly.add(unsettled.clone(), &RangeSet::empty(), false);
            }
            assembly.add_holes(&brought.holes);
            let absent = RangeSet::from(assembly.grid().align(brought.answered)).intersection(&assembly.missing());
            for range in absent.iter() {
                assembly.add_absence(range, name, "answered without these klines", brought.proves);
            }
            let range = if step.form == Form::Page {
                brought.answered
            } else {
                step.range
            };
            tried.mark(Step { range, ..step });
            None
        }
        Err(error) => {
            tried.mark(step);
            match error {
                FetchError::UnknownSymbol(why) => {
                    assembly.add_absence(step.range, name, why, true);
                    return Some(why.clone());
                }
                FetchError::Absent(why) => assembly.add_absence(step.range, name, why, false),
                FetchError::Refused(why) => assembly.add_refusal(step.range, name, why),
                other => assembly.add_failure(step.range, name, &other.to_string()),
            }
            None
        }
    }
}

/// Whether the answer is good enough for who asked.
fn judge(answer: Answer, completeness: Completeness) -> Result<Answer, Error> {
    if answer.is_complete() {
        return Ok(answer);
    }
    match completeness {
        _ if answer.is_empty() => Err(Error::Unavailable(Box::new(answer))),
        Completeness::Required => Err(Error::Incomplete(Box::new(answer))),
        Completeness::BestEffort => Ok(answer),
    }
}
