//! Where output goes: a file that appears whole or not at all, something that is no file, or stdout.
//!
//! A file is written under a temporary name in its folder and renamed at the end, so a failed or interrupted run leaves
//! what was there before. A symbolic link is followed first: the file it leads to is replaced, the link stays. What
//! exists and is no file (a device, a FIFO) cannot be replaced by a rename without being destroyed, so it is written
//! to. Stdout can be held back: then nothing of an incomplete answer is printed, however long it is, and memory stays
//! flat because what is held back lies in an unnamed temporary file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::{NamedTempFile, SpooledTempFile};

use super::Out;
use crate::exit::{Exit, Failure};

/// Bytes held back in memory before a temporary file is used.
const HELD_IN_MEMORY: usize = 8 * 1024 * 1024;
/// Symbolic links followed one after the other, as many as Linux follows.
const LINKS_MAX: usize = 40;

/// Output under way. Dropped without [`Place::publish`], it leaves nothing, except in what is no file.
pub(crate) enum Place {
    File {
        temporary: NamedTempFile,
        /// As written by the person, for messages.
        path: PathBuf,
        /// Where the links in `path` lead: what is replaced.
        target: PathBuf,
    },
    /// A device, a FIFO or a socket, opened when writing begins; what is written is held back until then.
    Special {
        held: Arc<Mutex<SpooledTempFile>>,
        path: PathBuf,
    },
    Held(Arc<Mutex<SpooledTempFile>>),
    Stdout,
}

