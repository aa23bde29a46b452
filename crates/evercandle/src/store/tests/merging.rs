//! What comes back is what was put in, whatever the order and the overlaps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::*;
use crate::answer::Verification;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, HOUR, MINUTE, RangeSet, TimeRange, Timestamp};
use crate::model::series::Series;
use crate::store::{Parcel, Store};

#[test]
fn what_was_written_is_read_back_digit_for_digit_by_this_process_and_the_next() {
    let dir = folder();
    let (series, grid) = (series(Interval::M1), Grid::new(Interval::M1, None));
    let range = span(day(2024, 1, 5), day(2024, 1, 6));
    let batch = every(&series, grid, range, 1);
    let store = open(dir.path());
    let written = store.write(&series, grid, vec![parcel(batch.clone())]).unwrap();
    assert_eq!((written.rows, written.files), (1_440, 1));
    assert_eq!(files(&store, &series), ["2024-01-05.g1.1440"]);
    for store in [store, open(dir.path())] {
        let held = store.read(&series, range);
        assert_eq!(held.covered.iter().collect::<Vec<_>>(), [range]);
        assert_eq!(held.pieces.len(), 1);
        assert_eq!(held.pieces[0].origin, origin("binance", now()));
        assert!(held.pieces[0].batch.same_klines(&batch));
        let hour = span(range.start().plus(HOUR), range.start().plus(2 * HOUR));
        assert!(joined(&store, &series, hour).same_klines(&batch.slice(hour)));
        let later = span(range.start().plus(DAY), range.start().plus(DAY + MINUTE));
        assert!(store.read(&series, later).pieces.is_empty());
    }
}

/// Goal: what the exchange published off the grid (February 2018) is kept, and its slot is not asked for again.
#[test]
fn a_kline_off_the_grid_fills_the_slot_it_opened_in() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::H1), Grid::new(Interval::H1, None));
    let start = day(2018, 2, 9);
    let odd = [start.plus(9 * HOUR + 28 * MINUTE), start.plus(10 * HOUR)];
    let store = open(dir.path());
    store
        .write(&series, grid, vec![parcel(klines(&series, grid, &odd, 1))])
        .unwrap();
    let slots = span(start.plus(9 * HOUR), start.plus(11 * HOUR));
    for store in [store, open(dir.path())] {
        let held = store.read(&series, span(start, start.plus(DAY)));
        assert_eq!(held.covered.iter().collect::<Vec<_>>(), [slots]);
        assert_eq!(joined(&store, &series, slots).len(), 2);
        // A range that is not on the grid means the slots that begin in it.
        let held = store.read(&series, span(slots.start().plus(1), slots.end().plus(-1)));
        assert_eq!(held.covered.iter().collect::<Vec<_>>(), [grid.slot(odd[1])]);
        assert_eq!(held.pieces[0].batch.open_times(), [odd[1].as_micros()]);
    }
}

/// What the store should say, kept the simplest way: one entry per open time, one per hole slot.
#[derive(Default)]
struct Model {
    rows: BTreeMap<Timestamp, (bool, Timestamp, i64)>,
    holes: BTreeMap<Timestamp, Timestamp>,
}

impl Model {
    fn put(&mut self, open_time: Timestamp, vouched: bool, fetched_at: Timestamp, version: i64) {
        let new = (vouched, fetched_at, version);
        let held = self.rows.entry(open_time).or_insert(new);
        if (new.0, new.1) > (held.0, held.1) {
            *held = new;
        }
        self.holes.remove(&open_time);
    }

    fn put_hole(&mut self, slot: Timestamp, checked_at: Timestamp) {
        if !self.rows.contains_key(&slot) {
            let held = self.holes.entry(slot).or_insert(checked_at);
            *held = checked_at.max(*held);
        }
    }

