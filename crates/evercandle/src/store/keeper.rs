//! What an operator does with the cache as a whole: list it, measure it, verify it, make it smaller.
//!
//! All of it walks the folder as it is on disk and knows only files that are ours by name and place; whatever else
//! lies there (other versions, links, notes) is neither followed nor counted nor removed.

#![allow(
    clippy::disallowed_methods,
    reason = "the store's files are touched here and nowhere else"
)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::range::{MINUTE, RangeSet, TimeRange, Timestamp};
use crate::model::series::Series;

use super::StoreError;
use super::chunk::{self, Unfit};
use super::disk::{self, Refused, Trusted};
use super::layout::{ChunkName, FORMAT_FOLDER, Subject, series_of};
use super::site::Site;

/// A file written or read this recently is not evicted: somebody is at it.
const EVICTION_SPARES: i64 = MINUTE;

/// What is held of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSummary {
    /// Which series.
    pub series: Series,
    /// Chunks on disk.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Klines held.
    pub rows: usize,
    /// The slots they fill.
    pub covered: RangeSet,
    /// Slots known to have no kline.
    pub holes: RangeSet,
    /// An instant before which the series has no kline, if that was learned.
    pub first_open: Option<Timestamp>,
}

impl SeriesSummary {
    /// From the first slot held to the end of the last; `None` when no kline is.
    pub fn span(&self) -> Option<TimeRange> {
        self.covered.hull()
    }
}

/// The size and the state of the whole cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStats {
    /// Where it is.
    pub dir: PathBuf,
    /// Series with at least one chunk.
    pub series: usize,
    /// Chunks.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The most they may take, if that is limited.
    pub size_max: Option<u64>,
    /// Damaged files kept for inspection.
    pub quarantined_files: usize,
    /// Their bytes.
    pub quarantined_bytes: u64,
    /// Why writes are off, if they are.
    pub readonly: Option<String>,
}

/// How far [`Store::verify`](super::Store::verify) is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Files looked at.
    pub files: usize,
    /// Files there are.
    pub files_total: usize,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes there are.
    pub bytes_total: u64,
}

/// What [`Store::verify`](super::Store::verify) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files that are what their names say.
    pub sound: usize,
    /// Bytes read.
    pub bytes: u64,
    /// Files that were not, and are in quarantine now.
    pub damaged: Vec<Damage>,
    /// Files that could not be read, or are not ours to trust, and were left alone.
    pub skipped: Vec<Damage>,
    /// Unfinished files of processes that are gone, removed.
    pub drafts_removed: usize,
}

/// A file and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its place below the cache folder.
    pub file: PathBuf,
    /// What was found.
    pub why: String,
}

/// What to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Chunks read longest ago, until the rest takes at most so many bytes.
    ToSize(u64),
    /// Everything of a series.
    Series(Series),
    /// The chunks of a series that have a slot in the range: whole files, so more may go than was named.
    Range(Series, TimeRange),
    /// Every chunk, and what is in quarantine.
    All,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Chunks.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// A chunk on disk, seen from outside.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) series: Series,
    pub(super) path: PathBuf,
    pub(super) name: ChunkName,
    pub(super) bytes: u64,
    pub(super) used: Timestamp,
}

/// Folders of series, in order.
pub(super) fn series_folders(site: &Site) -> Vec<(Series, PathBuf)> {
    let root = site.dir().join(FORMAT_FOLDER);
    let mut found = Vec::new();
    for exchange in folders(&root) {
        for market in folders(&root.join(&exchange)) {
            for symbol in folders(&root.join(&exchange).join(&market)) {
                let below = root.join(&exchange).join(&market).join(&symbol);
                for interval in folders(&below) {
                    if let Some(series) = series_of([&exchange, &market, &symbol, &interval]) {
                        found.push((series, below.join(&interval)));
                    }
                }
            }
        }
    }
    found.sort();
    found
}

/// Folders in a folder; links to folders are none.
fn folders(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .filter_map(|e| e.file_name().into_string().ok())
        .collect()
}

/// The chunks in a series' folder, in order of their names.
pub(super) fn chunks(series: &Series, folder: &Path) -> Vec<Found> {
    let names = disk::names(folder).unwrap_or_default();
    let mut found: Vec<Found> = names
        .iter()
        .filter_map(|text| {
            let name: ChunkName = text.parse().ok()?;
            let path = folder.join(text);
            let meta = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
            Some(Found {
                series: series.clone(),
                bytes: meta.len(),
                used: disk::modified(&meta),
                path,
                name,
            })
        })
        .collect();
    found.sort_by_key(|f| f.name);
    found
}

