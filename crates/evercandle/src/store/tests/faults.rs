//! A disk that refuses: nothing half-written is ever visible, what was held stays, and writing resumes by itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::fixture::*;
use crate::clock::Clock;
use crate::config::CacheConfig;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, HOUR, MINUTE, TimeRange};
use crate::model::series::Series;
use crate::store::disk::fault;
use crate::store::{Eviction, Store, StoreError};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const EROFS: i32 = 30;
const EACCES: i32 = 13;
const EDQUOT: i32 = 122;
const EMFILE: i32 = 24;

fn minutes() -> (Series, Grid) {
    (series(Interval::M1), Grid::new(Interval::M1, None))
}

fn hour(n: i64) -> TimeRange {
    let start = day(2024, 2, 9).plus(n * HOUR);
    span(start, start.plus(HOUR))
}

fn drafts(store: &Store, series: &Series) -> usize {
    paths(store, series)
        .iter()
        .filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(".tmp."))
        .count()
}

/// Goal: whichever operation of a write fails, and with what, the outcome is one of two: stored, or as before.
/// Method: count the operations of a write that replaces a file, then let each of them fail in turn.
#[test]
fn f21_whichever_operation_finds_the_disk_full_the_klines_are_stored_or_all_is_as_before() {
    whichever_operation_fails(&[ENOSPC]);
}

#[test]
fn f22_whichever_operation_fails_for_good_the_klines_are_stored_or_all_is_as_before() {
    whichever_operation_fails(&[EIO]);
}

#[test]
fn f23_whichever_operation_is_refused_the_klines_are_stored_or_all_is_as_before() {
    whichever_operation_fails(&[EROFS, EACCES, EDQUOT, EMFILE]);
}

fn whichever_operation_fails(reasons: &[i32]) {
    let (series, grid) = minutes();
    let prepared = || {
        let dir = quick_folder();
        let store = open(dir.path());
        store
            .write(&series, grid, vec![parcel(every(&series, grid, hour(0), 1))])
            .unwrap();
        (dir, store)
    };
    let more = || vec![parcel(every(&series, grid, hour(1), 1))];
    let operations = {
        let (_dir, store) = prepared();
        fault::plan(usize::MAX, 0, 0);
        store.write(&series, grid, more()).unwrap();
        fault::end()
    };
    assert_eq!(
        operations,
        ["mkdir", "open", "write", "fsync", "rename", "fsync folder", "unlink"]
    );
    for &errno in reasons {
        for (number, operation) in operations.iter().enumerate() {
            let (dir, store) = prepared();
            fault::plan(number, usize::MAX, errno);
            let result = store.write(&series, grid, more());
            fault::end();
            // What cannot be removed any more is only in the way.
            assert_eq!(result.is_ok(), *operation == "unlink", "{operation}");
            assert_eq!(store.readonly().is_some(), result.is_err(), "{operation}");
            assert_eq!(drafts(&store, &series), 0, "{operation}");
            for store in [store, open(dir.path())] {
                let held = store.read(&series, span(hour(0).start(), hour(1).end()));
                let rows: usize = held.pieces.iter().map(|p| p.batch.len()).sum();
                let visible = ["fsync folder", "unlink"].contains(operation);
                assert_eq!(rows, if visible { 120 } else { 60 }, "{operation}");
                assert!(store.verify(&mut |_| {}).unwrap().damaged.is_empty());
            }
        }
    }
}

#[test]
fn f22_a_flush_that_fails_once_is_not_repeated_but_the_bytes_are_written_anew() {
    let (series, grid) = minutes();
    let dir = quick_folder();
    let store = open(dir.path());
    store
        .write(&series, grid, vec![parcel(every(&series, grid, hour(0), 1))])
        .unwrap();
    fault::plan(3, 1, EIO);
    store
        .write(&series, grid, vec![parcel(every(&series, grid, hour(1), 1))])
        .unwrap();
    let operations = fault::end();
    assert_eq!(
        operations[1..8],
        ["open", "write", "fsync", "open", "write", "fsync", "rename"]
    );
    assert_eq!((store.readonly(), drafts(&store, &series)), (None, 0));
}

