//! The daemon as one value: bound, then served until it is told to stop.

use std::future::Future;
use std::net::SocketAddr;

use evercandle::Client;
use tokio::net::TcpListener;

use crate::app::App;
use crate::routes;

/// What opens doors. Shown nowhere.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Opens the administration; without it there is none.
    pub admin_token: Option<String>,
    /// Callers must show it; without it nobody is asked.
    pub api_key: Option<String>,
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
        let address = client.config().server.listen;
        let cannot = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        Ok(Server {
            app: App::new(client, secrets),
            listener,
            address: bound,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets answers under way end.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let cannot = |source| ServeError::Listen {
            address: self.address,
            source,
        };
        axum::serve(self.listener, routes::all(self.app))
            .with_graceful_shutdown(stop)
            .await
            .map_err(cannot)
    }
}
