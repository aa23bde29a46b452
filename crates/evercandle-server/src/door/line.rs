//! What a peer owes us: the rest of a head, a next request, or to read what was written. Whoever is late is cut off.
//!
//! A [`Line`] is what is known of one connection, told by its socket ([`Watched`]) and by its answers ([`Answering`]).
//! What follows from it is in [`Debts`], which is pure: the time is passed in.
//!
//! A reader that does not read is late after `idle_timeout_ms`. One that reads a little now and then would never be, so
//! that time is a credit: waiting for the reader uses it up, and every byte it takes gives back its share at [`PACE_MIN`].
//! And an answer ends within `answer_timeout_ms`, however quickly it is read: it holds a place and memory. Event streams
//! are exempt, and say so with [`Lasting`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use evercandle::config::ServerConfig;
use http::StatusCode;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::problem::Problem;

/// Bytes of a request's head. A thousand symbols fit.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes a second that a reader takes on average while we wait for it. Half a megabit: the slowest line by which anybody
/// fetches more than the machine buffers, a bad one by radio, is twice as fast. A reader that keeps just below it is given
/// up after a few `idle_timeout_ms`; one at twice the pace never, however unevenly the machine hands its bytes on: see
/// [`SEND_BUFFER`].
const PACE_MIN: u64 = 64 * 1024;
/// Bytes that the machine keeps for a reader. It says that there is room again only once a third of its buffer is free, and
/// left to itself it lets buffers grow to megabytes: a reader at twice the pace would seem to take nothing for ten seconds.
/// Of this much, which Linux doubles for its own needs, a third is read in one and a half; so that is the least
/// `idle_timeout_ms` with which the pace is what it says.
const SEND_BUFFER: usize = 256 * 1024;

/// When we are told to stop, whoever has connected and asked nothing yet, or is at it, may do so for this long.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);

/// Marks answers that last for as long as their reader likes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lasting;

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From a head's first byte to its last.
    pub(super) head: Duration,
    /// For a next request, or for reading on.
    pub(super) idle: Duration,
    /// From a request's head to its answer's last byte.
    pub(super) answer: Duration,
}

impl Patience {
    pub(super) fn of(config: &ServerConfig) -> Patience {
        Patience {
            head: Duration::from_millis(config.header_timeout_ms),
            idle: Duration::from_millis(config.idle_timeout_ms),
            answer: Duration::from_millis(config.answer_timeout_ms),
        }
    }
}

/// In which way a peer is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// The head did not arrive in time.
    Head,
    /// Nothing was asked for too long.
    Silent,
    /// The answer is read too slowly, or not at all.
    Reader,
    /// The answer takes too long as a whole.
    Answer,
}

/// What is known of a connection.
#[derive(Clone)]
pub(super) struct Line(Arc<Mutex<Debts>>);

impl Line {
    pub(super) fn new(patience: Patience) -> Line {
        Line(Arc::new(Mutex::new(Debts::new(patience, Instant::now()))))
    }

    /// An answer begins; it ends when the value is dropped.
    pub(super) fn answer(&self) -> Answering {
        self.0.lock().begin(Instant::now());
        Answering(self.clone())
    }

    /// Nothing is waited for any more, but for what is about to be asked.
    pub(super) fn stop(&self) {
        self.0.lock().farewell = Some(Instant::now() + FAREWELL);
    }

    /// The connection is open.
    pub(super) fn is_open(&self) -> bool {
        1 < Arc::strong_count(&self.0)
    }

    /// A whole head has come.
    pub(super) fn has_asked(&self) -> bool {
        self.0.lock().greeted
    }

    /// The peer is waited for to read on.
    pub(super) fn is_blocked(&self) -> bool {
        self.0.lock().blocked.is_some()
    }

    pub(super) fn is_answering(&self) -> bool {
        0 < self.0.lock().answering
    }

    /// An answer could not be finished.
    pub(super) fn is_broken(&self) -> bool {
        self.0.lock().broken
    }

