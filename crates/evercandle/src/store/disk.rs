//! Every touch of the disk: what is opened, and how a file comes to be there whole or not at all.
//!
//! A chunk appears by rename only: it is written to a temporary name in its own folder, flushed to the device, made
//! read-only, and renamed; then the folder is flushed. Whoever lists the folder sees all of it or nothing. A flush that
//! failed once is never tried again on the same file, because Linux may have dropped the pages and report success the
//! second time; the bytes are written anew from memory, to another file.
//!
//! What is opened must be a regular file of ours (or root's) that nobody else may write, and a link is never followed:
//! a cache folder is a place where others may have left things.

#![allow(
    clippy::disallowed_methods,
    reason = "the store's files are touched here and nowhere else"
)]

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use arrow_buffer::{Buffer, MutableBuffer};
use rustix::fs::OFlags;

use crate::clock;
use crate::model::range::Timestamp;

/// Prefix of files that are being written.
const DRAFT: &str = ".tmp.";
/// Below this, copying into memory costs less than a mapping and its page faults.
const MAP_MIN: u64 = 1024 * 1024;
/// No chunk comes near this; a larger file is not one.
const FILE_MAX: u64 = 1024 * 1024 * 1024;
/// A draft of another boot on a shared file system may be alive on another machine; after this long it is not.
const DRAFT_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two tries to lock a folder.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Why a file was not opened.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not there (any more).
    Gone,
    /// It is not ours to trust, and not ours to move: a link, a folder, somebody else's, writable by others.
    Foreign(String),
    /// It could not be read now; this says nothing about what is in it.
    Unreadable(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        match error.kind() {
            io::ErrorKind::NotFound => Refused::Gone,
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                Refused::Foreign("a symbolic link".into())
            }
            _ => Refused::Unreadable(error),
        }
    }
}

/// An open file that may be trusted to stay as it is.
pub(super) struct Trusted {
    file: File,
    pub(super) size: u64,
    pub(super) modified: Timestamp,
    pub(super) inode: u64,
}

impl Trusted {
    /// Opens a regular file of ours, without following a link or waiting on a pipe.
    pub(super) fn open(path: &Path) -> Result<Trusted, Refused> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
        let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let meta = file.metadata()?;
        let us = rustix::process::geteuid().as_raw();
        let why = if !meta.is_file() {
            "not a regular file"
        } else if meta.uid() != us && meta.uid() != 0 {
            "belongs to somebody else"
        } else if meta.mode() & 0o022 != 0 {
            "others may write to it"
        } else if meta.len() > FILE_MAX {
            "too large"
        } else {
            return Ok(Trusted {
                size: meta.len(),
                modified: modified(&meta),
                inode: meta.ino(),
                file,
            });
        };
        Err(Refused::Foreign(why.into()))
    }

    /// The content: mapped when that pays and is allowed, else copied.
    pub(super) fn content(&self, may_map: bool) -> io::Result<Buffer> {
        if may_map && self.size >= MAP_MIN {
            return Ok(Buffer::from(bytes::Bytes::from_owner(map(
                &self.file,
                self.size as usize,
            )?)));
        }
        let mut bytes = MutableBuffer::from_len_zeroed(self.size as usize);
        (&self.file).read_exact(bytes.as_slice_mut())?;
        Ok(bytes.into())
    }

    /// How many bytes of memory the content takes when it is not mapped.
    pub(super) fn copied(&self, may_map: bool) -> u64 {
        if may_map && self.size >= MAP_MIN { 0 } else { self.size }
    }

    /// Sets the time of last use. Best effort: eviction is only as good as this.
    pub(super) fn touch(&self, now: Timestamp) {
        let _ = self.file.set_modified(system_time(now));
    }
}

/// Maps a whole file for reading, with every page in memory.
#[expect(unsafe_code, reason = "a map is what makes a warm read a slice instead of a copy")]
fn map(file: &File, size: usize) -> io::Result<memmap2::Mmap> {
    let mut options = memmap2::MmapOptions::new();
    options.len(size);
    // SAFETY: the bytes of a map must not change and its pages must not vanish while it lives. Chunks are immutable:
    // this store never opens a visible file for writing, replaces by rename and removes by unlink, both of which leave
    // the mapped inode as it is, and `Trusted::open` admits only files that nobody else may write. A process of the
    // same user that truncates or edits a chunk in place breaks this; where that must be reckoned with, and on network
    // file systems, `CacheConfig::strict` and `is_remote` choose the copy.
    let map = unsafe { options.map(file) }?;
    populate(&map)?;
    Ok(map)
}

