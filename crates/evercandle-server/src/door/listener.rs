//! Connections, as they come: accepted, given a place, and let go.
//!
//! `axum::serve` gives hyper no timer, and without one hyper has no time limit at all: whoever sends a byte a minute keeps
//! a connection for ever. So the loop is ours, every connection is a [`conversation`](super::conversation), and what the
//! peer owes us in it is a [`line`](super::line).
//!
//! HTTP/1.1 only. HTTP/2 without TLS is spoken by nobody who calls a daemon beside them, and its streams would need every
//! limit here a second time.
//!
//! A crowd must not make the daemon look dead. Where ten times too much is asked, a question about health would wait
//! behind more than a thousand others for its turn on the runtime, however quickly each of them is refused. So connections
//! are accepted on a thread of its own, the window, which looks at the first bytes: who asks about health is answered
//! there, one question a connection, and the operating system lets a thread that does little go first; everybody else is
//! handed to the runtime that the daemon was started on.
//!
//! Beyond `connections_max`, newcomers stay at the window for a moment: health is answered, everything else is refused in
//! words. There are few such places: a newcomer gets that of the oldest who has asked nothing yet, or does not read what it
//! was told. Nobody else's, who is being answered: then it is the newcomer who is refused.
//!
//! Told to stop, we take whoever the machine has let in already, since closing the socket would reset them, and give them a
//! moment to ask. Between the last look and the end of the socket a connection can still slip in and be reset, unless the
//! socket is a supervisor's: that one stays open, and whoever comes meanwhile is served by the next daemon.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use evercandle::config::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::door::conversation::{Opening, Place, Shared, converse, opening, say};
use crate::door::gate;
use crate::door::line::{Line, Patience};
use crate::metrics;

/// Connections beyond the cap that may still ask how the daemon is.
const RESERVE: usize = 64;
/// Those have this long for their question.
const RESERVE_PATIENCE: Duration = Duration::from_secs(1);
/// After an error that more accepting would only repeat (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that may wait to be accepted. Where a crowd overflows this, the kernel drops attempts without a word, and
/// whoever tries to look how the daemon is tries again only after a second.
pub(crate) const BACKLOG: u32 = 4_096;

/// Accepts and serves until `stop`, then lets answers under way end within the drain's time. Returns how many had to be
/// cut off. Whoever drops this cuts off everything.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: &ServerConfig,
    stop: CancellationToken,
) -> io::Result<usize> {
    let shared = Arc::new(Shared {
        router,
        patience: Patience::of(config),
        connections: TaskTracker::new(),
        stop,
        abort: CancellationToken::new(),
    });
    let _over = shared.abort.clone().drop_guard();
    let (done, accepted) = oneshot::channel();
    let (running, ended) = oneshot::channel::<()>();
    let window = Window {
        shared: shared.clone(),
        seats: Arc::new(Semaphore::new(config.connections_max)),
        reserve: VecDeque::new(),
        workers: Handle::current(),
    };
    let listener = listener.into_std()?;
    std::thread::Builder::new()
        .name("evercandle-door".to_owned())
        .spawn(move || {
            window.run(listener, done);
            drop(running);
        })?;
    accepted
        .await
        .map_err(|_| io::Error::other("the thread that accepts connections broke"))??;
    let connections = &shared.connections;
    let drain = Duration::from_millis(config.drain_ms);
    let cut_off = match tokio::time::timeout(drain, connections.wait()).await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    };
    shared.abort.cancel();
    connections.wait().await;
    // The window has let go of everything.
    let _ = ended.await;
    Ok(cut_off)
}

/// Where everybody comes in.
struct Window {
    shared: Arc<Shared>,
    /// As many as `connections_max`.
    seats: Arc<Semaphore>,
    /// Those beyond, oldest first.
    reserve: VecDeque<Guest>,
    /// The runtime that everything but health is answered on.
    workers: Handle,
}

/// Somebody beyond the cap.
struct Guest {
    line: Line,
    /// Cancelled when the place is needed.
    leave: CancellationToken,
}

