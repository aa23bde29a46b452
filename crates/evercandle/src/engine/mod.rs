//! How a request becomes an answer: read the store → plan → fetch → record → close.
//!
//! One loop. In each round the pure planner assigns what is missing to the best upstreams given what has been tried, the
//! steps run concurrently, and what they brought, or failed to bring, changes what is missing. It ends when nothing is
//! missing or nobody is left to ask; there is no other fallback logic.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::answer::{Answer, Attempt, ProviderName, Verification};
use crate::clock::Clock;
use crate::config::EngineConfig;
use crate::error::Error;
use crate::model::batch::Batch;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, MINUTE, RangeSet, TimeRange, Timestamp};
use crate::model::series::{Market, Series};
use crate::provider::{FetchError, Fetched, Form, Instrument, Offer, Slice};
use crate::request::{Completeness, Forming, Request, Sources};
use crate::resilience::backoff::Backoff;
use crate::resilience::deadline::Deadline;
use crate::store::{Held, Hole, Parcel, Piece, Store};
use crate::telemetry;

pub(crate) mod plan;

pub(crate) mod attempt;

pub(crate) mod assembly;

pub(crate) mod upstream;

pub(crate) mod in_flight;

use assembly::{Assembly, origin};
use attempt::{Errand, Tries, attempt};
use in_flight::InFlight;
use plan::{Question, Step, Tried, View, plan};
use upstream::{Quotas, Upstream};

/// Rounds of planning per answer: month, days, pages, a page cut short by rows nobody foresaw, and one to spare for
/// each. Reaching it is visible as a gap with the failures so far.
const ROUNDS_MAX: usize = 64;
/// How long a measured difference between the exchange's clock and ours is believed.
const CLOCK_TRUSTED: Duration = Duration::from_secs(600);
/// Requests that end longer ago than this do not depend on the exchange's exact time.
const CLOCK_MATTERS: i64 = DAY;
/// Slots younger than this are not remembered as holes: replicas of the exchange lag for seconds, archives for hours.
const HOLE_SETTLES: i64 = 10 * MINUTE;
/// Missing slots from which it pays to ask first when the series began.
const LISTING_PAYS: u64 = 1_000;

/// The engine. Shared by everything that asks.
pub(crate) struct Engine {
    config: EngineConfig,
    clock: Clock,
    store: Store,
    upstreams: Vec<Arc<Upstream>>,
    quotas: Arc<Quotas>,
    in_flight: InFlight<Slice, Arc<Settled>>,
    clock_offsets: Mutex<HashMap<Market, (i64, Instant)>>,
}

/// What came of a slice, shared by everyone who wanted it.
struct Settled {
    result: Result<Brought, FetchError>,
    trail: Vec<Attempt>,
    notices: Vec<String>,
}

/// A slice's answer, stored as far as it could be.
struct Brought {
    piece: Piece,
    /// Rows that are not final yet and were therefore not stored.
    unsettled: Option<Piece>,
    holes: Vec<Hole>,
    answered: TimeRange,
    /// Whether what is absent from the answer does not exist.
    proves: bool,
    saved: bool,
}