/// Goal: a full disk does not cost every request a try, and free space is noticed without help.
#[test]
fn after_a_failure_writes_rest_and_then_resume() {
    let (series, grid) = minutes();
    let dir = quick_folder();
    let store = open(dir.path());
    let write = |n| store.write(&series, grid, vec![parcel(every(&series, grid, hour(n), 1))]);
    fault::plan(0, usize::MAX, ENOSPC);
    let error = write(0).unwrap_err();
    assert_eq!(
        (error.kind(), matches!(error, StoreError::Io { .. })),
        ("storage_full", true)
    );
    let tried = fault::end().len();
    fault::plan(0, usize::MAX, ENOSPC);
    assert_eq!(write(0).unwrap_err().kind(), "readonly");
    assert_eq!((tried > 0, fault::end().len()), (true, 0));
    assert!(
        store.readonly().unwrap().contains("No space left"),
        "{:?}",
        store.readonly()
    );
    assert_eq!(store.stats().unwrap().readonly, store.readonly());
    store.0.site.end_pause();
    assert_eq!(write(0).unwrap().rows, 60);
    assert_eq!(store.readonly(), None);
}

#[test]
fn the_reserve_of_free_space_is_kept() {
    let (series, grid) = minutes();
    let dir = quick_folder();
    let config = CacheConfig {
        free_min: u64::MAX / 2,
        ..config()
    };
    let store = Store::open(dir.path().to_owned(), &config, Clock::held(now())).unwrap();
    let error = store
        .write(&series, grid, vec![parcel(every(&series, grid, hour(0), 1))])
        .unwrap_err();
    assert_eq!(error.kind(), "storage_full");
    assert!(error.to_string().contains("to be left free"), "{error}");
}

/// A mount that is taken down again; `None`, said in one line, where mounting is not permitted.
struct Mount(std::path::PathBuf);

