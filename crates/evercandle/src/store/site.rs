//! The cache folder and what we may do in it: the one value everything else in the store is handed.
//!
//! ```text
//! CACHEDIR.TAG   backup programs skip the folder
//! .lock          held shared while a store is open; see below
//! v1/            chunks, see `layout`
//! quarantine/    files that were not what they said they were, oldest removed first
//! state/         what others keep here (bans that outlive a restart)
//! ```
//!
//! No lock protects correctness: names carry digests, files appear whole, and readers cope with files that vanish. The
//! lock only tells whoever wants to clear the folder by hand that somebody is using it.

#![allow(
    clippy::disallowed_methods,
    reason = "the store's files are touched here and nowhere else"
)]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::CacheConfig;
use crate::telemetry;

use super::StoreError;
use super::disk;
use super::layout::FORMAT_FOLDER;
use super::permit::Permit;

/// What the folder's tag must begin with for others to honour it (bford.info/cachedir).
const TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# Market data cached by evercandle. It may be deleted.\n";
/// Files kept for inspection.
const QUARANTINE_FILES_MAX: usize = 100;
/// Bytes kept for inspection.
const QUARANTINE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Chunks that stay open, and memory that copies of those not mapped may take. Beyond either, series not in use are
/// closed. Linux allows a process 65,530 maps by default, and others in it need some.
const OPEN_FILES_MAX: usize = 16_384;
const OPEN_COPIED_MAX: u64 = 512 * 1024 * 1024;

/// How much is open.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenChunks(Arc<(AtomicUsize, AtomicU64)>);

impl OpenChunks {
    /// Counts a chunk, with so many bytes in memory, until the result is dropped.
    pub(super) fn count(&self, copied: u64) -> Counted {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0.1.fetch_add(copied, Ordering::Relaxed);
        Counted {
            counter: self.clone(),
            copied,
        }
    }

    /// Whether more is open than should stay open.
    pub(super) fn are_too_many(&self) -> bool {
        let (files, copied) = (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed));
        files > OPEN_FILES_MAX || copied > OPEN_COPIED_MAX
    }
}

/// One open chunk.
#[derive(Debug)]
pub(super) struct Counted {
    counter: OpenChunks,
    copied: u64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counter.0.0.fetch_sub(1, Ordering::Relaxed);
        self.counter.0.1.fetch_sub(self.copied, Ordering::Relaxed);
    }
}

/// The cache folder and what we may do in it.
#[derive(Debug)]
pub(super) struct Site {
    dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) boot: String,
    pub(super) remote: bool,
    pub(super) may_map: bool,
    pub(super) size_max: Option<u64>,
    pub(super) open_chunks: OpenChunks,
    /// Files set aside by this process since it opened the store.
    pub(super) damaged: AtomicU64,
    free_min: u64,
    permit: Mutex<Permit>,
    lock: Mutex<Option<File>>,
}

impl Site {
    /// Looks at the folder and makes what is missing; where it cannot, writing is off and why is known.
    pub(super) fn open(dir: PathBuf, config: &CacheConfig, clock: Clock) -> Result<Site, StoreError> {
        let unusable = |dir: &Path, why: &str| StoreError::Unusable {
            dir: dir.to_owned(),
            why: why.to_owned(),
        };
        // The same folder wherever the program goes later, and one whose every ancestor has a name.
        let dir = std::path::absolute(&dir).map_err(|e| unusable(&dir, &e.to_string()))?;
        match fs::metadata(&dir) {
            Ok(meta) if !meta.is_dir() => return Err(unusable(&dir, "not a folder")),
            Ok(meta) if meta.mode() & 0o002 != 0 => {
                return Err(unusable(&dir, "anybody may write to it; expected at most mode 775"));
            }
            Ok(_) => {
                fs::read_dir(&dir).map_err(|e| unusable(&dir, &e.to_string()))?;
            }
            // Not there: made below, or every read is a miss until it can be.
            Err(_) => {}
        }
        let remote = disk::is_remote(&dir);
        let site = Site {
            boot: disk::boot_id(),
            may_map: !config.strict && !remote,
            remote,
            size_max: config.size_max,
            open_chunks: OpenChunks::default(),
            damaged: AtomicU64::new(0),
            free_min: config.free_min,
            permit: Mutex::default(),
            lock: Mutex::default(),
            clock,
            dir,
        };
        if let Err(error) = site.prepare() {
            site.fail(&error);
        }
        Ok(site)
    }

    /// Makes the folders, the tag and the lock, where they are missing.
    fn prepare(&self) -> Result<(), StoreError> {
        let at = |path: &Path, action: &'static str| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, action, source }
        };
        for folder in [
            self.dir.clone(),
            self.dir.join(FORMAT_FOLDER),
            self.quarantine_dir(),
            self.state_dir(),
        ] {
            for changed in disk::create_folder(&folder).map_err(at(&folder, "create folder"))? {
                disk::sync_folder(&changed).map_err(at(&changed, "flush folder"))?;
            }
        }
        let tag = self.dir.join("CACHEDIR.TAG");
        if !tag.exists() {
            fs::write(&tag, TAG).map_err(at(&tag, "write"))?;
        }
        let mut lock = self.lock.lock();
        if lock.is_none() {
            let path = self.dir.join(".lock");
            let file = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(at(&path, "open"))?;
            // On network file systems a lock may hang, and without it nothing breaks.
            if !self.remote {
                let _ = file.try_lock_shared();
            }
            *lock = Some(file);
        }
        // A folder may be listed as writable and not be: a read-only mount says so only when it is tried.
        rustix::fs::access(&self.dir, rustix::fs::Access::WRITE_OK)
            .map_err(|e| at(&self.dir, "write to folder")(e.into()))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub(super) fn quarantine_dir(&self) -> PathBuf {
        self.dir.join("quarantine")
    }

