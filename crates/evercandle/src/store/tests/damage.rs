//! Whatever lies in the folder, what is served is what was written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use arrow_buffer::Buffer;
use xxhash_rust::xxh3::xxh3_128;

use super::fixture::*;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, HOUR, TimeRange};
use crate::model::series::Series;
use crate::store::chunk::{Unfit, decode};
use crate::store::layout::ChunkName;
use crate::store::{Eviction, Store};

fn hours() -> TimeRange {
    span(day(2024, 2, 9), day(2024, 2, 9).plus(9 * HOUR))
}

/// A store with one small file of nine klines, and the file.
fn small() -> (tempfile::TempDir, Store, Series, PathBuf) {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::H1), Grid::new(Interval::H1, None));
    let store = open(dir.path());
    store
        .write(&series, grid, vec![parcel(every(&series, grid, hours(), 1))])
        .unwrap();
    let path = paths(&store, &series).remove(0);
    (dir, store, series, path)
}

fn rows(store: &Store, series: &Series) -> usize {
    store.read(series, hours()).pieces.iter().map(|p| p.batch.len()).sum()
}

/// Puts other bytes where a file was, as a faulty disk would.
fn put(path: &Path, bytes: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn f26_a_flip_of_any_bit_of_any_byte_is_noticed_before_parsing() {
    let (_dir, _store, series, path) = small();
    let name: ChunkName = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let sound = fs::read(&path).unwrap();
    assert!(decode(&series, &name, Buffer::from_vec(sound.clone())).is_ok());
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        let found = decode(&series, &name, Buffer::from_vec(bytes)).unwrap_err();
        assert!(matches!(found, Unfit::Damaged("digest", _)), "byte {at}: {found:?}");
    }
    for length in 0..sound.len() {
        assert!(
            decode(&series, &name, Buffer::from_vec(sound[..length].to_vec())).is_err(),
            "cut to {length}"
        );
    }
}

/// Goal: a damaged file is a miss once, and then the place is free for the next write.
#[test]
fn a_damaged_file_is_quarantined_and_its_klines_can_be_stored_again() {
    let (dir, _, series, path) = small();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    put(&path, &bytes);
    let store = open(dir.path());
    assert_eq!(rows(&store, &series), 0);
    let stats = store.stats().unwrap();
    assert_eq!(
        (stats.quarantined_files, stats.quarantined_bytes, stats.files),
        (1, bytes.len() as u64, 0)
    );
    assert_eq!(rows(&store, &series), 0);
    assert_eq!(store.stats().unwrap().quarantined_files, 1);
    let grid = Grid::new(Interval::H1, None);
    store
        .write(&series, grid, vec![parcel(every(&series, grid, hours(), 1))])
        .unwrap();
    assert_eq!(rows(&store, &series), 9);
    store.evict(Eviction::All).unwrap();
    assert_eq!(
        (store.stats().unwrap().quarantined_files, rows(&store, &series)),
        (0, 0)
    );
}

/// Goal: damage to a file that is in use is found by the scrub, and does not disturb who uses it.
#[test]
fn the_scrub_finds_what_reading_would_not_look_at_again() {
    let (_dir, store, series, path) = small();
    let before = store.read(&series, hours());
    assert_eq!(store.verify(&mut |_| {}).unwrap().sound, 1);
    put(&path, b"ARROW1 and nothing else");
    let mut seen = Vec::new();
    let report = store.verify(&mut |p| seen.push((p.files, p.files_total))).unwrap();
    assert_eq!((report.sound, report.damaged.len(), seen), (0, 1, vec![(1, 1)]));
    assert!(report.damaged[0].why.starts_with("digest"), "{report:?}");
    assert_eq!(rows(&store, &series), 0);
    let grid = Grid::new(Interval::H1, None);
    assert!(before.pieces[0].batch.same_klines(&every(&series, grid, hours(), 1)));
}

/// Goal: crafted bytes under their own correct digest neither get in nor bring the process down.
/// Method: flip every byte of a sound file and name it by the digest of the result, so that the parser sees all of it.
#[test]
fn crafted_files_with_a_correct_digest_are_refused_or_harmless() {
    let (_dir, _store, series, path) = small();
    let name: ChunkName = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let sound = fs::read(&path).unwrap();
    let (mut refused, mut taken) = (0, 0);
    for at in 0..sound.len() {
        for value in [0x80, 0xff] {
            let mut bytes = sound.clone();
            bytes[at] = value;
            let name = ChunkName {
                digest: xxh3_128(&bytes),
                ..name
            };
            match decode(&series, &name, Buffer::from_vec(bytes)) {
                Err(_) => refused += 1,
                Ok(chunk) => {
                    assert_eq!(chunk.content.rows(), 9);
                    taken += 1;
                }
            }
        }
    }
    // Padding and the values of klines may be anything; structure may not.
    assert!(
        refused > sound.len() / 2,
        "{refused} refused, {taken} taken of {} bytes",
        sound.len()
    );
}

#[test]
fn a_file_in_another_series_folder_is_not_that_series() {
    let (_dir, store, series, path) = small();
    let other = Series::parse("ETHUSDT", Interval::H1, None).unwrap();
    let folder = store.dir().join(crate::store::layout::series_folder(&other));
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    assert_eq!(rows(&store, &other), 0);
    assert_eq!(store.stats().unwrap().quarantined_files, 1);
    assert_eq!(rows(&store, &series), 9);
}

