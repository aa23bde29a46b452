//! `wrk`, which asks, and nginx, which is asked the same.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    usual.into_iter().any(|folder| folder.join(program).is_file())
}

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    /// Answers that were not 2xx.
    pub(crate) refused: u64,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Load {
    pub(crate) fn served_per_second(&self) -> f64 {
        let served = self.requests.saturating_sub(self.refused) as f64;
        self.per_second * served / self.requests.max(1) as f64
    }
}

/// So many connections ask for this, again and again.
pub(crate) fn wrk(url: &str, connections: usize, each: Duration) -> Load {
    let output = Command::new("wrk")
        .args(["--latency", "--timeout", "10s", "-t", "1", "-c"])
        .arg(connections.to_string())
        .arg("-d")
        .arg(format!("{}s", each.as_secs()))
        .arg(url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "wrk: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let after = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name))?;
        line.trim_start()
            .strip_prefix(name)?
            .split_whitespace()
            .next()
            .map(str::to_owned)
    };
    let requests = text.lines().find(|line| line.contains(" requests in "));
    Load {
        requests: requests
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0),
        refused: after("Non-2xx or 3xx responses:").map_or(0, |count| count.parse().unwrap()),
        per_second: after("Requests/sec:").map_or(0.0, |rate| rate.parse().unwrap()),
        p50: after("50%").map_or(Duration::ZERO, |time| duration(&time)),
        p99: after("99%").map_or(Duration::ZERO, |time| duration(&time)),
    }
}

/// `1.23ms` as `wrk` writes it.
fn duration(text: &str) -> Duration {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text[..text.len() - unit.len()].parse().unwrap();
    Duration::from_secs_f64(match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        other => panic!("wrk says {other:?}"),
    })
}

/// A folder of files, and nginx in front of it, on loopback, with as many workers as there are cores.
pub(crate) struct Nginx {
    dir: tempfile::TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl Nginx {
    pub(crate) fn new() -> Nginx {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("files")).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Nginx {
            dir,
            address,
            child: None,
        }
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.path().join("files").join(name);
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn start(mut self) -> Nginx {
        let dir = self.dir.path().display();
        let user = if rustix::process::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {dir}/{kind};\n"))
            .collect();
        let config = format!(
            "{user}\nworker_processes auto;\ndaemon off;\npid {dir}/pid;\nerror_log {dir}/errors;\n\
             events {{ worker_connections 4096; }}\nhttp {{\n{places}access_log off;\nsendfile on;\ntcp_nopush on;\n\
             keepalive_requests 1000000000;\nopen_file_cache max=100;\n\
             server {{ listen {}; root {dir}/files; }}\n}}\n",
            self.address
        );
        let path = self.dir.path().join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let program = ["/usr/sbin/nginx", "nginx"]
            .into_iter()
            .find(|name| !name.starts_with('/') || std::path::Path::new(name).is_file());
        let child = Command::new(program.unwrap())
            .arg("-c")
            .arg(&path)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "nginx does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }
}

impl Drop for Nginx {
    /// The master ends its workers when it is told to.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}
