//! One slice: fetched once however many want it, divided into what is final and what is not, and stored.
//!
//! Runs as shared, detached work (see `in_flight`), so what was fetched is stored even when whoever wanted it first has
//! gone, and is in the store before the next one looks.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::answer::{Attempt, Verification};
use crate::engine::Engine;
use crate::engine::assembly::origin;
use crate::engine::attempt::{Errand, Terms, attempt};
use crate::engine::upstream::Upstream;
use crate::model::batch::{Batch, OddityKind};
use crate::model::funding;
use crate::model::interval::Grid;
use crate::model::range::{MINUTE, RangeSet, TimeRange, Timestamp};
use crate::model::series::Kind;
use crate::provider::{Call, FetchError, Fetched, Form, Slice};
use crate::resilience::deadline::Deadline;
use crate::resilience::quota::Class;
use crate::store::{Hole, Parcel, Piece};

/// Slots younger than this are not remembered as holes: replicas of the exchange lag for seconds, archives for hours.
pub(crate) const HOLE_SETTLES: i64 = 10 * MINUTE;

/// What came of a slice, shared by everyone who wanted it.
pub(crate) struct Settled {
    pub(crate) result: Result<Brought, FetchError>,
    pub(crate) trail: Vec<Attempt>,
    pub(crate) notices: Vec<String>,
}

/// A slice's answer, stored as far as it could be.
pub(crate) struct Brought {
    pub(crate) piece: Piece,
    /// Rows that are not final yet and were therefore not stored.
    pub(crate) unsettled: Option<Piece>,
    pub(crate) holes: Vec<Hole>,
    /// Slots without a row in which none was due.
    pub(crate) quiet: RangeSet,
    pub(crate) answered: TimeRange,
    /// Whether what is absent from the answer does not exist.
    pub(crate) proves: bool,
    pub(crate) saved: bool,
}

impl Engine {
    /// One slice, shared with whoever wants the same one now.
    pub(crate) async fn settled(
        self: &Arc<Self>,
        upstream: Arc<Upstream>,
        slice: Slice,
        grid: Grid,
        now: Timestamp,
        deadline: &Deadline,
        class: Class,
    ) -> Option<Arc<Settled>> {
        self.mind_limit(&upstream);
        let (engine, key) = (self.clone(), (slice.clone(), class));
        let work = || {
            // The work may outlive this caller, so it has a deadline of its own.
            let deadline = deadline.clone();
            async move {
                Arc::new(
                    engine
                        .fetch(&upstream, &slice, grid, now, engine.terms(&deadline, class))
                        .await,
                )
            }
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
        terms: Terms<'_>,
    ) -> Settled {
        let mut trail = Vec::new();
        let errand = Errand {
            subject: &slice.series,
            range: Some(slice.range),
            form: slice.form.as_str(),
            call: Call::Slice(slice),
        };
        let ask = || -> BoxFuture<'_, Result<Fetched, FetchError>> {
            Box::pin(async move {
                let no_klines = || FetchError::Refused(format!("{} serves no klines", upstream.name));
                let klines = upstream.klines().ok_or_else(no_klines)?;
                let fetched = klines.fetch(slice).await?;
                one_kline_a_slot(grid, &fetched.batch)?;
                Ok(fetched)
            })
        };
        let result = attempt(upstream, terms, errand, &mut trail, ask).await;
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
            let foreign = match repairs.foreign {
                0 => String::new(),
                rows => format!(", {rows} rows of another kind (left out)"),
            };
            notices.push(format!(
                "{} {}: {duplicates} rows repeated, {conflicts} open times with contradicting rows (withheld), {unsorted} rows out of order{foreign}",
                upstream.name, slice.range
            ));
        }
        let grid = match batch.open_times().first() {
            Some(first) if grid.is_provisional() => {
                Grid::new(slice.series.interval(), Some(Timestamp::from_micros(*first)))
            }
            _ => grid,
        };
        let insane = batch
            .oddities(grid)
            .iter()
            .filter(|o| o.kind == OddityKind::PriceOutsideLowHigh)
            .count();
        if insane > 0 {
            let (name, range) = (&upstream.name, slice.range);
            notices.push(format!(
                "{name} {range}: {insane} klines with open or close outside low..high, kept as published"
            ));
        }
        // A rate is known so late after it was settled that it need not settle again.
        let settle = match slice.series.kind() {
            Kind::Klines => i64::try_from(self.config.settle_ms).unwrap_or(0).saturating_mul(1_000),
            Kind::FundingRates => 0,
        };
        // Slots that end by then are final; the slot this instant lies in is not.
        let settled_until = slice.series.known_until(grid, now.plus(-settle));
        let fetched_at = self.clock.now();
        let settled = batch.slice(TimeRange::clamped(Timestamp::EPOCH, settled_until));
        let open = batch.slice(TimeRange::clamped(settled_until, Timestamp::MAX));
        let proves = upstream.offer(&slice.series).is_some_and(|o| o.authoritative);
        let halts = upstream.klines().map_or(&[][..], |k| k.known_halts(&slice.series));
        let told = match slice.series.kind() {
            Kind::Klines => RangeSet::empty(),
            Kind::FundingRates => {
                funding::told(&batch, answered).within(TimeRange::clamped(Timestamp::EPOCH, settled_until))
            }
        };
        let slots = batch.slots(grid);
        let (filled, quiet) = (slots.union(&told), told.difference(&slots));
        let hole_until = slice.series.known_until(grid, now.plus(-HOLE_SETTLES));
        let asked = grid.align(answered);
        let asked = TimeRange::clamped(asked.start(), asked.end().min(hole_until));
        let holes = match batch.is_empty() && !proves {
            true => Vec::new(),
            false => holes(halts, proves && !batch.is_empty(), grid, asked, &filled, now),
        };
        let piece = Piece {
            batch: settled,
            origin: origin(&upstream.name, fetched_at, verification),
        };
        let unsettled = (!open.is_empty()).then(|| Piece {
            batch: open,
            origin: origin(&upstream.name, fetched_at, Verification::Unsettled),
        });
        let parcel = Parcel {
            batch: piece.batch.clone(),
            origin: piece.origin.clone(),
            holes: holes.clone(),
            quiet: quiet.clone(),
        };
        let saved = self.save(grid, parcel, notices).await;
        Brought {
            piece,
            unsettled,
            holes,
            quiet,
            answered,
            proves,
            saved,
        }
    }

    pub(crate) async fn save(self: &Arc<Self>, grid: Grid, parcel: Parcel, notices: &mut Vec<String>) -> bool {
        if parcel.batch.is_empty() && parcel.holes.is_empty() && parcel.quiet.is_empty() {
            return true;
        }
        let (engine, series) = (self.clone(), parcel.batch.series().clone());
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
}