/// Brings in all pages, which are about to be hashed anyway. A sector that cannot be read, or a file that is shorter
/// than it was a moment ago, is an error here, where touching the page would kill the process.
#[cfg(target_os = "linux")]
fn populate(map: &memmap2::Mmap) -> io::Result<()> {
    match map.advise(memmap2::Advice::PopulateRead) {
        // Kernels before 5.14 do not know the advice; the pages come in one by one.
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => Ok(()),
        other => other,
    }
}

#[cfg(not(target_os = "linux"))]
fn populate(_map: &memmap2::Mmap) -> io::Result<()> {
    Ok(())
}

/// A file being written. Dropped without [`Draft::publish`], it is removed.
pub(super) struct Draft {
    path: Option<PathBuf>,
}

impl Draft {
    /// Writes and flushes `bytes` under a temporary name in `folder`, trying twice.
    pub(super) fn write(folder: &Path, bytes: &[u8], boot: &str, now: Timestamp) -> io::Result<Draft> {
        Draft::write_once(folder, bytes, boot, now).or_else(|_| Draft::write_once(folder, bytes, boot, now))
    }

    fn write_once(folder: &Path, bytes: &[u8], boot: &str, now: Timestamp) -> io::Result<Draft> {
        fault::at("open")?;
        let path = folder.join(format!(
            "{DRAFT}{boot}.{}.{:016x}",
            std::process::id(),
            rand::random::<u64>()
        ));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&path)?;
        let draft = Draft { path: Some(path) };
        fault::at("write")?;
        file.write_all(bytes)?;
        file.set_modified(system_time(now))?;
        file.set_permissions(fs::Permissions::from_mode(0o444))?;
        fault::at("fsync")?;
        file.sync_all()?;
        Ok(draft)
    }

    /// Gives the file its name. Durable once the folder is flushed.
    pub(super) fn publish(mut self, name: &Path) -> io::Result<()> {
        fault::at("rename")?;
        if let Some(path) = self.path.take() {
            let renamed = fs::rename(&path, name);
            if renamed.is_err() {
                self.path = Some(path);
            }
            return renamed;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes drafts whose writers are gone.
pub(super) fn remove_dead_drafts(folder: &Path, boot: &str, remote: bool, now: Timestamp) -> usize {
    let mut removed = 0;
    for name in names(folder).unwrap_or_default() {
        let Some(rest) = name.strip_prefix(DRAFT) else { continue };
        let mut parts = rest.split('.');
        let (Some(its_boot), Some(pid)) = (parts.next(), parts.next().and_then(|p| p.parse::<i32>().ok())) else {
            continue;
        };
        let path = folder.join(&name);
        let dead = if its_boot == boot {
            !is_alive(pid)
        } else {
            !remote || is_older(&path, now, DRAFT_AGE_MAX)
        };
        removed += usize::from(dead && fs::remove_file(&path).is_ok());
    }
    removed
}

fn is_alive(pid: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else {
        return false;
    };
    // Only "no such process" is proof; a process of another user answers with a refusal.
    rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

fn is_older(path: &Path, now: Timestamp, age: Duration) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| now.since(modified(&m)) > age.as_micros() as i64)
}

/// First characters of an identifier of this boot of this machine; drafts of another boot have no living writer.
pub(super) fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let id: String = id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    if id.is_empty() { "unknown".into() } else { id }
}

/// Creates a folder and its ancestors; returns those whose entry lists changed, to be flushed.
pub(super) fn create_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fault::at("mkdir")?;
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|a| fs::symlink_metadata(a).is_err())
        .collect();
    // Whatever the umask: a folder that anybody may write to is one that we refuse to open.
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    Ok(missing
        .iter()
        .filter_map(|m| m.parent())
        .map(Path::to_path_buf)
        .collect())
}

/// A folder that nobody else has locked, until this is dropped.
pub(super) struct Locked {
    folder: File,
}

/// Locks a folder, waiting for its turn; `None`: it did not come in time, or there are no locks here.
pub(super) fn locked(folder: &Path, patience: Duration) -> Option<Locked> {
    let folder = File::open(folder).ok()?;
    for _ in 0..=patience.as_millis() / LOCK_PAUSE.as_millis() {
        match folder.try_lock() {
            Ok(()) => return Some(Locked { folder }),
            Err(TryLockError::WouldBlock) => clock::block(LOCK_PAUSE),
            Err(TryLockError::Error(_)) => return None,
        }
    }
    None
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that was forked meanwhile has it open as well, and would keep the lock.
        let _ = self.folder.unlock();
    }
}