    fn check(&self, store: &Store, series: &Series, grid: Grid, range: TimeRange) {
        let held = store.read(series, range);
        let found = joined(store, series, range);
        let expected: Vec<_> = self.rows.range(range.start()..range.end()).collect();
        let open_times: Vec<i64> = expected.iter().map(|(t, _)| t.as_micros()).collect();
        assert_eq!(found.open_times(), open_times, "{series} {range}");
        for (open_time, (vouched, fetched_at, version)) in expected {
            let one = found.slice(grid.slot(*open_time));
            let expected = klines(series, grid, &[*open_time], *version);
            assert_eq!(printed(&one), printed(&expected), "{series} {open_time}");
            let piece = held
                .pieces
                .iter()
                .find(|p| p.batch.open_times().contains(&open_time.as_micros()))
                .unwrap();
            let said = matches!(piece.origin.verification, Verification::Checksum { .. });
            assert_eq!(
                (said, piece.origin.fetched_at),
                (*vouched, *fetched_at),
                "{series} {open_time}"
            );
        }
        let covered: RangeSet = self
            .rows
            .range(range.start()..range.end())
            .map(|(t, _)| grid.slot(*t))
            .collect();
        assert_eq!(held.covered, covered, "{series} {range}");
        let holes: Vec<_> = held
            .holes
            .iter()
            .flat_map(|h| grid.slots(h.range).map(|slot| (slot, h.checked_at)))
            .collect();
        let expected: Vec<_> = self
            .holes
            .range(range.start()..range.end())
            .map(|(s, c)| (*s, *c))
            .collect();
        assert_eq!(holes, expected, "{series} {range}");
    }
}

/// One write: which of the window's slots, who says so and when, and which further slots are said to be empty.
#[derive(Clone, Debug)]
struct Step {
    rows: Vec<u32>,
    holes: Vec<u32>,
    vouched: bool,
    fetched: i64,
    reopen: bool,
    asked: (u32, u32),
}

const WINDOW: u32 = 60;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some =
        || (0..WINDOW, 0..WINDOW, 1usize..4).prop_map(|(a, b, every)| (a.min(b)..a.max(b)).step_by(every).collect());
    let few = || prop::collection::btree_set(0..WINDOW, 0..4).prop_map(|s| s.into_iter().collect());
    let rows = prop_oneof![some(), few()];
    let step = (
        rows,
        few(),
        any::<bool>(),
        0i64..4,
        any::<bool>(),
        (0..WINDOW, 0..WINDOW),
    )
        .prop_map(|(rows, holes, vouched, fetched, reopen, asked)| Step {
            rows,
            holes,
            vouched,
            fetched,
            reopen,
            asked,
        });
    prop::collection::vec(step, 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Goal: any order and overlap of writes, by two stores on one folder, reads back as the simple model says.
    /// Method: a window across the turn of a year, so that days, months and years all have their seam in it.
    #[test]
    fn any_writes_in_any_order_read_back_as_the_model_says(index in 0usize..16, steps in steps()) {
        let interval = Interval::ALL[index];
        let series = series(interval);
        let grid = Grid::new(interval, Some(day(2017, 8, 17)));
        let start = (0..WINDOW / 2).fold(grid.floor(day(2024, 1, 1)), |t, _| grid.floor(t.plus(-1)));
        let slot = |n: u32| grid.advance(start, n);
        let dir = quick_folder();
        let mut stores = [open(dir.path()), open(dir.path())];
        let mut model = Model::default();
        for (number, step) in steps.into_iter().enumerate() {
            // Far enough apart that neighbouring runs are never counted as one.
            let fetched_at = day(2024, 1, 1).plus(step.fetched * 400 * DAY);
            let version = number as i64 % 10;
            let open_times: Vec<Timestamp> = step.rows.iter().map(|n| slot(*n)).collect();
            let parcel = Parcel {
                quiet: RangeSet::empty(),
                batch: klines(&series, grid, &open_times, version),
                origin: if step.vouched { checksummed(fetched_at) } else { origin("binance", fetched_at) },
                holes: step.holes.iter().map(|n| hole(grid.slot(slot(*n)), fetched_at)).collect(),
            };
            stores[number % 2].write(&series, grid, vec![parcel]).unwrap();
            open_times.iter().for_each(|t| model.put(*t, step.vouched, fetched_at, version));
            step.holes.iter().for_each(|n| model.put_hole(slot(*n), fetched_at));
            if step.reopen {
                stores[0] = open(dir.path());
            }
            let (a, b) = step.asked;
            model.check(&stores[0], &series, grid, span(slot(a.min(b)), slot(a.max(b))));
            model.check(&stores[1], &series, grid, span(slot(0), slot(WINDOW)));
        }
        let report = stores[0].verify(&mut |_| {}).unwrap();
        prop_assert!(report.damaged.is_empty() && report.skipped.is_empty());
    }
}
