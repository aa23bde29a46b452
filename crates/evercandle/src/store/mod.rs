//! The local cache: which klines we hold, from whom, and how they are kept safe.
//!
//! Plain Arrow files in folders, one per series and calendar period, each with its story inside and its digest in its
//! name. A read maps them and slices; a write adds a file and never changes one. A database was rejected: it would be
//! one more thing that can be corrupt, locked or of the wrong version, and no other tool could read the klines.
//!
//! The cache is an optimisation, and behaves like one: a damaged file is a miss, a failed write is a fact to report and
//! no reason to withhold an answer, and any number of processes may use one folder without knowing of each other.
//!
//! In reading order: `layout` (names), `content` (how klines from several files or fetches meet), `story` and `chunk`
//! (one file), `disk` (how a file comes to be), `site` (the folder), `ledger` (what is there), `writer`, `keeper`, `state` (what is not klines).

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::answer::Origin;
use crate::clock::Clock;
use crate::config::CacheConfig;
use crate::model::batch::Batch;
use crate::model::interval::Grid;
use crate::model::range::{RangeSet, TimeRange, Timestamp};
use crate::model::series::Series;

mod layout;

mod content;

mod story;

mod chunk;

mod disk;

mod permit;

mod site;

mod ledger;

mod state;

mod writer;

mod keeper;

#[cfg(test)]
mod tests;

pub use keeper::{Damage, Evicted, Eviction, SeriesSummary, StoreStats, VerifyProgress, VerifyReport};

pub use state::{Ban, LastPrice, LastReadings};

use ledger::Shelf;
use site::Site;

/// What the store holds of a range of one series.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Klines, in time order, no open time twice.
    pub pieces: Vec<Piece>,
    /// The grid slots they fill.
    pub covered: RangeSet,
    /// Slots known to have no kline.
    pub holes: Vec<Hole>,
    /// Open time of some kline of the series, if any is held anywhere: the anchor of a `3d` grid. Not looked for on
    /// other grids, which need none.
    pub anchor: Option<Timestamp>,
    /// An instant before which the series has no kline, if that was ever learned.
    pub first_open: Option<Timestamp>,
}

/// Klines with one origin.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The klines.
    pub batch: Batch,
    /// Who supplied them.
    pub origin: Origin,
}

/// Slots known to have no kline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The slots.
    pub range: TimeRange,
    /// Whether the exchange is known to have halted.
    pub halt: bool,
    /// When an authoritative upstream first said so.
    pub first_seen: Timestamp,
    /// When one last said so.
    pub checked_at: Timestamp,
}

/// What one upstream said of a stretch of a series, to be stored.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Settled klines; may be empty. Klines of an [`Unsettled`](crate::answer::Verification::Unsettled) origin are
    /// left out.
    pub batch: Batch,
    /// Who supplied them.
    pub origin: Origin,
    /// Slots that an upstream with authority over them says have no kline.
    pub holes: Vec<Hole>,
    /// Slots without a row in which none was due: held like those that have one. Klines leave none.
    pub quiet: RangeSet,
}

/// What a write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Klines taken in: new ones, and those that replaced what was held.
    pub rows: usize,
    /// Files written.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Why the store could not do something. Reading never fails: what cannot be read is not held.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder must not be used at all.
    #[error("cache folder {}: {why}", dir.display())]
    Unusable {
        /// The folder.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An earlier write failed and it is too early to try again; nothing was tried.
    #[error("cache writes are off: {why}")]
    Readonly {
        /// The failure that switched them off.
        why: String,
    },
    /// The disk refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    fn io(path: &Path, action: &'static str, source: io::Error) -> StoreError {
        StoreError::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }

    /// A stable word for machines.
    pub fn kind(&self) -> &'static str {
        let source = match self {
            StoreError::Unusable { .. } => return "unusable",
            StoreError::Readonly { .. } => return "readonly",
            StoreError::Io { source, .. } => source,
        };
        match source.kind() {
            io::ErrorKind::StorageFull => "storage_full",
            io::ErrorKind::QuotaExceeded => "quota_exceeded",
            io::ErrorKind::ReadOnlyFilesystem => "read_only_filesystem",
            io::ErrorKind::PermissionDenied => "permission_denied",
            io::ErrorKind::FileTooLarge => "file_too_large",
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "no_folder",
            _ => "io",
        }
    }
}

/// The cache. Cheap to clone; clones share what is open. Every method blocks on the disk at times.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    site: Site,
    shelves: RwLock<HashMap<Series, Arc<Shelf>>>,
    /// Bytes of all chunks, as last measured plus what was written since. Absent: not measured yet.
    size: Mutex<Option<u64>>,
}

impl Store {
    /// Opens a cache folder, making it if need be. Where it cannot be made or written, the store reads what is there
    /// and [`Store::readonly`] says why it does not write.
    pub fn open(dir: PathBuf, config: &CacheConfig, clock: Clock) -> Result<Store, StoreError> {
        Ok(Store(Arc::new(Inner {
            site: Site::open(dir, config, clock)?,
            shelves: RwLock::default(),
            size: Mutex::default(),
        })))
    }

