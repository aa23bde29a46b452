//! One HTTP send, with every bound that belongs to it.
//!
//! A whole-transfer timeout is wrong in both directions: too long for a page of klines, too short for a month of
//! seconds. So three limits replace it: time until the headers, silence within the body, and a minimum rate, because a
//! byte every second is an outage too. Bodies have a cap per call, counted after decompression.
//!
//! What the library underneath would do behind our back is switched off: redirects (an upstream that moved is news, not
//! a detail), retries (the engine counts attempts) and proxies named in the environment (unless configured).
//!
//! Whether a second try may help is decided here as well. It may when a transfer broke off. It does not when nobody
//! answered at all: the time is better spent on the next upstream. A provider with several hosts knows better and says
//! so itself.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
pub(super) use reqwest::header::HeaderMap;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};
use url::Url;

use super::FetchError;
use crate::clock::Clock;
use crate::config::{ConfigError, HttpConfig, ProviderConfig};

pub use super::reply::{RETRY_AFTER_MAX, Reply, StatusRules, bounded};

/// Never HTML: gateways answer in the format they are asked for.
const ACCEPTED: &str = "application/json, application/xml, application/zip, application/octet-stream, text/plain;q=0.5";
/// Connections kept open per host while nothing is asked.
const IDLE_CONNECTIONS: usize = 16;
/// How often a busy HTTP/2 connection is pinged; a dead one would otherwise swallow every request until it is noticed.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// The one HTTP client of a process. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    internet: Option<Url>,
    timeout: Duration,
    idle_timeout: Duration,
    rate_min: u64,
    clock: Clock,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The verb.
    pub method: Method,
    /// Host name, with a port where it is not the usual one.
    pub host: &'a str,
    /// Begins with `/`; already percent-encoded.
    pub path: &'a str,
    /// Names and values; encoded here.
    pub query: &'a [(&'a str, &'a str)],
    /// Bytes the body may have, after decompression.
    pub body_max: usize,
    /// Whether the body may be compressed on the way. Pointless for archives.
    pub compressed: bool,
    /// A further header, name and value.
    pub header: Option<(&'static str, &'a str)>,
}

/// The verbs that change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the name says it")]
pub enum Method {
    Get,
    Head,
}

impl Http {
    /// With `internet` set, every request goes to `<internet>/<host>/<path>` instead of `https://<host>/<path>`.
    pub fn new(config: &HttpConfig, internet: Option<Url>) -> Result<Http, ConfigError> {
        // Whoever comes first installs it; any later one finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("evercandle/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(ACCEPTED))]))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(config.timeout())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(config.timeout());
        if !config.proxy_from_environment {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|e| ConfigError(format!("http: no client can be made: {}", chain(&e))))?;
        Ok(Http {
            client,
            internet,
            timeout: config.timeout(),
            idle_timeout: config.idle_timeout(),
            rate_min: config.rate_min,
            clock: Clock::system(),
        })
    }

    /// The same client as one upstream is configured to use it; connections are still shared.
    pub fn of(&self, config: &ProviderConfig) -> Http {
        Http {
            internet: config.internet.clone().or_else(|| self.internet.clone()),
            timeout: config.timeout_ms.map_or(self.timeout, Duration::from_millis),
            ..self.clone()
        }
    }

