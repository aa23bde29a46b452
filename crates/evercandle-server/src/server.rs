//! The daemon as one value: bound, then served until it is told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use evercandle::Client;
use evercandle::config::{ADMIN_TOKEN_VARIABLE, API_KEY_VARIABLE};
use evercandle::schedule::Scheduler;
use tokio::net::{TcpListener, TcpSocket};

use crate::app::App;
use crate::door::{access, listener};
use crate::notify::{self, Webhooks};
use crate::{routes, supervision};

/// How long the end waits for the disk.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// What opens doors. Shown nowhere.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Opens the administration; without it there is none.
    pub admin_token: Option<String>,
    /// Callers must show it; without it nobody is asked.
    pub api_key: Option<String>,
}

impl Secrets {
    /// That whatever is set protects something.
    ///
    /// # Errors
    /// [`ServeError::Secret`] for one that could be guessed.
    pub fn check(&self) -> Result<(), ServeError> {
        access::check_secret(ADMIN_TOKEN_VARIABLE, self.admin_token.as_deref())
            .and_then(|()| access::check_secret(API_KEY_VARIABLE, self.api_key.as_deref()))
            .map_err(ServeError::Secret)
    }
}

/// Why the daemon does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A key or token that protects nothing.
    #[error("{0}")]
    Secret(String),
    /// What is to be watched cannot be read.
    #[error("{0}")]
    Watches(evercandle::Error),
}

/// The daemon.
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    webhooks: Webhooks,
}

impl Server {
    /// Listens on `server.listen` of the client's configuration. Serves nothing yet.
    pub async fn bind(client: Client, secrets: Secrets) -> Result<Server, ServeError> {
        let address = client.config().server.listen;
        let cannot = |source| ServeError::Listen { address, source };
        let listener = listen(address).map_err(cannot)?;
        Server::on(listener, client, secrets)
    }

    /// As [`Server::bind`], on a socket that is listened on already, such as one that a supervisor hands over. To be
    /// called inside of a runtime.
    pub fn on_socket(socket: std::net::TcpListener, client: Client, secrets: Secrets) -> Result<Server, ServeError> {
        let address = client.config().server.listen;
        let cannot = |source| ServeError::Listen { address, source };
        socket.set_nonblocking(true).map_err(cannot)?;
        Server::on(TcpListener::from_std(socket).map_err(cannot)?, client, secrets)
    }

    fn on(listener: TcpListener, client: Client, secrets: Secrets) -> Result<Server, ServeError> {
        secrets.check()?;
        let asked = client.config().server.listen;
        let address = listener
            .local_addr()
            .map_err(|source| ServeError::Listen { address: asked, source })?;
        let scheduler = Scheduler::new(client.clone()).map_err(ServeError::Watches)?;
        Ok(Server {
            app: App::new(scheduler, client, &secrets, address),
            listener,
            address,
            webhooks: Webhooks::default(),
        })
    }

    /// These are told of alerts.
    pub fn telling(self, webhooks: Webhooks) -> Server {
        Server { webhooks, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps warm what is watched and serves until `stop`; then lets answers under way end, within `server.drain_ms`, and
    /// writes down what was learnt.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let app = self.app;
        let stopping = app.stopping().clone();
        // Each ends with what it was spawned for, however that ends.
        let (watched, webhooks) = (app.clone(), self.webhooks);
        let watch = supervision::spawn("alerts", move || {
            notify::watch(watched.clone(), watched.board().clone(), webhooks.clone())
        });
        let client = app.client().clone();
        let _recheck = supervision::spawn("recheck", move || crate::recheck::run(client.clone()));
        let _upkeep = supervision::spawn("upkeep", crate::metrics::upkeep);
        let feed = app.feed().clone();
        let _feed = supervision::spawn("feed", move || {
            let feed = feed.clone();
            async move { feed.run().await }
        });
        let _runs = app.feed().tell_runs(app.scheduler().subscribe());
        let (told, scheduler) = (stopping.clone(), app.scheduler().clone());
        let _schedule = supervision::spawn("schedule", move || {
            let (told, scheduler) = (told.clone(), scheduler.clone());
            async move {
                told.run_until_cancelled(scheduler.run()).await;
            }
        });
        tracing::info!(address = %self.address, version = env!("CARGO_PKG_VERSION"), "serving");
        let address = self.address;
        let serve = async {
            listener::serve(self.listener, routes::all(app.clone()), app.config(), stopping.clone())
                .await
                .map_err(|source| ServeError::Listen { address, source })
        };
        let told = async {
            stop.await;
            tracing::info!("stopping: answers under way may end");
            stopping.cancel();
            Ok(())
        };
        let drain = Duration::from_millis(app.config().drain_ms);
        let letters = async {
            stopping.cancelled().await;
            if tokio::time::timeout(drain, watch).await.is_err() {
                tracing::warn!("some messages to webhooks could not be delivered in time");
            }
            Ok(())
        };
        let (cut_off, (), ()) = tokio::try_join!(serve, told, letters)?;
        if tokio::time::timeout(FLUSH_MAX, app.client().flush()).await.is_err() {
            tracing::warn!("what was learnt last could not be written in time");
        }
        match cut_off {
            0 => tracing::info!("stopped"),
            connections => tracing::warn!(connections, "stopped: some answers took too long and were cut off"),
        }
        Ok(())
    }
}

pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    // After a restart the address is ours again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(listener::BACKLOG)
}
