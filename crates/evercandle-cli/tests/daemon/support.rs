//! The daemon under test, the exchange behind it, and a client in front of it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use evercandle_simulator::{Handle, Simulator};
use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// An exchange, and a folder for everything that belongs to one test.
pub(crate) struct World {
    pub(crate) exchange: Handle,
    pub(crate) dir: TempDir,
}

impl World {
    /// An exchange whose clock is the system's.
    pub(crate) fn new() -> World {
        World::with(evercandle_simulator::Config::default())
    }

    pub(crate) fn with(config: evercandle_simulator::Config) -> World {
        World {
            exchange: Simulator::start_blocking(config).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Starts the daemon on a free port, with this configuration (TOML) and these further variables.
    pub(crate) fn serve(&self, config: &str, variables: &[(&str, &str)]) -> Daemon {
        self.serve_at("127.0.0.1:0", config, variables)
    }

    /// The same at an address, such as that of a daemon which was stopped.
    pub(crate) fn serve_at(&self, listen: &str, config: &str, variables: &[(&str, &str)]) -> Daemon {
        let path = self.dir.path().join("evercandle.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_evercandle"));
        command
            .env_clear()
            .env("EVERCANDLE_CACHE_DIR", self.dir.path().join("cache"))
            .env("EVERCANDLE_INTERNET", self.exchange.base_url())
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.dir.path())
            .envs(variables.iter().copied())
            .args(["serve", "--listen", listen, "--config"])
            .arg(&path)
            .stdin(Stdio::null());
        Daemon::spawn(command)
    }

    /// A place for a file of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) url: String,
    said: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts it with standard input as it was set.
    pub(crate) fn spawn(mut command: Command) -> Daemon {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (mut stderr, heard) = (child.stderr.take().unwrap(), said.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(read @ 1..) = stderr.read(&mut bytes) {
                heard.lock().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        // The address is the first line on stdout.
        let (tell, told) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(PATIENCE).unwrap_or_default();
        let mut daemon = Daemon {
            child,
            url: line.trim().to_owned(),
            said,
        };
        if !daemon.url.starts_with("http://") {
            let status = daemon.child.kill().and_then(|()| daemon.child.wait());
            panic!("the daemon did not start ({status:?}): {}", daemon.said());
        }
        daemon
    }

    /// Everything it has written to stderr.
    pub(crate) fn said(&self) -> String {
        self.said.lock().clone()
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Asks, and hears the whole answer.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
            .unwrap_or_else(|e| panic!("GET {path}: {e}; {}", self.said()))
    }

    /// Asks for JSON that must be there.
    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).json()
    }

    /// Asks in the plainest HTTP there is, so that nothing between the test and the daemon is clever.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<Reply> {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.address(),
            body.len()
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        write!(stream, "{head}\r\n{body}")?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Reply::parse(&bytes)
            .ok_or_else(|| std::io::Error::other(format!("not HTTP: {:?}", String::from_utf8_lossy(&bytes))))
    }

    /// Waits until what it answers is as expected; the last answer, where it never was, is in the panic.
    pub(crate) fn until(&self, path: &str, what: &str, expected: impl Fn(&Reply) -> bool) -> Reply {
        let began = Instant::now();
        let mut last = None;
        while began.elapsed() < PATIENCE {
            if let Ok(reply) = self.ask("GET", path, &[], "") {
                if expected(&reply) {
                    return reply;
                }
                last = Some(reply);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("waited in vain for {what} at {path}: {last:#?}; {}", self.said());
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        terminate(&self.child);
        ended(&mut self.child).unwrap_or_else(|| panic!("it did not stop: {}", self.said()))
    }
}

pub(crate) fn terminate(process: &Child) {
    let killed = Command::new("kill").arg(process.id().to_string()).status().unwrap();
    assert!(killed.success());
}

/// How it ended, if it did.
pub(crate) fn ended(process: &mut Child) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(status) = process.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Option<Reply> {
        let split = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..split]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let chunked = headers
            .iter()
            .any(|(n, v)| n == "transfer-encoding" && v.contains("chunked"));
        let body = match chunked {
            true => unchunked(&bytes[split + 4..])?,
            false => bytes[split + 4..].to_vec(),
        };
        Some(Reply {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        bytes = bytes.get(end + 2..)?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size + 2..)?;
    }
}

/// A child process that does not outlive the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts a program with its output in a file, which is shown when something goes wrong.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Running {
        let file = std::fs::File::create(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Running(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