    /// Ready once the peer is late. The alarm is only ever set earlier here, or again after it rang: a busy connection
    /// costs no timer.
    pub(super) fn poll_late(&self, mut alarm: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<Late> {
        loop {
            let Some((deadline, late)) = self.0.lock().deadline() else {
                return Poll::Pending;
            };
            if deadline <= Instant::now() {
                return Poll::Ready(late);
            }
            if alarm.is_elapsed() || deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            ready!(alarm.as_mut().poll(context));
        }
    }
}

struct Debts {
    patience: Patience,
    /// Answers that are not wholly handed to the connection.
    answering: usize,
    /// When the last answer began, unless it may last for ever.
    answer_since: Option<Instant>,
    /// An answer could not be finished.
    broken: bool,
    /// Since when nothing is being answered; and whether anything ever was.
    quiet_since: Instant,
    greeted: bool,
    /// When the first byte of the next head arrived.
    head_since: Option<Instant>,
    /// Since we were told to stop: until when a head is waited for.
    farewell: Option<Instant>,
    /// Since when the peer is waited for to read on.
    blocked: Option<Instant>,
    /// For how long it may yet be.
    credit: Duration,
}

impl Debts {
    fn new(patience: Patience, now: Instant) -> Debts {
        Debts {
            patience,
            answering: 0,
            answer_since: None,
            broken: false,
            quiet_since: now,
            greeted: false,
            head_since: None,
            farewell: None,
            blocked: None,
            credit: patience.idle,
        }
    }

    /// A head is there, and its answer begins.
    fn begin(&mut self, now: Instant) {
        self.answering += 1;
        self.answer_since = Some(now);
        self.greeted = true;
        self.head_since = None;
        self.credit = self.patience.idle;
    }

    /// An answer was handed over.
    fn end(&mut self, now: Instant) {
        self.answering -= 1;
        self.quiet_since = now;
    }

    /// Some bytes came.
    fn heard(&mut self, now: Instant) {
        if self.answering == 0 {
            self.head_since.get_or_insert(now);
        }
    }

    /// The peer takes no more for now.
    fn block(&mut self, now: Instant) {
        self.blocked.get_or_insert(now);
    }

    /// The peer took some bytes.
    fn wrote(&mut self, bytes: usize, now: Instant) {
        if let Some(since) = &mut self.blocked {
            self.credit = self.credit.saturating_sub(now.saturating_duration_since(*since));
            *since = now;
        }
        let earned = Duration::from_secs_f64(bytes as f64 / PACE_MIN as f64);
        self.credit = self.patience.idle.min(self.credit + earned);
    }

    /// The peer took all there is.
    fn flushed(&mut self, now: Instant) {
        if self.blocked.is_some() {
            self.wrote(0, now);
            (self.blocked, self.quiet_since) = (None, now);
        }
    }

    fn deadline(&self) -> Option<(Instant, Late)> {
        let patience = self.patience;
        let whole = self.answer_since.map(|since| (since + patience.answer, Late::Answer));
        if let Some(since) = self.blocked {
            let reader = (since + self.credit, Late::Reader);
            return Some(whole.filter(|whole| whole.0 < reader.0).unwrap_or(reader));
        }
        if 0 < self.answering {
            return whole;
        }
        let (deadline, late) = match self.head_since {
            Some(since) => (since + patience.head, Late::Head),
            // Whoever connects has something to ask.
            None if !self.greeted => (self.quiet_since + patience.head, Late::Silent),
            None if self.farewell.is_some() => (self.quiet_since, Late::Silent),
            None => (self.quiet_since + patience.idle, Late::Silent),
        };
        Some((self.farewell.map_or(deadline, |farewell| farewell.min(deadline)), late))
    }

