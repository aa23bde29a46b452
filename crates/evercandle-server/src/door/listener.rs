//! Connections: accepted, watched, and let go.
//!
//! `axum::serve` gives hyper no timer, and without one hyper has no time limit at all: whoever sends a byte a minute keeps
//! a connection for ever. So the loop is ours, and every connection has a [`Line`] that knows what the peer owes us:
//! the rest of a head, a next request, or to read what was written. Whoever is late is cut off.
//!
//! HTTP/1.1 only. HTTP/2 without TLS is spoken by nobody who calls a daemon beside them, and its streams would need every
//! limit here a second time.
//!
//! Beyond `connections_max` a few more connections are answered health alone and 503 for everything else, then closed: a
//! crowd must not make the daemon look dead. Beyond those, a bare 503.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use evercandle::config::ServerConfig;
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::metrics;

/// Connections beyond the cap that may still ask how the daemon is.
const RESERVE: usize = 32;
/// Those have this long for their question.
const RESERVE_PATIENCE: Duration = Duration::from_secs(1);
/// A reader gets another `idle_timeout_ms` for each of these: slow is not idle, a byte a minute is.
const PROGRESS_MIN: u64 = 64 * 1024;
/// Bytes of a request's head. No question to this daemon comes near.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes buffered on a connection, either way.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// After an error that more accepting would only repeat (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const CROWDED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Marks requests of connections beyond the cap: health is answered, nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowded;

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// From a head's first byte to its last.
    head: Duration,
    /// For a next request, or for reading on.
    idle: Duration,
}

