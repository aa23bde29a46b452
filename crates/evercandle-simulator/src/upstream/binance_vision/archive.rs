//! Finished archives, and the memory of those built lately.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

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
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    places: HashMap<String, Place>,
    /// Counts uses, so that the smallest `used` is the least lately used.
    uses: u64,
}

#[derive(Debug)]
struct Place {
    /// Filled by whoever comes first, while others who want the same archive wait for it.
    archive: Arc<OnceLock<Option<Arc<Archive>>>>,
    used: u64,
}

impl Place {
    fn bytes(&self) -> usize {
        self.archive
            .get()
            .and_then(Option::as_ref)
            .map_or(0, |archive| archive.zip.len())
    }
}

impl Ready {
    /// The archive if it is on the shelf already.
    pub(super) fn get(&self, key: &str) -> Option<Arc<Archive>> {
        self.shelf.lock().places.get(key)?.archive.get()?.clone()
    }

    /// The archive, built if it is not there: once, however many ask at the same time.
    pub(super) fn get_or_build(&self, key: String, build: impl FnOnce() -> Option<Archive>) -> Option<Arc<Archive>> {
        let archive = {
            let mut shelf = self.shelf.lock();
            shelf.uses += 1;
            let used = shelf.uses;
            let place = shelf.places.entry(key).or_insert_with(|| Place {
                archive: Arc::default(),
                used,
            });
            place.used = used;
            Arc::clone(&place.archive)
        };
        let found = archive.get_or_init(|| build().map(Arc::new)).clone();
        self.make_room();
        found
    }

    fn make_room(&self) {
        let mut shelf = self.shelf.lock();
        let mut held: usize = shelf.places.values().map(Place::bytes).sum();
        while held > READY_BYTES_MAX
            && let Some(oldest) = shelf
                .places
                .iter()
                .min_by_key(|(_, place)| place.used)
                .map(|(key, _)| key.clone())
        {
            held -= shelf.places.remove(&oldest).map_or(0, |place| place.bytes());
        }
    }

    pub(super) fn clear(&self) {
        self.shelf.lock().places.clear();
    }
}
