//! The simulator on a loopback socket.
//!
//! HTTP/1.1 is spoken by hand, because the point of this server is to be able to misbehave: to reset in the middle of a
//! body, to promise more than it sends, to drip. Frameworks exist to make that impossible.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::config::Config;
use crate::message::{Delivery, Reply, Request};
use crate::simulator::Simulator;

/// Bytes of request head accepted: our own clients send a few hundred.
const HEAD_MAX: usize = 64 * 1024;
/// Bytes of request body accepted: faults and halts in JSON.
const BODY_MAX: usize = 1024 * 1024;
/// Headers per request accepted.
const HEADERS_MAX: usize = 64;
/// Bytes per chunk of a body without end.
const ENDLESS_CHUNK: usize = 64 * 1024;
/// Steps per second in which a dripping body is sent.
const DRIPS_PER_SECOND: u32 = 10;

/// A running simulator. Everything a [`Simulator`] can do, plus an address; dropping it closes every connection.
pub struct Handle {
    simulator: Simulator,
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    /// The thread of a simulator with a runtime of its own.
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Listens on `config.listen` and serves from tasks of the current runtime.
    pub async fn start(config: Config) -> io::Result<Handle> {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let simulator = Simulator::new(config);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(listener, simulator.clone(), stopped));
        Ok(Handle {
            simulator,
            addr,
            stop,
            thread: None,
        })
    }

    /// Listens and serves from a thread with a runtime of its own, for callers without one.
    pub fn start_blocking(config: Config) -> io::Result<Handle> {
        let simulator_listen = config.listen;
        let simulator = Simulator::new(config);
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = mpsc::channel();
        let served = simulator.clone();
        let thread = std::thread::Builder::new()
            .name("evercandle-simulator".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build();
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                runtime.block_on(async move {
                    match TcpListener::bind(simulator_listen)
                        .await
                        .and_then(|it| Ok((it.local_addr()?, it)))
                    {
                        Ok((addr, listener)) => {
                            let _ = tell.send(Ok(addr));
                            serve(listener, served, stopped).await;
                        }
                        Err(error) => drop(tell.send(Err(error))),
                    }
                });
                runtime.shutdown_timeout(Duration::ZERO);
            })?;
        let addr = told
            .recv()
            .map_err(|_| io::Error::other("the simulator's thread died at birth"))??;
        Ok(Handle {
            simulator,
            addr,
            stop,
            thread: Some(thread),
        })
    }
}

impl Handle {
    /// The socket it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`: what `EVERCANDLE_INTERNET` wants.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The URL of something in the pretend internet: `url("api.binance.com/api/v3/ping")`.
    pub fn url(&self, target: &str) -> String {
        format!("{}/{}", self.base_url(), target.trim_start_matches('/'))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Deref for Handle {
    type Target = Simulator;

    fn deref(&self) -> &Simulator {
        &self.simulator
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.simulator.close_doors();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, simulator: Simulator, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (simulator, mut stopped) = (simulator.clone(), stopped.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = stopped.changed() => {}
                        // A client that goes away in the middle is no news.
                        _ = converse(stream, simulator) => {}
                    }
                });
            }
        }
    }
}

/// Whether a connection can carry another request.
enum After {
    KeepAlive,
    Close,
    /// The connection is dropped as it is: with zero linger that is a reset, where a shutdown would be polite.
    Reset,
}

/// A connection, whatever it is wrapped in, that can be dropped rudely.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// The bare connection.
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

#[cfg(feature = "tls")]
impl Wire for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Answers the requests of one connection until it ends.
pub(crate) async fn converse(mut stream: impl Wire, simulator: Simulator) -> io::Result<()> {
    stream.tcp().set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some((request, wants_close)) = read_request(&mut stream, &mut buffer).await? {
        let now = simulator.clock().now();
        let answering = simulator.clone();
        let asked = request.clone();
        // Building a month of minutes is work for a thread that may block.
        let reply = tokio::task::spawn_blocking(move || answering.respond_by_wire(&asked, now))
            .await
            .map_err(io::Error::other)?;
        tokio::time::sleep(reply.delay).await;
        match send(&mut stream, &request, reply).await? {
            After::KeepAlive if !wants_close => {}
            After::Reset => return Ok(()),
            _ => return stream.shutdown().await,
        }
    }
    Ok(())
}

