//! Rows of one stretch of a series with their origins and the holes among them, and the two ways such contents meet.
//!
//! *Fill*: contents of unequal standing (a newer and an older file of one period) overlay slot by slot; the lower one
//! only shows where the higher has nothing. *Put*: new klines arrive; for each open time the one vouched for by a
//! checksum stays, else the one fetched later. Two sources may print the instant of one settlement some milliseconds
//! apart, so funding rates of one hour count as one. Either way the result is again in time order with no open time twice, and
//! a kline ends the hole it lies in.

use crate::answer::{Origin, Verification};
use crate::model::batch::{Batch, DECIMAL_COLUMNS};
use crate::model::funding;
use crate::model::interval::Grid;
use crate::model::range::{HOUR, RangeSet, TimeRange, Timestamp};
use crate::model::series::Kind;

use super::{Hole, Piece};

/// What is held of a stretch.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// In time order, none empty, spans disjoint.
    pub(super) pieces: Vec<Piece>,
    /// The slots the klines fill; of funding rates also the quiet ones among them.
    pub(super) covered: RangeSet,
    /// Sorted, disjoint, none where a kline is.
    pub(super) holes: Vec<Hole>,
}

/// What came of klines that arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Put {
    /// Klines taken in: new ones, and those that replaced what was held.
    pub(super) accepted: usize,
    /// Klines that were held already with other values, whichever stayed.
    pub(super) restated: usize,
}

impl Content {
    /// How many klines there are.
    pub(super) fn rows(&self) -> usize {
        self.pieces.iter().map(|p| p.batch.len()).sum()
    }

