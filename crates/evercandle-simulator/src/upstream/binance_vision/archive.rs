//! Finished archives, and the memory of those built lately.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// Bytes of archives kept ready, so that a benchmark measures the client and not our compression.
pub(super) const READY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// An archive as it is served.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) zip: Bytes,
    /// Sixty-four lower-case hexadecimal digits.
    pub(crate) sha256: String,
    pub(crate) etag: String,
    /// When it was published.
    pub(crate) modified: i64,
}

impl Archive {
    pub(crate) fn new(zip: impl Into<Bytes>, modified: i64) -> Self {
        let zip = zip.into();
        let sha256 = hex::encode(Sha256::digest(&zip));
        // S3 would use MD5; any 32 digits that change with the content do.
        let etag = format!("\"{}\"", &sha256[..32]);
        Self {
            zip,
            sha256,
            etag,
            modified,
        }
    }

    /// The sidecar's text: hash, two spaces, file name, no line feed.
    pub(crate) fn checksum(&self, stem: &str) -> String {
        format!("{}  {stem}.zip", self.sha256)
    }
}

/// Archives by key, the least lately used forgotten first.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Most lately used last.
    shelf: Mutex<VecDeque<(String, Arc<Archive>)>>,
}

impl Ready {
    pub(super) fn get(&self, key: &str) -> Option<Arc<Archive>> {
        let mut shelf = self.shelf.lock();
        let position = shelf.iter().position(|(known, _)| known == key)?;
        let entry = shelf.remove(position)?;
        let archive = Arc::clone(&entry.1);
        shelf.push_back(entry);
        Some(archive)
    }

    pub(super) fn put(&self, key: String, archive: Arc<Archive>) {
        let mut shelf = self.shelf.lock();
        shelf.retain(|(known, _)| *known != key);
        shelf.push_back((key, archive));
        let mut held: usize = shelf.iter().map(|(_, archive)| archive.zip.len()).sum();
        while held > READY_BYTES_MAX
            && let Some((_, oldest)) = shelf.pop_front()
        {
            held -= oldest.zip.len();
        }
    }

    pub(super) fn clear(&self) {
        self.shelf.lock().clear();
    }
}
