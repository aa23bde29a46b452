//! Which files there are: live ones while klines close, one sealed one when nothing can be missing any more.

use super::fixture::*;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, HOUR, MINUTE, RangeSet, TimeRange, Timestamp};
use crate::store::{Hole, Parcel, Written};

fn month() -> TimeRange {
    span(day(2024, 2, 1), day(2024, 3, 1))
}

fn days() -> Vec<TimeRange> {
    (0..29)
        .map(|n| day(2024, 2, 1).plus(n * DAY))
        .map(|start| span(start, start.plus(DAY)))
        .collect()
}

#[test]
fn live_days_become_one_sealed_month_with_the_last_of_them() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let store = open(dir.path());
    for (written, range) in days().into_iter().rev().enumerate() {
        assert_eq!(files(&store, &series).len(), written);
        store
            .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
            .unwrap();
    }
    assert_eq!(files(&store, &series), ["2024-02.g1.1392"]);
    let held = open(dir.path()).read(&series, month());
    assert_eq!((held.pieces.len(), held.covered.len()), (1, 1));
    assert_eq!(
        printed(&held.pieces[0].batch),
        printed(&every(&series, grid, month(), 1))
    );
}

#[test]
fn a_whole_month_is_sealed_at_once_and_known_holes_count_as_whole() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let store = open(dir.path());
    let hours = [7, 8].map(|h| day(2024, 2, 9).plus(h * HOUR));
    let halted = span(hours[0], hours[1]);
    let rows: Vec<Timestamp> = grid.slots(month()).filter(|t| !halted.contains(*t)).collect();
    let mut whole = parcel(klines(&series, grid, &rows, 1));
    whole.holes = vec![Hole {
        halt: true,
        ..hole(halted, now())
    }];
    let said = whole.holes.clone();
    store.write(&series, grid, vec![whole]).unwrap();
    assert_eq!(files(&store, &series), ["2024-02.g1.1390"]);
    let held = store.read(&series, month());
    assert_eq!((held.covered.len(), held.holes), (2, said));
    // A kline that turns up in the hole makes a new generation of the sealed file.
    store
        .write(
            &series,
            grid,
            vec![parcel(every(
                &series,
                grid,
                span(hours[0], hours[0].plus(30 * MINUTE)),
                1,
            ))],
        )
        .unwrap();
    assert_eq!(files(&store, &series), ["2024-02.g2.1391"]);
    assert_eq!(
        store.read(&series, month()).holes[0].range,
        span(hours[0].plus(30 * MINUTE), hours[1])
    );
}

#[test]
fn a_backfill_of_a_year_is_one_file_a_month_and_the_tail_stays_live() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let store = open(dir.path());
    let range = span(day(2023, 1, 1), day(2024, 2, 3).plus(HOUR));
    let written = store
        .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
        .unwrap();
    assert_eq!((written.files, written.rows as u64), (16, grid.count(range)));
    let names = files(&store, &series);
    assert_eq!(
        names[11..],
        [
            "2023-12.g1.1488",
            "2024-01.g1.1488",
            "2024-02-01.g1.48",
            "2024-02-02.g1.48",
            "2024-02-03.g1.2"
        ]
    );
    assert_eq!(
        printed(&joined(&store, &series, range)),
        printed(&every(&series, grid, range, 1))
    );
}

#[test]
fn every_interval_keeps_its_klines_in_files_of_its_own_size() {
    let dir = quick_folder();
    let store = open(dir.path());
    let at = day(2024, 3, 7);
    for (interval, name) in [
        (Interval::S1, "2024-03-07.g1.1"),
        (Interval::M1, "2024-03-07.g1.1"),
        (Interval::M30, "2024-03-07.g1.1"),
        (Interval::H1, "2024-03.g1.1"),
        (Interval::H12, "2024-03.g1.1"),
        (Interval::D1, "2024.g1.1"),
        (Interval::D3, "2024.g1.1"),
        (Interval::W1, "2024.g1.1"),
        (Interval::Mo1, "2024.g1.1"),
    ] {
        let (series, grid) = (series(interval), Grid::new(interval, Some(at)));
        let batch = klines(&series, grid, &[grid.floor(at)], 1);
        store.write(&series, grid, vec![parcel(batch)]).unwrap();
        assert_eq!(files(&store, &series), [name], "{interval}");
    }
    let listed: Vec<String> = store.list().unwrap().iter().map(|s| s.series.to_string()).collect();
    assert_eq!(listed.len(), 9);
    assert_eq!(store.stats().unwrap().series, 9);
}

