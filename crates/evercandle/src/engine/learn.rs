//! What must be known beside the klines themselves: what time it is at the exchange, when the series began, and the
//! kline in progress.
//!
//! Each is asked for only when the answer depends on it, once however many want to know, and remembered: the time for
//! minutes, the beginning for ever. Not knowing is survivable, and said in a notice where it matters.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::answer::{Attempt, ProviderName};
use crate::engine::Engine;
use crate::engine::assembly::Assembly;
use crate::engine::attempt::{Errand, attempt};
use crate::engine::strangers::{Listed, Repute};
use crate::engine::upstream::Upstream;
use crate::model::range::{MINUTE, RangeSet, Timestamp};
use crate::model::series::{Market, Series};
use crate::provider::{Call, FetchError, Form, Instrument, Offer, Slice};
use crate::request::Request;
use crate::resilience::deadline::Deadline;
use crate::resilience::quota::Class;

/// How long a measured difference between the exchange's clock and ours is believed.
const CLOCK_TRUSTED: Duration = Duration::from_secs(600);
/// Missing slots from which it pays to ask first when the series began.
const LISTING_PAYS: u64 = 1_000;

/// What is asked beside klines; the same question is under way once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// A market's time, of the first of these that tells.
    Time(Market, Vec<ProviderName>),
    FirstOpen(Series, ProviderName),
    /// What a market lists.
    Listed(Market, ProviderName),
}

/// What came of such a question, and how.
#[derive(Default)]
pub(crate) struct Learnt {
    told: Option<Told>,
    trail: Vec<Attempt>,
}

enum Told {
    /// Microseconds the exchange's clock is ahead of ours.
    Offset(i64),
    FirstOpen(Result<Option<Timestamp>, FetchError>),
    Listed(Listed),
}

impl Engine {
    pub(crate) fn exchange_time_believed(&self, market: Market) -> Timestamp {
        let offset = self.clock_offsets.lock().get(&market).map_or(0, |(offset, _)| *offset);
        self.clock.now().plus(offset)
    }

    /// Asks the exchange what time it is, when that matters and is not known.
    pub(crate) async fn learn_time(
        self: &Arc<Self>,
        request: &Request,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) {
        let market = request.series.market();
        let fresh = |at: Instant| self.clock.instant().duration_since(at) < CLOCK_TRUSTED;
        let known = self.clock_offsets.lock().get(&market).is_some_and(|(_, at)| fresh(*at));
        if known {
            return;
        }
        let tells = |(_, offer): &&(Arc<Upstream>, Offer)| offer.serves_pages() && offer.authoritative;
        let askable: Vec<Arc<Upstream>> = upstreams.iter().filter(tells).map(|(u, _)| u.clone()).collect();
        let key = Question::Time(market, askable.iter().map(|u| u.name.clone()).collect());
        let (engine, subject, deadline) = (self.clone(), request.series.clone(), deadline.clone());
        let work = || async move { Arc::new(engine.ask_time(&subject, &askable, &deadline).await) };
        let learnt = self.learning.share(key, work).await.unwrap_or_default();
        assembly.trail_mut().extend(learnt.trail.iter().cloned());
        if let Some(Told::Offset(offset)) = learnt.told {
            assembly.set_now(self.clock.now().plus(offset));
            if offset.abs() > MINUTE {
                let apart = jiff::SignedDuration::from_secs(offset.abs() / 1_000_000);
                let side = if offset > 0 { "behind" } else { "ahead of" };
                assembly.notice(format!(
                    "this machine's clock is {apart:#} {side} the exchange's clock; the exchange's is used"
                ));
            }
            return;
        }
        if request.range.end() > self.clock.now().plus(-MINUTE) {
            assembly.notice(
                "the exchange's clock could not be read; this machine's decides which klines have closed".to_owned(),
            );
        }
    }