impl Mount {
    fn new(at: &Path, arguments: &[&str]) -> Option<Mount> {
        let done = Command::new("mount").args(arguments).arg(at).output();
        match done {
            Ok(output) if output.status.success() => Some(Mount(at.to_owned())),
            _ => {
                println!("skipped: mounting is not permitted here");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Goal: a disk that is really full keeps what it holds and takes more once there is room.
#[test]
fn a_full_disk_keeps_what_it_holds_and_resumes_when_there_is_room() {
    let dir = folder();
    let Some(_mount) = Mount::new(dir.path(), &["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]) else {
        return;
    };
    let (series, grid) = minutes();
    let store = open(&dir.path().join("cache"));
    let write = |n: i64| {
        let start = day(2024, 2, 1).plus(n * DAY);
        store.write(
            &series,
            grid,
            vec![parcel(every(&series, grid, span(start, start.plus(DAY)), 1))],
        )
    };
    let stored = (0..20).take_while(|n| write(*n).is_ok()).count();
    assert!((2..15).contains(&stored), "{stored} days fit");
    assert!(store.readonly().is_some());
    let report = store.verify(&mut |_| {}).unwrap();
    assert_eq!(
        (report.sound, report.damaged.len(), drafts(&store, &series)),
        (stored, 0, 0)
    );
    let first = span(day(2024, 2, 1), day(2024, 2, 2));
    assert_eq!(store.read(&series, first).covered.micros(), DAY);
    // Eviction frees space and ends the rest at once.
    assert!(store.evict(Eviction::Range(series.clone(), first)).unwrap().files == 1);
    assert_eq!((write(stored as i64).unwrap().rows, store.readonly()), (1_440, None));
}

#[test]
fn a_read_only_file_system_is_read_and_said_to_be_read_only() {
    let dir = folder();
    let (series, grid) = minutes();
    open(dir.path())
        .write(&series, grid, vec![parcel(every(&series, grid, hour(0), 1))])
        .unwrap();
    let text = dir.path().to_str().unwrap();
    let Some(_mount) = Mount::new(dir.path(), &["--bind", "-o", "ro", text]) else {
        return;
    };
    let store = open(dir.path());
    assert!(
        store.readonly().unwrap().contains("Read-only file system"),
        "{:?}",
        store.readonly()
    );
    assert_eq!(joined(&store, &series, hour(0)).len(), 60);
    assert!(
        store
            .write(&series, grid, vec![parcel(every(&series, grid, hour(1), 1))])
            .is_err()
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_an_empty_cache_that_says_why() {
    let dir = quick_folder();
    fs::write(dir.path().join("file"), "").unwrap();
    let store = open(&dir.path().join("file/cache"));
    let (series, grid) = minutes();
    assert!(
        store.readonly().unwrap().contains("Not a directory"),
        "{:?}",
        store.readonly()
    );
    assert!(store.read(&series, hour(0)).pieces.is_empty());
    assert!(
        store
            .write(&series, grid, vec![parcel(every(&series, grid, hour(0), 1))])
            .is_err()
    );
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.stats().unwrap().files, 0);
}

#[test]
fn the_files_read_longest_ago_are_evicted_first_and_fresh_ones_are_spared() {
    let dir = quick_folder();
    let clock = Clock::held(now());
    let store = Store::open(dir.path().to_owned(), &config(), clock.clone()).unwrap();
    let (series, grid) = minutes();
    let on = |n: i64| span(day(2024, 2, 1).plus(n * DAY), day(2024, 2, 2).plus(n * DAY));
    for n in 0..4 {
        clock.set(now().plus(n * MINUTE));
        store
            .write(&series, grid, vec![parcel(every(&series, grid, on(n), 1))])
            .unwrap();
    }
    store.learn_first_open(&series, day(2017, 8, 17)).unwrap();
    let each = store.stats().unwrap().bytes / 4;
    // The oldest is read again, and an answer of the one to go is still held.
    clock.set(now().plus(2 * HOUR));
    assert_eq!(joined(&store, &series, on(0)).len(), 1_440);
    let answer = joined(&store, &series, on(1));
    let other = Store::open(dir.path().to_owned(), &config(), clock.clone()).unwrap();
    other.read(&series, on(0));
    clock.set(now().plus(2 * HOUR + MINUTE + 1));
    let evicted = store.evict(Eviction::ToSize(3 * each + each / 2)).unwrap();
    assert_eq!(evicted.files, 1);
    let held = |n: i64| !store.read(&series, on(n)).pieces.is_empty();
    assert_eq!([0, 1, 2, 3].map(held), [true, true, false, true]);
    assert_eq!(answer.len(), 1_440);
    // Day 3 was marked as read a moment ago; the others an hour-long mark spares no longer.
    assert_eq!(store.evict(Eviction::ToSize(0)).unwrap().files, 2);
    assert_eq!([0, 1, 3].map(held), [false, false, true]);
    clock.set(now().plus(3 * HOUR));
    assert_eq!(store.evict(Eviction::ToSize(0)).unwrap().files, 1);
    assert_eq!(store.read(&series, on(0)).first_open, Some(day(2017, 8, 17)));
    assert_eq!(store.evict(Eviction::Series(series.clone())).unwrap().files, 1);
}

#[test]
fn a_cache_with_a_limit_keeps_to_it() {
    let dir = quick_folder();
    let clock = Clock::held(now());
    let limit = 500_000;
    let config = CacheConfig {
        size_max: Some(limit),
        ..config()
    };
    let store = Store::open(dir.path().to_owned(), &config, clock.clone()).unwrap();
    let (series, grid) = minutes();
    for n in 0..10 {
        clock.set(now().plus(n * HOUR));
        let range = span(day(2024, 2, 1).plus(n * DAY), day(2024, 2, 2).plus(n * DAY));
        store
            .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
            .unwrap();
        assert!(store.stats().unwrap().bytes <= limit);
        assert_eq!(joined(&store, &series, range).len(), 1_440);
    }
    assert!(store.stats().unwrap().files >= 2);
}