#[test]
fn a_week_is_kept_with_the_year_it_begins_in() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::W1), Grid::new(Interval::W1, None));
    let store = open(dir.path());
    let range = span(day(2024, 12, 23), day(2025, 1, 13));
    store
        .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
        .unwrap();
    assert_eq!(files(&store, &series), ["2024.g1.2", "2025.g1.1"]);
    assert_eq!(store.read(&series, range).covered.iter().collect::<Vec<_>>(), [range]);
}

/// Goal: nobody but the exchange knows which days open a 3d kline, and the cache remembers it.
/// Method: a hole is known before any kline; then a kline arrives with a grid that does not know its phase yet.
#[test]
fn the_phase_of_a_three_day_grid_is_remembered() {
    let dir = quick_folder();
    let series = series(Interval::D3);
    let (unknown, known) = (
        Grid::new(Interval::D3, None),
        Grid::new(Interval::D3, Some(day(2017, 8, 17))),
    );
    let store = open(dir.path());
    let mut empty = parcel(every(&series, known, span(day(2024, 1, 1), day(2024, 1, 1)), 1));
    empty.holes = vec![hole(span(day(2016, 1, 1), day(2016, 3, 1)), now())];
    store.write(&series, unknown, vec![empty]).unwrap();
    assert_eq!(store.read(&series, span(day(2016, 1, 1), day(2025, 1, 1))).anchor, None);
    store.learn_first_open(&series, day(2017, 8, 17)).unwrap();
    // The beginning of the first archive, as likely as not; no kline need open then.
    assert_eq!(store.read(&series, span(day(2024, 1, 1), day(2024, 1, 2))).anchor, None);
    let range = span(known.floor(day(2024, 5, 1)), known.floor(day(2024, 6, 1)));
    store
        .write(&series, unknown, vec![parcel(every(&series, known, range, 1))])
        .unwrap();
    for store in [store, open(dir.path())] {
        let held = store.read(&series, span(day(2024, 5, 1), day(2024, 7, 1)));
        assert_eq!(held.covered.hull().map(TimeRange::end), Some(range.end()));
        let anchor = store
            .read(&series, span(day(2019, 1, 1), day(2019, 2, 1)))
            .anchor
            .unwrap();
        assert_eq!(Grid::new(Interval::D3, Some(anchor)), known);
    }
}

#[test]
fn a_series_first_kline_is_remembered_and_can_be_corrected() {
    let dir = quick_folder();
    let series = series(Interval::M1);
    let store = open(dir.path());
    let any = span(day(2020, 1, 1), day(2020, 1, 2));
    assert_eq!(store.read(&series, any).first_open, None);
    for first_open in [day(2017, 8, 17), day(2017, 8, 17), day(2017, 7, 14)] {
        store.learn_first_open(&series, first_open).unwrap();
        assert_eq!(store.read(&series, any).first_open, Some(first_open));
    }
    assert_eq!(files(&store, &series), ["series.g2.0"]);
    assert_eq!(open(dir.path()).read(&series, any).first_open, Some(day(2017, 7, 14)));
    assert_eq!(open(dir.path()).list().unwrap()[0].first_open, Some(day(2017, 7, 14)));
}

