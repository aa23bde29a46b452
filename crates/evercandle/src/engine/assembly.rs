//! The answer under construction: what is held, what was brought, what is still missing and why.
//!
//! Rows that could be stored are not kept here: at the end they are read back from the store, mapped, so that a long
//! answer does not fill the memory and is bit for bit what the next, cached answer will be. Only rows that could not be
//! stored (unsettled ones, or all of them while the store cannot be written) wait here.

use crate::answer::{
    Answer, Attempt, Gap, GapReason, Origin, Outcome, ProviderName, Resting, Segment, Verification, Via,
};
use crate::model::batch::Batch;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, MINUTE, RangeSet, TimeRange, Timestamp};
use crate::model::series::{Kind, Series};
use crate::store::{Held, Hole, Piece};

/// A hole is looked at again after it has been known for as long again, but at the least and at the most for so long: an
/// upstream may have been wrong for minutes, exchanges do backfill some holes weeks later, and one that has been there
/// for a year rarely closes tomorrow.
const RECHECK_MIN: i64 = 10 * MINUTE;
const RECHECK_MAX: i64 = 30 * DAY;

/// The answer under construction.
pub(crate) struct Assembly {
    series: Series,
    asked: TimeRange,
    grid: Grid,
    /// The exchange's time: slots that end later have not closed.
    now: Timestamp,
    held: Held,
    /// Rows brought that are not in the store, and the slots they answer for.
    unsaved: Vec<(Piece, RangeSet)>,
    /// Slots filled now, by whatever upstream.
    fetched: RangeSet,
    /// Who filled those of them that were stored. The store tells of refreshes bit by bit as of one run, with the time of
    /// the first.
    brought: Vec<(Origin, RangeSet)>,
    /// Slots for which an authoritative upstream said, now or earlier, that there is no kline.
    holes: Vec<Hole>,
    first_open: Option<Timestamp>,
    failures: Vec<Failure>,
    resting: Option<Resting>,
    trail: Vec<Attempt>,
    /// Where in the trail the last beginning was.
    begun_at: usize,
    notices: Vec<String>,
    wants_forming: bool,
    /// Whether rows that were stored are read back from the store at the end.
    through_store: bool,
    stored: bool,
}

/// Why an upstream did not bring some slots.
struct Failure {
    range: TimeRange,
    provider: ProviderName,
    why: String,
    evidence: Evidence,
}

/// What a failure says about whether the klines exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// Nothing: it was not asked, because it rests or time was up.
    Unasked,
    /// Nothing any more: it is asked again.
    Earlier,
    /// Nothing: it failed.
    Nothing,
    /// It does not have them; others may.
    Absent,
    /// It would have them if they existed.
    Proof,
}

impl Assembly {
    pub(crate) fn new(series: Series, asked: TimeRange, now: Timestamp, held: Held, through_store: bool) -> Assembly {
        let grid = Grid::new(series.interval(), held.anchor);
        let (holes, first_open) = (held.holes.clone(), held.first_open);
        Assembly {
            series,
            asked,
            grid,
            now,
            held,
            unsaved: Vec::new(),
            fetched: RangeSet::empty(),
            brought: Vec::new(),
            holes,
            first_open,
            failures: Vec::new(),
            resting: None,
            trail: Vec::new(),
            begun_at: 0,
            notices: Vec::new(),
            wants_forming: false,
            through_store,
            stored: false,
        }
    }

    pub(crate) fn series(&self) -> &Series {
        &self.series
    }

