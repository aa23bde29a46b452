//! The gate and the listener together, on real sockets, before handlers that are slow, broken or endless.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use evercandle::config::ServerConfig;
use evercandle::schedule::Scheduler;
use evercandle::{Client, Config};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::door::listener;
use crate::server::{self, Secrets};

/// Beyond this, a test hangs.
const PATIENCE: Duration = Duration::from_secs(20);

struct Daemon {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<std::io::Result<usize>>,
    /// Slow answers that began.
    begun: Arc<AtomicUsize>,
    _dir: tempfile::TempDir,
}

impl Daemon {
    async fn start(change: impl FnOnce(&mut ServerConfig)) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.cache.dir = Some(dir.path().to_owned());
        change(&mut config.server);
        let socket = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let settings = config.server.clone();
        let client = Client::new(config).unwrap();
        let scheduler = Scheduler::new(client.clone()).unwrap();
        let app = App::new(scheduler, client, &Secrets::default(), address);
        let begun = Arc::new(AtomicUsize::new(0));
        let (count, stopping) = (begun.clone(), app.stopping().clone());
        let router = Router::new()
            .route("/health/live", get(|| async { "ok\n" }))
            .route(
                "/slow/{milliseconds}",
                get(
                    move |axum::extract::Path(milliseconds): axum::extract::Path<u64>| async move {
                        count.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                        "slow\n"
                    },
                ),
            )
            .route("/busy", get(|| async { std::thread::sleep(Duration::from_millis(10)) }))
            .route("/broken", get(|| async { panic!("meant") as () }))
            .route(
                "/torn",
                get(|| async { Body::from_stream(zeros().take(1).chain(torn())) }),
            )
            .route("/big", get(|| async { Body::from_stream(zeros().take(1_024)) }))
            .route("/endless", get(|| async { Body::from_stream(zeros().then(rest)) }))
            .route(
                "/v1/stream",
                get(move || async move {
                    let events = zeros().then(rest);
                    Body::from_stream(events.take_until(stopping.cancelled_owned()))
                }),
            )
            .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
            .layer(from_fn_with_state(app.clone(), pass))
            .with_state(app.clone());
        let stop = app.stopping().clone();
        let running = {
            let stop = stop.clone();
            tokio::spawn(async move { listener::serve(socket, router, &settings, stop).await })
        };
        Daemon {
            address,
            stop,
            running,
            begun,
            _dir: dir,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        get_from(self.address, path).await
    }

    /// How many answers were cut off, and how long the end took.
    async fn ended(self) -> (usize, Duration) {
        let began = Instant::now();
        self.stop.cancel();
        let cut_off = tokio::time::timeout(PATIENCE, self.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        (cut_off, began.elapsed())
    }
}

/// 64 KiB, again and again.
fn zeros() -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::repeat_with(|| Ok(Bytes::from_static(&[0; 65_536])))
}

fn torn() -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::once(async { Err(std::io::Error::other("meant")) })
}

async fn rest<T>(item: T) -> T {
    tokio::time::sleep(Duration::from_millis(20)).await;
    item
}

async fn get_from(address: SocketAddr, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return String::new();
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    until_closed(&mut stream).await
}

/// Keeps the thread until the answer is there.
fn ask_on_this_thread(address: SocketAddr, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the daemon never closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

// --- names and loads ---------------------------------------------------------------------------------------------------

#[test]
fn a_callers_name_for_a_request_is_kept_if_it_is_harmless() {
    let named = |id: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap());
        name(&headers).to_str().unwrap().to_owned()
    };
    assert_eq!(named("a-1_b.C"), "a-1_b.C");
    for id in ["", "a b", "<script>", "x\"y", &"a".repeat(65), "ä"] {
        let made = named(id);
        assert_ne!(made, id);
        assert!(
            made.len() == 16 && made.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{made}"
        );
    }
}

#[test]
fn health_and_metrics_never_wait_for_a_place() {
    for path in [
        "/health/live",
        "/health/ready",
        "/health",
        "/health/scheduler",
        "/metrics",
    ] {
        assert_eq!(Load::of(path), Load::Health, "{path}");
    }
    assert_eq!(Load::of("/v1/stream"), Load::Stream);
    for path in ["/v1/klines", "/healthx", "/metricsx", "/", "/admin/refresh"] {
        assert_eq!(Load::of(path), Load::Work, "{path}");
    }
}

#[tokio::test]
async fn every_answer_is_named_and_keeps_browsers_from_misusing_it() {
    let daemon = Daemon::start(|_| {}).await;
    for path in ["/health/live", "/nothing", "/broken"] {
        let answer = daemon.get(path).await.to_lowercase();
        for header in [
            "x-request-id: ",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "frame-ancestors 'none'",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.contains(header), "{path}: no {header} in {answer}");
        }
        assert!(!answer.contains("access-control-allow"), "{answer}");
    }
}

