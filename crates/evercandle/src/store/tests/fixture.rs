//! Klines, folders and stores to test with.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::answer::{Origin, ProviderName, Verification};
use crate::clock::Clock;
use crate::config::CacheConfig;
use crate::model::batch::{Batch, DECIMAL_COLUMNS};
use crate::model::builder::{BatchBuilder, Row};
use crate::model::decimals::{COLUMNS, Printed};
use crate::model::interval::{Grid, Interval};
use crate::model::range::{RangeSet, SECOND, TimeRange, Timestamp};
use crate::model::series::Series;
use crate::store::{Hole, Parcel, Store};

pub(crate) fn day(year: i16, month: i8, day: i8) -> Timestamp {
    Timestamp::from_date(year, month, day).unwrap()
}

pub(crate) fn span(start: Timestamp, end: Timestamp) -> TimeRange {
    TimeRange::new(start, end).unwrap()
}

pub(crate) fn series(interval: Interval) -> Series {
    Series::parse("BTCUSDT", interval, None).unwrap()
}

/// The instant at which tests happen: after every kline they use.
pub(crate) fn now() -> Timestamp {
    day(2026, 8, 1)
}

/// A folder that only we may write, as a cache's should be.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A folder in memory where the system offers one, for tests of what is written rather than of the disk.
pub(crate) fn quick_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| folder())
}

pub(crate) fn config() -> CacheConfig {
    CacheConfig {
        free_min: 0,
        ..CacheConfig::default()
    }
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(dir.to_owned(), &config(), Clock::held(now())).unwrap()
}

/// Klines at these open times. `version` changes every value; every seventh kline has a volume that no double holds
/// and a price with another number of digits; in version 0, as in most real stretches, none has.
pub(crate) fn klines(series: &Series, grid: Grid, open_times: &[Timestamp], version: i64) -> Batch {
    let mut builder = BatchBuilder::new(series.clone(), open_times.len());
    for open_time in open_times {
        let n = open_time.as_micros() / SECOND % 1_000_003;
        let price = format!("{}.{:02}", 1_000 + n, version);
        let odd = n % 7 == 0 && version != 0;
        let volume = if odd {
            format!("179288991{n:07}.62484339")
        } else {
            format!("{n}.50000000")
        };
        let close = if odd { format!("{price}0") } else { price.clone() };
        let texts = [&price, &price, &price, &close, &volume, &volume, &volume, &volume];
        let values: [Printed<'_>; COLUMNS] = texts.map(|text| Printed::parse(text.as_bytes()).unwrap());
        builder.push(&Row {
            open_time: open_time.as_micros(),
            close_time: grid.next(*open_time).as_micros() - 1,
            count: n,
            values,
        });
    }
    builder.finish(span(Timestamp::EPOCH, Timestamp::MAX)).unwrap().0
}

/// Klines for every slot of a range.
pub(crate) fn every(series: &Series, grid: Grid, range: TimeRange, version: i64) -> Batch {
    klines(series, grid, &grid.slots(range).collect::<Vec<_>>(), version)
}

pub(crate) fn origin(provider: &str, fetched_at: Timestamp) -> Origin {
    Origin {
        provider: ProviderName::new(provider),
        fetched_at,
        verification: Verification::Structural,
    }
}

pub(crate) fn checksummed(fetched_at: Timestamp) -> Origin {
    Origin {
        verification: Verification::Checksum {
            sha256: "5e".repeat(32),
            etag: Some("\"abc\"".into()),
        },
        ..origin("binance-vision", fetched_at)
    }
}

pub(crate) fn parcel(batch: Batch) -> Parcel {
    Parcel {
        quiet: RangeSet::empty(),
        batch,
        origin: origin("binance", now()),
        holes: Vec::new(),
    }
}

pub(crate) fn hole(range: TimeRange, checked_at: Timestamp) -> Hole {
    Hole {
        range,
        halt: false,
        first_seen: checked_at,
        checked_at,
    }
}

/// All klines of what was read, in one batch.
pub(crate) fn joined(store: &Store, series: &Series, range: TimeRange) -> Batch {
    let held = store.read(series, range);
    let batches: Vec<Batch> = held.pieces.iter().map(|p| p.batch.clone()).collect();
    match batches.is_empty() {
        true => Batch::empty(series.clone()),
        false => Batch::concat(&batches).expect("pieces are in time order and do not overlap"),
    }
}

/// Every value as text. Batches cannot be compared whole here: the scale of a value kept as text is its neighbours'.
pub(crate) fn printed(batch: &Batch) -> Vec<String> {
    let decimals = (0..batch.len()).flat_map(|row| DECIMAL_COLUMNS.map(|column| batch.print(row, column).unwrap()));
    let others = [batch.open_times(), batch.close_times(), batch.counts()].map(|column| format!("{column:?}"));
    others.into_iter().chain(decimals).collect()
}

/// Names of the series' files, generations and rows only: `2024-01-05.g1.1440`.
pub(crate) fn files(store: &Store, series: &Series) -> Vec<String> {
    let mut names: Vec<String> = paths(store, series)
        .iter()
        .filter_map(|p| p.file_name()?.to_str().map(str::to_owned))
        .filter_map(|name| name.strip_suffix(".arrow")?.rsplit_once('.').map(|n| n.0.to_owned()))
        .collect();
    names.sort();
    names
}

/// The series' files.
pub(crate) fn paths(store: &Store, series: &Series) -> Vec<PathBuf> {
    let folder = store.dir().join(crate::store::layout::series_folder(series));
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.map(|e| e.unwrap().path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths
}