    async fn ask_time(&self, subject: &Series, upstreams: &[Arc<Upstream>], deadline: &Deadline) -> Learnt {
        let market = subject.market();
        let mut learnt = Learnt::default();
        for upstream in upstreams {
            let Some(klines) = upstream.klines() else { continue };
            if upstream.resting(&self.clock).is_some() {
                continue;
            }
            let errand = Errand {
                subject,
                range: None,
                form: "time",
                call: Call::Time(market),
            };
            let ask = || klines.server_time(market);
            let sent = self.clock.now();
            let mut once = self.terms(deadline, Class::Interactive);
            once.tries.max = 1;
            let result = attempt(upstream, once, errand, &mut learnt.trail, ask).await;
            if let Ok(Some(theirs)) = result {
                // Half the round trip has passed since they looked at their clock.
                let ours = sent.plus(self.clock.now().since(sent) / 2);
                let offset = theirs.since(ours);
                self.clock_offsets.lock().insert(market, (offset, self.clock.instant()));
                learnt.told = Some(Told::Offset(offset));
                return learnt;
            }
        }
        learnt
    }

    /// What the exchange said if it does not know the symbol, as far as that can be told without asking for it.
    pub(crate) async fn stranger(
        self: &Arc<Self>,
        series: &Series,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Option<String> {
        let market = series.market();
        let lists = |u: &Upstream| u.klines().is_some_and(|klines| klines.lists(market));
        let (upstream, _) = upstreams.iter().find(|(u, _)| lists(u))?;
        if assembly.first_open().is_some() || assembly.has_rows() {
            return None;
        }
        let why = match self.unlisted.repute(series, self.clock.instant()) {
            Repute::None => return None,
            Repute::Unknown(why) => why,
            Repute::OneOfACrowd => {
                let listed = self.listed(market, upstream, assembly, deadline).await?;
                if listed.contains(series.symbol().as_str()) {
                    return None;
                }
                let why = format!("{}: {} is not listed", upstream.name, series.symbol());
                self.unlisted.meet(series, &why, self.clock.instant());
                why
            }
        };
        assembly.add_absence(assembly.wanted(), &upstream.name, &why, true);
        Some(why)
    }

    /// What a market lists, asked for at most once in a while.
    async fn listed(
        self: &Arc<Self>,
        market: Market,
        upstream: &Arc<Upstream>,
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Listed {
        if let Some(listed) = self.unlisted.listed(market, self.clock.instant()) {
            return listed;
        }
        let key = Question::Listed(market, upstream.name.clone());
        let (engine, upstream, deadline) = (self.clone(), upstream.clone(), deadline.clone());
        let work = || async move { Arc::new(engine.ask_listed(market, &upstream, &deadline).await) };
        let learnt = self.learning.share(key, work).await.unwrap_or_default();
        assembly.trail_mut().extend(learnt.trail.iter().cloned());
        match &learnt.told {
            Some(Told::Listed(listed)) => listed.clone(),
            _ => None,
        }
    }

    async fn ask_listed(&self, market: Market, upstream: &Upstream, deadline: &Deadline) -> Learnt {
        let mut learnt = Learnt::default();
        let errand = Errand {
            subject: &market,
            range: None,
            form: "instruments",
            call: Call::Instruments(market),
        };
        let Some(klines) = upstream.klines() else { return learnt };
        let ask = || klines.instruments(market);
        let mut once = self.terms(deadline, Class::Interactive);
        once.tries.max = 1;
        let told = attempt(upstream, once, errand, &mut learnt.trail, ask).await;
        let symbols = |listed: Vec<Instrument>| Arc::new(listed.into_iter().map(|one| one.symbol).collect());
        let listed: Listed = told.ok().map(symbols);
        self.unlisted.list(market, listed.clone(), self.clock.instant());
        learnt.told = Some(Told::Listed(listed));
        learnt
    }

    /// Asks when the series began, when a lot is missing and it is not known: archives and pages before that need not
    /// be tried one by one. What the exchange said if it does not know the symbol.
    pub(crate) async fn learn_listing(
        self: &Arc<Self>,
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

    pub(crate) async fn ask_listing(
        self: &Arc<Self>,
        series: &Series,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Option<String> {
        // Whoever serves pages knows exactly; archives know the first file.
        let (pages, files): (Vec<_>, Vec<_>) = upstreams.iter().partition(|(_, o)| o.serves_pages());
        for (upstream, _) in pages.into_iter().chain(files) {
            // Whoever just failed to tell the time would only cost another timeout.
            if assembly.has_failed(&upstream.name) {
                continue;
            }
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
    pub(crate) async fn is_archived(
        self: &Arc<Self>,
        series: &Series,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> bool {
        for (upstream, _) in upstreams.iter().filter(|(_, o)| !o.serves_pages()) {
            if self.unlisted.is_lacking(series, &upstream.name, self.clock.instant()) {
                continue;
            }
            match self.first_open(series, upstream, assembly, deadline).await {
                Ok(None) => self.unlisted.lacks(series, &upstream.name, self.clock.instant()),
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
        self: &Arc<Self>,
        series: &Series,
        upstream: &Arc<Upstream>,
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) -> Result<Option<Timestamp>, FetchError> {
        if let Some(refusal) = upstream.resting(&self.clock) {
            return Err(FetchError::Refused(refusal.why()));
        }
        let key = Question::FirstOpen(series.clone(), upstream.name.clone());
        let (engine, series, deadline) = (self.clone(), series.clone(), deadline.clone());
        let upstream = upstream.clone();
        let work = || async move { Arc::new(engine.ask_first_open(&series, &upstream, &deadline).await) };
        let learnt = self.learning.share(key, work).await.unwrap_or_default();
        assembly.trail_mut().extend(learnt.trail.iter().cloned());
        match &learnt.told {
            Some(Told::FirstOpen(result)) => result.clone(),
            _ => Err(FetchError::Panicked("internal fault: the call panicked".to_owned())),
        }
    }

    async fn ask_first_open(&self, series: &Series, upstream: &Upstream, deadline: &Deadline) -> Learnt {
        let mut learnt = Learnt::default();
        let errand = Errand {
            subject: series,
            range: None,
            form: "listing",
            call: Call::FirstOpen(series),
        };
        let told = match upstream.klines() {
            None => Ok(None),
            Some(klines) => {
                let ask = || klines.first_open(series);
                let terms = self.terms(deadline, Class::Interactive);
                attempt(upstream, terms, errand, &mut learnt.trail, ask).await
            }
        };
        learnt.told = Some(Told::FirstOpen(told));
        learnt
    }

    /// The kline in progress, from whoever serves pages; never stored.
    pub(crate) async fn fetch_forming(
        self: &Arc<Self>,
        series: &Series,
        upstreams: &[(Arc<Upstream>, Offer)],
        assembly: &mut Assembly,
        deadline: &Deadline,
    ) {
        let (grid, now) = (assembly.grid(), assembly.now());
        let slot = grid.slot(now);
        if !assembly.wanted().covers(slot) {
            return;
        }
        let mut reasons = Vec::new();
        for (upstream, _) in upstreams.iter().filter(|(_, o)| o.serves_pages()) {
            let slice = Slice {
                series: series.clone(),
                range: series.telling(slot, grid, now),
                form: Form::Page,
            };
            let settled = self
                .settled(upstream.clone(), slice, grid, now, deadline, Class::Interactive)
                .await;
            let Some(settled) = settled else { continue };
            assembly.trail_mut().extend(settled.trail.iter().cloned());
            match &settled.result {
                Ok(brought) => {
                    if let Some(piece) = &brought.unsettled {
                        assembly.add(piece.clone(), &RangeSet::empty(), false);
                    }
                    return;
                }
                Err(error) => {
                    reasons.push(format!("{}: {error}", upstream.name));
                    assembly.add_failure(slot, &upstream.name, &error.to_string());
                }
            }
        }
        let why = match reasons.is_empty() {
            true => "nobody who may be asked tells it".to_owned(),
            false => reasons.join("; "),
        };
        assembly.notice(format!("the kline in progress could not be had: {why}"));
    }
}
