//! Where output goes: a file that appears whole or not at all, or stdout.
//!
//! A file is written under a temporary name in its folder and renamed at the end, so a failed or interrupted run leaves
//! what was there before. Stdout can be held back: then nothing of an incomplete answer is printed, however long it is,
//! and memory stays flat because what is held back lies in an unnamed temporary file.

use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::{NamedTempFile, SpooledTempFile};

use super::Out;
use crate::exit::{Exit, Failure};

/// Bytes held back in memory before a temporary file is used.
const HELD_IN_MEMORY: usize = 8 * 1024 * 1024;

/// Output under way. Dropped without [`Place::publish`], it leaves nothing.
pub(crate) enum Place {
    File { temporary: NamedTempFile, path: PathBuf },
    Held(Arc<Mutex<SpooledTempFile>>),
    Stdout,
}

impl Place {
    /// A file beside `path`, to be renamed to it.
    #[allow(clippy::disallowed_methods, reason = "output files are the command line's own")]
    pub(crate) fn file(path: &Path) -> Result<Place, Failure> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if path.is_dir() {
            return Err(Failure::bad_input(format!(
                "{} is a folder: expected the name of a file",
                path.display()
            )));
        }
        let temporary = tempfile::Builder::new().prefix(".evercandle-").tempfile_in(folder);
        match temporary {
            Ok(temporary) => Ok(Place::File {
                temporary,
                path: path.into(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::bad_input(format!(
                "{}: there is no folder {}",
                path.display(),
                folder.display()
            ))),
            Err(error) => Err(Failure::new(
                Exit::Unexpected,
                format!("{}: cannot be written: {error}", path.display()),
            )),
        }
    }

    /// Stdout, kept back until published.
    pub(crate) fn held() -> Place {
        Place::Held(Arc::new(Mutex::new(SpooledTempFile::new(HELD_IN_MEMORY))))
    }

    /// Something to write to.
    pub(crate) fn writer(&self) -> io::Result<Out> {
        Ok(match self {
            Place::File { temporary, .. } => Box::new(io::BufWriter::new(temporary.reopen()?)),
            Place::Held(file) => Box::new(Shared(file.clone())),
            Place::Stdout => Box::new(io::BufWriter::new(io::stdout())),
        })
    }

    /// Makes what was written visible.
    #[allow(clippy::disallowed_methods, reason = "output files are the command line's own")]
    pub(crate) fn publish(self) -> Result<(), Failure> {
        match self {
            Place::Stdout => Ok(()),
            Place::Held(file) => {
                let mut file = file.lock().map_err(|_| io::Error::other("a writer panicked"))?;
                file.rewind()?;
                let mut stdout = io::stdout().lock();
                let mut buffer = vec![0; 256 * 1024];
                loop {
                    match file.read(&mut buffer)? {
                        0 => break,
                        n => stdout.write_all(&buffer[..n])?,
                    }
                }
                Ok(stdout.flush()?)
            }
            Place::File { temporary, path } => {
                let cannot = |e: io::Error| {
                    Failure::new(Exit::Unexpected, format!("{}: cannot be written: {e}", path.display()))
                };
                // A temporary file is private; the file that takes its name should be as open as any other.
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt;
                    let mode = std::fs::metadata(&path).map_or(0o644, |m| m.permissions().mode());
                    temporary
                        .as_file()
                        .set_permissions(std::fs::Permissions::from_mode(mode))
                        .map_err(cannot)?;
                }
                temporary.as_file().sync_all().map_err(cannot)?;
                temporary.persist(&path).map_err(|e| cannot(e.error))?;
                Ok(())
            }
        }
    }
}

struct Shared(Arc<Mutex<SpooledTempFile>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .map_err(|_| io::Error::other("a writer panicked"))?
            .write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