    /// Whether there is neither a kline nor a hole, and no quiet slot.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.holes.is_empty() && self.covered.is_empty()
    }

    /// Slots with a kline and slots known to have none.
    pub(super) fn known(&self) -> RangeSet {
        self.covered.union(&self.holes.iter().map(|h| h.range).collect())
    }

    /// The part inside `range`, which must not cut a slot in two.
    pub(super) fn within(&self, range: TimeRange) -> Content {
        let first = self
            .pieces
            .partition_point(|p| p.batch.open_times().last() < Some(&range.start().as_micros()));
        let past = self
            .pieces
            .partition_point(|p| p.batch.open_times().first() < Some(&range.end().as_micros()));
        Content {
            pieces: self.pieces[first..past.max(first)]
                .iter()
                .filter_map(|p| cut(p, range))
                .collect(),
            covered: self.covered.within(range),
            holes: self.holes_within(range),
        }
    }

    fn holes_within(&self, range: TimeRange) -> Vec<Hole> {
        let first = self.holes.partition_point(|h| h.range.end() <= range.start());
        self.holes[first..]
            .iter()
            .take_while(|h| h.range.start() < range.end())
            .map(|h| Hole {
                range: h.range.intersect(range),
                ..*h
            })
            .collect()
    }

    /// Adds what `lower` knows of slots for which nothing is held here.
    pub(super) fn fill(&mut self, lower: &Content) {
        let missing = lower.covered.difference(&self.covered);
        if !missing.is_empty() {
            let parts = missing.iter().flat_map(|range| lower.within(range).pieces).collect();
            self.pieces = interleave(std::mem::take(&mut self.pieces), parts);
            self.covered = self.covered.union(&missing);
        }
        self.put_holes(&lower.holes);
    }

    /// Whether both hold the same, and say the same of it.
    pub(super) fn same(&self, other: &Content) -> bool {
        let same_piece = |(a, b): (&Piece, &Piece)| a.origin == b.origin && a.batch.same_klines(&b.batch);
        self.covered == other.covered
            && self.holes == other.holes
            && self.pieces.len() == other.pieces.len()
            && self.pieces.iter().zip(&other.pieces).all(same_piece)
    }

    /// Adds klines.
    pub(super) fn put(&mut self, batch: &Batch, origin: &Origin, grid: Grid) -> Put {
        let Some(span) = batch.span() else {
            return Put::default();
        };
        let mut restated = 0;
        let mut incoming = vec![batch.clone()];
        let mut kept = Vec::with_capacity(self.pieces.len() + 1);
        for piece in std::mem::take(&mut self.pieces) {
            if piece.batch.span().is_none_or(|held| !meets(&piece.batch, held, span)) {
                kept.push(piece);
                continue;
            }
            let common = Common::of(&piece.batch, batch);
            restated += common.restated;
            if outranks(origin, &piece.origin) {
                kept.extend(without(&piece.batch, &common.held).into_iter().map(|batch| Piece {
                    batch,
                    origin: piece.origin.clone(),
                }));
            } else {
                incoming = incoming.iter().flat_map(|b| without(b, &common.new)).collect();
                kept.push(piece);
            }
        }
        let incoming: Vec<Piece> = incoming
            .into_iter()
            .map(|batch| Piece {
                batch,
                origin: origin.clone(),
            })
            .collect();
        let accepted = incoming.iter().map(|p| p.batch.len()).sum();
        self.pieces = interleave(kept, incoming);
        self.covered = self.covered.union(&batch.slots(grid));
        self.close_holes();
        Put { accepted, restated }
    }

    /// Adds slots in which no row is due.
    pub(super) fn put_quiet(&mut self, quiet: &RangeSet) {
        self.covered = self.covered.union(quiet);
        self.close_holes();
    }

    /// Adds holes; where one is known already, the one checked later stays, and klines stay anyway.
    pub(super) fn put_holes(&mut self, holes: &[Hole]) {
        let hull = |holes: &[Hole]| holes.iter().map(|h| h.range).collect::<RangeSet>().hull();
        match (hull(&self.holes), hull(holes)) {
            (_, None) => return,
            (Some(a), Some(b)) if a.overlaps(b) => holes.iter().for_each(|hole| self.lay(*hole)),
            // Usually the new ones come all before or all after.
            _ if holes.windows(2).all(|w| w[0].range.end() <= w[1].range.start()) => {
                let mut all = [self.holes.as_slice(), holes].concat();
                all.retain(|h| !h.range.is_empty());
                all.sort_by_key(|h| h.range.start());
                self.holes = join_holes(all);
            }
            _ => holes.iter().for_each(|hole| self.lay(*hole)),
        }
        self.close_holes();
    }

    fn lay(&mut self, hole: Hole) {
        if hole.range.is_empty() {
            return;
        }
        // A hole that is seen again has lasted since it was first seen.
        let before = self
            .holes
            .iter()
            .filter(|known| known.range.overlaps(hole.range))
            .map(|known| known.first_seen);
        let first_seen = before.min().map_or(hole.first_seen, |first| first.min(hole.first_seen));
        let hole = Hole { first_seen, ..hole };
        let mut rest = RangeSet::from(hole.range);
        let mut all = Vec::with_capacity(self.holes.len() + 1);
        for known in &self.holes {
            if known.checked_at >= hole.checked_at {
                rest.remove(known.range);
                all.push(*known);
            } else {
                all.extend(without_hole(*known, hole.range));
            }
        }
        all.extend(rest.iter().map(|range| Hole { range, ..hole }));
        all.sort_by_key(|h| h.range.start());
        self.holes = join_holes(all);
    }

    /// Holes end where klines are.
    fn close_holes(&mut self) {
        if self.holes.iter().all(|h| self.covered.within(h.range).is_empty()) {
            return;
        }
        self.holes = self
            .holes
            .iter()
            .flat_map(|h| {
                let open = RangeSet::from(h.range).difference(&self.covered);
                open.iter().map(|range| Hole { range, ..*h }).collect::<Vec<_>>()
            })
            .collect();
    }
}

/// Whether klines of origin `new` replace those of origin `held`.
fn outranks(new: &Origin, held: &Origin) -> bool {
    let vouched = |o: &Origin| matches!(o.verification, Verification::Checksum { .. });
    (vouched(new), new.fetched_at) > (vouched(held), held.fetched_at)
}

/// What makes two rows the same one.
fn identity(kind: Kind, open_time: i64) -> i64 {
    match kind {
        Kind::Klines => open_time,
        Kind::FundingRates => open_time - open_time.rem_euclid(HOUR),
    }
}

/// Whether rows of two spans can be the same.
fn meets(held: &Batch, its_span: TimeRange, span: TimeRange) -> bool {
    let kind = held.series().kind();
    let whole = |range: TimeRange| {
        let start = identity(kind, range.start().as_micros());
        TimeRange::clamped(Timestamp::from_micros(start), range.end())
    };
    whole(its_span).overlaps(whole(span))
}