    /// Whether what is written now is no answer: a head has begun, and nothing was asked by it.
    fn is_refusal(&self) -> bool {
        self.answering == 0 && self.blocked.is_none() && self.head_since.is_some()
    }
}

/// An answer under way.
pub(super) struct Answering(Line);

impl Answering {
    /// The response; its answer lasts as long as its body.
    pub(super) fn with(
        self,
        response: Response,
    ) -> Response<impl hyper::body::Body<Data = Bytes, Error = axum::Error>> {
        if response.extensions().get::<Lasting>().is_some() {
            self.0.0.lock().answer_since = None;
        }
        response.map(|body| {
            body.map_err(move |error| {
                self.0.0.lock().broken = true;
                error
            })
        })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.lock().end(Instant::now());
    }
}

/// A socket that tells its line what happens on it.
pub(super) struct Watched {
    stream: TcpStream,
    line: Line,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, line: Line) -> Watched {
        // Where it cannot be set, a slow reader on a busy line has less time.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER);
        Watched { stream, line }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// hyper refuses what it cannot read with a status alone. That is swallowed, and said in words.
    fn refused(&self, bytes: &[u8]) -> bool {
        if !(bytes.starts_with(b"HTTP/1.1 4") && self.line.0.lock().is_refusal()) {
            return false;
        }
        let problem = match bytes.get(9..12) {
            Some(b"431") => Problem::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head-too-large",
                "The request's head is too large",
                format!("at most {HEAD_BYTES_MAX} bytes of first line and headers are read"),
            ),
            _ => Problem::bad_request(
                "this is not HTTP/1.1 (RFC 9112): its first line or one of its headers is malformed",
            ),
        };
        // As far as it is taken, which is all of it: nothing is on its way.
        let _ = self.stream.try_write(&problem.as_bytes());
        true
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending => self.line.0.lock().block(Instant::now()),
            Poll::Ready(Ok(bytes)) => self.line.0.lock().wrote(*bytes, Instant::now()),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, into);
        if before < into.filled().len() {
            self.line.0.lock().heard(Instant::now());
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.refused(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [bytes] = slices
            && self.refused(bytes)
        {
            return Poll::Ready(Ok(bytes.len()));
        }
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
            self.line.0.lock().flushed(Instant::now());
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        answer: Duration::from_secs(600),
    };

    /// When, and why, somebody is cut off who takes so many bytes every so often of an answer that never ends; `pages`:
    /// whether all there is was taken each time, and then comes more.
    fn cut_off(patience: Patience, bytes: usize, every: Duration, pages: bool) -> (Duration, Late) {
        let began = Instant::now();
        let mut debts = Debts::new(patience, began);
        debts.begin(began);
        debts.block(began);
        let mut now = began;
        loop {
            let (deadline, late) = debts.deadline().unwrap();
            if deadline <= now + every {
                return (deadline - began, late);
            }
            now += every;
            debts.wrote(bytes, now);
            if pages {
                debts.flushed(now);
                debts.block(now);
            }
        }
    }

    /// Goal: an answer's place cannot be held for long by taking a little of it now and then.
    #[test]
    fn a_reader_below_the_pace_is_late_however_steadily_it_reads_and_one_above_it_only_when_the_whole_is() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(cut_off(PATIENCE, 0, second, false), (minute, Late::Reader));
        for pages in [false, true] {
            for (bytes, every) in [(100, second), (32 * 1024, second), (64 * 1024, Duration::from_secs(55))] {
                let (after, late) = cut_off(PATIENCE, bytes, every, pages);
                assert_eq!(late, Late::Reader);
                assert!(
                    minute <= after && after <= 2 * minute,
                    "{bytes} every {every:?}: {after:?}"
                );
            }
            // At twice the pace, in pieces as the machine hands them on, with as little patience as that allows.
            let patience = Patience {
                idle: Duration::from_millis(1_500),
                ..PATIENCE
            };
            let piece = 2 * SEND_BUFFER / 3;
            let every = Duration::from_secs_f64(piece as f64 / (2 * PACE_MIN) as f64);
            let (after, late) = cut_off(patience, piece, every, pages);
            assert_eq!((after, late), (PATIENCE.answer, Late::Answer));
        }
    }

    #[tokio::test]
    async fn the_machine_keeps_no_more_for_a_reader_than_its_pace_allows() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, _theirs) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let watched = Watched::new(ours.unwrap().0, Line::new(PATIENCE));
        let kept = rustix::net::sockopt::socket_send_buffer_size(&watched.stream).unwrap();
        assert!([SEND_BUFFER, 2 * SEND_BUFFER].contains(&kept), "{kept}");
    }

    #[test]
    fn an_answer_has_a_time_as_a_whole_unless_it_may_last() {
        let began = Instant::now();
        let mut debts = Debts::new(PATIENCE, began);
        debts.begin(began);
        assert_eq!(debts.deadline(), Some((began + PATIENCE.answer, Late::Answer)));
        debts.answer_since = None;
        assert_eq!(debts.deadline(), None);
        debts.end(began);
        assert_eq!(debts.deadline(), Some((began + PATIENCE.idle, Late::Silent)));
    }
}