// --- too much ----------------------------------------------------------------------------------------------------------

/// Goal: ten times what fits is answered by refusals that cost nobody time; health is not touched; then all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overload_is_refused_early_health_is_answered_and_it_recovers() {
    let daemon = Daemon::start(|config| config.requests_max = 8).await;
    let began = Instant::now();
    let address = daemon.address;
    let crowd: Vec<_> = (0..80)
        .map(|_| tokio::spawn(async move { (get_from(address, "/slow/6000").await, Instant::now()) }))
        .collect();
    while daemon.begun.load(Ordering::Relaxed) < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(status(&daemon.get("/health/live").await), 200);
        slowest = slowest.max(asked.elapsed());
    }
    let (mut served, mut refused) = (0, 0);
    for one in crowd {
        let (answer, at) = one.await.unwrap();
        match status(&answer) {
            200 => served += 1,
            503 => {
                refused += 1;
                assert!(answer.to_lowercase().contains("retry-after: 1"), "{answer}");
                assert!(answer.contains("server.requests_max"), "{answer}");
                assert!(at - began < Duration::from_secs(5), "a refusal waited in a queue");
            }
            _ => panic!("{answer}"),
        }
    }
    assert_eq!((served, refused), (8, 72));
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert_eq!(status(&daemon.get("/slow/0").await), 200, "a place was not given back");
}

/// Goal: answers that are computed without waiting are limited too, and do not pile up in front of a thread unseen.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn work_that_never_waits_is_limited_as_well() {
    use std::io::{Read, Write};
    let daemon = Daemon::start(|config| config.requests_max = 4).await;
    // The callers are not on the daemon's thread, which is busy.
    let crowd: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(daemon.address).unwrap();
            write!(
                stream,
                "GET /busy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            stream
        })
        .collect();
    let mut refused = 0;
    for mut stream in crowd {
        let mut answer = String::new();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        refused += usize::from(status(&answer) == 503);
    }
    assert!(0 < refused, "nobody was refused");
    assert_eq!(status(&daemon.get("/busy").await), 200);
}

