//! A daemon in front of a simulated exchange, a clock that stands still, and the plainest HTTP client there is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use evercandle::{Client, Clock, Config, Timestamp};
use evercandle_server::{Secrets, Server};
use evercandle_simulator as sim;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// When it is: long after every archive of the spring of 2024 was published.
pub(crate) const NOW: &str = "2024-06-12T10:30:20Z";
/// Beyond this, a test hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) sim: sim::Handle,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    _dir: tempfile::TempDir,
    running: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> World {
        let now = time(NOW);
        let sim = sim::Simulator::start(sim::Config::default().seed(7).at(now.as_micros()))
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            internet: Some(sim.base_url().parse().unwrap()),
            ..Config::default()
        };
        config.cache.dir = Some(dir.path().join("cache"));
        config.cache.free_min = 0;
        config.http.timeout_ms = 10_000;
        config.http.idle_timeout_ms = 10_000;
        config.engine.backoff_ms = 10;
        config.schedule.enabled = false;
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        let clock = Clock::held(now);
        let client = Client::with_clock(config, clock.clone()).unwrap();
        let server = Server::bind(client, Secrets::default()).await.unwrap();
        let address = server.address();
        let running = tokio::spawn(async move {
            server.run(std::future::pending()).await.unwrap();
        });
        World {
            sim,
            clock,
            address,
            _dir: dir,
            running,
        }
    }

    /// So much time passes, here and there.
    pub(crate) fn pass(&self, by: Duration) {
        self.clock.advance(by);
        self.sim.clock().set(self.clock.now().as_micros());
    }

    /// A host answers no more; the empty name is all of them.
    pub(crate) fn down(&self, host: &str) -> sim::FaultId {
        self.sim.inject(sim::Fault::new(sim::Effect::Refuse).on(host))
    }

    /// The exchange's own klines: open time → printed fields.
    pub(crate) fn truth(&self, symbol: &str, interval: &str, start: &str, end: &str) -> BTreeMap<i64, [String; 12]> {
        let interval = sim::Interval::from_rest(interval).unwrap();
        let series = sim::Series::new(sim::ExchangeMarket::Spot, symbol, interval);
        let rows = self
            .sim
            .market()
            .klines(&series, time(start).as_micros()..time(end).as_micros());
        rows.into_iter()
            .map(|k| (k.open_time, k.fields(sim::TimeUnit::Microseconds)))
            .collect()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[]).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut stream = self.send(method, path, headers).await;
        let mut bytes = Vec::new();
        // A connection that is broken off gives what came before.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
            .await
            .expect("no answer");
        Reply::parse(&bytes, method == "HEAD")
    }

    /// Asks, and leaves the answer to be read.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        stream
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

impl Reply {
    fn parse(bytes: &[u8], bare: bool) -> Reply {
        let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("no head");
        let head = std::str::from_utf8(&bytes[..split]).unwrap();
        let (status, fields) = head.split_once("\r\n").unwrap();
        let headers = fields_of(fields);
        let rest = &bytes[split + 4..];
        let is_chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
        let (body, trailers, whole) = match is_chunked && !bare {
            true => unchunked(rest),
            false => (rest.to_vec(), Vec::new(), true),
        };
        Reply {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers,
            body,
            trailers,
            whole,
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    /// Every header of a name, joined.
    pub(crate) fn headers(&self, name: &str) -> String {
        let found = self.headers.iter().filter(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Goal: a no has a problem's shape, and its status.
    #[track_caller]
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        for member in ["type", "title", "detail", "instance"] {
            assert!(
                problem[member].as_str().is_some_and(|text| !text.is_empty()),
                "{problem}"
            );
        }
        problem
    }
}

fn fields_of(text: &str) -> Vec<(String, String)> {
    let fields = text.split("\r\n").filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

type Unchunked = (Vec<u8>, Vec<(String, String)>, bool);

fn unchunked(mut bytes: &[u8]) -> Unchunked {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") else {
            return (body, Vec::new(), false);
        };
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        bytes = &bytes[end + 2..];
        if size == 0 {
            return (body, fields_of(std::str::from_utf8(bytes).unwrap()), true);
        }
        body.extend_from_slice(&bytes[..size.min(bytes.len())]);
        match bytes.get(size + 2..) {
            Some(rest) => bytes = rest,
            None => return (body, Vec::new(), false),
        }
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    let text = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}