    /// Sends once and reads the whole body. Any status is a reply; only a missing or broken one is an error.
    pub async fn send(&self, ask: Ask<'_>) -> Result<Reply, FetchError> {
        let place = format!("{}{}", ask.host, ask.path);
        let request = self.request(&ask, &place)?;
        let unanswered = |why: String| FetchError::TimedOut(format!("{place}: {why}"));
        let response = match tokio::time::timeout(self.timeout, self.client.execute(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unsent(&place, &error)),
            Err(_) => return Err(unanswered(format!("no answer within {} ms", self.timeout.as_millis()))),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.body(response, &ask, &place).await?;
        Ok(Reply {
            status,
            body,
            place,
            headers,
        })
    }

    fn request(&self, ask: &Ask<'_>, place: &str) -> Result<reqwest::Request, FetchError> {
        let base = match &self.internet {
            Some(internet) => format!("{}/{place}", internet.as_str().trim_end_matches('/')),
            None => format!("https://{place}"),
        };
        let rejected = |why: String| FetchError::Rejected(format!("{place}: {why}"));
        let mut url = Url::parse(&base).map_err(|e| rejected(e.to_string()))?;
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        let method = match ask.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
        };
        let mut request = self.client.request(method, url);
        if !ask.compressed {
            request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some((name, value)) = ask.header {
            let mut value =
                HeaderValue::from_str(value).map_err(|_| rejected(format!("{name}: not a header's value")))?;
            // A header of ours may be a key.
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.build().map_err(|e| rejected(chain(&e)))
    }

    /// Reads the body under its three limits: cap, silence, rate.
    async fn body(&self, mut response: reqwest::Response, ask: &Ask<'_>, place: &str) -> Result<Bytes, FetchError> {
        let too_long = || FetchError::Corrupt(format!("{place}: the body is longer than {} bytes", ask.body_max));
        let broken = |why: String| FetchError::Unreachable {
            why: format!("{place}: {why}"),
            retry: true,
        };
        let late = |why: String| FetchError::TimedOut(format!("{place}: {why}"));
        let declared = response.content_length().unwrap_or(0);
        if ask.method == Method::Get && declared > ask.body_max as u64 {
            return Err(too_long());
        }
        // A header is a claim: room is made for what it declares, but not for more than a megabyte at once.
        let mut body = BytesMut::with_capacity((declared as usize).min(1 << 20));
        let mut window = (self.clock.instant(), 0u64);
        loop {
            let chunk = match tokio::time::timeout(self.idle_timeout, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok(body.freeze()),
                Ok(Err(error)) => {
                    let why = format!("the body broke off after {} bytes: {}", body.len(), chain(&error));
                    return Err(broken(why));
                }
                Err(_) => {
                    let silence = self.idle_timeout.as_millis();
                    let why = format!("the body fell silent for {silence} ms after {} bytes", body.len());
                    return Err(late(why));
                }
            };
            if body.len() + chunk.len() > ask.body_max {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
            window.1 += chunk.len() as u64;
            let elapsed = self.clock.instant().duration_since(window.0);
            if elapsed >= self.idle_timeout {
                if (window.1 as f64) < self.rate_min as f64 * elapsed.as_secs_f64() {
                    let why = format!("the body trickles: {} bytes in {} ms", window.1, elapsed.as_millis());
                    return Err(late(why));
                }
                window = (self.clock.instant(), 0);
            }
        }
    }
}

impl<'a> Ask<'a> {
    /// A query for a text, which may come compressed.
    pub fn text(host: &'a str, path: &'a str, query: &'a [(&'a str, &'a str)], body_max: usize) -> Ask<'a> {
        Ask {
            method: Method::Get,
            host,
            path,
            query,
            body_max,
            compressed: true,
            header: None,
        }
    }

    /// A file, byte for byte.
    pub fn file(host: &'a str, path: &'a str, body_max: usize) -> Ask<'a> {
        Ask {
            method: Method::Get,
            host,
            path,
            query: &[],
            body_max,
            compressed: false,
            header: None,
        }
    }
}

/// Nothing was answered: says at which step it stopped.
fn unsent(place: &str, error: &reqwest::Error) -> FetchError {
    let cause = io_kind(error);
    let (what, retry) = if is_tls(error) || (error.is_connect() && cause == Some(io::ErrorKind::UnexpectedEof)) {
        ("no secure connection", false)
    } else if error.is_dns() {
        ("no such host", false)
    } else if error.is_timeout() {
        return FetchError::TimedOut(format!("{place}: no connection in time: {}", chain(error)));
    } else if error.is_connect() {
        ("no connection", false)
    } else {
        // The connection stood and broke before the headers.
        ("no answer", true)
    };
    FetchError::Unreachable {
        why: format!("{place}: {what}: {}", chain(error)),
        retry,
    }
}

type Cause = dyn std::error::Error + 'static;

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &Cause> {
    fn next<'a>(&e: &&'a Cause) -> Option<&'a Cause> {
        // The standard library's wrapper names the inner error's source as its own and so hides the inner error.
        let inner = e.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|i| i as &Cause).or_else(|| e.source())
    }
    std::iter::successors(error.source(), next)
}

fn is_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|e| e.is::<rustls::Error>())
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    causes(error)
        .find_map(|e| e.downcast_ref::<io::Error>())
        .map(io::Error::kind)
}

