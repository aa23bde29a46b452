//! Programs that are not part of this workspace: found where `cargo xtask test` puts them, or where the system has them.

use std::path::{Path, PathBuf};

/// Names the folder in which `cargo xtask test` installs what Debian does not package. Where it is set, nothing may be
/// missing.
const VARIABLE: &str = "EVERCANDLE_TOOLS";

/// A program by its name, or `None`, said in one line, where it need not be there.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let ours = folder().join("python/bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = Some(ours)
        .into_iter()
        .chain(places.by_ref())
        .find(|place| place.is_file());
    found.or_else(|| missing(name))
}

/// The folder with the packages of npm (`playwright-core`, …), or `None`, said in one line, where it need not be there.
pub(crate) fn node_modules() -> Option<PathBuf> {
    let folder = folder().join("node/node_modules");
    match folder.join("playwright-core").is_dir() {
        true => Some(folder),
        false => missing("playwright-core"),
    }
}

fn folder() -> PathBuf {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    std::env::var_os(VARIABLE).map_or_else(usual, PathBuf::from)
}

#[allow(clippy::print_stderr, reason = "whoever runs the tests must see what was not run")]
fn missing(name: &str) -> Option<PathBuf> {
    assert!(
        std::env::var_os(VARIABLE).is_none(),
        "{name} is not installed, and {VARIABLE} says that everything is"
    );
    eprintln!("skipped: {name} is not installed; `cargo xtask test` installs it");
    None
}
