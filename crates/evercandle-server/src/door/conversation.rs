//! One connection, from its first byte to its last.
//!
//! hyper speaks, the gate answers, and the [`Line`] says when the peer is late. An answer that is not finished is not merely
//! left: the connection is reset, since by HTTP/1.0 a body ends where its connection does, and a part would look whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::door::gate;
use crate::door::line::{FAREWELL, HEAD_BYTES_MAX, Late, Line, Patience, Watched};
use crate::metrics;
use crate::problem::Problem;

/// A head that is written piece by piece is looked at so often, this far apart, until it tells what it is about.
const LOOKS: usize = 5;
const LOOK_PAUSE: Duration = Duration::from_millis(2);
/// Bytes buffered on a connection, either way.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Marks requests of connections beyond the cap: health is answered, nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowded;

/// What all connections share.
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) patience: Patience,
    /// Those that are open.
    pub(super) connections: TaskTracker,
    /// From here on nothing is begun.
    pub(super) stop: CancellationToken,
    /// From here on nothing goes on.
    pub(super) abort: CancellationToken,
}

/// Where a connection is served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// By the workers, for as many questions as it likes.
    Hall,
    /// At the window, for one question, which is about health.
    Window,
    /// At the window, beyond the cap, for one question.
    Reserve,
}

/// How a connection begins.
pub(super) enum Opening {
    /// With a question about health.
    Health,
    /// With anything else.
    Work,
    /// It does not: the peer left, or was silent for too long.
    None,
}

/// The first bytes of a connection decide; they are left where they are.
pub(super) async fn opening(stream: &TcpStream, shared: &Shared) -> Opening {
    let late = async {
        tokio::select! {
            () = sleep(shared.patience.head) => {}
            () = shared.abort.cancelled() => {}
            () = async { shared.stop.cancelled().await; sleep(FAREWELL).await } => {}
        }
    };
    tokio::select! {
        biased;
        opening = look(stream) => opening,
        () = late => Opening::None,
    }
}

async fn look(stream: &TcpStream) -> Opening {
    let mut bytes = [0; gate::OPENING_BYTES];
    for _ in 0..LOOKS {
        match stream.peek(&mut bytes).await {
            Ok(0) | Err(_) => return Opening::None,
            Ok(read) => match gate::is_about_health(&bytes[..read]) {
                Some(true) => return Opening::Health,
                Some(false) => return Opening::Work,
                None => sleep(LOOK_PAUSE).await,
            },
        }
    }
    Opening::Work
}

/// Why a conversation ended.
enum End {
    /// Either side closed.
    Closed,
    /// The peer is late.
    Late(Late),
    /// It had to.
    Aborted,
}

/// One connection to its end, which is at `abort` at the latest.
pub(super) async fn converse(stream: TcpStream, line: Line, place: Place, shared: &Shared, abort: CancellationToken) {
    let service = {
        let (line, router) = (line.clone(), shared.router.clone());
        service_fn(move |request: Request<Incoming>| {
            let (router, answering) = (router.clone(), line.answer());
            async move {
                let mut request = request.map(Body::new);
                if place == Place::Reserve {
                    request.extensions_mut().insert(Crowded);
                }
                let response = router.oneshot(request).await?;
                Ok::<_, Infallible>(answering.with(response))
            }
        })
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // A second fence behind ours, which is nearer.
        .header_read_timeout(shared.patience.head.max(shared.patience.idle))
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .keep_alive(place == Place::Hall && !shared.stop.is_cancelled());
    let watched = Watched::new(stream, line.clone());
    let mut connection = http.serve_connection(TokioIo::new(watched), service);
    let mut alarm = Box::pin(sleep_until(Instant::now() + shared.patience.head));
    let (mut stopped, mut aborted) = (Box::pin(shared.stop.cancelled()), Box::pin(abort.cancelled()));
    let (mut stopping, mut told) = (false, false);
    let end = std::future::poll_fn(|context| {
        if Pin::new(&mut connection).poll(context).is_ready() {
            return Poll::Ready(End::Closed);
        }
        if aborted.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Aborted);
        }
        if !stopping && stopped.as_mut().poll(context).is_ready() {
            stopping = true;
            line.stop();
        }
        // Only then: it would hang up on whoever is about to ask.
        if stopping && !told && line.is_answering() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        line.poll_late(alarm.as_mut(), context).map(End::Late)
    })
    .await;
    let stream = connection.into_parts().io.into_inner().into_inner();
    let cut_off = match end {
        End::Closed | End::Late(Late::Silent) => None,
        End::Late(Late::Head) => {
            say(&stream, &too_late());
            None
        }
        End::Late(Late::Reader) => Some("slow_reader"),
        End::Late(Late::Answer) => Some("answer_timeout"),
        // Who was at its question at the very end had nothing to lose.
        End::Aborted if shared.abort.is_cancelled() => line.has_asked().then_some("stopping"),
        End::Aborted if !line.has_asked() => {
            metrics::shed("connections");
            say(&stream, &gate::crowded());
            None
        }
        // Had to leave its place to somebody, with an answer that it does not read.
        End::Aborted => Some("slow_reader"),
    };
    // It broke off by itself: what was left of it could not be had.
    let cut_off = cut_off.or_else(|| line.is_broken().then_some("incomplete"));
    if let Some(reason) = cut_off {
        metrics::cut_off(reason);
        let _ = stream.set_zero_linger();
    }
}

/// Says no where nothing is being answered; as far as it is taken.
pub(super) fn say(stream: &TcpStream, problem: &Problem) {
    let _ = stream.try_write(&problem.as_bytes());
}

fn too_late() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "head-too-slow",
        "The request's head took too long",
        "it must arrive within server.header_timeout_ms",
    )
}
