//! One connection, from its first byte to its last.
//!
//! hyper speaks, the gate answers, and the [`Line`] says when the peer is late. An answer that is not finished is not merely
//! left: the connection is reset, since by HTTP/1.0 a body ends where its connection does, and a part would look whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::door::line::{Late, Line, Patience, Watched};
use crate::metrics;

/// Bytes of a request's head. No question to this daemon comes near.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes buffered on a connection, either way.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Marks requests of connections beyond the cap: health is answered, nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowded;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    Regular,
    Reserve,
}

/// Why a conversation ended.
enum End {
    /// Either side closed.
    Closed,
    /// The peer is late.
    Late(Late),
    /// We are stopping, and nothing is owed.
    Stopped,
    /// We are stopping, and waited long enough.
    Aborted,
}

/// One connection to its end. From `stop` on nothing is begun; at `abort` what is under way is cut off.
pub(super) async fn converse(
    stream: TcpStream,
    router: Router,
    patience: Patience,
    seat: Seat,
    stop: CancellationToken,
    abort: CancellationToken,
) {
    let _counted = metrics::connection();
    let line = Line::new(patience);
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
                Ok::<_, Infallible>(answering.with(response))
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
    let watched = Watched::new(stream, line.clone());
    let mut connection = http.serve_connection(TokioIo::new(watched), service);
    let mut alarm = Box::pin(sleep_until(Instant::now() + patience.head));
    let (mut stopped, mut aborted) = (Box::pin(stop.cancelled()), Box::pin(abort.cancelled()));
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
            return Poll::Ready(End::Stopped);
        }
        if aborted.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Aborted);
        }
        line.poll_late(alarm.as_mut(), context).map(End::Late)
    })
    .await;
    let stream = connection.into_parts().io.into_inner().into_inner();
    let cut_off = match end {
        End::Late(Late::Head) => {
            let _ = stream.try_write(TOO_LATE);
            None
        }
        End::Late(Late::Reader) => Some("slow_reader"),
        End::Late(Late::Answer) => Some("answer_timeout"),
        End::Aborted => Some("stopping"),
        End::Closed | End::Stopped | End::Late(Late::Silent) => None,
    };
    if let Some(reason) = cut_off {
        metrics::cut_off(reason);
    }
    if cut_off.is_some() || line.is_broken() {
        let _ = stream.set_zero_linger();
    }
}