/// Goal: what is not ours is neither believed nor touched.
#[test]
fn f29_foreign_files_links_and_later_versions_are_left_alone() {
    let (dir, _, series, path) = small();
    let folder = path.parent().unwrap().to_owned();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target.arrow");
    fs::copy(&path, &target).unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&target, &path).unwrap();
    let digest = "0".repeat(32);
    let planted = [
        folder.join("notes.txt"),
        folder.join("2024-02.g1.x.arrow"),
        folder.join(format!("2024-02-09.g1.9.{digest}.arrow")).join("a-folder"),
        dir.path().join("v2/binance/spot/BTCUSDT/1h/whatever.arrow"),
        dir.path().join("v1/binance/spot/lower/1h/x"),
    ];
    for file in &planted {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "mine").unwrap();
    }
    let pipe = folder.join(format!("2024-03.g1.9.{digest}.arrow"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let store = open(dir.path());
    for _ in 0..2 {
        let wide = span(hours().start().plus(-60 * DAY), hours().end().plus(60 * DAY));
        assert!(store.read(&series, wide).pieces.is_empty());
        store.verify(&mut |_| {}).unwrap();
        store.evict(Eviction::All).unwrap();
    }
    assert!(planted.iter().all(|file| fs::read(file).unwrap() == b"mine"));
    assert!(target.exists() && fs::symlink_metadata(&path).unwrap().is_symlink() && pipe.exists());
    assert_eq!(store.stats().unwrap().quarantined_files, 0);
}

#[test]
fn a_file_that_others_may_write_is_not_believed_until_they_may_not() {
    let (dir, _, series, path) = small();
    for (mode, rows_expected) in [(0o666, 0), (0o464, 0), (0o444, 9), (0o644, 9)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(rows(&open(dir.path()), &series), rows_expected, "{mode:o}");
    }
}

#[test]
fn a_folder_that_anybody_may_write_or_that_is_none_is_refused() {
    let dir = quick_folder();
    let open = |path: &Path| Store::open(path.to_owned(), &config(), crate::clock::Clock::held(now()));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = open(dir.path()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("anybody may write to it"), "{error}");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = open(&dir.path().join("file")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("not a folder"), "{error}");
}

#[test]
fn a_later_generation_shows_over_an_earlier_one_and_the_earlier_where_it_knows_more() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::H1), Grid::new(Interval::H1, None));
    let [first, second] = [0, 1].map(|n| span(hours().start().plus(n * HOUR), hours().start().plus((n + 5) * HOUR)));
    let store = open(dir.path());
    store
        .write(&series, grid, vec![parcel(every(&series, grid, first, 1))])
        .unwrap();
    let old = paths(&store, &series).remove(0);
    let kept = fs::read(&old).unwrap();
    store.evict(Eviction::All).unwrap();
    // Another process did not know of the first file and wrote a generation of its own, twice.
    for version in [7, 8] {
        let mut late = parcel(every(&series, grid, second, version));
        late.origin = origin("binance", now().plus(version));
        store.write(&series, grid, vec![late]).unwrap();
    }
    put(&old, &kept);
    assert_eq!(files(&store, &series), ["2024-02.g1.5", "2024-02.g2.5"]);
    for store in [store, open(dir.path())] {
        let all = joined(&store, &series, hours());
        let versions: Vec<String> = (0..6)
            .map(|r| all.print(r, 1).unwrap().rsplit_once('.').unwrap().1.to_owned())
            .collect();
        assert_eq!(versions, ["01", "08", "08", "08", "08", "08"]);
    }
    // The next write makes one of both.
    let store = open(dir.path());
    let last = span(hours().end().plus(-HOUR), hours().end());
    store
        .write(&series, grid, vec![parcel(every(&series, grid, last, 1))])
        .unwrap();
    assert_eq!(files(&store, &series), ["2024-02.g3.7"]);
}

/// Goal: what a large file serves is the page cache itself.
#[test]
fn columns_of_a_large_file_point_into_the_map_and_of_a_strict_store_do_not() {
    let dir = quick_folder();
    let (series, grid) = (series(Interval::M1), Grid::new(Interval::M1, None));
    let range = span(day(2024, 2, 1), day(2024, 3, 1));
    open(dir.path())
        .write(&series, grid, vec![parcel(every(&series, grid, range, 1))])
        .unwrap();
    let columns = |store: &Store| -> Vec<usize> {
        let held = store.read(&series, range);
        let rows = held.pieces[0].batch.rows();
        rows.columns()
            .iter()
            .map(|c| c.to_data().buffers()[0].as_ptr() as usize)
            .collect()
    };
    let maps = || -> Vec<(usize, usize)> {
        let text = fs::read_to_string("/proc/self/maps").unwrap();
        let ours = text.lines().filter(|line| line.contains(dir.path().to_str().unwrap()));
        ours.map(|line| {
            let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
            [from, to].map(|n| usize::from_str_radix(n, 16).unwrap()).into()
        })
        .collect()
    };
    let store = open(dir.path());
    let pointers = columns(&store);
    let mapped = maps();
    assert!(
        !mapped.is_empty()
            && pointers
                .iter()
                .all(|p| mapped.iter().any(|(from, to)| (from..to).contains(&p)))
    );
    assert!(pointers.iter().all(|p| p % 64 == 0));
    drop(store);
    let strict = crate::config::CacheConfig {
        strict: true,
        ..config()
    };
    let strict = Store::open(dir.path().to_owned(), &strict, crate::clock::Clock::held(now())).unwrap();
    assert_eq!(columns(&strict).len(), 11);
    assert!(maps().is_empty());
}
