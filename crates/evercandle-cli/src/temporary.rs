//! Folders that last as long as the program.
//!
//! Fetches outlive whoever asked for them, and what they bring is written on threads that cannot be stopped. A folder
//! that goes away with the command is therefore written into while it is removed, and remains. So the program's last
//! step removes them all, once nothing writes any more.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// How often a folder is removed in which somebody still writes, having outlasted all patience.
const TRIES_MAX: usize = 10;

static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A new folder, until [`remove`].
pub(crate) fn folder(prefix: &str) -> io::Result<PathBuf> {
    let path = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
    FOLDERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(path.clone());
    Ok(path)
}

pub(crate) fn are_there() -> bool {
    !FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// Removes them all.
pub(crate) fn remove() {
    for folder in FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        for _ in 0..TRIES_MAX {
            if std::fs::remove_dir_all(&folder).is_ok() {
                break;
            }
        }
    }
}