/// The next request on a connection, or `None` when the client has hung up.
async fn read_request(stream: &mut impl Wire, buffer: &mut Vec<u8>) -> io::Result<Option<(Request, bool)>> {
    loop {
        if let Some((mut request, head, length)) = parse_head(buffer)? {
            if length > BODY_MAX {
                return Err(io::Error::other("request body too large"));
            }
            while buffer.len() < head + length {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            request.body = Bytes::copy_from_slice(&buffer[head..head + length]);
            buffer.drain(..head + length);
            let wants_close = request
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"));
            return Ok(Some((request, wants_close)));
        }
        if buffer.len() > HEAD_MAX {
            return Err(io::Error::other("request head too large"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// A request head with its own length and that of its body, once it is complete.
fn parse_head(buffer: &[u8]) -> io::Result<Option<(Request, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(buffer).map_err(io::Error::other)? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    let mut request = Request::new(parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    for header in parsed.headers.iter() {
        request = request.with_header(header.name, &String::from_utf8_lossy(header.value));
    }
    let length = request
        .header("content-length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    Ok(Some((request, head, length)))
}

async fn send(stream: &mut impl Wire, request: &Request, reply: Reply) -> io::Result<After> {
    match reply.delivery {
        Delivery::Drop => {
            stream.tcp().set_zero_linger()?;
            return Ok(After::Reset);
        }
        Delivery::Silence => std::future::pending().await,
        _ => {}
    }
    let body = if request.method == "HEAD" {
        Bytes::new()
    } else {
        reply.response.body.clone()
    };
    stream.write_all(&head_of(&reply)).await?;
    match reply.delivery {
        Delivery::ResetAfter(bytes) => {
            stream.write_all(&body[..bytes.min(body.len())]).await?;
            stream.flush().await?;
            stream.tcp().set_zero_linger()?;
            Ok(After::Reset)
        }
        Delivery::Short(missing) => {
            stream.write_all(&body[..body.len().saturating_sub(missing)]).await?;
            Ok(After::Close)
        }
        Delivery::Endless => loop {
            send_chunk(stream, &[b' '; ENDLESS_CHUNK]).await?;
        },
        Delivery::Unfinished => {
            send_chunk(stream, &body).await?;
            Ok(After::Close)
        }
        Delivery::Trickle(bytes_per_second) => {
            let drip = (bytes_per_second / DRIPS_PER_SECOND).max(1);
            let pause = Duration::from_secs_f64(f64::from(drip) / f64::from(bytes_per_second.max(1)));
            for piece in body.chunks(drip as usize) {
                stream.write_all(piece).await?;
                stream.flush().await?;
                tokio::time::sleep(pause).await;
            }
            Ok(After::KeepAlive)
        }
        _ => {
            stream.write_all(&body).await?;
            stream.flush().await?;
            Ok(After::KeepAlive)
        }
    }
}

async fn send_chunk(stream: &mut impl Wire, chunk: &[u8]) -> io::Result<()> {
    stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
    stream.write_all(chunk).await?;
    stream.write_all(b"\r\n").await
}

fn head_of(reply: &Reply) -> Vec<u8> {
    let response = &reply.response;
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    // A 304 has no body and must not announce one.
    if matches!(reply.delivery, Delivery::Endless | Delivery::Unfinished) {
        head.push_str("Transfer-Encoding: chunked\r\n");
    } else if response.status != 304 {
        head.push_str(&format!("Content-Length: {}\r\n", response.body.len()));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