impl Engine {
    pub(crate) fn new(config: EngineConfig, clock: Clock, store: Store, upstreams: Vec<Arc<Upstream>>) -> Engine {
        let quotas = Arc::new(Quotas::new(config.quota_percent));
        Engine {
            config,
            clock,
            store,
            upstreams,
            quotas,
            in_flight: InFlight::default(),
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
        let deadline = self.deadline(request.deadline);
        let mut assembly = self.begin(request);
        if request.sources != Sources::CacheOnly {
            self.fill(request, &mut assembly, &deadline).await?;
        } else {
            let offline = ProviderName::new("cache");
            for range in assembly.missing().iter() {
                assembly.add_failure(range, &offline, "not held, and nothing may be asked for while offline");
            }
        }
        let reread = assembly
            .reread_needed()
            .then(|| self.store.read(&request.series, assembly.wanted()));
        judge(assembly.close(reread), request.completeness)
    }

    fn deadline(&self, asked: Option<Duration>) -> Deadline {
        let now = self.clock.instant();
        match asked {
            Some(budget) => Deadline::fixed(now, budget),
            None => Deadline::sliding(now, Duration::from_millis(self.config.deadline_ms)),
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
        if request.forming == Forming::Include {
            assembly.want_forming();
        }
        if assembly.missing().is_empty() && request.forming == Forming::Exclude {
            return Ok(());
        }
        self.learn_time(request, &upstreams, assembly, deadline).await;
        if request.forming == Forming::Include {
            self.fetch_forming(series, &upstreams, assembly, deadline).await;
        }
        let mut unknown_symbol = self.learn_listing(series, &upstreams, assembly, deadline).await;
        let mut tried = self.remembered(series, &upstreams, assembly);
        for _ in 0..ROUNDS_MAX {
            let missing = assembly.missing();
            if missing.is_empty() || deadline.has_passed(self.clock.instant()) {
                break;
            }
            if let Some(why) = &unknown_symbol
                && !assembly.has_rows()
                && !self.is_archived(series, &upstreams, assembly, deadline).await
            {
                return Err(Error::UnknownSymbol {
                    series: series.clone(),
                    why: why.clone(),
                });
            }
            let views: Vec<View> = upstreams
                .iter()
                .map(|(u, offer)| View {
                    offer: *offer,
                    usable: u.resting(&self.clock).is_none(),
                })
                .collect();
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
                break;
            }
            let now = assembly.now();
            let grid = assembly.grid();
            let mut running = futures::stream::iter(steps)
                .map(|step| {
                    let upstream = upstreams[step.upstream].0.clone();
                    let slice = Slice {
                        series: series.clone(),
                        range: step.range,
                        form: step.form,
                    };
                    async move { (step, self.settled(upstream, slice, grid, now, deadline).await) }
                })
                .buffer_unordered(self.config.concurrency.max(1));
            while let Some((step, settled)) = running.next().await {
                let name = &upstreams[step.upstream].0.name;
                unknown_symbol = record(assembly, &mut tried, step, name, settled.as_deref()).or(unknown_symbol);
                deadline.progress(self.clock.instant());
            }
        }
        if assembly.first_open().is_none() && assembly.begins_with_nothing() {
            self.ask_listing(series, &upstreams, assembly, deadline).await;
        }
        self.explain_resting(&upstreams, assembly);
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
            .filter_map(|u| Some((u.clone(), u.provider.offer(&request.series)?)))
            .collect())
    }

    /// One slice, shared with whoever wants the same one now.
    async fn settled(
        self: &Arc<Self>,
        upstream: Arc<Upstream>,
        slice: Slice,
        grid: Grid,
        now: Timestamp,
        deadline: &Deadline,
    ) -> Option<Arc<Settled>> {
        let (engine, key) = (self.clone(), slice.clone());
        let work = || {
            // The work may outlive this caller, so it has a deadline of its own.
            let deadline = deadline.clone();
            async move { Arc::new(engine.fetch(&upstream, &slice, grid, now, &deadline).await) }
        };
        self.in_flight.share(key, work).await
    }

    /// Asks for a slice and stores what can be stored.
    async fn fetch(
        self: &Arc<Self>,
        upstream: &Upstream,
        slice: &Slice,
        grid: Grid,
        now: Timestamp,
        deadline: &Deadline,
    ) -> Settled {
        let mut trail = Vec::new();
        let errand = Errand {
            series: &slice.series,
            range: slice.range,
            form: slice.form.as_str(),
            quota: upstream.provider.quota(slice),
        };
        let ask = || upstream.provider.fetch(slice);
        let result = attempt(
            upstream,
            &self.quotas,
            &self.clock,
            deadline,
            self.tries(),
            errand,
            &mut trail,
            ask,
        )
        .await;
        let mut notices = Vec::new();
        let result = match result {
            Ok(fetched) => Ok(self.keep(upstream, slice, grid, now, fetched, &mut notices).await),
            Err(error) => {
                if slice.form != Form::Page {
                    upstream.remember(slice, &error, &self.clock);
                }
                Err(error)
            }
        };
        Settled { result, trail, notices }
    }

