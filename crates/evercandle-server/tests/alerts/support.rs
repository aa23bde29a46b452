//! A daemon whose minutes are seconds, webhooks that behave as told, and the programs that read the rules.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evercandle::config::{KlineWatch, PriceWatch, WebhookConfig};
use evercandle::{Client, Clock, Config};
use evercandle_server::{Secrets, Server, Webhooks};
use evercandle_simulator::{self as sim, Fault, Upstream};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Beyond this, a test waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that looks twenty times a second, for which ten minutes are one second.
pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    pub(crate) exchange: sim::Handle,
    pub(crate) clock: Clock,
    config: Config,
    webhooks: Webhooks,
    dir: tempfile::TempDir,
    stop: Arc<Notify>,
    running: JoinHandle<()>,
}

impl Daemon {
    /// Tells these webhooks: name, format, address.
    pub(crate) async fn telling(webhooks: &[(&str, &str, String)]) -> Daemon {
        Daemon::with(webhooks, Clock::system(), |_| ()).await
    }

    /// Refreshes nothing, and its minutes pass when they are told to.
    pub(crate) async fn unscheduled(webhooks: &[(&str, &str, String)]) -> Daemon {
        let unscheduled = |config: &mut Config| {
            config.schedule.enabled = false;
            config.alerts.stale_ms = 300;
        };
        Daemon::with(webhooks, Clock::held(Clock::system().now()), unscheduled).await
    }