impl Window {
    /// The window's thread, until the last connection has ended.
    fn run(mut self, listener: std::net::TcpListener, done: oneshot::Sender<io::Result<()>>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = done.send(Err(error));
                return;
            }
        };
        runtime.block_on(async {
            let accepted = self.accept(listener).await;
            self.shared.connections.close();
            let _ = done.send(accepted);
            self.shared.connections.wait().await;
        });
        // What handlers left behind on other threads ends by itself.
        runtime.shutdown_background();
    }

    async fn accept(&mut self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let shared = self.shared.clone();
        let over = async {
            tokio::select! { () = shared.stop.cancelled() => {}, () = shared.abort.cancelled() => {} }
        };
        tokio::pin!(over);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut over => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.welcome(stream).await,
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::select! {
                        () = &mut over => break,
                        () = sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
        // Asked directly: the runtime may not know yet who came last.
        let listener = listener.into_std()?;
        for _ in 0..BACKLOG {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.welcome(TcpStream::from_std(stream)?).await;
                }
                Err(error) if is_the_peers(&error) => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Gives a newcomer a place.
    async fn welcome(&mut self, stream: TcpStream) {
        // Answers are written whole; waiting for more to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let shared = self.shared.clone();
        if let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() {
            let workers = self.workers.clone();
            self.shared.connections.spawn(seated(stream, seat, shared, workers));
            return;
        }
        let line = Line::new(Patience {
            head: shared.patience.head.min(RESERVE_PATIENCE),
            idle: shared.patience.idle.min(RESERVE_PATIENCE),
            ..shared.patience
        });
        let Some(leave) = self.make_room(line.clone()) else {
            metrics::shed("connections");
            say(&stream, &gate::crowded());
            return;
        };
        self.shared.connections.spawn(async move {
            let _counted = metrics::connection();
            converse(stream, line, Place::Reserve, &shared, leave).await;
        });
        // Who has asked already must not have to leave for who comes next.
        yield_now().await;
    }

    /// A place beyond the cap, if there is one.
    fn make_room(&mut self, line: Line) -> Option<CancellationToken> {
        self.reserve.retain(|guest| guest.line.is_open());
        if RESERVE <= self.reserve.len() {
            // Whoever asked is being answered, and gone in a moment, unless it does not read.
            let place = |is_idle: fn(&Line) -> bool| self.reserve.iter().position(|guest| is_idle(&guest.line));
            let idle = place(|line| !line.has_asked()).or_else(|| place(Line::is_blocked))?;
            if let Some(guest) = self.reserve.remove(idle) {
                guest.leave.cancel();
            }
        }
        let leave = self.shared.abort.child_token();
        let guest = leave.clone();
        self.reserve.push_back(Guest { line, leave: guest });
        Some(leave)
    }
}

/// Somebody who has a seat: answered here if it is about health, else by the workers.
async fn seated(stream: TcpStream, seat: OwnedSemaphorePermit, shared: Arc<Shared>, workers: Handle) {
    let counted = metrics::connection();
    let abort = shared.abort.clone();
    match opening(&stream, &shared).await {
        Opening::None => {}
        Opening::Health => {
            let line = Line::new(shared.patience);
            converse(stream, line, Place::Window, &shared, abort).await;
        }
        Opening::Work => {
            let Ok(stream) = stream.into_std() else { return };
            let connections = shared.connections.clone();
            let conversation = async move {
                let (_seat, _counted) = (seat, counted);
                let Ok(stream) = TcpStream::from_std(stream) else {
                    return;
                };
                let line = Line::new(shared.patience);
                converse(stream, line, Place::Hall, &shared, abort).await;
            };
            connections.spawn_on(conversation, &workers);
        }
    }
}

/// Errors of one connection, not of the listener.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: beyond the cap, nobody has to leave who is being answered.
    #[tokio::test]
    async fn a_newcomer_gets_the_place_of_who_asks_nothing_or_none() {
        let patience = Patience::of(&ServerConfig::default());
        let mut window = Window {
            shared: Arc::new(Shared {
                router: Router::new(),
                patience,
                connections: TaskTracker::new(),
                stop: CancellationToken::new(),
                abort: CancellationToken::new(),
            }),
            seats: Arc::new(Semaphore::new(0)),
            reserve: VecDeque::new(),
            workers: Handle::current(),
        };
        let (mut answering, mut left) = (Vec::new(), Vec::new());
        for _ in 1..RESERVE {
            let line = Line::new(patience);
            answering.push(line.answer());
            left.push(window.make_room(line).unwrap());
        }
        let (silent, asks) = (Line::new(patience), Line::new(patience));
        let told = window.make_room(silent.clone()).unwrap();
        answering.push(asks.answer());
        assert!(window.make_room(asks).is_some() && told.is_cancelled());
        assert!(window.make_room(Line::new(patience)).is_none(), "whose place?");
        assert!(left.iter().all(|leave| !leave.is_cancelled()));
    }
}