    /// What is held of a range. Damage is a miss: a file that is not what it says is moved away and counted.
    pub fn read(&self, series: &Series, range: TimeRange) -> Held {
        self.shelf(series).read(&self.0.site, range)
    }

    /// Adds klines and holes to what is held. For an open time that is held already, klines vouched for by a checksum
    /// stay or win, else those fetched later.
    ///
    /// Failures are counted, and switch writes off for a while; the caller has nothing to do but to go on without.
    pub fn write(&self, series: &Series, grid: Grid, parcels: Vec<Parcel>) -> Result<Written, StoreError> {
        let shelf = self.shelf(series);
        let written = self
            .0
            .site
            .write(|| writer::write(&self.0.site, &shelf, grid, &parcels))?;
        self.keep_to_size(written.bytes);
        Ok(written)
    }

    /// Closes the files of a series that answers do not hold: after a bulk download nobody will read them soon, and
    /// years of mapped files would look like memory in use. They are opened, and verified, again when wanted.
    pub fn release(&self, series: &Series) {
        self.0.shelves.write().remove(series);
    }

    /// Remembers an instant before which the series has no kline.
    pub fn learn_first_open(&self, series: &Series, first_open: Timestamp) -> Result<(), StoreError> {
        let shelf = self.shelf(series);
        self.0
            .site
            .write(|| writer::learn_first_open(&self.0.site, &shelf, first_open))
    }

    /// Every series of which something is held. Verifies every chunk that is not open yet.
    pub fn list(&self) -> Result<Vec<SeriesSummary>, StoreError> {
        let mut all = Vec::new();
        for (series, folder) in keeper::series_folders(&self.0.site) {
            let found = keeper::chunks(&series, &folder);
            if found.is_empty() {
                continue;
            }
            let shelf = self.shelf(&series);
            let mut summary = SeriesSummary {
                files: found.len(),
                bytes: found.iter().map(|f| f.bytes).sum(),
                rows: 0,
                covered: RangeSet::empty(),
                holes: RangeSet::empty(),
                first_open: shelf.facts(&self.0.site).first_open,
                series,
            };
            shelf.survey(&self.0.site, |content| {
                summary.rows += content.rows();
                summary.covered = summary.covered.union(&content.covered);
                summary.holes = summary.holes.union(&content.holes.iter().map(|h| h.range).collect());
            });
            all.push(summary);
        }
        Ok(all)
    }

    /// Size and state of the whole.
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        Ok(keeper::stats(&self.0.site))
    }

    /// Reads every chunk from disk and checks it; what is damaged goes into quarantine.
    pub fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, StoreError> {
        Ok(keeper::verify(&self.0.site, progress))
    }

    /// Removes chunks. Answers that were given stay valid.
    pub fn evict(&self, what: Eviction) -> Result<Evicted, StoreError> {
        let evicted = keeper::evict(&self.0.site, &what);
        *self.0.size.lock() = None;
        evicted
    }

    /// The cache folder.
    pub fn dir(&self) -> &Path {
        self.0.site.dir()
    }

    /// Where others keep what must outlive the process.
    pub fn state_dir(&self) -> PathBuf {
        self.0.site.state_dir()
    }

    /// Why writes are off, from the first failure until a write succeeds; `None` when they are on.
    pub fn readonly(&self) -> Option<String> {
        self.0.site.readonly()
    }

    /// How many damaged files this process has set aside.
    pub fn damaged(&self) -> u64 {
        self.0.site.damaged.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn shelf(&self, series: &Series) -> Arc<Shelf> {
        if let Some(shelf) = self.0.shelves.read().get(series) {
            return shelf.clone();
        }
        let mut shelves = self.0.shelves.write();
        if self.0.site.open_chunks.are_too_many() {
            // Answers keep what they hold; a series that is wanted again is opened again.
            shelves.clear();
        }
        let shelf = shelves
            .entry(series.clone())
            .or_insert_with(|| Arc::new(Shelf::new(&self.0.site, series)));
        shelf.clone()
    }

    /// Evicts when the chunks outgrew their limit. The folder is measured once and when the running total says so:
    /// other processes write and evict too.
    fn keep_to_size(&self, written: u64) {
        let Some(size_max) = self.0.site.size_max else { return };
        let mut size = self.0.size.lock();
        let total = size.map(|bytes| bytes.saturating_add(written));
        if total.is_some_and(|bytes| bytes <= size_max) {
            *size = total;
            return;
        }
        if let Err(error) = keeper::evict(&self.0.site, &Eviction::ToSize(size_max)) {
            tracing::warn!(%error, "cache eviction stopped");
        }
        *size = Some(keeper::all_chunks(&self.0.site).iter().map(|f| f.bytes).sum());
    }
}
