//! A daemon over a pretend internet whose time a test moves, and listeners to it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use evercandle::{Client, Clock, Config, Timestamp};
use evercandle_server::{Secrets, ServeError, Server};
use evercandle_simulator as sim;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// When it is, unless a test says otherwise.
pub(crate) const NOW: &str = "2024-06-12T10:30:20Z";
/// Beyond this, a test waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Upstreams, a cache folder, and a clock that stands still.
pub(crate) struct World {
    pub(crate) sim: sim::Handle,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> World {
        World::at(NOW).await
    }

    pub(crate) async fn at(now: &str) -> World {
        evercandle_server::install_recorder();
        let now = time(now);
        let config = sim::Config::default().seed(7).at(now.as_micros());
        let sim = sim::Simulator::start(config).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            internet: Some(sim.base_url().parse().unwrap()),
            ..Config::default()
        };
        config.cache.dir = Some(dir.path().join("cache"));
        config.cache.free_min = 0;
        // A busy machine must not look like an outage.
        config.http.timeout_ms = 10_000;
        config.http.idle_timeout_ms = 10_000;
        config.engine.backoff_ms = 10;
        config.schedule.enabled = false;
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.server.stream_prices_ms = 50;
        World {
            sim,
            clock: Clock::held(now),
            config,
            _dir: dir,
        }
    }

    /// A daemon as another process would run it: nothing shared with others but the cache folder.
    pub(crate) async fn serve(&self) -> Daemon {
        let client = Client::with_clock(self.config.clone(), self.clock.clone()).unwrap();
        let server = Server::bind(client.clone(), Secrets::default()).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Daemon {
            address,
            client,
            stop: Some(stop),
            running,
        }
    }

    /// So much time passes, here and there.
    pub(crate) fn pass(&self, by: Duration) {
        self.sim.clock().advance(by.as_micros() as i64);
        self.clock.advance(by);
    }

    /// Every host of an upstream resets whoever connects, until all faults are cleared.
    pub(crate) fn down(&self, provider: &str) {
        use sim::Upstream::{
            AlternativeMe, BinanceCoinM, BinanceMarketData, BinanceSpot, BinanceUsdM, BinanceVision,
            BinanceVisionListing, CoinGecko,
        };
        let hosts = match provider {
            "binance" => vec![BinanceSpot, BinanceMarketData],
            "binance-futures" => vec![BinanceUsdM, BinanceCoinM],
            "binance-vision" => vec![BinanceVision, BinanceVisionListing],
            "coingecko" => vec![CoinGecko],
            "alternative-me" => vec![AlternativeMe],
            other => panic!("{other}?"),
        };
        for host in hosts {
            self.sim.inject(sim::Fault::down(host));
        }
    }

    /// Everybody answers again.
    pub(crate) fn up(&self) {
        self.sim.faults().clear_all();
    }
}

pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), ServeError>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Daemon {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_with(path, "").await
    }

    /// With further header lines, each ending in `\r\n`.
    pub(crate) async fn get_with(&self, path: &str, headers: &str) -> Reply {
        let mut stream = Incoming::ask(self.address, path, &format!("{headers}Connection: close\r\n")).await;
        let (status, headers) = stream.head().await;
        let mut body = String::new();
        while let Some(part) = stream.part().await {
            body.push_str(&part);
        }
        Reply { status, headers, body }
    }

    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> impl Future<Output = Value> {
        let path = path.to_owned();
        async move {
            let reply = self.get(&path).await;
            assert_eq!(reply.status, 200, "{path}: {reply:?}");
            reply.json()
        }
    }

    /// The value of one series of `/metrics`; 0 if there is none.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").await.body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub(crate) async fn listen(&self, query: &str) -> Listener {
        self.listen_after(query, None).await
    }

    /// As a browser does that lost the connection after this event.
    pub(crate) async fn listen_after(&self, query: &str, id: Option<&str>) -> Listener {
        let header = id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        self.listen_with(query, &header).await
    }

    /// With further header lines, each ending in `\r\n`.
    pub(crate) async fn listen_with(&self, query: &str, header: &str) -> Listener {
        let mut stream = Incoming::ask(self.address, &format!("/v1/stream?{query}"), header).await;
        let (status, headers) = stream.head().await;
        assert_eq!(status, 200, "{headers:?}");
        Listener {
            stream,
            text: String::new(),
        }
    }

    pub(crate) fn tell_to_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Stops it and waits for its end.
    pub(crate) async fn end(mut self) {
        if self.stop.is_some() {
            self.tell_to_stop();
        }
        tokio::time::timeout(PATIENCE, self.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        self.client.flush().await;
    }
}

