//! What is not HTTP, or almost: a corpus, each entry on a connection of its own.

use std::time::Duration;

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Daemon, status};

/// What must come of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No answer, or only refusals.
    Refused,
    /// Odd, but the standard allows it and it has one meaning: so many answers, none of them an accident.
    Tolerated(usize),
}
use Fate::{Refused, Tolerated};

/// Asked for inside of other requests' bodies and heads. Whoever is answered this was smuggled in.
const SMUGGLED: &str = "GET /v1/watches HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn corpus() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let live = |rest: &str| format!("GET /health/live HTTP/1.1\r\nHost: localhost\r\n{rest}").into_bytes();
    let post = |rest: &str| format!("POST /health/live HTTP/1.1\r\nHost: localhost\r\n{rest}").into_bytes();
    let text = |text: &str| text.as_bytes().to_vec();
    let smuggled = SMUGGLED.len();
    vec![
        // Where a body ends.
        (
            "length and chunks",
            post(&format!(
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"
            )),
            Refused,
        ),
        (
            "chunks and length",
            post(&format!(
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{SMUGGLED}"
            )),
            Refused,
        ),
        (
            "length and chunks without a body",
            live("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "two lengths that differ",
            post(&format!(
                "Content-Length: 0\r\nContent-Length: {smuggled}\r\n\r\n{SMUGGLED}"
            )),
            Refused,
        ),
        (
            "two lengths in one header",
            post(&format!("Content-Length: 0, {smuggled}\r\n\r\n{SMUGGLED}")),
            Refused,
        ),
        (
            "two equal lengths in one header",
            post("Content-Length: 3, 3\r\n\r\nabc"),
            Refused,
        ),
        ("a negative length", post("Content-Length: -1\r\n\r\n"), Refused),
        ("a length with a plus", post("Content-Length: +3\r\n\r\nabc"), Refused),
        (
            "a length in hexadecimal",
            post("Content-Length: 0x3\r\n\r\nabc"),
            Refused,
        ),
        ("a length of letters", post("Content-Length: three\r\n\r\nabc"), Refused),
        ("an empty length", post("Content-Length: \r\n\r\nabc"), Refused),
        (
            "a length with a space inside",
            post("Content-Length: 1 2\r\n\r\nabc"),
            Refused,
        ),
        (
            "a length beyond 64 bits",
            post("Content-Length: 18446744073709551616\r\n\r\n"),
            Refused,
        ),
        (
            "a length of a hundred digits",
            post(&format!("Content-Length: {}\r\n\r\n", "9".repeat(100))),
            Refused,
        ),
        (
            "the greatest length",
            post("Content-Length: 18446744073709551615\r\n\r\n"),
            Refused,
        ),
        (
            "an unknown encoding",
            post("Transfer-Encoding: cow\r\n\r\nabc"),
            Refused,
        ),
        (
            "chunked, then identity",
            post("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "identity and chunked",
            post("Transfer-Encoding: identity\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "chunked with a control character",
            post("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "an encoding in quotes",
            post("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "chunks in HTTP/1.0",
            text("POST /health/live HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "a chunk's size of letters",
            post("Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "a negative chunk",
            post("Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "a chunk in 0x",
            post("Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "a chunk beyond 64 bits",
            post("Transfer-Encoding: chunked\r\n\r\n1ffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "a huge chunk",
            post("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"),
            Refused,
        ),
        (
            "a chunk without its end",
            post("Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n"),
            Refused,
        ),
        (
            "a chunk that ends with a line feed",
            post("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n"),
            Refused,
        ),
        (
            "a chunk's size with a line feed",
            post("Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "a chunk's extension without an end",
            post(&format!("Transfer-Encoding: chunked\r\n\r\n3;{}", "a".repeat(20_000))),
            Refused,
        ),
        (
            "a chunk's extension with a line feed",
            post("Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n"),
            Refused,
        ),
        (
            "trailers without an end",
            post(&format!(
                "Transfer-Encoding: chunked\r\n\r\n0\r\n{}",
                "A: b\r\n".repeat(4_000)
            )),
            Refused,
        ),
        (
            "a body that breaks off",
            post("Content-Length: 1000\r\n\r\nabc"),
            Refused,
        ),
        // Lines.
        (
            "line feeds alone",
            text("GET /health/live HTTP/1.1\nHost: localhost\nConnection: close\n\n"),
            Tolerated(1),
        ),
        (
            "carriage returns alone",
            text("GET /health/live HTTP/1.1\rHost: localhost\r\r"),
            Refused,
        ),
        ("a line that goes on", live("X-Long: a\r\n b\r\n\r\n"), Refused),
        ("a first line that goes on", live(" X: a\r\n\r\n"), Refused),
        ("a header without a colon", live("nonsense\r\n\r\n"), Refused),
        ("a header without a name", live(": a\r\n\r\n"), Refused),
        ("a space before the colon", live("X-A : b\r\n\r\n"), Refused),
        (
            "a length with a space before the colon",
            post(&format!("Content-Length : {smuggled}\r\n\r\n{SMUGGLED}")),
            Refused,
        ),
        ("a zero byte in a name", live("X\0A: b\r\n\r\n"), Refused),
        ("a zero byte in a value", live("X-A: b\0c\r\n\r\n"), Refused),
        (
            "a zero byte in the path",
            text("GET /health\0/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        ("a carriage return in a value", live("X-A: b\rX-B: c\r\n\r\n"), Refused),
        ("a delete in a value", live("X-A: \x7f\r\n\r\n"), Refused),
        ("brackets in a name", live("X(A): b\r\n\r\n"), Refused),
        (
            "a name of other letters",
            {
                let mut b = live("");
                b.extend(b"X-\xc3\xa4: b\r\n\r\n");
                b
            },
            Refused,
        ),
        // The first line.
        ("nothing but a line", text("\r\n"), Refused),
        ("no version (HTTP/0.9)", text("GET /health/live\r\n\r\n"), Refused),
        ("no path", text("GET HTTP/1.1\r\nHost: localhost\r\n\r\n"), Refused),
        (
            "HTTP/1.2",
            text("GET /health/live HTTP/1.2\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "HTTP/2.0 by word",
            text("GET /health/live HTTP/2.0\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "HTTP/9.9",
            text("GET /health/live HTTP/9.9\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "a version in small letters",
            text("GET /health/live http/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "HTTP/2 by preface",
            text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
            Refused,
        ),
        (
            "two spaces",
            text("GET  /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "a tab for a space",
            text("GET\t/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "a space in the path",
            text("GET /health/live /x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "a path without its slash",
            text("GET health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "an asterisk",
            text("GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "options of everything",
            text("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "another host's address",
            text("GET http://evil.example/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "an address with credentials",
            text("GET http://localhost@evil.example/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "a file's address",
            text("GET file:///etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "our own address",
            text("GET http://localhost/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
            Tolerated(1),
        ),
        (
            "a tunnel",
            text("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"),
            Refused,
        ),
        (
            "a tunnel to ourselves",
            text("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "an echo",
            live("")
                .iter()
                .copied()
                .skip(3)
                .fold(b"TRACE".to_vec(), |mut all, byte| {
                    all.push(byte);
                    all
                })
                .into_iter()
                .chain(*b"\r\n")
                .collect(),
            Refused,
        ),
        (
            "an unknown method",
            text("BREW /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "a method in small letters",
            text("get /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "a method of a thousand letters",
            text(&format!("{} / HTTP/1.1\r\nHost: localhost\r\n\r\n", "A".repeat(1_000))),
            Refused,
        ),
        (
            "brackets for a method",
            text("G(T /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Refused,
        ),
        (
            "a change of protocol",
            live("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nHost: evil.example\r\n\r\n"),
            Refused,
        ),
        // Whose host.
        ("no host", text("GET /health/live HTTP/1.1\r\n\r\n"), Refused),
        ("two hosts", live("Host: localhost\r\n\r\n"), Refused),
        ("two hosts that differ", live("Host: evil.example\r\n\r\n"), Refused),
        (
            "another's host",
            text("GET /health/live HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
            Refused,
        ),
        (
            "an empty host",
            text("GET /health/live HTTP/1.1\r\nHost: \r\n\r\n"),
            Refused,
        ),
        (
            "a host with a path",
            text("GET /health/live HTTP/1.1\r\nHost: localhost/x\r\n\r\n"),
            Refused,
        ),
        // How much.
        (
            "a path of 20,000 bytes",
            text(&format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "a".repeat(20_000)
            )),
            Refused,
        ),
        (
            "a path of 100,000 bytes",
            text(&format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "a".repeat(100_000)
            )),
            Refused,
        ),
        (
            "a header of 100,000 bytes",
            live(&format!("X-A: {}\r\n\r\n", "a".repeat(100_000))),
            Refused,
        ),
        (
            "a name of 70,000 bytes",
            live(&format!("{}: a\r\n\r\n", "a".repeat(70_000))),
            Refused,
        ),
        (
            "two hundred headers",
            live(&format!(
                "{}\r\n",
                (0..200).map(|i| format!("X-{i}: a\r\n")).collect::<String>()
            )),
            Refused,
        ),
        ("a million headers", live(&"A: b\r\n".repeat(200_000)), Refused),
        // What is no HTTP at all.
        ("zeros", vec![0; 4_096], Refused),
        ("all bytes", (0..=255).cycle().take(8_192).collect(), Refused),
        (
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                .iter()
                .copied()
                .chain([7; 512])
                .collect(),
            Refused,
        ),
        ("SSH", text("SSH-2.0-OpenSSH_9.2\r\n"), Refused),
        ("SMTP", text("EHLO localhost\r\n"), Refused),
        ("a shell", text("() { :;}; echo x\r\n\r\n"), Refused),
        (
            "a proxy's preface",
            text(&format!("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n{SMUGGLED}")),
            Refused,
        ),
        // Several at once.
        (
            "two requests at once",
            format!("{SMUGGLED}GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes(),
            Tolerated(2),
        ),
        (
            "a request, then nonsense",
            format!("{SMUGGLED}\0\0\0\0nonsense\r\n\r\n").into_bytes(),
            Tolerated(1),
        ),
        (
            "a thousand requests at once, the last without a host",
            format!("{}GET / HTTP/1.1\r\n\r\n", SMUGGLED.repeat(1_000)).into_bytes(),
            Tolerated(1_000),
        ),
        (
            "a body that nobody wants, with a request in it",
            live(&format!(
                "Content-Length: {smuggled}\r\nConnection: close\r\n\r\n{SMUGGLED}"
            )),
            Tolerated(1),
        ),
        (
            "HTTP/1.0 that goes on",
            text(&format!(
                "GET /health/live HTTP/1.0\r\nHost: localhost\r\n\r\n{SMUGGLED}"
            )),
            Tolerated(1),
        ),
    ]
}

/// Goal: what is malformed is refused or hung up on, nothing inside of it is ever answered, and the daemon goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_malformed_is_answered_as_if_it_were_a_request() {
    let daemon = Daemon::start(|config| {
        config.server.header_timeout_ms = 300;
        config.server.body_timeout_ms = 300;
        config.server.idle_timeout_ms = 600;
    })
    .await;
    let corpus = corpus();
    assert!(60 <= corpus.len(), "{}", corpus.len());
    let daemon = &daemon;
    let tried = futures::stream::iter(corpus).map(|(name, bytes, fate)| async move {
        let answer = converse(daemon, &bytes).await;
        let next = daemon.get("/health/live").await;
        assert_eq!(status(&next), 200, "after {name}: {next}");
        judge(name, &answer, fate)
    });
    let wrong: Vec<String> = tried
        .buffer_unordered(16)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong with an answer, if anything.
fn judge(name: &str, answer: &str, fate: Fate) -> Option<String> {
    let statuses: Vec<u16> = ["HTTP/1.0 ", "HTTP/1.1 "]
        .iter()
        .flat_map(|version| answer.match_indices(version))
        .filter(|(at, _)| answer[at + 9..].starts_with(|c: char| c.is_ascii_digit()))
        .map(|(at, _)| status(&answer[at..]))
        .collect();
    let served = statuses.iter().filter(|status| (200..400).contains(*status)).count();
    let broken = statuses.iter().any(|status| 500 <= *status || *status < 200);
    let as_expected = match fate {
        Refused => served == 0,
        Tolerated(answers) => served == answers,
    };
    let is_bare = answer.starts_with("HTTP/1.1 4") && !answer.contains("application/problem+json");
    let (count, last) = (statuses.len(), statuses.last());
    (broken || is_bare || !as_expected)
        .then(|| format!("{name}: expected {fate:?}, found {count} answers, at last {last:?}"))
}

/// Writes everything, as far as it is taken, and reads until the daemon closes.
async fn converse(daemon: &Daemon, bytes: &[u8]) -> String {
    let (mut read, mut write) = daemon.connect().await.into_split();
    let bytes = bytes.to_vec();
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        write
    });
    let mut answer = Vec::new();
    let reading = read.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("the daemon never closes");
    drop(writing.await);
    String::from_utf8_lossy(&answer).into_owned()
}