#[test]
fn what_is_known_already_is_not_written_again() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M1), Grid::new(Interval::M1, None));
    let store = open(dir.path());
    let range = span(day(2024, 2, 9), day(2024, 2, 10));
    let mut same = parcel(every(&series, grid, span(range.start(), range.start().plus(HOUR)), 1));
    same.holes = vec![hole(span(range.start().plus(2 * HOUR), range.end()), now())];
    store.write(&series, grid, vec![same.clone()]).unwrap();
    let before = paths(&store, &series);
    assert_eq!(store.write(&series, grid, vec![same]).unwrap(), Written::default());
    assert_eq!(store.write(&series, grid, vec![]).unwrap(), Written::default());
    assert_eq!(paths(&store, &series), before);
}

#[test]
fn an_archive_with_a_checksum_replaces_what_was_fetched_and_is_not_replaced_by_it() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M1), Grid::new(Interval::M1, None));
    let store = open(dir.path());
    let range = span(day(2024, 2, 9), day(2024, 2, 10));
    let write = |version, origin| {
        let batch = every(&series, grid, range, version);
        let holes = Vec::new();
        store
            .write(
                &series,
                grid,
                vec![Parcel {
                    batch,
                    origin,
                    holes,
                    quiet: RangeSet::empty(),
                }],
            )
            .unwrap()
            .rows
    };
    let version = || {
        joined(&store, &series, range)
            .print(0, 1)
            .unwrap()
            .rsplit_once('.')
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!((write(1, origin("binance", now())), version()), (1_440, "01".into()));
    assert_eq!(
        (write(2, origin("binance", now().plus(-DAY))), version()),
        (0, "01".into())
    );
    assert_eq!(
        (write(3, checksummed(now().plus(-DAY))), version()),
        (1_440, "03".into())
    );
    assert_eq!((write(4, origin("binance", now())), version()), (0, "03".into()));
    assert_eq!((write(5, checksummed(now())), version()), (1_440, "05".into()));
    let held = store.read(&series, range);
    assert_eq!((held.pieces.len(), &held.pieces[0].origin), (1, &checksummed(now())));
}

#[test]
fn a_kline_that_may_still_change_is_not_stored() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M1), Grid::new(Interval::M1, None));
    let store = open(dir.path());
    let range = span(day(2024, 2, 9), day(2024, 2, 10));
    let mut open_kline = parcel(every(&series, grid, range, 1));
    open_kline.origin.verification = crate::answer::Verification::Unsettled;
    assert_eq!(
        store.write(&series, grid, vec![open_kline]).unwrap(),
        Written::default()
    );
    assert!(store.read(&series, range).pieces.is_empty());
}

/// Goal: a refresh that adds a kline a minute does not make the story longer than the klines.
#[test]
fn a_day_of_refreshes_is_one_segment_of_the_earliest_age() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let store = open(dir.path());
    let start = day(2024, 2, 9);
    for n in 0..48 {
        let slot = grid.slot(start.plus(n * 30 * MINUTE));
        let origin = origin("binance", slot.end());
        let batch = every(&series, grid, slot, 1);
        store
            .write(
                &series,
                grid,
                vec![Parcel {
                    quiet: RangeSet::empty(),
                    batch,
                    origin,
                    holes: vec![],
                }],
            )
            .unwrap();
    }
    assert_eq!(files(&store, &series), ["2024-02-09.g48.48"]);
    let held = open(dir.path()).read(&series, span(start, start.plus(DAY)));
    assert_eq!(held.pieces.len(), 1);
    assert_eq!(held.pieces[0].origin, origin("binance", start.plus(30 * MINUTE)));
}

/// Goal: a file is verified once, however often the folder around it changes.
/// Method: the columns of two reads, with a write to the same month and one by another store in between, are the same
/// memory.
#[test]
fn a_chunk_stays_open_while_others_come_and_go() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let store = open(dir.path());
    let write = |store: &crate::store::Store, n: usize| {
        store
            .write(&series, grid, vec![parcel(every(&series, grid, days()[n], 1))])
            .unwrap();
    };
    let place = || store.read(&series, days()[0]).pieces[0].batch.open_times().as_ptr();
    write(&store, 0);
    let before = place();
    write(&store, 1);
    write(&open(dir.path()), 2);
    store.read(&series, month());
    assert_eq!(place(), before);
}