    async fn with(webhooks: &[(&str, &str, String)], clock: Clock, change: impl FnOnce(&mut Config)) -> Daemon {
        evercandle_server::install_recorder();
        let exchange = sim::Simulator::start(sim::Config::default().seed(7)).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            internet: Some(exchange.base_url().parse().unwrap()),
            ..Config::default()
        };
        config.cache.dir = Some(dir.path().join("cache"));
        config.cache.free_min = 0;
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.latest.price_fresh_ms = 10;
        config.breaker.cooldown_ms = 200;
        config.breaker.cooldown_max_ms = 200;
        config.schedule.prices_ms = 100;
        config.schedule.backoff_ms = 100;
        config.schedule.backoff_max_ms = 100;
        config.schedule.sentiment = false;
        config.schedule.klines = Vec::<KlineWatch>::new();
        config.schedule.prices = vec![PriceWatch {
            symbols: vec!["BTCUSDT".into()],
            market: None,
        }];
        let alerts = &mut config.alerts;
        alerts.every_ms = 50;
        alerts.failure_window_ms = 1_000;
        alerts.common_cause_ms = 500;
        alerts.circuit_open_ms = 2_500;
        alerts.stale_ms = 60_000;
        alerts.readonly_ms = 60_000;
        alerts.stuck_periods = 1_000;
        alerts.repeat_ms = 60_000;
        alerts.webhooks = webhooks
            .iter()
            .map(|(name, format, _)| WebhookConfig {
                name: (*name).to_owned(),
                url_variable: (*name).to_owned(),
                format: (*format).to_owned(),
            })
            .collect();
        change(&mut config);
        let address_of = |variable: &str| {
            let webhook = webhooks.iter().find(|(name, ..)| *name == variable);
            webhook.map(|(.., url)| url.clone())
        };
        let webhooks = Webhooks::new(&config.alerts, &config.http, address_of).unwrap();
        let mut daemon = Daemon {
            address: config.server.listen,
            exchange,
            clock,
            config,
            webhooks,
            dir,
            stop: Arc::default(),
            running: tokio::spawn(async {}),
        };
        daemon.begin().await;
        daemon
    }

    /// As another process would, with the same configuration and cache folder.
    pub(crate) async fn begin(&mut self) {
        let client = Client::with_clock(self.config.clone(), self.clock.clone()).unwrap();
        let server = Server::bind(client, Secrets::default()).await.unwrap();
        let server = server.telling(self.webhooks.clone());
        self.address = server.address();
        let told = self.stop.clone();
        self.running = tokio::spawn(async move { server.run(async move { told.notified().await }).await.unwrap() });
    }

    /// As by SIGTERM. Until it has ended.
    pub(crate) async fn stop(&mut self) {
        self.stop.notify_one();
        (&mut self.running).await.unwrap();
    }

    /// As by SIGKILL: nothing is ended in order.
    pub(crate) async fn kill(&mut self) {
        self.running.abort();
        let _ = (&mut self.running).await;
    }

    /// What the next process will know.
    pub(crate) fn memory(&self) -> PathBuf {
        self.dir.path().join("cache/state/alerts-127-0-0-1-0.json")
    }

    /// Both doors to the spot market refuse.
    pub(crate) fn break_binance(&self) {
        for upstream in [Upstream::BinanceSpot, Upstream::BinanceMarketData] {
            self.exchange.inject(Fault::down(upstream));
        }
    }

    pub(crate) fn repair(&self) {
        self.exchange.faults().clear_all();
    }

    /// The body of what it answers.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Waits until something is in what it answers.
    pub(crate) async fn until(&self, path: &str, needle: &str) {
        let began = Instant::now();
        let mut body = String::new();
        while began.elapsed() < PATIENCE {
            body = self.get(path).await;
            if body.contains(needle) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("waited in vain for {needle} at {path}: {body}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Somebody to be told.
pub(crate) struct Webhook {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<(Instant, Value)>>>,
    running: JoinHandle<()>,
}

impl Webhook {
    /// Answers the n-th message, from 0, with what `answer` says; `None`: never.
    pub(crate) async fn answering(answer: impl Fn(usize) -> Option<String> + Send + Sync + 'static) -> Webhook {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/very-secret", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<(Instant, Value)>>> = Arc::default();
        let (ears, answer) = (heard.clone(), Arc::new(answer));
        let running = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (ears, answer) = (ears.clone(), answer.clone());
                tokio::spawn(async move { listen(stream, &ears, answer.as_ref()).await });
            }
        });
        Webhook { url, heard, running }
    }

    pub(crate) async fn well() -> Webhook {
        Webhook::answering(|_| Some(status(204, ""))).await
    }

    pub(crate) fn heard(&self) -> Vec<(Instant, Value)> {
        self.heard.lock().clone()
    }

    pub(crate) async fn until(&self, messages: usize) -> Vec<Value> {
        self.until_heard(|heard| messages <= heard.len()).await
    }

    /// Waits until these alerts ended, in one message or in several.
    pub(crate) async fn until_resolved(&self, alerts: usize) -> Vec<Value> {
        let ended = |heard: &[Value]| {
            let resolved = heard.iter().filter(|message| {
                let text = message["text"].as_str().unwrap_or_default();
                message["kind"] == "resolved" || text.starts_with("Resolved")
            });
            let lists = resolved.flat_map(|message| [&message["alerts"], &message["attachments"]]);
            lists.filter_map(Value::as_array).map(Vec::len).sum::<usize>()
        };
        self.until_heard(|heard| alerts <= ended(heard)).await
    }

    async fn until_heard(&self, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let heard: Vec<Value> = self.heard().into_iter().map(|(_, body)| body).collect();
            if enough(&heard) {
                return heard;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("waited in vain: {:#?}", self.heard());
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// An answer without a body.
pub(crate) fn status(code: u16, headers: &str) -> String {
    format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n")
}

async fn listen(
    mut stream: TcpStream,
    ears: &Mutex<Vec<(Instant, Value)>>,
    answer: &(dyn Fn(usize) -> Option<String> + Send + Sync),
) {
    let mut bytes = Vec::new();
    let body = loop {
        let mut more = [0; 4_096];
        match stream.read(&mut more).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&more[..read]),
            _ => return,
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            break body;
        }
    };
    let number = {
        let mut ears = ears.lock();
        ears.push((Instant::now(), body));
        ears.len() - 1
    };
    match answer(number) {
        Some(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
        }
        None => std::future::pending().await,
    }
}

/// A program by its name, or `None`, said in one line, where it need not be there; see `cargo xtask test`.
#[allow(clippy::print_stderr, reason = "a test that did not run must say so")]
pub(crate) fn program(name: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|place| place.is_file());
    if found.is_none() {
        let all_here = std::env::var_os("EVERCANDLE_TOOLS").is_some();
        assert!(
            !all_here,
            "{name} is not installed, and EVERCANDLE_TOOLS says that everything is"
        );
        eprintln!("skipped: {name} is not installed; `cargo xtask test` installs it");
    }
    found.map(Command::new)
}

/// Runs a program that must be content.
pub(crate) fn content(command: &mut Command) {
    let output = command.output().unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}: {said}\n{complained}");
}

/// A file of `ops/`.
pub(crate) fn ops(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops").join(name)
}