/// Accepts and serves until `stop`, then lets answers under way end within the drain's time. Returns how many had to be
/// cut off.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: &ServerConfig,
    stop: CancellationToken,
) -> usize {
    let patience = Patience {
        head: Duration::from_millis(config.header_timeout_ms),
        idle: Duration::from_millis(config.idle_timeout_ms),
    };
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
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            connections.spawn(async move {
                let _seat = seat;
                let connection = converse(stream, router, patience, Seat::Regular, stop);
                let _ = abort.run_until_cancelled(connection).await;
            });
        } else if let Ok(seat) = Arc::clone(&reserve).try_acquire_owned() {
            let patience = Patience {
                head: patience.head.min(RESERVE_PATIENCE),
                idle: patience.idle.min(RESERVE_PATIENCE),
            };
            connections.spawn(async move {
                let _seat = seat;
                let connection = converse(stream, router, patience, Seat::Reserve, stop);
                let _ = abort.run_until_cancelled(connection).await;
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seat {
    Regular,
    Reserve,
}

/// Why a conversation ended.
enum End {
    /// Either side closed.
    Closed,
    /// The head did not arrive in time.
    LateHead,
    /// Nothing was asked, or nothing was read, for too long; or we are stopping and nothing is owed.
    Silent,
}

/// One connection to its end.
async fn converse(stream: TcpStream, router: Router, patience: Patience, seat: Seat, stop: CancellationToken) {
    let _counted = metrics::connection();
    let line = Line::new();
    let service = {
        let line = line.clone();
        service_fn(move |request: Request<Incoming>| {
            let (router, answering) = (router.clone(), line.answer());
            async move {
                let mut request = request.map(Body::new);
                if seat == Seat::Reserve {
                    request.extensions_mut().insert(Crowded);
                }
                let response = router.oneshot(request).await?;
                Ok::<_, Infallible>(response.map(|body| Answered {
                    body,
                    _answering: answering,
                }))
            }
        })
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // A second fence behind ours, which is nearer.
        .header_read_timeout(patience.head.max(patience.idle))
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .keep_alive(seat == Seat::Regular);
    let watched = Watched {
        stream,
        line: line.clone(),
    };
    let mut connection = http.serve_connection(TokioIo::new(watched), service);
    let mut alarm = Box::pin(sleep_until(Instant::now() + patience.head));
    let mut stopped = Box::pin(stop.cancelled());
    let mut stopping = false;
    let end = std::future::poll_fn(|context| {
        loop {
            if Pin::new(&mut connection).poll(context).is_ready() {
                return Poll::Ready(End::Closed);
            }
            if stopping || stopped.as_mut().poll(context).is_pending() {
                break;
            }
            stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if stopping && line.is_quiet() {
            return Poll::Ready(End::Silent);
        }
        line.poll_late(patience, alarm.as_mut(), context)
    })
    .await;
    if matches!(end, End::LateHead) {
        let watched = connection.into_parts().io.into_inner();
        let _ = watched.stream.try_write(TOO_LATE);
    }
}

/// What the peer owes us, as seen from the socket and from the answers.
#[derive(Clone)]
struct Line(Arc<Mutex<Debts>>);

struct Debts {
    /// Answers that are not wholly handed to the connection.
    answering: usize,
    /// Since when nothing is being answered; and whether anything ever was.
    quiet_since: Instant,
    greeted: bool,
    /// When the first byte of the next head arrived.
    head_since: Option<Instant>,
    /// The peer does not read: since when, and what it did read since.
    blocked: Option<(Instant, u64)>,
}

impl Line {
    fn new() -> Line {
        Line(Arc::new(Mutex::new(Debts {
            answering: 0,
            quiet_since: Instant::now(),
            greeted: false,
            head_since: None,
            blocked: None,
        })))
    }

    /// An answer begins; it ends when the value is dropped.
    fn answer(&self) -> Answering {
        let mut debts = self.0.lock();
        debts.answering += 1;
        debts.greeted = true;
        debts.head_since = None;
        Answering(self.clone())
    }

    /// Nothing is owed to the peer.
    fn is_quiet(&self) -> bool {
        let debts = self.0.lock();
        debts.answering == 0 && debts.blocked.is_none()
    }

    /// Ready once the peer is late. The alarm is only ever set earlier here, or again after it rang: a busy connection
    /// costs no timer.
    fn poll_late(&self, patience: Patience, mut alarm: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<End> {
        loop {
            let Some((deadline, end)) = self.0.lock().deadline(patience) else {
                return Poll::Pending;
            };
            if deadline <= Instant::now() {
                return Poll::Ready(end);
            }
            if alarm.is_elapsed() || deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            ready!(alarm.as_mut().poll(context));
        }
    }
}

impl Debts {
    fn deadline(&mut self, patience: Patience) -> Option<(Instant, End)> {
        if let Some((since, read)) = &mut self.blocked {
            if *since + patience.idle <= Instant::now() && PROGRESS_MIN <= *read {
                (*since, *read) = (Instant::now(), 0);
            }
            return Some((*since + patience.idle, End::Silent));
        }
        match (self.answering, self.head_since) {
            (0, Some(since)) => Some((since + patience.head, End::LateHead)),
            // Whoever connects has something to ask.
            (0, None) if !self.greeted => Some((self.quiet_since + patience.head, End::Silent)),
            (0, None) => Some((self.quiet_since + patience.idle, End::Silent)),
            _ => None,
        }
    }
}

/// An answer under way.
struct Answering(Line);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut debts = self.0.0.lock();
        debts.answering -= 1;
        debts.quiet_since = Instant::now();
    }
}

/// An answer's body; the answer lasts as long as it.
struct Answered {
    body: Body,
    _answering: Answering,
}

impl hyper::body::Body for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that tells its line what happens on it.
struct Watched {
    stream: TcpStream,
    line: Line,
}

impl Watched {
    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending => {
                self.line.0.lock().blocked.get_or_insert_with(|| (Instant::now(), 0));
            }
            Poll::Ready(Ok(bytes)) => {
                if let Some((_, read)) = &mut self.line.0.lock().blocked {
                    *read += *bytes as u64;
                }
            }
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, into);
        if before < into.filled().len() {
            let mut debts = self.line.0.lock();
            if debts.answering == 0 {
                debts.head_since.get_or_insert_with(Instant::now);
            }
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for only when everything was written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        if result.is_ready() {
            let mut debts = self.line.0.lock();
            if debts.blocked.take().is_some() {
                debts.quiet_since = Instant::now();
            }
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