    /// Divides an answer into what is final, which is stored, and what is not.
    async fn keep(
        self: &Arc<Self>,
        upstream: &Upstream,
        slice: &Slice,
        grid: Grid,
        now: Timestamp,
        fetched: Fetched,
        notices: &mut Vec<String>,
    ) -> Brought {
        let Fetched {
            batch,
            answered,
            verification,
            repairs,
            ..
        } = fetched;
        if repairs != Default::default() {
            let (duplicates, conflicts, unsorted) = (repairs.duplicates, repairs.conflicts, repairs.out_of_order);
            notices.push(format!(
                "{} {}: {duplicates} rows repeated, {conflicts} open times with contradicting rows (withheld), {unsorted} rows out of order",
                upstream.name, slice.range
            ));
        }
        let grid = match batch.open_times().first() {
            Some(first) if grid.is_provisional() => {
                Grid::new(slice.series.interval(), Some(Timestamp::from_micros(*first)))
            }
            _ => grid,
        };
        let settle = i64::try_from(self.config.settle_ms).unwrap_or(0).saturating_mul(1_000);
        // Slots that end by then are final; the slot this instant lies in is not.
        let settled_until = grid.floor(now.plus(-settle));
        let fetched_at = self.clock.now();
        let settled = batch.slice(TimeRange::clamped(Timestamp::EPOCH, settled_until));
        let open = batch.slice(TimeRange::clamped(settled_until, Timestamp::MAX));
        let proves = upstream.provider.offer(&slice.series).is_some_and(|o| o.authoritative);
        let halts = upstream.provider.known_halts(&slice.series);
        let holes = holes(halts, proves, grid, answered, &batch, now);
        let piece = Piece {
            batch: settled,
            origin: origin(&upstream.name, fetched_at, verification),
        };
        let unsettled = (!open.is_empty()).then(|| Piece {
            batch: open,
            origin: origin(&upstream.name, fetched_at, Verification::Unsettled),
        });
        let saved = self.save(&slice.series, grid, &piece, &holes, notices).await;
        Brought {
            piece,
            unsettled,
            holes,
            answered,
            proves,
            saved,
        }
    }