/// The causes from the outermost inwards, without the URL: its query is noise, and might be more.
fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !parts.iter().any(|p| p.contains(&text)) {
            parts.push(text);
        }
    }
    if parts.is_empty() {
        return "unknown cause".into();
    }
    parts.join(": ")
}

/// A server of one behaviour per request, on a port of its own.
#[cfg(test)]
pub(crate) mod stub {
    use std::sync::Arc;
    use std::time::Duration;

    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use url::Url;

    use super::Http;
    use crate::config::HttpConfig;

    /// What happens to a request.
    pub(crate) enum Act {
        /// Status, further header lines (each ending in `\r\n`), body.
        Reply(u16, &'static str, Vec<u8>),
        /// These bytes, then the end of the connection.
        Raw(Vec<u8>),
        /// These bytes, then nothing for longer than anyone waits.
        Hang(Vec<u8>),
        /// These bytes, then one more every so often.
        Trickle(Vec<u8>, Duration),
    }

    impl Act {
        pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Act {
            Act::Reply(200, "", body.into())
        }
    }

    pub(crate) struct Stub {
        pub(crate) port: u16,
        /// The heads of all requests so far.
        pub(crate) asked: Arc<Mutex<Vec<String>>>,
    }

    impl Stub {
        /// `answer` is given the request's target: `/<host>/<path>?<query>`.
        pub(crate) async fn start(answer: impl Fn(&str) -> Act + Send + Sync + 'static) -> Stub {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let asked = Arc::new(Mutex::new(Vec::new()));
            let (seen, answer) = (asked.clone(), Arc::new(answer));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, seen.clone(), answer.clone()));
                }
            });
            Stub { port, asked }
        }

        /// A client whose internet is this server, with limits short enough to wait for.
        pub(crate) fn http(&self) -> Http {
            let internet = Url::parse(&format!("http://127.0.0.1:{}", self.port)).unwrap();
            Http::new(&impatient(), Some(internet)).unwrap()
        }

        /// The targets of all requests so far.
        pub(crate) fn targets(&self) -> Vec<String> {
            let target = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
            self.asked.lock().iter().map(target).collect()
        }
    }

    pub(crate) fn impatient() -> HttpConfig {
        HttpConfig {
            timeout_ms: 400,
            idle_timeout_ms: 300,
            rate_min: 1_000,
            proxy_from_environment: false,
        }
    }

    async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>, answer: Arc<impl Fn(&str) -> Act>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let act = answer(head.split(' ').nth(1).unwrap_or_default());
        seen.lock().push(head);
        match act {
            Act::Reply(status, headers, body) => {
                let length = body.len();
                let start =
                    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
                let _ = stream.write_all(&[start.as_bytes(), &body].concat()).await;
            }
            Act::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
            }
            Act::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending::<()>().await;
            }
            Act::Trickle(bytes, pause) => {
                let _ = stream.write_all(&bytes).await;
                loop {
                    crate::clock::Clock::system().sleep(pause).await;
                    if stream.write_all(b".").await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::stub::{Act, Stub, impatient};
    use super::*;

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";

    async fn get(stub: &Stub, body_max: usize) -> Result<Reply, FetchError> {
        stub.http().send(Ask::text("example.org", "/x", &[], body_max)).await
    }

    #[tokio::test]
    async fn a_request_names_host_path_and_query_and_asks_for_no_web_page() {
        let stub = Stub::start(|_| Act::ok("{}")).await;
        let query = [("symbol", "币USDT"), ("limit", "1")];
        let ask = Ask::text("api.binance.com", "/api/v3/klines", &query, 100);
        let reply = stub.http().send(ask).await.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (200, &b"{}"[..]));
        let head = stub.asked.lock()[0].to_ascii_lowercase();
        let line = "get /api.binance.com/api/v3/klines?symbol=%e5%b8%81usdt&limit=1 http/1.1";
        assert!(head.starts_with(line), "{head}");
        assert!(
            head.contains("accept: application/json") && !head.contains("text/html"),
            "{head}"
        );
        assert!(
            head.contains("user-agent: evercandle/") && head.contains("gzip"),
            "{head}"
        );
        stub.http().send(Ask::file("example.org", "/f.zip", 100)).await.unwrap();
        assert!(!stub.asked.lock()[1].contains("gzip"));
    }

    /// Goal: each way a transfer can fail is told apart, is bounded in time, and says whether a second try may help.
    #[tokio::test]
    async fn every_broken_transfer_is_named_and_bounded() {
        let pause = Duration::from_millis(20);
        type Case = (&'static str, bool, fn(Duration) -> Act);
        let cases: Vec<Case> = vec![
            ("no answer within 400 ms", false, |_| Act::Hang(vec![])),
            ("no answer", true, |_| Act::Raw(vec![])),
            ("no answer", true, |_| Act::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec())),
            ("fell silent for 300 ms after 3 bytes", false, |_| {
                Act::Hang(format!("{HEAD}abc").into())
            }),
            ("trickles", false, |pause| Act::Trickle(HEAD.into(), pause)),
            ("broke off after 3 bytes", true, |_| {
                Act::Raw(format!("{HEAD}abc").into())
            }),
            ("broke off after 3 bytes", true, |_| {
                Act::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n".to_vec())
            }),
        ];
        for (expected, again, act) in cases {
            let stub = Stub::start(move |_| act(pause)).await;
            let begun = Clock::system().instant();
            match get(&stub, 10_000).await.unwrap_err() {
                FetchError::Unreachable { why, retry: true } if again => {
                    assert!(why.starts_with("example.org/x: ") && why.contains(expected), "{why}");
                }
                FetchError::TimedOut(why) if !again => {
                    assert!(why.starts_with("example.org/x: ") && why.contains(expected), "{why}");
                }
                other => panic!("{expected}: {other:?}"),
            }
            assert!(begun.elapsed() < Duration::from_secs(8), "{expected}");
        }
    }

    #[tokio::test]
    async fn who_cannot_be_connected_to_is_not_asked_again() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let plain = Stub::start(|_| Act::Raw(b"HTTP/1.1 400 speak plainly\r\n\r\n".to_vec())).await;
        let silent = Stub::start(|_| Act::Hang(vec![])).await;
        let direct = Http::new(&impatient(), None).unwrap();
        for (host, expected) in [
            (format!("127.0.0.1:{closed}"), "no connection"),
            (format!("127.0.0.1:{}", plain.port), "no "),
            (format!("127.0.0.1:{}", silent.port), "no "),
            ("no-such-host.invalid".to_owned(), "no "),
        ] {
            match direct
                .send(Ask::text(&host, "/secret", &[("key", "hunter2")], 10))
                .await
                .unwrap_err()
            {
                FetchError::Unreachable { why, retry: false } | FetchError::TimedOut(why) => {
                    assert!(why.starts_with(&format!("{host}/secret: {expected}")), "{why}");
                    assert!(!why.contains("hunter2"), "{why}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_given_up_at_its_cap_however_it_arrives() {
        let bomb = {
            let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
            let mut out = vec![0; 100_000];
            let written = compressor.gzip_compress(&vec![b' '; 5_000_000], &mut out).unwrap();
            out.truncate(written);
            out
        };
        let declared = Stub::start(|_| Act::ok(vec![b' '; 2_000])).await;
        let chunked = Stub::start(|_| {
            let chunks = "100\r\n".to_owned() + &" ".repeat(256) + "\r\n";
            Act::Hang(
                format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                    chunks.repeat(8)
                )
                .into(),
            )
        })
        .await;
        let packed = Stub::start(move |_| Act::Reply(200, "Content-Encoding: gzip\r\n", bomb.clone())).await;
        for (stub, body_max) in [(declared, 1_999), (chunked, 2_000), (packed, 100_000)] {
            let error = get(&stub, body_max).await.unwrap_err();
            assert!(
                matches!(&error, FetchError::Corrupt(why) if why.contains(&body_max.to_string())),
                "{error:?}"
            );
        }
        let fits = Stub::start(|_| Act::ok(vec![b' '; 2_000])).await;
        assert_eq!(get(&fits, 2_000).await.unwrap().body.len(), 2_000);
    }

    #[tokio::test]
    async fn redirects_are_news_and_are_not_followed() {
        let stub = Stub::start(|_| Act::Reply(302, "Location: /elsewhere\r\n", vec![])).await;
        let reply = get(&stub, 100).await.unwrap();
        assert_eq!((reply.status, stub.targets().len()), (302, 1));
        let rules = StatusRules {
            throttled_for: Duration::from_secs(30),
            retry_server_errors: true,
        };
        let refusal = reply.refusal(rules).unwrap();
        assert!(
            matches!(refusal, FetchError::Unreachable { retry: false, .. }),
            "{refusal:?}"
        );
    }
}
