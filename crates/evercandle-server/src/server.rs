//! The daemon as one value: bound, then served until it is told to stop.

use std::future::Future;
use std::net::SocketAddr;

use evercandle::Client;
use evercandle::config::{ADMIN_TOKEN_VARIABLE, API_KEY_VARIABLE};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::{access, listener, routes};

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
}

/// The daemon.
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens on `server.listen` of the client's configuration. Serves nothing yet.
    pub async fn bind(client: Client, secrets: Secrets) -> Result<Server, ServeError> {
        secrets.check()?;
        let address = client.config().server.listen;
        let cannot = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        Ok(Server {
            app: App::new(client, &secrets, bound),
            listener,
            address: bound,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets answers under way end, within `server.drain_ms`.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let config = self.app.config().clone();
        let stopping = self.app.stopping().clone();
        let feed = self.app.feed().clone();
        let serve = listener::serve(self.listener, routes::all(self.app), &config, stopping.clone());
        // Ends with what it was spawned for, however that ends.
        let _upkeep = AbortOnDropHandle::new(tokio::spawn(crate::metrics::upkeep()));
        let _feed = AbortOnDropHandle::new(tokio::spawn(async move { feed.run().await }));
        let told = async {
            stop.await;
            tracing::info!("stopping: answers under way may end");
            stopping.cancel();
        };
        let (cut_off, ()) = tokio::join!(serve, told);
        match cut_off {
            0 => tracing::info!("stopped"),
            connections => tracing::warn!(connections, "stopped: some answers took too long and were cut off"),
        }
        Ok(())
    }
}