impl Place {
    /// A file beside what `path` leads to, to be renamed to it; or what `path` leads to itself, if that is no file.
    #[allow(clippy::disallowed_methods, reason = "output files are the command line's own")]
    pub(crate) fn file(path: &Path) -> Result<Place, Failure> {
        let target = match std::fs::metadata(path) {
            Ok(there) if there.is_dir() => {
                return Err(Failure::bad_input(format!(
                    "{} is a folder: expected the name of a file",
                    path.display()
                )));
            }
            // Asked before links are read: what /dev/stdout leads to may have no name of its own.
            Ok(there) if !there.is_file() => {
                return Ok(Place::Special {
                    held: spool(),
                    path: path.into(),
                });
            }
            Ok(_) => std::fs::canonicalize(path),
            Err(_) => followed(path),
        };
        let target = target.map_err(|e| cannot(path, &e))?;
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let temporary = tempfile::Builder::new().prefix(".evercandle-").tempfile_in(folder);
        match temporary {
            Ok(temporary) => Ok(Place::File {
                temporary,
                path: path.into(),
                target,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::bad_input(format!(
                "{}: there is no folder {}",
                path.display(),
                folder.display()
            ))),
            Err(error) => Err(cannot(path, &error)),
        }
    }

    /// Stdout, kept back until published.
    pub(crate) fn held() -> Place {
        Place::Held(spool())
    }

    /// Something to write to.
    pub(crate) fn writer(&self) -> io::Result<Out> {
        Ok(match self {
            Place::File { temporary, .. } => Box::new(io::BufWriter::new(temporary.reopen()?)),
            Place::Held(held) | Place::Special { held, .. } => Box::new(Shared(held.clone())),
            Place::Stdout => Box::new(io::BufWriter::new(io::stdout())),
        })
    }

    /// A failure to write here, which says where that was.
    pub(crate) fn named(&self, failure: Failure) -> Failure {
        match self {
            Place::File { path, .. } | Place::Special { path, .. } => failure.writing(path),
            Place::Held(_) | Place::Stdout => failure,
        }
    }

    /// Makes what was written visible. A FIFO that nobody reads waits for ever, so that waiting is left to another
    /// thread and Ctrl-C still ends it.
    pub(crate) async fn publish(self) -> Result<(), Failure> {
        match tokio::task::spawn_blocking(move || self.publish_here()).await {
            Ok(result) => result,
            Err(panic) => Err(Failure::new(Exit::Unexpected, panic.to_string())),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "output files are the command line's own")]
    fn publish_here(self) -> Result<(), Failure> {
        match self {
            Place::Stdout => Ok(()),
            Place::Held(held) => Ok(pour(&held, &mut io::stdout().lock())?),
            Place::Special { held, path } => {
                let mut special: File = OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .map_err(|e| cannot(&path, &e))?;
                match pour(&held, &mut special) {
                    // Whoever read the FIFO has what was wanted.
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(cannot(&path, &error)),
                    _ => Ok(()),
                }
            }
            Place::File {
                temporary,
                path,
                target,
            } => {
                // A temporary file is private; the file that takes its name should be as open as any other.
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt;
                    let mode = std::fs::metadata(&target).map_or(0o644, |m| m.permissions().mode());
                    temporary
                        .as_file()
                        .set_permissions(std::fs::Permissions::from_mode(mode))
                        .map_err(|e| cannot(&path, &e))?;
                }
                temporary.as_file().sync_all().map_err(|e| cannot(&path, &e))?;
                temporary.persist(&target).map_err(|e| cannot(&path, &e.error))?;
                Ok(())
            }
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Unexpected,
        format!("{}: cannot be written: {error}", path.display()),
    )
}

/// Where the links at the end of `path` lead when nothing is there yet. Links among its folders are the system's matter.
#[allow(clippy::disallowed_methods, reason = "output files are the command line's own")]
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..LINKS_MAX {
        match std::fs::symlink_metadata(&at) {
            Ok(there) if there.is_symlink() => {
                let next = std::fs::read_link(&at)?;
                at = at.parent().unwrap_or(Path::new("")).join(next);
            }
            _ => return Ok(at),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn spool() -> Arc<Mutex<SpooledTempFile>> {
    Arc::new(Mutex::new(SpooledTempFile::new(HELD_IN_MEMORY)))
}

/// Everything that was held back, from its beginning.
fn pour(held: &Mutex<SpooledTempFile>, to: &mut impl Write) -> io::Result<()> {
    let mut file = held.lock().map_err(|_| io::Error::other("a writer panicked"))?;
    file.rewind()?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => to.write_all(&buffer[..n])?,
        }
    }
    to.flush()
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::*;

    fn write(path: &Path, text: &str) -> Result<(), Failure> {
        let place = Place::file(path)?;
        let mut out = place.writer()?;
        out.write_all(text.as_bytes())?;
        out.flush()?;
        drop(out);
        place.publish_here()
    }

    #[test]
    fn links_stay_and_what_they_lead_to_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let (real, middle, link) = (
            other.join("real.csv"),
            dir.path().join("middle"),
            dir.path().join("link"),
        );
        std::fs::write(&real, "old").unwrap();
        symlink("other/real.csv", &middle).unwrap();
        symlink(&middle, &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new");
        assert!(link.is_symlink() && middle.is_symlink() && !real.is_symlink());

        let (dangling, made) = (dir.path().join("dangling"), other.join("made.csv"));
        symlink("other/made.csv", &dangling).unwrap();
        write(&dangling, "made").unwrap();
        assert!(dangling.is_symlink());
        assert_eq!(std::fs::read_to_string(&made).unwrap(), "made");

        let ring = dir.path().join("ring");
        symlink("ring", &ring).unwrap();
        let refused = write(&ring, "x").unwrap_err().to_string();
        assert!(
            refused.contains("ring: cannot be written: too many symbolic links"),
            "{refused}"
        );
        assert!(ring.is_symlink());
    }

    #[test]
    fn what_is_no_file_is_written_to_and_stays_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || std::fs::read_to_string(fifo).unwrap()
        });
        write(&fifo, "through the pipe").unwrap();
        assert_eq!(reader.join().unwrap(), "through the pipe");
        assert!(std::fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());

        let null = dir.path().join("null");
        symlink("/dev/null", &null).unwrap();
        write(&null, "gone").unwrap();
        assert!(null.is_symlink());
        assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_folder_is_refused_even_behind_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink(dir.path(), &link).unwrap();
        for path in [dir.path(), &link] {
            let refused = write(path, "x").unwrap_err();
            assert_eq!(refused.exit, Exit::BadInput);
            assert!(refused.to_string().contains("is a folder"), "{refused}");
        }
    }
}
