//! How fast it is. Ignored: figures mean something in a release build only.
//!
//! `cargo test --release -p evercandle --lib store::tests::speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use super::fixture::*;
use crate::model::interval::{Grid, Interval};
use crate::model::range::DAY;

fn median(times: usize, mut run: impl FnMut()) -> Duration {
    let mut all: Vec<Duration> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    all.sort();
    all[times / 2]
}

#[test]
#[ignore = "measures"]
fn reads_and_writes() {
    let dir = folder();
    let (series, grid) = (series(Interval::M1), Grid::new(Interval::M1, None));
    let store = open(dir.path());
    let year = span(day(2023, 1, 1), day(2024, 1, 1));
    let batch = every(&series, grid, year, 1);
    let begun = Instant::now();
    let written = store.write(&series, grid, vec![parcel(batch)]).unwrap();
    println!(
        "write of a year: {:?}, {} files, {} bytes",
        begun.elapsed(),
        written.files,
        written.bytes
    );
    let one = span(day(2023, 7, 9), day(2023, 7, 10));
    let tail = span(day(2024, 1, 1), day(2024, 1, 1).plus(20 * DAY));
    let first_year = median(9, || assert_eq!(open(dir.path()).read(&series, year).pieces.len(), 12));
    let first_day = median(9, || assert_eq!(open(dir.path()).read(&series, one).pieces.len(), 1));
    println!("first read: year {first_year:?}, day {first_day:?}");
    std::thread::sleep(Duration::from_millis(50));
    store.read(&series, year);
    store.read(&series, year);
    let warm_day = median(2_000, || assert_eq!(store.read(&series, one).pieces.len(), 1));
    let warm_year = median(500, || assert_eq!(store.read(&series, year).pieces.len(), 12));
    println!("warm read: year {warm_year:?}, day {warm_day:?}");
    store
        .write(&series, grid, vec![parcel(every(&series, grid, tail, 1))])
        .unwrap();
    let minute = span(tail.end(), grid.next(tail.end()));
    let begun = Instant::now();
    store
        .write(&series, grid, vec![parcel(every(&series, grid, minute, 1))])
        .unwrap();
    println!("refresh by one kline: {:?}", begun.elapsed());
}