    pub(crate) fn grid(&self) -> Grid {
        self.grid
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The exchange's time has been asked for.
    pub(crate) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub(crate) fn first_open(&self) -> Option<Timestamp> {
        self.first_open
    }

    pub(crate) fn set_first_open(&mut self, first_open: Timestamp) {
        self.first_open = Some(first_open);
    }

    pub(crate) fn trail_mut(&mut self) -> &mut Vec<Attempt> {
        &mut self.trail
    }

    pub(crate) fn notice(&mut self, notice: String) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// The slot still open at the exchange's time is wanted too.
    pub(crate) fn want_forming(&mut self) {
        self.wants_forming = true;
    }

    /// The slots that were asked for.
    pub(crate) fn wanted(&self) -> TimeRange {
        self.grid.align(self.asked)
    }

    /// The wanted slots that have closed.
    fn closed(&self) -> TimeRange {
        let wanted = self.wanted();
        let known_until = self.series.known_until(self.grid, self.now);
        TimeRange::clamped(wanted.start(), wanted.end().min(known_until))
    }

    /// The slots before the first kline there ever was.
    fn before_listing(&self) -> TimeRange {
        let listed = self.first_open.map_or(Timestamp::EPOCH, |t| self.grid.floor(t));
        TimeRange::clamped(self.wanted().start(), listed.min(self.wanted().end()))
    }

    /// Closed slots that are neither held, nor brought, nor known to be empty.
    pub(crate) fn missing(&self) -> RangeSet {
        let mut missing = RangeSet::from(self.closed())
            .difference(&self.held.covered)
            .difference(&self.fetched);
        missing.remove(self.before_listing());
        let fresh: RangeSet = self.holes.iter().filter(|h| !self.is_due(h)).map(|h| h.range).collect();
        missing.difference(&fresh)
    }

    /// Whether it is time to ask again about a hole: the pauses double from one look to the next.
    fn is_due(&self, hole: &Hole) -> bool {
        let known_for = hole.checked_at.since(hole.first_seen);
        !hole.halt && self.now.since(hole.checked_at) > known_for.clamp(RECHECK_MIN, RECHECK_MAX)
    }

    /// Everybody is asked again: what was said so far explains what is missing in the end, and proves nothing.
    pub(crate) fn begin_again(&mut self) {
        self.begun_at = self.trail.len();
        self.resting = None;
        self.failures.retain(|failure| failure.evidence != Evidence::Unasked);
        for failure in &mut self.failures {
            failure.evidence = Evidence::Earlier;
        }
    }

    /// Whether somebody who was asked for klines since the last beginning could not be reached, or answered nonsense.
    pub(crate) fn failed_at_last(&self) -> bool {
        let failed = |kind: &str| ["unreachable", "timed_out", "corrupt"].contains(&kind);
        self.trail[self.begun_at..].iter().any(|asked| {
            asked.number > 0
                && asked.range.is_some()
                && matches!(&asked.outcome, Outcome::Failed { kind, .. } if failed(kind))
        })
    }

    /// Why what is missing was not had so far.
    pub(crate) fn reasons(&self) -> Vec<(ProviderName, String)> {
        self.missing().hull().map_or_else(Vec::new, |hull| self.tried(hull))
    }

    /// Whether an upstream failed since the last beginning and has not answered anything.
    pub(crate) fn has_failed(&self, provider: &ProviderName) -> bool {
        let mut asked = self.trail[self.begun_at..]
            .iter()
            .filter(|a| a.provider == *provider && a.number > 0)
            .peekable();
        asked.peek().is_some()
            && asked.all(|a| {
                matches!(
                    &a.outcome,
                    Outcome::Failed {
                        kind: "unreachable",
                        ..
                    }
                )
            })
    }

    /// Missing slots that one upstream says do not exist, that no other has either, and that nobody failed to answer
    /// for: holes, though no row beside them vouches for the answer.
    pub(crate) fn proven_absent(&self, settled_until: Timestamp) -> RangeSet {
        let of = |wanted: &[Evidence]| -> RangeSet {
            self.failures
                .iter()
                .filter(|f| wanted.contains(&f.evidence))
                .map(|f| f.range)
                .collect()
        };
        let settled_until = self.series.known_until(self.grid, settled_until);
        let settled = RangeSet::from(TimeRange::clamped(Timestamp::EPOCH, settled_until));
        let proven = self
            .missing()
            .intersection(&of(&[Evidence::Proof]))
            .intersection(&settled);
        proven.difference(&of(&[Evidence::Nothing, Evidence::Unasked]))
    }

    /// Rows arrived. `quiet`: slots without one in which none was due. `saved`: all of it is in the store, from where
    /// the answer will be read.
    pub(crate) fn add(&mut self, piece: Piece, quiet: &RangeSet, saved: bool) {
        self.learn_anchor(&piece.batch);
        let slots = piece.batch.slots(self.grid).union(quiet);
        for range in slots.iter() {
            self.fetched.insert(range);
        }
        if saved && self.through_store {
            self.stored = true;
            self.brought.push((piece.origin, slots));
        } else if !piece.batch.is_empty() {
            self.unsaved.push((piece, slots));
        }
    }

    /// Whether what is held counts at all.
    pub(crate) fn is_through_store(&self) -> bool {
        self.through_store
    }

    /// What is held now, before anything was fetched.
    pub(crate) fn look_again(&mut self, held: Held) {
        if self.grid.is_provisional() {
            self.grid = Grid::new(self.series.interval(), held.anchor);
        }
        self.add_holes(&held.holes);
        self.first_open = self.first_open.or(held.first_open);
        self.held = held;
    }

    /// Whether something was stored that [`Assembly::close`] needs to see.
    pub(crate) fn reread_needed(&self) -> bool {
        self.stored
    }

    /// A `3d` kline shows where its grid is anchored; what was counted in single days is counted again.
    fn learn_anchor(&mut self, batch: &Batch) {
        if self.series.interval() != Interval::D3 || !self.grid.is_provisional() {
            return;
        }
        if let Some(&open_time) = batch.open_times().first() {
            self.grid = Grid::new(Interval::D3, Some(Timestamp::from_micros(open_time)));
            self.fetched = self
                .unsaved
                .iter()
                .flat_map(|(p, _)| p.batch.slots(self.grid).iter().collect::<Vec<_>>())
                .collect();
        }
    }

    /// An upstream that would know says that these slots have no kline.
    pub(crate) fn add_holes(&mut self, holes: &[Hole]) {
        let newer: RangeSet = holes.iter().map(|h| h.range).collect();
        for old in std::mem::take(&mut self.holes) {
            let rest = RangeSet::from(old.range).difference(&newer);
            self.holes.extend(rest.iter().map(|range| Hole { range, ..old }));
        }
        self.holes.extend_from_slice(holes);
    }

    /// Whether the wanted range begins with slots that were found to have no kline just now, as before a listing.
    pub(crate) fn begins_with_nothing(&self) -> bool {
        let start = self.wanted().start();
        self.holes
            .iter()
            .any(|h| h.range.contains(start) && !h.halt && !self.held.holes.contains(h))
    }

    /// An upstream was not asked for these slots.
    pub(crate) fn add_refusal(&mut self, range: TimeRange, provider: &ProviderName, why: &str) {
        self.fail(range, provider, why, Evidence::Unasked);
    }

    /// An upstream failed to bring these slots.
    pub(crate) fn add_failure(&mut self, range: TimeRange, provider: &ProviderName, why: &str) {
        self.fail(range, provider, why, Evidence::Nothing);
    }

    /// An upstream answered that it does not have these slots; `proof`: because they do not exist.
    pub(crate) fn add_absence(&mut self, range: TimeRange, provider: &ProviderName, why: &str, proof: bool) {
        self.fail(
            range,
            provider,
            why,
            if proof { Evidence::Proof } else { Evidence::Absent },
        );
    }

    fn fail(&mut self, range: TimeRange, provider: &ProviderName, why: &str, evidence: Evidence) {
        self.failures.push(Failure {
            range,
            provider: provider.clone(),
            why: why.to_owned(),
            evidence,
        });
    }

    /// Whether everybody who might have what is missing rests, as it was found at last.
    pub(crate) fn resting(&self) -> Option<Resting> {
        self.resting
    }

    /// Whether everybody who might have what is missing rests.
    pub(crate) fn set_resting(&mut self, resting: Option<Resting>) {
        self.resting = resting;
    }

    /// Whether something that was stored is not held any more, and is missing again.
    pub(crate) fn lose(&mut self, held: &Held) -> bool {
        let unsaved = self.unsaved.iter().flat_map(|(_, slots)| slots.iter()).collect();
        let brought = self.fetched.within(self.deliverable());
        let lost = brought.difference(&held.covered).difference(&unsaved);
        self.fetched = self.fetched.difference(&lost);
        // What was held before may be lost as well.
        self.held = held.clone();
        !lost.is_empty()
    }

    /// The finished answer. `reread` holds what the store has now, if anything was stored meanwhile.
    pub(crate) fn close(mut self, reread: Option<Held>) -> Answer {
        if let Some(held) = reread {
            self.held = held;
        }
        let mut parts: Vec<(Piece, Via, TimeRange)> = Vec::new();
        let mut filled = RangeSet::empty();
        let wanted = self.wanted();
        let held = std::mem::take(&mut self.held);
        for (piece, span) in self.spans(held.pieces) {
            // Pieces do not interleave, so what is covered between a piece's ends is the piece's: no row is looked at.
            let slots = held.covered.within(span).within(wanted);
            filled = filled.union(&slots);
            self.divide(piece, &slots, &mut parts);
        }
        if self.series.kind() == Kind::FundingRates {
            // The quiet slots after a rate are held even where the rate itself was not asked for.
            filled = filled.union(&held.covered.within(wanted));
        }
        for (piece, slots) in std::mem::take(&mut self.unsaved) {
            let slots = slots.within(self.deliverable()).difference(&filled);
            self.divide(piece, &slots, &mut parts);
            filled = filled.union(&slots);
        }
        parts.sort_by_key(|(_, _, range)| range.start());
        let mut segments: Vec<Segment> = Vec::new();
        for (piece, via, range) in &parts {
            match segments.last_mut() {
                Some(last) if last.range.end() == range.start() && last.via == *via && alike(last, &piece.origin) => {
                    last.range = TimeRange::clamped(last.range.start(), range.end());
                    last.origin.fetched_at = last.origin.fetched_at.min(piece.origin.fetched_at);
                }
                _ => segments.push(Segment {
                    range: *range,
                    origin: piece.origin.clone(),
                    via: *via,
                }),
            }
        }
        let lost = self.fetched.within(self.deliverable()).difference(&filled);
        for range in lost.iter() {
            self.add_failure(
                range,
                &ProviderName::new("cache"),
                "stored a moment ago, but not found when read back",
            );
        }
        let gaps = self.gaps(&filled);
        let batches = parts.into_iter().map(|(piece, _, _)| piece.batch).collect();
        Answer {
            series: self.series,
            range: wanted,
            grid: self.grid,
            batches,
            segments,
            gaps,
            resting: self.resting,
            trail: self.trail,
            notices: self.notices,
        }
    }

    /// Closed slots, and the forming one if it is wanted.
    fn deliverable(&self) -> TimeRange {
        let closed = self.closed();
        let forming = self.grid.next(self.now).min(self.wanted().end());
        if self.wants_forming {
            TimeRange::clamped(closed.start(), forming.max(closed.end()))
        } else {
            closed
        }
    }

    /// Pieces of the store, each with the slots it may answer for: those of its rows, and for rates also the quiet ones
    /// around them, as far as the next piece.
    fn spans(&self, pieces: Vec<Piece>) -> Vec<(Piece, TimeRange)> {
        let wanted = self.wanted();
        let mut spans: Vec<(Piece, TimeRange)> = pieces
            .into_iter()
            .filter_map(|piece| {
                let span = piece.batch.span()?;
                let whole = TimeRange::clamped(self.grid.floor(span.start()), self.grid.next(span.end().plus(-1)));
                Some((piece, whole))
            })
            .collect();
        if self.series.kind() == Kind::FundingRates {
            let starts: Vec<Timestamp> = spans.iter().map(|(_, span)| span.start()).collect();
            let ends = starts.iter().skip(1).copied().chain([wanted.end()]);
            for (n, ((_, span), end)) in spans.iter_mut().zip(ends).enumerate() {
                let start = if n == 0 {
                    wanted.start().min(span.start())
                } else {
                    span.start()
                };
                *span = TimeRange::clamped(start, end.max(span.end()));
            }
        }
        spans
    }

    /// Cuts a piece into runs of slots that were remembered and runs that were fetched now.
    fn divide(&self, piece: Piece, slots: &RangeSet, parts: &mut Vec<(Piece, Via, TimeRange)>) {
        let mut take = |via: Via, part: &RangeSet, origin: &Origin| {
            for range in part.iter() {
                let (batch, mut origin) = (piece.batch.slice(range), origin.clone());
                let Some(first) = batch.open_times().first().copied() else {
                    continue;
                };
                if origin.verification == Verification::Structural && self.series.kind() == Kind::Klines {
                    // Of a run that came bit by bit this part came after it had closed, whenever the run began.
                    let closed = self.grid.next(self.grid.floor(Timestamp::from_micros(first)));
                    origin.fetched_at = origin.fetched_at.max(closed);
                }
                parts.push((Piece { batch, origin }, via, range));
            }
        };
        let mut fetched = slots.intersection(&self.fetched);
        take(Via::Cache, &slots.difference(&fetched), &piece.origin);
        for (origin, theirs) in &self.brought {
            if (&origin.provider, &origin.verification) == (&piece.origin.provider, &piece.origin.verification) {
                take(Via::Upstream, &fetched.intersection(theirs), origin);
                fetched = fetched.difference(theirs);
            }
        }
        take(Via::Upstream, &fetched, &piece.origin);
    }

    /// Every wanted slot that is not filled, with the reason.
    fn gaps(&self, filled: &RangeSet) -> Vec<Gap> {
        let mut left = RangeSet::from(self.wanted()).difference(filled);
        let mut gaps: Vec<Gap> = Vec::new();
        let mut take = |part: RangeSet, reason: GapReason, gaps: &mut Vec<Gap>| {
            let part = left.intersection(&part);
            left = left.difference(&part);
            gaps.extend(part.iter().map(|range| Gap {
                range,
                reason: reason.clone(),
            }));
        };
        take(self.before_listing().into(), GapReason::BeforeListing, &mut gaps);
        let open = TimeRange::clamped(self.closed().end(), self.wanted().end());
        take(open.into(), GapReason::NotYetClosed, &mut gaps);
        for (halt, reason) in [(true, GapReason::VenueHalt), (false, GapReason::AbsentUpstream)] {
            let holes = self.holes.iter().filter(|h| h.halt == halt).map(|h| h.range).collect();
            take(holes, reason, &mut gaps);
        }
        let unexplained: Vec<TimeRange> = left.iter().collect();
        gaps.extend(unexplained.into_iter().map(|range| Gap {
            range,
            reason: GapReason::NoUpstreamLeft(self.tried(range)),
        }));
        gaps.sort_by_key(|g| g.range.start());
        gaps
    }

    fn tried(&self, range: TimeRange) -> Vec<(ProviderName, String)> {
        let mut tried: Vec<(ProviderName, String)> = Vec::new();
        // The latest word of each: a long gap has been asked for in many pieces that failed alike, and the trail has all.
        // That it was passed over afterwards, because it had failed, explains less than how it failed.
        let concerning = || self.failures.iter().rev().filter(|f| f.range.overlaps(range));
        let asked = concerning().filter(|f| !matches!(f.evidence, Evidence::Unasked | Evidence::Earlier));
        let earlier = concerning().filter(|f| f.evidence == Evidence::Earlier);
        let unasked = concerning().filter(|f| f.evidence == Evidence::Unasked);
        for failure in asked.chain(earlier).chain(unasked) {
            if tried.iter().all(|(name, _)| *name != failure.provider) {
                tried.push((failure.provider.clone(), failure.why.clone()));
            }
        }
        tried.sort();
        tried
    }

    /// Whether any row is held or was brought.
    pub(crate) fn has_rows(&self) -> bool {
        !self.held.pieces.is_empty() || !self.fetched.is_empty()
    }
}

/// The origin of rows an upstream just answered with.
/// Whether klines continue a segment: pages of one answer do, whichever came first.
fn alike(segment: &Segment, origin: &Origin) -> bool {
    let same = (&segment.origin.provider, &segment.origin.verification) == (&origin.provider, &origin.verification);
    same && (segment.via == Via::Upstream || segment.origin.fetched_at == origin.fetched_at)
}

pub(crate) fn origin(provider: &ProviderName, fetched_at: Timestamp, verification: Verification) -> Origin {
    Origin {
        provider: provider.clone(),
        fetched_at,
        verification,
    }
}
