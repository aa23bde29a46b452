//! The simulator over real sockets: what a client sees, byte by byte.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;

use evercandle_simulator::{Config, Effect, Fault, Handle, Simulator, Upstream, time};

fn start() -> Handle {
    let now = time::parse_instant("2024-06-01T12:00:30Z").unwrap();
    Simulator::start_blocking(Config::default().at(now)).unwrap()
}

/// Everything the server sends on one connection, and how it ended.
fn raw(handle: &Handle, request: &str) -> (Vec<u8>, std::io::Result<usize>) {
    let mut stream = TcpStream::connect(handle.addr()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (bytes, end)
}

fn get(handle: &Handle, target: &str) -> String {
    let (bytes, end) = raw(
        handle,
        &format!("GET /{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    );
    end.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_page_of_klines_arrives() {
    let handle = start();
    let reply = get(
        &handle,
        "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=2",
    );
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.contains("x-mbx-used-weight-1m: 2\r\n"), "{reply}");
    let body: serde_json::Value = serde_json::from_str(reply.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body.as_array().unwrap().len(), 2);
    assert_eq!(body[1][0], 1_717_243_200_000i64);
    assert_eq!(handle.journal().count("symbol=BTCUSDT"), 1);
}

#[test]
fn connections_are_kept_alive() {
    let handle = start();
    let ping = "GET /api.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /api.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let (bytes, _) = raw(&handle, &format!("{ping}{ping}{last}"));
    assert_eq!(String::from_utf8_lossy(&bytes).matches("200 OK").count(), 3);
}

#[test]
fn a_refused_connection_says_nothing() {
    let handle = start();
    handle.inject(Fault::down(Upstream::BinanceSpot));
    let (bytes, end) = raw(&handle, "GET /api1.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(bytes.is_empty());
    assert!(end.is_err());
    assert!(get(&handle, "fapi.binance.com/fapi/v1/ping").contains("200 OK"));
}

#[test]
fn a_reset_in_the_middle_of_a_body_is_a_reset() {
    let handle = start();
    handle.inject(Fault::new(Effect::ResetMidBody { after: 100 }).times(1));
    let target = "data.binance.vision/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-05-30.zip";
    let (bytes, end) = raw(&handle, &format!("GET /{target} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(end.is_err() || bytes.len() < 1000);
    assert!(get(&handle, target).contains("200 OK"));
}

#[test]
fn a_short_body_ends_early_and_in_order() {
    let handle = start();
    handle.inject(Fault::new(Effect::ShortBody { missing: 1 }));
    let (bytes, end) = raw(&handle, "GET /api.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n");
    end.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        text.contains("Content-Length: 2\r\n") && text.ends_with("\r\n\r\n{"),
        "{text}"
    );
}

#[test]
fn heads_have_the_length_and_no_body() {
    let handle = start();
    let target = "data.binance.vision/data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2024-05-30.zip.CHECKSUM";
    let (bytes, _) = raw(
        &handle,
        &format!("HEAD /{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    );
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        text.contains("Content-Length: 91\r\n") && text.ends_with("\r\n\r\n"),
        "{text}"
    );
}

#[test]
fn chunks_can_go_on_for_ever_or_stop_half_way() {
    let handle = start();
    handle.inject(Fault::new(Effect::UnfinishedChunks).times(1));
    let (bytes, end) = raw(&handle, "GET /api.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n");
    end.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        text.contains("Transfer-Encoding: chunked\r\n") && text.ends_with("\r\n\r\n2\r\n{}\r\n"),
        "{text}"
    );

    handle.inject(Fault::new(Effect::EndlessBody).times(1));
    let mut stream = TcpStream::connect(handle.addr()).unwrap();
    stream
        .write_all(b"GET /api.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut plenty = vec![0; 1024 * 1024];
    stream.read_exact(&mut plenty).unwrap();
}

#[test]
fn silence_lasts_until_the_client_gives_up() {
    let handle = start();
    handle.inject(Fault::new(Effect::BlackHole));
    let mut stream = TcpStream::connect(handle.addr()).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_millis(50)))
        .unwrap();
    stream
        .write_all(b"GET /api.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert!(stream.read(&mut [0; 16]).is_err());
}

#[test]
fn a_dripping_body_arrives_whole_in_the_end() {
    let handle = start();
    handle.inject(Fault::new(Effect::Trickle { bytes_per_second: 200 }));
    let began = std::time::Instant::now();
    let reply = get(&handle, "api.binance.com/api/v3/time");
    assert!(reply.ends_with("{\"serverTime\":1717243230000}"), "{reply}");
    assert!(began.elapsed() >= std::time::Duration::from_millis(50));
}

#[test]
fn a_dropped_handle_leaves_nobody_listening() {
    let handle = start();
    let addr = handle.addr();
    drop(handle);
    assert!(TcpStream::connect(addr).is_err());
}

/// Goal: the other way to start works too. Method: serve from the test's own runtime and ask from a blocking thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_can_serve_it_beside_other_work() {
    let now = time::parse_instant("2024-06-01T12:00:30Z").unwrap();
    let handle = Simulator::start(Config::default().at(now)).await.unwrap();
    let url = handle.url("api.binance.com/api/v3/ping");
    assert_eq!(url, format!("http://{}/api.binance.com/api/v3/ping", handle.addr()));
    let (handle, reply) = tokio::task::spawn_blocking(move || {
        let reply = get(&handle, "api.binance.com/api/v3/ping");
        (handle, reply)
    })
    .await
    .unwrap();
    assert!(reply.ends_with("{}"));
    assert_eq!(handle.journal().len(), 1);
}

/// Goal: calls in flight when a refusal goes out are no offence, later ones are. Method: ask at once, and after a while.
#[test]
fn calls_that_crossed_a_refusal_are_forgiven_and_later_ones_are_not() {
    let handle = start();
    handle.inject(Fault::new(Effect::RateLimited { retry_after: 60 }).times(1));
    assert!(get(&handle, "api.binance.com/api/v3/ping").contains("Retry-After: 60\r\n"));
    get(&handle, "api.binance.com/api/v3/ping");
    std::thread::sleep(std::time::Duration::from_millis(60));
    get(&handle, "api.binance.com/api/v3/ping");
    let flags: Vec<bool> = handle
        .journal()
        .requests()
        .iter()
        .map(|entry| entry.in_quarantine)
        .collect();
    assert_eq!((flags[0], flags[2]), (false, true));
    assert!((1..=2).contains(&handle.calls_in_quarantine()));
}