/// Klines that share a slot, or are much longer or shorter than one, answer a question about another interval (or
/// contradict each other about this one). One that is short is none of that: around the exchange's halts klines close
/// early.
fn one_kline_a_slot(grid: Grid, batch: &Batch) -> Result<(), FetchError> {
    let grid = match batch.open_times().first() {
        Some(first) if grid.is_provisional() => {
            Grid::new(batch.series().interval(), Some(Timestamp::from_micros(*first)))
        }
        _ => grid,
    };
    let opens = || batch.open_times().iter().map(|micros| Timestamp::from_micros(*micros));
    let lasts = |open: Timestamp, close: i64| (close - open.as_micros(), grid.next(open).since(grid.floor(open)));
    let spans = || {
        opens()
            .zip(batch.close_times())
            .map(|(open, close)| lasts(open, *close))
    };
    let long = spans()
        .filter(|(lasts, slot)| lasts.saturating_mul(2) > slot.saturating_mul(3))
        .count();
    let short = spans().filter(|(lasts, slot)| lasts.saturating_mul(2) < *slot).count();
    if long * 2 > batch.len() || (batch.len() > 1 && short * 2 > batch.len()) {
        return Err(FetchError::Corrupt(format!(
            "{} of {} klines do not last as long as {}",
            long.max(short),
            batch.len(),
            batch.series().interval()
        )));
    }
    let shared = opens().zip(opens().skip(1)).find(|(one, next)| *next < grid.next(*one));
    match shared {
        Some((one, next)) => Err(FetchError::Corrupt(format!(
            "klines opening at {one} and {next} share one slot of {}",
            batch.series().interval()
        ))),
        None => Ok(()),
    }
}

/// The slots of an answer that have no kline, where one might be: those the exchange is known to have halted in, and, if
/// the upstream's silence proves anything, all others. An answer without any row may be a fault that looks like one; it
/// is evidence, but others are asked too.
fn holes(
    halts: &[TimeRange],
    proves: bool,
    grid: Grid,
    asked: TimeRange,
    filled: &RangeSet,
    now: Timestamp,
) -> Vec<Hole> {
    let absent = RangeSet::from(asked).difference(filled);
    if absent.is_empty() {
        return Vec::new();
    }
    // A slot that a halt touches is explained by it: the halt table is to the minute, klines may be days.
    let touched = |h: &TimeRange| TimeRange::clamped(grid.floor(h.start()), grid.ceil(h.end()));
    let halts: RangeSet = halts.iter().map(touched).collect();
    let hole = |range, halt| Hole {
        range,
        halt,
        first_seen: now,
        checked_at: now,
    };
    let halted = absent.intersection(&halts);
    let other = absent.difference(&halts);
    let halted = halted.iter().map(|range| hole(range, true));
    let other = other.iter().filter(|_| proves).map(|range| hole(range, false));
    halted.chain(other).collect()
}