    /// Why writes are off.
    pub(super) fn readonly(&self) -> Option<String> {
        self.permit.lock().why()
    }

    /// Runs a write if writes are on, and learns from how it goes.
    pub(super) fn write<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let was_off = {
            let permit = self.permit.lock();
            permit
                .admit(self.clock.instant())
                .map_err(|why| StoreError::Readonly { why })?;
            permit.why().is_some()
        };
        let result = match was_off {
            // Whatever made opening fail may have been it.
            true => self.prepare().and_then(|()| write()),
            false => write(),
        };
        match &result {
            Ok(_) => self.resume(),
            Err(error) => self.fail(error),
        }
        result
    }

    /// As if the pause after a failure were over.
    #[cfg(test)]
    pub(super) fn end_pause(&self) {
        self.permit.lock().end_pause(self.clock.instant());
    }

    /// Lets the next write try at once: space was freed.
    pub(super) fn reconsider(&self) {
        self.resume();
    }

    fn resume(&self) {
        let mut permit = self.permit.lock();
        // Told under the lock, so that the last word told is the last that holds.
        if permit.why().is_some() {
            telemetry::cache_readonly(false);
        }
        permit.succeeded();
    }

    fn fail(&self, error: &StoreError) {
        telemetry::cache_write_failed(error.kind(), &error.to_string());
        let mut permit = self.permit.lock();
        permit.failed(error.to_string(), self.clock.instant());
        telemetry::cache_readonly(true);
    }

    /// Whether so many bytes may be written while the reserve stays free.
    pub(super) fn check_room(&self, bytes: u64) -> io::Result<()> {
        let (free, inodes) = disk::room(&self.dir)?;
        match free >= bytes.saturating_add(self.free_min) && inodes {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("{free} bytes free, {bytes} needed, {} to be left free", self.free_min),
            )),
        }
    }

    /// Runs `work` if nobody else has the folder open; says whether it did.
    pub(super) fn alone(&self, work: impl FnOnce()) -> bool {
        let lock = self.lock.lock();
        let Some(file) = lock.as_ref().filter(|_| !self.remote) else {
            return false;
        };
        let alone = file.try_lock().is_ok();
        if alone {
            work();
        }
        // Back to sharing; where the lock was not had, it may have been given up in the attempt.
        let _ = file.try_lock_shared();
        alone
    }

    /// Moves a damaged file out of the way; `false` when it could not be moved.
    pub(super) fn quarantine(&self, path: &Path, reason: &'static str, detail: &str) -> bool {
        let shown = path.strip_prefix(&self.dir).unwrap_or(path).display().to_string();
        telemetry::cache_corruption(reason, &format!("{shown}: {detail}"));
        self.damaged.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("unnamed");
        let unique = format!(
            "{:020}-{:08x}-{name}",
            self.clock.now().as_micros(),
            rand::random::<u32>()
        );
        let _ = disk::create_folder(&self.quarantine_dir());
        let moved = fs::rename(path, self.quarantine_dir().join(unique));
        self.bound_quarantine();
        match moved {
            Ok(()) => true,
            Err(e) => e.kind() == io::ErrorKind::NotFound && !path.exists(),
        }
    }

    /// Names begin with the time, so the oldest come first.
    fn bound_quarantine(&self) {
        let dir = self.quarantine_dir();
        let mut names = disk::names(&dir).unwrap_or_default();
        names.sort();
        let sizes: Vec<u64> = names
            .iter()
            .map(|n| disk::measure(&dir.join(n)).map_or(0, |m| m.0))
            .collect();
        let (mut files, mut bytes) = (names.len(), sizes.iter().sum::<u64>());
        for (name, size) in names.iter().zip(sizes) {
            if files <= QUARANTINE_FILES_MAX && bytes <= QUARANTINE_BYTES_MAX {
                break;
            }
            let _ = disk::remove(&dir.join(name));
            (files, bytes) = (files - 1, bytes - size);
        }
    }

    /// Removes what was kept for inspection.
    pub(super) fn clear_quarantine(&self) {
        let dir = self.quarantine_dir();
        for name in disk::names(&dir).unwrap_or_default() {
            let _ = disk::remove(&dir.join(name));
        }
    }

    /// Files and bytes in quarantine.
    pub(super) fn quarantined(&self) -> (usize, u64) {
        let dir = self.quarantine_dir();
        let names = disk::names(&dir).unwrap_or_default();
        let bytes = names
            .iter()
            .filter_map(|n| disk::measure(&dir.join(n)).ok())
            .map(|m| m.0)
            .sum();
        (names.len(), bytes)
    }
}
