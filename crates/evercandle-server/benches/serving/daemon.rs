//! The daemon as a process of its own, so that its memory is its own, and the exchange behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evercandle::Config;
use evercandle::{Client, config::KlineWatch};
use evercandle_server::{Secrets, Server};
use evercandle_simulator as sim;

/// The usual setting.
pub(crate) const REQUESTS_MAX: usize = 128;

pub(crate) struct World {
    pub(crate) exchange: sim::Handle,
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World {
            exchange: sim::Simulator::start_blocking(sim::Config::default().seed(7)).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// This program again, as a daemon; `watching` what it usually watches, more often.
    pub(crate) fn daemon(&self, watching: bool) -> Daemon {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .arg("--daemon")
            .arg(self.exchange.base_url())
            .arg(self.dir.path().join("cache"));
        if watching {
            command.arg("watching");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("the daemon did not start: {line:?}"));
        Daemon { child, address }
    }
}

pub(crate) struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The body of an answer that must be there.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // A plain body: nginx is to serve these bytes.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("an answer");
        let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
        assert!(
            head.contains(" 200 "),
            "{path}: {head}\n{}",
            String::from_utf8_lossy(&bytes[split..])
        );
        bytes.split_off(split + 4)
    }

    /// Bytes of memory in use.
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:") * 1024
    }

    pub(crate) fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }

    fn status(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// SIGTERM; how long the end took, and whether it was clean.
    pub(crate) fn terminate(mut self) -> (Duration, bool) {
        let began = std::time::Instant::now();
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        let status = self.child.wait().unwrap();
        (began.elapsed(), status.success())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the child does.
pub(crate) fn run(internet: &str, cache: &str, watching: bool) {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    evercandle_server::install_recorder();
    let mut config = Config {
        internet: Some(internet.parse().unwrap()),
        ..Config::default()
    };
    config.cache.dir = Some(cache.into());
    config.cache.free_min = 0;
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    // More than the usual, so that it is requests that are too many.
    config.server.connections_max = 4_096;
    config.server.requests_max = REQUESTS_MAX;
    config.schedule.enabled = watching;
    config.schedule.klines_ms = 5_000;
    config.schedule.prices_ms = 5_000;
    config.schedule.sentiment_ms = 30_000;
    config.schedule.klines = vec![KlineWatch {
        symbols: ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT"].map(str::to_owned).to_vec(),
        intervals: ["1m", "1h"].map(str::to_owned).to_vec(),
        market: None,
        rows: 500,
    }];
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::bind(Client::new(config).unwrap(), Secrets::default())
            .await
            .unwrap();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        println!("{}", server.address());
        let stop = async move {
            terminate.recv().await;
        };
        server.run(stop).await.unwrap();
    });
}