/// Every chunk there is.
pub(super) fn all_chunks(site: &Site) -> Vec<Found> {
    series_folders(site)
        .iter()
        .flat_map(|(series, folder)| chunks(series, folder))
        .collect()
}

/// Counts and bytes of everything.
pub(super) fn stats(site: &Site) -> StoreStats {
    let mut stats = StoreStats {
        dir: site.dir().to_owned(),
        series: 0,
        files: 0,
        bytes: 0,
        size_max: site.size_max,
        quarantined_files: 0,
        quarantined_bytes: 0,
        readonly: site.readonly(),
    };
    for (series, folder) in series_folders(site) {
        let found = chunks(&series, &folder);
        stats.series += usize::from(!found.is_empty());
        stats.files += found.len();
        stats.bytes += found.iter().map(|f| f.bytes).sum::<u64>();
    }
    (stats.quarantined_files, stats.quarantined_bytes) = site.quarantined();
    stats
}

/// Reads every chunk from disk and checks it as if it were read for the first time.
pub(super) fn verify(site: &Site, progress: &mut dyn FnMut(VerifyProgress)) -> VerifyReport {
    let mut report = VerifyReport::default();
    for (_, folder) in series_folders(site) {
        report.drafts_removed += disk::remove_dead_drafts(&folder, &site.boot, site.remote, site.clock.now());
    }
    let all = all_chunks(site);
    let bytes_total = all.iter().map(|f| f.bytes).sum();
    for (done, found) in all.iter().enumerate() {
        verify_one(site, found, &mut report);
        report.bytes += found.bytes;
        progress(VerifyProgress {
            files: done + 1,
            files_total: all.len(),
            bytes: report.bytes,
            bytes_total,
        });
    }
    report
}

fn verify_one(site: &Site, found: &Found, report: &mut VerifyReport) {
    let damage = |why: String| Damage {
        file: found.path.strip_prefix(site.dir()).unwrap_or(&found.path).to_owned(),
        why,
    };
    // Copied rather than mapped: a scrub should leave nothing behind in the page tables of a busy process.
    let bytes = Trusted::open(&found.path).and_then(|file| Ok(file.content(false)?));
    match bytes {
        Ok(bytes) => match chunk::decode(&found.series, &found.name, bytes) {
            Ok(_) => report.sound += 1,
            Err(Unfit::Newer) => report.skipped.push(damage("a later version's".into())),
            Err(Unfit::Damaged(reason, detail)) => {
                site.quarantine(&found.path, reason, &detail);
                report.damaged.push(damage(format!("{reason}: {detail}")));
            }
        },
        // Replaced or evicted meanwhile.
        Err(Refused::Gone) => {}
        Err(Refused::Foreign(why)) => report.skipped.push(damage(why)),
        Err(Refused::Unreadable(error)) => report.skipped.push(damage(error.to_string())),
    }
}

/// Removes chunks. Maps of them stay valid for those who hold answers.
pub(super) fn evict(site: &Site, what: &Eviction) -> Result<Evicted, StoreError> {
    let chosen = match what {
        Eviction::ToSize(bytes) => read_longest_ago(all_chunks(site), *bytes, site.clock.now()),
        Eviction::Series(series) => of_series(site, series),
        Eviction::Range(series, range) => of_series(site, series)
            .into_iter()
            .filter(|f| f.name.is_about(*range))
            .collect(),
        Eviction::All => all_chunks(site),
    };
    let mut evicted = Evicted::default();
    for found in &chosen {
        disk::remove(&found.path).map_err(|e| StoreError::io(&found.path, "remove", e))?;
        evicted.files += 1;
        evicted.bytes += found.bytes;
    }
    if *what == Eviction::All {
        site.clear_quarantine();
    }
    if evicted.files > 0 {
        site.reconsider();
    }
    Ok(evicted)
}

fn of_series(site: &Site, series: &Series) -> Vec<Found> {
    chunks(series, &site.dir().join(super::layout::series_folder(series)))
}

/// Which of these to remove so that the rest takes at most `bytes`. What is known of a series as a whole stays: it is
/// small, and costs a request to learn again.
fn read_longest_ago(mut all: Vec<Found>, bytes: u64, now: Timestamp) -> Vec<Found> {
    let mut held: u64 = all.iter().map(|f| f.bytes).sum();
    all.retain(|f| f.name.subject != Subject::Facts && now.since(f.used) > EVICTION_SPARES);
    all.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
    let enough = all
        .iter()
        .position(|f| {
            let fits = held <= bytes;
            held -= f.bytes;
            fits
        })
        .unwrap_or(all.len());
    all.truncate(enough);
    all
}