#[tokio::test]
async fn beyond_the_cap_connections_may_ask_for_health_and_for_nothing_else() {
    let daemon = Daemon::start(|config| config.connections_max = 2).await;
    let crowd = (daemon.connect().await, daemon.connect().await);
    let refused = daemon.get("/slow/0").await;
    assert_eq!(status(&refused), 503, "{refused}");
    assert!(refused.contains("server.connections_max"), "{refused}");
    let refused = refused.to_lowercase();
    assert!(
        refused.contains("retry-after: 1") && refused.contains("connection: close"),
        "{refused}"
    );
    assert_eq!(status(&daemon.get("/health/live").await), 200);
    drop(crowd);
    for _ in 0..100 {
        if status(&daemon.get("/slow/0").await) == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the crowd is gone, and places are not free");
}

/// Goal: neither a crowd nor somebody who renews silent connections without end makes the daemon look dead.
/// Method: all on one thread, so that a question always follows its connection within a few connections of the others.
#[tokio::test]
async fn connections_that_ask_nothing_leave_for_whoever_asks_for_health() {
    const RUDE: usize = 16;
    const EACH: usize = 20;
    let daemon = Daemon::start(|config| config.connections_max = 2).await;
    let _crowd = (daemon.connect().await, daemon.connect().await);
    let (address, renewed) = (daemon.address, Arc::new(AtomicUsize::new(0)));
    let mut rude = tokio::task::JoinSet::new();
    for _ in 0..RUDE {
        let renewed = renewed.clone();
        rude.spawn(async move {
            let mut silent = std::collections::VecDeque::new();
            loop {
                silent.push_back(TcpStream::connect(address).await.unwrap());
                renewed.fetch_add(1, Ordering::Relaxed);
                if EACH < silent.len() {
                    let mut left = silent.pop_front().unwrap();
                    let answer = until_closed(&mut left).await;
                    assert!(
                        answer.is_empty() || answer.contains("server.connections_max"),
                        "{answer}"
                    );
                }
            }
        });
    }
    while renewed.load(Ordering::Relaxed) < RUDE * EACH {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..20 {
        let answer = daemon.get("/health/live").await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let renewed = renewed.load(Ordering::Relaxed);
    assert!(RUDE * EACH + 100 < renewed, "nobody was rude meanwhile: {renewed}");
    if let Some(ended) = rude.try_join_next() {
        panic!("one of them was answered otherwise: {ended:?}");
    }
}

/// Goal: whoever looks at a daemon that has too much to do sees that, and does not wait behind what there is to do.
/// Method: the only thread there is for work waits until the answer is there.
#[tokio::test]
async fn health_is_answered_while_all_others_wait() {
    let daemon = Daemon::start(|_| {}).await;
    assert_eq!(status(&daemon.get("/slow/0").await), 200);
    let answer = ask_on_this_thread(daemon.address, "/health/live");
    assert_eq!(status(&answer), 200, "nobody answered: {answer:?}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_body_that_trickles_is_too_large_or_breaks_off_never_reaches_a_handler() {
    let daemon = Daemon::start(|config| {
        config.body_timeout_ms = 300;
        config.body_bytes_max = 1_000;
    })
    .await;
    let head = "POST /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let large = "x".repeat(1_001);
    for (request, expected) in [
        (format!("{head}Content-Length: 1000\r\n\r\n{}", &large[1..]), 200),
        (format!("{head}Content-Length: 1000\r\n\r\ntrickle"), 408),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
            411,
        ),
        (format!("{head}Content-Length: 1001\r\n\r\n"), 413),
        (format!("{head}Content-Length: 99999999999\r\n\r\n"), 413),
    ] {
        let mut stream = daemon.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = until_closed(&mut stream).await;
        assert_eq!(status(&answer), expected, "{request}\n{answer}");
        if expected != 200 {
            assert!(answer.contains("application/problem+json"), "{answer}");
        }
    }
}

// --- too long ----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn an_answer_that_does_not_begin_is_given_up_and_its_place_is_free() {
    let daemon = Daemon::start(|config| {
        config.request_timeout_ms = 100;
        config.requests_max = 1;
    })
    .await;
    let answer = daemon.get("/slow/60000").await;
    assert_eq!(status(&answer), 504, "{answer}");
    assert!(answer.contains("server.request_timeout_ms"), "{answer}");
    assert_eq!(status(&daemon.get("/slow/0").await), 200);
}

/// Goal: an answer that goes on and on gives its place back, is counted, and cannot be taken for a whole one, not even
/// where a body ends with its connection.
#[tokio::test]
async fn an_answer_that_does_not_end_is_broken_off_unless_it_is_a_stream_of_events() {
    crate::install_recorder();
    let daemon = Daemon::start(|config| {
        config.request_timeout_ms = 300;
        config.answer_timeout_ms = 300;
        config.requests_max = 1;
    })
    .await;
    let ask = async |path: &str| {
        let mut stream = daemon.connect().await;
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let (began, mut endless, mut events) = (Instant::now(), ask("/endless").await, ask("/v1/stream").await);
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, endless.read_to_end(&mut bytes)).await;
    let error = read.unwrap().expect_err("it looked whole");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let took = began.elapsed();
    assert!(
        Duration::from_millis(290) < took && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert_eq!(status(&daemon.get("/slow/0").await), 200, "its place is not free");
    let counted = metrics::render(metrics::Exposition::Prometheus).unwrap();
    assert!(
        counted.contains(r#"qt_http_cut_off_total{reason="answer_timeout"} 1"#),
        "{counted}"
    );
    let mut bytes = vec![0; 1_024 * 1_024];
    while began.elapsed() < Duration::from_millis(900) {
        assert!(0 < events.read(&mut bytes).await.unwrap(), "the stream of events ended");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_by_itself_is_counted() {
    crate::install_recorder();
    let daemon = Daemon::start(|_| {}).await;
    assert_eq!(status(&daemon.get("/torn").await), 200);
    let counted = || metrics::render(metrics::Exposition::Prometheus).unwrap();
    let began = Instant::now();
    while !counted().contains(r#"qt_http_cut_off_total{reason="incomplete"} 1"#) {
        assert!(began.elapsed() < PATIENCE, "{}", counted());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_who_reads_slowly_is_not() {
    let daemon = Daemon::start(|config| {
        config.idle_timeout_ms = 300;
        config.requests_max = 1;
    })
    .await;
    let request = b"GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut deaf = daemon.connect().await;
    deaf.write_all(request).await.unwrap();
    let began = Instant::now();
    while status(&daemon.get("/slow/0").await) != 200 || began.elapsed() < Duration::from_millis(50) {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "a reader that does not read holds a place"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(Duration::from_millis(250) < began.elapsed(), "{:?}", began.elapsed());

    let mut slow = daemon.connect().await;
    slow.write_all(request).await.unwrap();
    let (mut bytes, mut total) = (vec![0; 4 * 1_024 * 1_024], 0);
    let began = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(40)).await;
        match slow.read(&mut bytes).await.unwrap() {
            0 => break,
            read => total += read,
        }
    }
    assert!(64 * 1_024 * 1_024 < total, "{total}");
    assert!(
        Duration::from_millis(600) < began.elapsed(),
        "not slow enough to prove anything"
    );
}

#[tokio::test]
async fn a_panic_is_a_500_and_neither_the_connection_nor_the_daemon_ends() {
    let daemon = Daemon::start(|config| config.requests_max = 1).await;
    let mut stream = daemon.connect().await;
    let both = "GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\nGET /slow/0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(both.as_bytes()).await.unwrap();
    let answers = until_closed(&mut stream).await;
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(
        !answers.contains("meant"),
        "a panic's words are not the caller's: {answers}"
    );
    assert!(answers.ends_with("slow\n"), "{answers}");
}

// --- the end -----------------------------------------------------------------------------------------------------------

/// Goal: whoever was being answered when the daemon is told to stop gets the whole answer; nobody is answered by half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_the_end_is_clean_and_soon() {
    let daemon = Daemon::start(|_| {}).await;
    let address = daemon.address;
    let crowd: Vec<_> = (0..32)
        .map(|_| {
            tokio::spawn(async move {
                let mut whole = 0;
                loop {
                    let answer = get_from(address, "/slow/100").await;
                    match answer.is_empty() {
                        // Refused at the door, or closed before anything was said.
                        true => return whole,
                        false => {
                            assert!(
                                answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("slow\n"),
                                "{answer}"
                            );
                            whole += 1;
                        }
                    }
                }
            })
        })
        .collect();
    while daemon.begun.load(Ordering::Relaxed) < 100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let begun = daemon.begun.clone();
    let (cut_off, took) = daemon.ended().await;
    assert_eq!(cut_off, 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut whole = 0;
    for one in crowd {
        whole += one.await.unwrap();
    }
    assert_eq!(whole, begun.load(Ordering::Relaxed), "an answer that began was lost");
}

/// Goal: nobody is reset whom the machine had let in before the end, not even who had not asked yet.
/// Method: nothing is accepted on this thread while they come.
#[tokio::test]
async fn whoever_came_before_the_end_is_answered() {
    use std::io::{Read, Write};
    let daemon = Daemon::start(|config| config.requests_max = 200).await;
    let mut crowd: Vec<_> = (0..200)
        .map(|_| std::net::TcpStream::connect(daemon.address).unwrap())
        .collect();
    let ask = |stream: &mut std::net::TcpStream| stream.write_all(b"GET /slow/50 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for stream in &mut crowd[..100] {
        ask(stream).unwrap();
    }
    daemon.stop.cancel();
    for stream in &mut crowd[100..] {
        ask(stream).unwrap();
    }
    let answers = tokio::task::spawn_blocking(move || {
        let read = |stream: &mut std::net::TcpStream| {
            let mut answer = String::new();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        crowd.iter_mut().map(read).collect::<Vec<_>>()
    });
    for answer in answers.await.unwrap() {
        let answer = answer.expect("a reset before an answer");
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("slow\n"),
            "{answer}"
        );
    }
    assert_eq!(daemon.ended().await.0, 0);
}

#[tokio::test]
async fn who_is_still_asking_when_all_is_over_is_not_told_that_it_is_crowded() {
    let daemon = Daemon::start(|config| config.drain_ms = 100).await;
    let mut half = daemon.connect().await;
    half.write_all(b"GET /slow/0 HTTP/1.1\r\nHo").await.unwrap();
    assert_eq!(status(&daemon.get("/slow/0").await), 200);
    daemon.ended().await;
    assert_eq!(until_closed(&mut half).await, "");
}

#[tokio::test]
async fn event_streams_end_at_once_and_what_does_not_end_is_cut_off() {
    let daemon = Daemon::start(|config| config.drain_ms = 2_000).await;
    let mut streams = Vec::new();
    for path in ["/v1/stream", "/endless"] {
        let mut stream = daemon.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = [0; 1_024];
        assert!(0 < stream.read(&mut bytes).await.unwrap());
        streams.push(tokio::spawn(async move {
            until_closed(&mut stream).await;
            Instant::now()
        }));
    }
    let told = Instant::now();
    let (cut_off, took) = daemon.ended().await;
    assert_eq!(cut_off, 1);
    assert!(
        Duration::from_millis(1_980) < took && took < Duration::from_secs(7),
        "{took:?}"
    );
    let polite = streams.remove(0).await.unwrap() - told;
    assert!(polite < Duration::from_millis(1_500), "{polite:?}");
}
