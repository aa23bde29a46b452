//! Funding rates in the store: one rate an hour, and quiet hours that are held though nothing is in them.

use super::fixture::*;
use crate::answer::Origin;
use crate::model::batch::Batch;
use crate::model::funding::{FundingBuilder, Row};
use crate::model::interval::Grid;
use crate::model::range::{HOUR, RangeSet, TimeRange, Timestamp};
use crate::model::series::{Market, Series};
use crate::model::symbol::Symbol;
use crate::store::{Hole, Parcel, Store};

fn series() -> Series {
    Series::funding_rates(Market::Um, Symbol::new("BTCUSDT").unwrap()).unwrap()
}

fn grid() -> Grid {
    Grid::new(series().interval(), None)
}

/// Hours of 2024-01-01.
fn hours(from: i64, to: i64) -> TimeRange {
    let start = Timestamp::from_date(2024, 1, 1).unwrap();
    TimeRange::clamped(start.plus(from * HOUR), start.plus(to * HOUR))
}

/// A rate every eight hours, so many milliseconds late.
fn rates(from: i64, to: i64, late: i64, rate: &str) -> Batch {
    let mut builder = FundingBuilder::new(series());
    for hour in (from..to).step_by(8) {
        let row = Row {
            funding_time: hours(hour, hour + 1).start().as_micros() + late * 1_000,
            rate,
            mark_price: None,
            interval_hours: Some(8),
        };
        builder.push(&row).unwrap();
    }
    builder.finish(hours(from, to)).unwrap().0
}

fn put(store: &Store, batch: Batch, origin: Origin, told: TimeRange, holes: Vec<Hole>) {
    let quiet = RangeSet::from(told).difference(&batch.slots(grid()));
    let parcel = Parcel {
        batch,
        origin,
        holes,
        quiet,
    };
    store.write(&series(), grid(), vec![parcel]).unwrap();
}

#[test]
fn quiet_hours_are_held_like_those_that_have_a_rate() {
    let dir = quick_folder();
    let store = open(dir.path());
    put(
        &store,
        rates(0, 48, 3, "-0.0001"),
        checksummed(now()),
        hours(0, 48),
        Vec::new(),
    );
    for reader in [store, open(dir.path())] {
        let held = reader.read(&series(), hours(0, 72));
        assert_eq!(held.covered, RangeSet::from(hours(0, 48)));
        assert_eq!(held.pieces.len(), 1);
        assert!(held.pieces[0].batch.same_klines(&rates(0, 48, 3, "-0.0001")));
        // No rate is in these hours, and that is known.
        let quiet = reader.read(&series(), hours(1, 5));
        assert!(quiet.pieces.is_empty());
        assert_eq!(quiet.covered, RangeSet::from(hours(1, 5)));
    }
}

#[test]
fn two_sources_that_print_a_settlement_some_milliseconds_apart_give_one_rate() {
    for (held_late, new_late) in [(3, 17), (17, 3)] {
        let dir = quick_folder();
        let store = open(dir.path());
        put(
            &store,
            rates(0, 48, held_late, "0.0002"),
            origin("binance-futures", now()),
            hours(0, 48),
            Vec::new(),
        );
        put(
            &store,
            rates(16, 32, new_late, "0.0001"),
            checksummed(now()),
            hours(16, 32),
            Vec::new(),
        );
        let all = joined(&store, &series(), hours(0, 48));
        let printed: Vec<_> = (0..all.len()).map(|row| all.print(row, 1).unwrap()).collect();
        assert_eq!(printed, ["0.0002", "0.0002", "0.0001", "0.0001", "0.0002", "0.0002"]);
        // And the other way round: a checksum is not outranked by what comes later.
        put(
            &store,
            rates(16, 32, held_late, "0.0003"),
            origin("binance-futures", now()),
            hours(16, 32),
            Vec::new(),
        );
        assert_eq!(
            joined(&store, &series(), hours(16, 32)).print(0, 1).as_deref(),
            Some("0.0001")
        );
    }
}

#[test]
fn a_hole_ends_where_it_turns_out_that_nothing_was_due() {
    let dir = quick_folder();
    let store = open(dir.path());
    put(
        &store,
        rates(0, 8, 0, "0.1"),
        origin("binance-futures", now()),
        hours(0, 8),
        vec![hole(hours(8, 16), now())],
    );
    assert_eq!(store.read(&series(), hours(0, 16)).holes.len(), 1);
    put(
        &store,
        rates(8, 16, 0, "0.1"),
        origin("binance-futures", now()),
        hours(8, 16),
        Vec::new(),
    );
    let held = store.read(&series(), hours(0, 16));
    assert!(held.holes.is_empty(), "{:?}", held.holes);
    assert_eq!(held.covered, RangeSet::from(hours(0, 16)));
}

#[test]
fn klines_of_an_hour_lie_elsewhere() {
    let dir = quick_folder();
    let store = open(dir.path());
    put(
        &store,
        rates(0, 48, 3, "0.1"),
        checksummed(now()),
        hours(0, 48),
        Vec::new(),
    );
    let klines = Series::parse("BTCUSDT", series().interval(), Some(Market::Um)).unwrap();
    assert!(store.read(&klines, hours(0, 48)).covered.is_empty());
    let listed: Vec<Series> = store.list().unwrap().into_iter().map(|s| s.series).collect();
    assert_eq!(listed, [series()]);
}
