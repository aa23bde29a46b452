//! What every route may use.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evercandle::Client;
use evercandle::alert::Alert;
use evercandle::config::ServerConfig;
use evercandle::schedule::{ScheduleStatus, Scheduler};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cache_figures::CacheFigures;
use crate::door::access::Access;
use crate::door::limits::Limits;
use crate::feed::Feed;
use crate::listings::Listings;
use crate::notify::Board;
use crate::routes::admin::CacheVerification;
use crate::server::Secrets;

/// Shared by all routes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    client: Client,
    access: Access,
    limits: Limits,
    verification: CacheVerification,
    listings: Listings,
    started: Instant,
    /// Cancelled when the daemon was told to stop.
    stopping: CancellationToken,
    figures: CacheFigures,
    feed: Feed,
    scheduler: Scheduler,
    board: Board,
}

impl App {
    pub(crate) fn new(scheduler: Scheduler, client: Client, secrets: &Secrets, listening: SocketAddr) -> App {
        let config = &client.config().server;
        let stopping = CancellationToken::new();
        App(Arc::new(Inner {
            access: Access::new(secrets, config, listening),
            limits: Limits::new(config),
            verification: CacheVerification::new(),
            listings: Listings::default(),
            started: client.clock().instant(),
            figures: CacheFigures::new(client.store().clone(), client.clock().clone()),
            feed: Feed::new(client.clone(), stopping.clone()),
            scheduler,
            board: Board::default(),
            client,
            stopping,
        }))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.0.client.config().server
    }

    /// Who may ask what.
    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    /// How much is done at once.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The verification of the cache that an administrator asked for.
    pub(crate) fn verification(&self) -> &CacheVerification {
        &self.0.verification
    }

    /// What the markets list.
    pub(crate) fn listings(&self) -> &Listings {
        &self.0.listings
    }

    /// Cancelled when the daemon is told to stop: from then on nothing long is begun, and what is endless ends.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// How full the cache is.
    pub(crate) fn figures(&self) -> &CacheFigures {
        &self.0.figures
    }

    /// What event streams are fed with.
    pub(crate) fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// What somebody must know of: pending, firing, and ended a while ago.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.0.board.alerts()
    }

    pub(crate) fn board(&self) -> &Board {
        &self.0.board
    }

    /// How long the daemon has been there.
    pub(crate) fn uptime(&self) -> Duration {
        self.client()
            .clock()
            .instant()
            .saturating_duration_since(self.0.started)
    }

    /// What keeps the watches warm.
    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.0.scheduler
    }

    /// The scheduler as it stands.
    pub(crate) fn schedule(&self) -> ScheduleStatus {
        self.0.scheduler.status()
    }
}
