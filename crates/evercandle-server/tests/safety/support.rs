//! A daemon to be rude to, and the means.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use evercandle::{Client, Config};
use evercandle_server::{Secrets, ServeError, Server};
use evercandle_simulator as sim;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Beyond this, a test hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    pub(crate) _sim: sim::Handle,
    _dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Daemon {
    pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Daemon {
        Daemon::with(Secrets::default(), change).await
    }

    pub(crate) async fn with(secrets: Secrets, change: impl FnOnce(&mut Config)) -> Daemon {
        let sim = sim::Simulator::start(sim::Config::default().seed(7)).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            internet: Some(sim.base_url().parse().unwrap()),
            ..Config::default()
        };
        config.cache.dir = Some(dir.path().join("cache"));
        config.cache.free_min = 0;
        config.schedule.enabled = false;
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        let server = Server::bind(Client::new(config).unwrap(), secrets).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Daemon {
            address,
            _sim: sim,
            _dir: dir,
            stop: Some(stop),
            running,
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One request on a connection of its own: status line, headers and body as they came.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        until_closed(&mut stream).await
    }

    /// `GET path`, closed after the answer.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
        .await
    }

    pub(crate) fn tell_to_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// How long it took to end.
    pub(crate) async fn ended(self) -> Duration {
        let began = Instant::now();
        let _ = tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
        began.elapsed()
    }
}

/// Everything until the daemon closes; a reset is a close.
pub(crate) async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the daemon never closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The status of an answer; 0 for none.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