/// Flushes a folder's list of entries to the device.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    fault::at("fsync folder")?;
    File::open(folder)?.sync_all()
}

/// Names in a folder that are text; none of ours is anything else.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// When the folder's entries last changed, in the file system's own time; `None`: there is no such folder.
pub(super) fn folder_changed(folder: &Path) -> io::Result<Option<(i64, i64)>> {
    match fs::symlink_metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(Some((meta.mtime(), meta.mtime_nsec()))),
        Ok(_) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Size and time of last use of a regular file.
pub(super) fn measure(path: &Path) -> io::Result<(u64, Timestamp)> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.len(), modified(&meta)))
}

/// The inode behind a name now.
pub(super) fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|m| m.ino())
}

/// Removes a name; that it is gone already is as good.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fault::at("unlink")?;
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Bytes that may still be written, and whether another file may be made.
pub(super) fn room(folder: &Path) -> io::Result<(u64, bool)> {
    let space = rustix::fs::statvfs(folder)?;
    // File systems without a fixed number of inodes report zero of zero.
    let inodes = space.f_files == 0 || space.f_favail > 0;
    Ok((space.f_bavail.saturating_mul(space.f_frsize), inodes))
}

/// Whether the folder is on a file system where another machine (or a user's program) may change a file under a map, or
/// where locks may hang.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(folder: &Path) -> bool {
    /// NFS, SMB, CIFS, SMB2, FUSE, 9P, AFS, Ceph, Coda: `statfs(2)`.
    const REMOTE: [u32; 9] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x6573_5546,
        0x0102_1997,
        0x5346_414f,
        0x00c3_6400,
        0x7375_7245,
    ];
    rustix::fs::statfs(folder).is_ok_and(|s| REMOTE.contains(&(s.f_type as u32)))
}

/// Elsewhere nobody told us how to find out.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_remote(_folder: &Path) -> bool {
    false
}

pub(super) fn modified(meta: &fs::Metadata) -> Timestamp {
    Timestamp::from_micros(
        meta.mtime()
            .saturating_mul(1_000_000)
            .saturating_add(meta.mtime_nsec() / 1_000),
    )
}

fn system_time(t: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(t.as_micros().unsigned_abs())
}

/// Faults on demand: a test names the operation that is to fail, on its own thread.
#[cfg(test)]
pub(super) mod fault {
    use std::cell::RefCell;
    use std::io;

    thread_local! {
        static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    }

    /// From operation number `from` on, so many operations fail with `errno`.
    #[derive(Clone)]
    pub(crate) struct Plan {
        pub(crate) from: usize,
        pub(crate) count: usize,
        pub(crate) errno: i32,
        pub(crate) seen: Vec<&'static str>,
    }

    pub(crate) fn plan(from: usize, count: usize, errno: i32) {
        let seen = Vec::new();
        PLAN.set(Some(Plan {
            from,
            count,
            errno,
            seen,
        }));
    }

    /// Ends the plan; the operations that came by.
    pub(crate) fn end() -> Vec<&'static str> {
        PLAN.take().map(|p| p.seen).unwrap_or_default()
    }

    pub(crate) fn at(operation: &'static str) -> io::Result<()> {
        PLAN.with_borrow_mut(|plan| {
            let Some(plan) = plan else { return Ok(()) };
            let number = plan.seen.len();
            plan.seen.push(operation);
            match (plan.from..plan.from.saturating_add(plan.count)).contains(&number) {
                true => Err(io::Error::from_raw_os_error(plan.errno)),
                false => Ok(()),
            }
        })
    }
}

#[cfg(not(test))]
mod fault {
    pub(super) fn at(_operation: &'static str) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a process that was forked while a folder was locked does not keep it locked. Method: a fork copies
    /// descriptors, and so does this.
    #[test]
    fn a_lock_ends_with_its_holder_though_a_forked_process_has_the_folder_open_too() {
        let dir = tempfile::tempdir().unwrap();
        let held = locked(dir.path(), Duration::ZERO).unwrap();
        let copied_by_fork = held.folder.try_clone().unwrap();
        drop(held);
        assert!(locked(dir.path(), Duration::ZERO).is_some());
        drop(copied_by_fork);
    }

    #[test]
    fn a_lock_that_somebody_keeps_is_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let _kept = locked(dir.path(), Duration::ZERO).unwrap();
        assert!(locked(dir.path(), 2 * LOCK_PAUSE).is_none());
    }
}
