//! Several processes and one folder, and processes that die.
//!
//! The children are this test binary, started again with one test's name and a variable that says what to do.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::fixture::*;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, HOUR, MINUTE, TimeRange, Timestamp};
use crate::store::{Eviction, Store};

const FOLDER: &str = "EVERCANDLE_TEST_STORE";
const SEED: &str = "EVERCANDLE_TEST_SEED";

fn child(test: &str, dir: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::tests::processes::{test}"), "--nocapture"])
        .env(FOLDER, dir)
        .env(SEED, seed.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn assignment() -> Option<(Store, u64)> {
    let dir = std::env::var_os(FOLDER)?;
    let seed = std::env::var(SEED).ok()?.parse().ok()?;
    Some((open(Path::new(&dir)), seed))
}

fn two_days() -> TimeRange {
    span(day(2024, 2, 9), day(2024, 2, 11))
}

/// Hour `n` of the two days, in an order that differs by seed.
fn hours_in_order(seed: u64) -> impl Iterator<Item = TimeRange> {
    (0..48u64).map(move |n| {
        let start = two_days().start().plus(((n * 7 + seed * 11) % 48) as i64 * HOUR);
        span(start, start.plus(HOUR))
    })
}

/// A child of the test below; without an assignment it has nothing to do.
#[test]
fn writes_every_hour_of_two_days() {
    let Some((store, seed)) = assignment() else { return };
    let (series, grid) = (series(Interval::M5), Grid::new(Interval::M5, None));
    for range in hours_in_order(seed) {
        store
            .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
            .unwrap();
        let back = joined(&store, &series, range);
        assert_eq!(printed(&back), printed(&every(&series, grid, range, 1)), "{range}");
    }
}

/// Goal: eight writers of the same klines lose nothing and see nothing torn.
/// Method: each writes all hours in its own order and reads each back, while somebody writes another series there and
/// evicts it again; the folder must then hold all of them.
#[test]
fn f28_eight_processes_write_read_and_evict_in_one_folder() {
    let dir = folder();
    let store = open(dir.path());
    let mut children: Vec<Child> = (0..8)
        .map(|seed| child("writes_every_hour_of_two_days", dir.path(), seed))
        .collect();
    let (series, grid) = (series(Interval::M5), Grid::new(Interval::M5, None));
    let whole = every(&series, grid, two_days(), 1);
    let mut reads = 0;
    while children.iter_mut().any(|c| c.try_wait().unwrap().is_none()) {
        for batch in store.read(&series, two_days()).pieces.iter().map(|p| &p.batch) {
            let range = span(
                Timestamp::from_micros(batch.open_times()[0]),
                Timestamp::from_micros(*batch.open_times().last().unwrap()).plus(1),
            );
            let truth: Vec<i64> = whole.slice(range).counts().to_vec();
            assert!(batch.counts().iter().all(|c| truth.contains(c)));
            reads += 1;
        }
        let (other, minutes) = (self::series(Interval::M1), Grid::new(Interval::M1, None));
        let hour = hours_in_order(reads as u64).next().unwrap();
        store
            .write(&other, minutes, vec![parcel(every(&other, minutes, hour, 1))])
            .unwrap();
        store.evict(Eviction::Range(other, two_days())).unwrap();
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(reads > 0);
    for store in [store, open(dir.path())] {
        assert_eq!(printed(&joined(&store, &series, two_days())), printed(&whole));
        let report = store.verify(&mut |_| {}).unwrap();
        assert_eq!((report.damaged.len(), report.skipped.len()), (0, 0));
        assert_eq!(store.stats().unwrap().quarantined_files, 0);
    }
}

/// Goal: clones of one store on many threads agree, and every reader sees only what was written.
#[test]
fn threads_share_one_store() {
    let dir = quick_folder();
    let store = open(dir.path());
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let whole = every(&series, grid, two_days(), 1);
    std::thread::scope(|threads| {
        for seed in 0..4 {
            let (store, series, whole) = (store.clone(), &series, &whole);
            threads.spawn(move || {
                for range in hours_in_order(seed) {
                    store.write(series, grid, vec![parcel(whole.slice(range))]).unwrap();
                    assert_eq!(printed(&joined(&store, series, range)), printed(&whole.slice(range)));
                }
            });
        }
    });
    assert_eq!(printed(&joined(&store, &series, two_days())), printed(&whole));
}

/// A child of the test below; without an assignment it has nothing to do.
#[test]
fn writes_without_end() {
    let Some((store, seed)) = assignment() else { return };
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    for round in seed as i64.. {
        let start = day(2024, 1, 1).plus(round % 60 * DAY);
        for n in 0..4 {
            let range = span(start.plus(n * 6 * HOUR), start.plus((n + 1) * 6 * HOUR));
            store
                .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
                .unwrap();
        }
    }
}

/// Goal: a process may die at any instant; what is visible afterwards is whole, and its litter is collected.
/// Method: kill children at random moments of a loop that writes, merges, seals and unlinks; each next one goes on.
#[test]
fn a_writer_killed_at_any_moment_leaves_only_whole_files() {
    let dir = folder();
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let all = span(day(2024, 1, 1), day(2024, 3, 1));
    let mut held = 0;
    let mut litter = 0;
    for round in 0..25u64 {
        let mut writer = child("writes_without_end", dir.path(), round * 2);
        let begun = Instant::now();
        // Until it has begun to write, and then a moment that differs from round to round.
        while paths(&open(dir.path()), &series).len() < 2 && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(30_000 + round * 3_137 % 20_000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        litter += drafts(dir.path());
        let store = open(dir.path());
        let report = store.verify(&mut |_| {}).unwrap();
        assert_eq!((report.damaged, report.skipped), (vec![], vec![]));
        assert_eq!(drafts(dir.path()), 0);
        let found = joined(&store, &series, all);
        let truth = every(&series, grid, all, 1);
        for (row, open_time) in found.open_times().iter().enumerate() {
            let at = (open_time - all.start().as_micros()) / (30 * MINUTE);
            assert_eq!(found.counts()[row], truth.counts()[at as usize]);
        }
        // Nothing that was published is ever lost.
        assert!(found.len() >= held, "{} klines after {held}", found.len());
        held = found.len();
    }
    assert!(held > 0);
    println!("{held} klines, {litter} drafts collected");
}

fn drafts(dir: &Path) -> usize {
    let folder = dir.join(crate::store::layout::series_folder(&series(Interval::M30)));
    let names = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name());
    names.filter(|n| n.to_str().unwrap().starts_with(".tmp.")).count()
}

#[test]
fn drafts_of_the_living_stay_and_those_of_the_dead_go() {
    let dir = folder();
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let range = span(day(2024, 1, 1), day(2024, 1, 2));
    open(dir.path())
        .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
        .unwrap();
    let folder = dir.path().join(crate::store::layout::series_folder(&series));
    let boot = crate::store::disk::boot_id();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let [living, dead, rebooted, foreign] = [
        format!(".tmp.{boot}.{}.00", std::process::id()),
        format!(".tmp.{boot}.{}.00", gone.id()),
        format!(".tmp.00000000.{}.00", std::process::id()),
        ".tmp.notes".to_owned(),
    ];
    for name in [&living, &dead, &rebooted, &foreign] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    open(dir.path()).read(&series, range);
    let there = [living, dead, rebooted, foreign].map(|name| folder.join(name).exists());
    assert_eq!(there, [true, false, false, true]);
}

#[test]
fn empty_folders_go_with_the_last_chunk_unless_somebody_else_is_there() {
    let dir = folder();
    let (series, grid) = (series(Interval::M30), Grid::new(Interval::M30, None));
    let range = span(day(2024, 1, 1), day(2024, 1, 2));
    let store = open(dir.path());
    let write = || {
        store
            .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
            .unwrap()
    };
    let tree = dir.path().join("v1/binance");
    write();
    let other = open(dir.path());
    store.evict(crate::store::Eviction::All).unwrap();
    assert!(tree.exists());
    drop(other);
    store.evict(crate::store::Eviction::All).unwrap();
    assert!(!tree.exists() && dir.path().join("v1").exists());
    write();
    assert_eq!(joined(&store, &series, range).len(), 48);
}