/// An answer as it comes.
struct Incoming {
    stream: TcpStream,
    bytes: Vec<u8>,
    is_chunked: bool,
}

impl Incoming {
    async fn ask(address: SocketAddr, path: &str, headers: &str) -> Incoming {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Incoming {
            stream,
            bytes: Vec::new(),
            is_chunked: false,
        }
    }

    /// More bytes; false at the end.
    async fn more(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes)).await;
        let read = read.expect("nothing came").unwrap_or(0);
        self.bytes.extend_from_slice(&bytes[..read]);
        0 < read
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.bytes.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.bytes.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let status = self.line().await.expect("an answer");
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        while let Some(line) = self.line().await.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        self.is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        (status, headers)
    }

    /// A part of the body; `None` at its end.
    async fn part(&mut self) -> Option<String> {
        if !self.is_chunked {
            while self.more().await {}
            let all = std::mem::take(&mut self.bytes);
            return (!all.is_empty()).then(|| String::from_utf8(all).unwrap());
        }
        let size = usize::from_str_radix(self.line().await?.trim(), 16).unwrap();
        while self.bytes.len() < size + 2 {
            if !self.more().await {
                return None;
            }
        }
        let part: Vec<u8> = self.bytes.drain(..size + 2).take(size).collect();
        (0 < size).then(|| String::from_utf8(part).unwrap())
    }
}

/// Somebody who listens to events.
pub(crate) struct Listener {
    stream: Incoming,
    text: String,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Event {
        kind: String,
        id: Option<String>,
        data: Value,
    },
    Comment,
    Retry(u64),
    /// The stream ended.
    Silence,
}

impl Listener {
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return heard(block.trim_end());
            }
            match self.stream.part().await {
                Some(part) => self.text.push_str(&part),
                None => return Heard::Silence,
            }
        }
    }

    /// The next event of a kind, and its id; others are passed over.
    pub(crate) async fn event(&mut self, wanted: &str) -> (Option<String>, Value) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match self.next().await {
                Heard::Event { kind, id, data } if kind == wanted => return (id, data),
                Heard::Silence => panic!("the stream ended before any {wanted}"),
                _ => {}
            }
        }
        panic!("waited in vain for {wanted}");
    }

    /// The next event of a kind for which this holds.
    pub(crate) async fn event_where(&mut self, kind: &str, holds: impl Fn(&Value) -> bool) -> (Option<String>, Value) {
        let began = Instant::now();
        loop {
            let (id, data) = self.event(kind).await;
            if holds(&data) {
                return (id, data);
            }
            assert!(
                began.elapsed() < PATIENCE,
                "waited in vain for a {kind}; the last: {data}"
            );
        }
    }
}

fn heard(block: &str) -> Heard {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start().to_owned())
    };
    match (field("event:"), field("retry:")) {
        (Some(kind), _) => Heard::Event {
            kind,
            id: field("id:"),
            data: serde_json::from_str(&field("data:").unwrap()).unwrap(),
        },
        (None, Some(retry)) => Heard::Retry(retry.parse().unwrap()),
        (None, None) => {
            assert!(block.starts_with(':'), "{block:?}");
            Heard::Comment
        }
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_micros(time.as_microsecond())
}

/// Waits, within bounds, until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
