//! What every route may use.

use std::sync::Arc;

use evercandle::Client;
use evercandle::config::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::server::Secrets;

/// Shared by all routes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    client: Client,
    secrets: Secrets,
    stopping: CancellationToken,
}

impl App {
    pub(crate) fn new(client: Client, secrets: Secrets) -> App {
        App(Arc::new(Inner {
            client,
            secrets,
            stopping: CancellationToken::new(),
        }))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.0.client.config().server
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// Cancelled when the daemon is told to stop: event streams end, nothing new begins.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }
}