/// The rows about which two batches both say something, by the times each of them gives.
#[derive(Default)]
struct Common {
    held: Vec<i64>,
    new: Vec<i64>,
    restated: usize,
}

impl Common {
    fn of(held: &Batch, new: &Batch) -> Common {
        let (a, b) = (held.open_times(), new.open_times());
        let id = |open_time: i64| identity(held.series().kind(), open_time);
        let mut common = Common::default();
        let (Some(first), Some(last)) = (b.first(), b.last()) else {
            return common;
        };
        let (first, last) = (id(*first), id(*last));
        let mut i = a.partition_point(|t| id(*t) < first);
        let mut j = 0;
        while i < a.len() && j < b.len() && id(a[i]) <= last {
            match id(a[i]).cmp(&id(b[j])) {
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
                std::cmp::Ordering::Equal => {
                    common.held.push(a[i]);
                    common.new.push(b[j]);
                    common.restated += usize::from(!same_values(held, i, new, j));
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
        common
    }
}

/// Close times are left out: one kline's is printed in milliseconds here and in microseconds there.
fn same_values(a: &Batch, i: usize, b: &Batch, j: usize) -> bool {
    if a.series().kind() == Kind::FundingRates {
        return funding::same_values(a, i, b, j);
    }
    a.counts()[i] == b.counts()[j]
        && DECIMAL_COLUMNS
            .iter()
            .all(|column| a.floats(*column)[i] == b.floats(*column)[j])
}

/// The batch without some of its klines, as the slices that remain. `open_times` are rising.
fn without(batch: &Batch, open_times: &[i64]) -> Vec<Batch> {
    let Some(span) = batch.span() else {
        return Vec::new();
    };
    if open_times.is_empty() {
        return vec![batch.clone()];
    }
    // Klines to drop that follow each other make one cut.
    let rows = batch.open_times();
    let mut cuts: Vec<TimeRange> = Vec::new();
    let mut next_row = usize::MAX;
    let mut row = 0;
    for t in open_times {
        row += rows[row..].partition_point(|open| open < t);
        if rows.get(row) != Some(t) {
            continue;
        }
        let (start, end) = (Timestamp::from_micros(*t), Timestamp::from_micros(*t).plus(1));
        match cuts.last_mut() {
            Some(last) if row == next_row => *last = TimeRange::clamped(last.start(), end),
            _ => cuts.push(TimeRange::clamped(start, end)),
        }
        next_row = row + 1;
    }
    let rest = RangeSet::from(span).difference(&cuts.into_iter().collect());
    rest.iter()
        .map(|range| batch.slice(range))
        .filter(|b| !b.is_empty())
        .collect()
}

fn without_hole(hole: Hole, range: TimeRange) -> Vec<Hole> {
    let rest = RangeSet::from(hole.range).difference(&RangeSet::from(range));
    rest.iter().map(|range| Hole { range, ..hole }).collect()
}

/// Neighbours that say the same become one.
fn join_holes(sorted: Vec<Hole>) -> Vec<Hole> {
    let mut joined: Vec<Hole> = Vec::with_capacity(sorted.len());
    for hole in sorted {
        match joined.last_mut() {
            Some(last)
                if last.range.end() == hole.range.start()
                    && (last.halt, last.first_seen, last.checked_at)
                        == (hole.halt, hole.first_seen, hole.checked_at) =>
            {
                last.range = TimeRange::clamped(last.range.start(), hole.range.end());
            }
            _ => joined.push(hole),
        }
    }
    joined
}

fn cut(piece: &Piece, range: TimeRange) -> Option<Piece> {
    let span = piece.batch.span()?;
    if range.covers(span) {
        return Some(piece.clone());
    }
    let batch = piece.batch.slice(range);
    (!batch.is_empty()).then(|| Piece {
        batch,
        origin: piece.origin.clone(),
    })
}

/// Two lists in time order become one; no open time is in both, but spans may interlock, and are then cut.
fn interleave(a: Vec<Piece>, b: Vec<Piece>) -> Vec<Piece> {
    let first = |p: &Piece| p.batch.open_times().first().copied().unwrap_or(i64::MAX);
    let last = |p: &Piece| p.batch.open_times().last().copied().unwrap_or(i64::MIN);
    let mut all = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    let (mut next_a, mut next_b) = (a.next(), b.next());
    while let (Some(x), Some(y)) = (&next_a, &next_b) {
        if first(x) == first(y) {
            // Only a file whose story contradicts its rows gets here; the one of higher standing is kept.
            let past = Timestamp::from_micros(first(y)).plus(1);
            next_b = cut(y, TimeRange::clamped(past, Timestamp::MAX)).or_else(|| b.next());
            continue;
        }
        let (ahead, behind, from) = if first(x) < first(y) {
            (&mut next_a, first(y), &mut a)
        } else {
            (&mut next_b, first(x), &mut b)
        };
        let Some(piece) = ahead.take() else { break };
        if last(&piece) < behind {
            all.push(piece);
            *ahead = from.next();
        } else {
            let seam = Timestamp::from_micros(behind);
            all.extend(cut(&piece, TimeRange::clamped(Timestamp::EPOCH, seam)));
            *ahead = cut(&piece, TimeRange::clamped(seam, Timestamp::MAX));
        }
    }
    all.extend(next_a.into_iter().chain(a));
    all.extend(next_b.into_iter().chain(b));
    all
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixture::*;
    use super::*;
    use crate::model::interval::Interval;
    use crate::model::range::HOUR;

    #[test]
    fn klines_that_say_something_else_are_counted_whichever_stay() {
        let (series, grid) = (series(Interval::H1), Grid::new(Interval::H1, None));
        let hours = |from: i64, to: i64| span(day(2024, 1, 1).plus(from * HOUR), day(2024, 1, 1).plus(to * HOUR));
        let mut content = Content::default();
        let mut put = |from, to, version, origin: &Origin| {
            let put = content.put(&every(&series, grid, hours(from, to), version), origin, grid);
            (put.accepted, put.restated)
        };
        assert_eq!(put(0, 6, 1, &origin("binance", now())), (6, 0));
        assert_eq!(put(4, 8, 1, &origin("binance", now())), (2, 0));
        assert_eq!(put(2, 4, 2, &origin("binance", now())), (0, 2));
        assert_eq!(put(2, 4, 2, &checksummed(now())), (2, 2));
        assert_eq!(put(3, 9, 1, &checksummed(now())), (5, 1));
        assert_eq!(content.rows(), 9);
        let versions: Vec<String> = content
            .pieces
            .iter()
            .map(|p| format!("{}{}", p.batch.len(), &p.batch.print(0, 1).unwrap()[5..]))
            .collect();
        assert_eq!(versions, ["2.01", "2.02", "5.01"]);
    }

    #[test]
    fn the_hole_checked_last_stays_and_klines_end_holes() {
        let (series, grid) = (series(Interval::H1), Grid::new(Interval::H1, None));
        let hours = |from: i64, to: i64| span(day(2024, 1, 1).plus(from * HOUR), day(2024, 1, 1).plus(to * HOUR));
        let mut content = Content::default();
        content.put_holes(&[hole(hours(0, 6), now())]);
        content.put_holes(&[hole(hours(2, 8), now().plus(-1))]);
        content.put_holes(&[hole(hours(1, 2), now().plus(1))]);
        assert_eq!(
            content.holes,
            [
                hole(hours(0, 1), now()),
                // Seen again later: it has lasted since it was first seen.
                Hole {
                    first_seen: now(),
                    ..hole(hours(1, 2), now().plus(1))
                },
                hole(hours(2, 6), now()),
                hole(hours(6, 8), now().plus(-1)),
            ]
        );
        content.put(&every(&series, grid, hours(1, 7), 1), &origin("binance", now()), grid);
        assert_eq!(
            content.holes,
            [hole(hours(0, 1), now()), hole(hours(7, 8), now().plus(-1))]
        );
        content.put_holes(&[hole(hours(0, 9), now().plus(9))]);
        assert_eq!(content.known().iter().collect::<Vec<_>>(), [hours(0, 9)]);
        assert_eq!(content.covered.iter().collect::<Vec<_>>(), [hours(1, 7)]);
    }
}
