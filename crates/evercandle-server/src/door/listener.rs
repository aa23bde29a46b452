//! Connections: accepted, watched, and let go.
//!
//! `axum::serve` gives hyper no timer, and without one hyper has no time limit at all: whoever sends a byte a minute keeps
//! a connection for ever. So the loop is ours, every connection is a [`conversation`](super::conversation), and what the
//! peer owes us in it is a [`line`](super::line).
//!
//! HTTP/1.1 only. HTTP/2 without TLS is spoken by nobody who calls a daemon beside them, and its streams would need every
//! limit here a second time.
//!
//! Beyond `connections_max` a few more connections are answered health alone and 503 for everything else, then closed: a
//! crowd must not make the daemon look dead. Beyond those, a bare 503.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use evercandle::config::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::door::conversation::{Seat, converse};
use crate::door::line::Patience;
use crate::metrics;

/// Connections beyond the cap that may still ask how the daemon is.
const RESERVE: usize = 32;
/// Those have this long for their question.
const RESERVE_PATIENCE: Duration = Duration::from_secs(1);
/// After an error that more accepting would only repeat (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const CROWDED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Accepts and serves until `stop`, then lets answers under way end within the drain's time. Returns how many had to be
/// cut off.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: &ServerConfig,
    stop: CancellationToken,
) -> usize {
    let patience = Patience::of(config);
    let seats = Arc::new(Semaphore::new(config.connections_max));
    let reserve = Arc::new(Semaphore::new(RESERVE));
    let (connections, abort) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_the_peers(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep(ACCEPT_PAUSE) => continue,
                }
            }
        };
        // Answers are written whole; waiting for more to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let (router, stop, abort) = (router.clone(), stop.clone(), abort.clone());
        if let Ok(held) = Arc::clone(&seats).try_acquire_owned() {
            connections.spawn(async move {
                let _held = held;
                converse(stream, router, patience, Seat::Regular, stop, abort).await;
            });
        } else if let Ok(held) = Arc::clone(&reserve).try_acquire_owned() {
            let patience = Patience {
                head: patience.head.min(RESERVE_PATIENCE),
                idle: patience.idle.min(RESERVE_PATIENCE),
                ..patience
            };
            connections.spawn(async move {
                let _held = held;
                converse(stream, router, patience, Seat::Reserve, stop, abort).await;
            });
        } else {
            metrics::shed("connections");
            let _ = stream.try_write(CROWDED);
        }
    }
    drop(listener);
    connections.close();
    let drain = Duration::from_millis(config.drain_ms);
    if tokio::time::timeout(drain, connections.wait()).await.is_ok() {
        return 0;
    }
    let left = connections.len();
    abort.cancel();
    connections.wait().await;
    left
}

/// Errors of one connection, not of the listener.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