    async fn save(
        self: &Arc<Self>,
        series: &Series,
        grid: Grid,
        piece: &Piece,
        holes: &[Hole],
        notices: &mut Vec<String>,
    ) -> bool {
        if piece.batch.is_empty() && holes.is_empty() {
            return true;
        }
        let (engine, series) = (self.clone(), series.clone());
        let parcel = Parcel {
            batch: piece.batch.clone(),
            origin: piece.origin.clone(),
            holes: holes.to_vec(),
        };
        let written = tokio::task::spawn_blocking(move || engine.store.write(&series, grid, vec![parcel])).await;
        match written {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                notices.push(format!("cache not written: {error}"));
                false
            }
            Err(panic) => {
                notices.push(format!("cache not written: {panic}"));
                false
            }
        }
    }

    fn exchange_time_believed(&self, market: Market) -> Timestamp {
        let offset = self.clock_offsets.lock().get(&market).map_or(0, |(offset, _)| *offset);
        self.clock.now().plus(offset)
    }

    /// Asks the exchange what time it is, when that matters and is not known.
    async fn learn_time(
        &self,
        request: &Request,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) {
        let market = request.series.market();
        let fresh = |at: Instant| self.clock.instant().duration_since(at) < CLOCK_TRUSTED;
        let known = self.clock_offsets.lock().get(&market).is_some_and(|(_, at)| fresh(*at));
        if known || request.range.end() < self.clock.now().plus(-CLOCK_MATTERS) {
            return;
        }
        for (upstream, offer) in upstreams.iter().filter(|(_, o)| o.serves_pages()) {
            if !offer.authoritative || upstream.resting(&self.clock).is_some() {
                continue;
            }
            let errand = Errand {
                series: &request.series,
                range: assembly.wanted(),
                form: "time",
                quota: None,
            };
            let ask = || upstream.provider.server_time(market);
            let sent = self.clock.now();
            let once = Tries { max: 1, ..self.tries() };
            let result = attempt(
                upstream,
                &self.quotas,
                &self.clock,
                deadline,
                once,
                errand,
                assembly.trail_mut(),
                ask,
            )
            .await;
            if let Ok(Some(theirs)) = result {
                // Half the round trip has passed since they looked at their clock.
                let ours = sent.plus(self.clock.now().since(sent) / 2);
                let offset = theirs.since(ours);
                self.clock_offsets.lock().insert(market, (offset, self.clock.instant()));
                assembly.set_now(self.clock.now().plus(offset));
                if offset.abs() > MINUTE {
                    let seconds = offset / 1_000_000;
                    assembly.notice(format!(
                        "this machine's clock differs from the exchange's by {seconds} s; the exchange's is used"
                    ));
                }
                return;
            }
        }
        if request.range.end() > self.clock.now().plus(-MINUTE) {
            assembly.notice(
                "the exchange's clock could not be read; this machine's decides which klines have closed".to_owned(),
            );
        }
    }

    /// Asks when the series began, when a lot is missing and it is not known: archives and pages before that need not
    /// be tried one by one. What the exchange said if it does not know the symbol.
    async fn learn_listing(
        &self,
        series: &Series,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Option<String> {
        let missing: u64 = assembly.missing().iter().map(|r| assembly.grid().count(r)).sum();
        if assembly.first_open().is_some() || missing < LISTING_PAYS {
            return None;
        }
        self.ask_listing(series, upstreams, assembly, deadline).await
    }

    async fn ask_listing(
        &self,
        series: &Series,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Option<String> {
        // Whoever serves pages knows exactly; archives know the first file.
        let (pages, files): (Vec<_>, Vec<_>) = upstreams.iter().partition(|(_, o)| o.serves_pages());
        for (upstream, _) in pages.into_iter().chain(files) {
            match self.first_open(series, upstream, assembly, deadline).await {
                Ok(Some(first_open)) => {
                    assembly.set_first_open(first_open);
                    let (store, series) = (self.store.clone(), series.clone());
                    let learned =
                        tokio::task::spawn_blocking(move || store.learn_first_open(&series, first_open)).await;
                    if let Ok(Err(error)) = learned {
                        assembly.notice(format!("cache not written: {error}"));
                    }
                    return None;
                }
                Err(FetchError::UnknownSymbol(why)) => {
                    assembly.add_absence(assembly.wanted(), &upstream.name, &why, true);
                    return Some(why);
                }
                _ => {}
            }
        }
        None
    }

    /// Whether archives know a symbol that the exchange no longer does: delisted ones live on there.
    async fn is_archived(
        &self,
        series: &Series,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> bool {
        for (upstream, _) in upstreams.iter().filter(|(_, o)| !o.serves_pages()) {
            match self.first_open(series, upstream, assembly, deadline).await {
                Ok(None) => {}
                Ok(Some(first_open)) => {
                    assembly.set_first_open(first_open);
                    return true;
                }
                // Not knowing is no proof; the archives are then asked one by one.
                Err(_) => return true,
            }
        }
        false
    }

    async fn first_open(
        &self,
        series: &Series,
        upstream: &Upstream,
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Result<Option<Timestamp>, FetchError> {
        if let Some(why) = upstream.resting(&self.clock) {
            return Err(FetchError::Refused(why));
        }
        let errand = Errand {
            series,
            range: assembly.wanted(),
            form: "listing",
            quota: None,
        };
        let ask = || upstream.provider.first_open(series);
        attempt(
            upstream,
            &self.quotas,
            &self.clock,
            deadline,
            self.tries(),
            errand,
            assembly.trail_mut(),
            ask,
        )
        .await
    }

    /// The kline in progress, from whoever serves pages; never stored.
    async fn fetch_forming(
        self: &Arc<Self>,
        series: &Series,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) {
        let slot = assembly.grid().slot(assembly.now());
        if !assembly.wanted().covers(slot) {
            return;
        }
        for (upstream, _) in upstreams.iter().filter(|(_, o)| o.serves_pages()) {
            let slice = Slice {
                series: series.clone(),
                range: slot,
                form: Form::Page,
            };
            let settled = self
                .settled(upstream.clone(), slice, assembly.grid(), assembly.now(), deadline)
                .await;
            let Some(settled) = settled else { continue };
            assembly.trail_mut().extend(settled.trail.iter().cloned());
            match &settled.result {
                Ok(brought) => {
                    if let Some(piece) = &brought.unsettled {
                        assembly.add(piece.clone(), false);
                    }
                    return;
                }
                Err(error) => assembly.add_failure(slot, &upstream.name, &error.to_string()),
            }
        }
    }

    /// Whoever was passed over because it rests belongs in the reasons of what is still missing.
    fn explain_resting(&self, upstreams: &[(Arc<Upstream>, Offer)], assembly: &mut Assembly) {
        let missing = assembly.missing();
        for (upstream, _) in upstreams {
            if let (Some(why), Some(hull)) = (upstream.resting(&self.clock), missing.hull()) {
                assembly.add_failure(hull, &upstream.name, &why);
            }
        }
    }

    fn tries(&self) -> Tries {
        let millis = Duration::from_millis;
        let backoff = Backoff {
            base: millis(self.config.backoff_ms),
            max: millis(self.config.backoff_max_ms),
        };
        Tries {
            max: self.config.attempts.max(1),
            backoff,
        }
    }

    /// The instruments of a market, from the first upstream that lists them.
    pub(crate) async fn instruments(&self, market: Market) -> Result<Vec<Instrument>, Error> {
        let deadline = self.deadline(None);
        // Only for the trail and the log: instruments belong to no series.
        let series = Series::parse("ALL", Interval::D1, Some(market))?;
        let range = TimeRange::clamped(self.clock.now(), self.clock.now());
        let mut trail = Vec::new();
        for upstream in &self.upstreams {
            let errand = Errand {
                series: &series,
                range,
                form: "instruments",
                quota: None,
            };
            let ask = || upstream.provider.instruments(market);
            let result = attempt(
                upstream,
                &self.quotas,
                &self.clock,
                &deadline,
                self.tries(),
                errand,
                &mut trail,
                ask,
            )
            .await;
            if let Ok(Some(instruments)) = result {
                return Ok(instruments);
            }
        }
        let reasons = trail
            .iter()
            .map(|a| format!("{}: {}", a.provider, a.outcome))
            .collect::<Vec<_>>()
            .join("; ");
        Err(Error::NoUpstream {
            what: format!("instruments of market {market}"),
            reasons,
        })
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
            assembly.add(brought.piece.clone(), brought.saved);
            if let Some(unsettled) = &brought.unsettled {
                assembly.add(unsettled.clone(), false);
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
                other => assembly.add_failure(step.range, name, &other.to_string()),
            }
            None
        }
    }
}

/// The slots of an answer that have no kline: those the exchange is known to have halted in, and, if the upstream's
/// silence proves anything, all others.
fn holes(
    halts: &[TimeRange],
    proves: bool,
    grid: Grid,
    answered: TimeRange,
    batch: &Batch,
    now: Timestamp,
) -> Vec<Hole> {
    let asked = grid.align(answered);
    let asked = TimeRange::clamped(asked.start(), asked.end().min(grid.floor(now.plus(-HOLE_SETTLES))));
    let absent = RangeSet::from(asked).difference(&batch.slots(grid));
    if absent.is_empty() || (batch.is_empty() && !proves) {
        return Vec::new();
    }
    // A slot that a halt touches is explained by it: the halt table is to the minute, klines may be days.
    let touched = |h: &TimeRange| TimeRange::clamped(grid.floor(h.start()), grid.ceil(h.end()));
    let halts: RangeSet = halts.iter().map(touched).collect();
    let hole = |range, halt| Hole {
        range,
        halt,
        checked_at: now,
    };
    let halted = absent.intersection(&halts);
    let other = absent.difference(&halts);
    let halted = halted.iter().map(|range| hole(range, true));
    let other = other.iter().filter(|_| proves).map(|range| hole(range, false));
    halted.chain(other).collect()
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
