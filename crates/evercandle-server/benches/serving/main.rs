//! What the daemon carries, beside nginx serving the very same bytes as files, in the same run.
//!
//! The daemon is a process of its own, on loopback, with a simulated exchange behind it; `wrk` drives both, a few seconds
//! each, one after the other. nginx reads a file and the daemon reads its cache, checks, and writes the answer anew, so the
//! ratio says what that costs; the absolute figures are of this machine, whose cores `wrk` shares. Then ten times the load
//! that is allowed, a thousand connections that dawdle, and memory.
//!
//! `--soak MINUTES` is another thing: a constant load while the exchange fails in turns, and what the process has grown by.

#![allow(clippy::disallowed_methods, reason = "measuring reads clocks, files and arguments")]
#![allow(clippy::print_stdout, reason = "a benchmark talks to a terminal")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop where it stands"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::drive::{Load, Nginx, wrk};

mod daemon;

mod drive;

mod soak;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is asked for, and under which name nginx has it.
const QUESTIONS: [(&str, &str, &str); 3] = [
    (
        "1,000 rows of JSON",
        "rows.json",
        "/v1/klines?symbol=BTCUSDT&interval=1m&start=2024-01-01T00:00:00Z&limit=1000",
    ),
    (
        "30 days of 1m as Arrow",
        "days.arrow",
        "/v1/klines?symbol=BTCUSDT&interval=1m&start=2024-01-01T00:00:00Z&end=2024-01-31T00:00:00Z&format=arrow",
    ),
    ("a price", "price.json", "/v1/price/BTCUSDT"),
];
const CONNECTIONS: usize = 16;
const DAWDLERS: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--daemon", internet, cache, rest @ ..] => daemon::run(internet, cache, rest.contains(&"watching")),
        ["--soak", minutes] => soak::run(minutes.parse().expect("--soak MINUTES: expected a number")),
        [] => measure(Duration::from_secs(5)),
        ["--quick"] => measure(Duration::from_secs(2)),
        other => panic!("{other:?}: expected nothing, --quick or --soak MINUTES"),
    }
}

fn measure(each: Duration) {
    for program in ["wrk", "nginx"] {
        if !drive::is_there(program) {
            println!("{program} is not installed (Debian: apt-get install wrk nginx-light); nothing was measured");
            return;
        }
    }
    let world = daemon::World::new();
    let daemon = world.daemon(false);
    let nginx = Nginx::new();
    for (_, file, path) in QUESTIONS {
        // The first answer fills the cache, the second is what is measured.
        daemon.get(path);
        nginx.put(file, &daemon.get(path));
    }
    let nginx = nginx.start();
    let at_first = daemon.resident();

    println!(
        "{CONNECTIONS} connections, {each:?} each         bytes   requests/s      p50      p99    nginx/s    nginx p99   ours/nginx"
    );
    for (name, file, path) in QUESTIONS {
        let bytes = daemon.get(path).len();
        let ours = wrk(&daemon.url(path), CONNECTIONS, each);
        let theirs = wrk(&nginx.url(file), CONNECTIONS, each);
        assert_eq!((ours.refused, theirs.refused), (0, 0), "{path} was refused");
        println!(
            "{name:<26} {bytes:>15} {:>12.0} {:>8} {:>8} {:>10.0} {:>12} {:>12.3}",
            ours.per_second,
            shown(ours.p50),
            shown(ours.p99),
            theirs.per_second,
            shown(theirs.p99),
            ours.per_second / theirs.per_second,
        );
    }
    overload(&daemon, each);
    dawdle(&daemon, each);
    let mebibyte = 1024.0 * 1024.0;
    println!(
        "\nmemory: {:.1} MiB when warm, {:.1} MiB at the end",
        at_first as f64 / mebibyte,
        daemon.resident() as f64 / mebibyte
    );
}

/// Ten times the requests that are answered at once.
fn overload(daemon: &Daemon, each: Duration) {
    let (_, _, path) = QUESTIONS[0];
    let usual = wrk(&daemon.url(path), CONNECTIONS, each);
    let over = Arc::new(AtomicBool::new(false));
    let (address, told) = (daemon.address(), over.clone());
    let watcher = std::thread::spawn(move || {
        let mut health = Vec::new();
        while !told.load(Ordering::Relaxed) {
            health.push(asked(address, "/health/live").1);
            std::thread::sleep(Duration::from_millis(20));
        }
        health.sort();
        health
    });
    let load = wrk(&daemon.url(path), daemon::REQUESTS_MAX * 10, each);
    over.store(true, Ordering::Relaxed);
    let ended = Instant::now();
    // Recovered: served, and as fast as before, ten times in a row.
    let mut in_a_row = 0;
    while in_a_row < 10 && ended.elapsed() < Duration::from_secs(30) {
        let (status, took) = asked(address, path);
        in_a_row = if status == 200 && took <= usual.p99.max(Duration::from_millis(10)) {
            in_a_row + 1
        } else {
            0
        };
    }
    let recovered = ended.elapsed();
    let health = watcher.join().unwrap();
    println!(
        "\noverload: {} connections where {} requests are answered at once (1,000 rows of JSON)",
        daemon::REQUESTS_MAX * 10,
        daemon::REQUESTS_MAX
    );
    println!(
        "  served {:.0}/s ({:.0}/s without overload), refused {:.0}/s ({:.0} % of all), p99 of both {}",
        load.served_per_second(),
        usual.per_second,
        load.per_second - load.served_per_second(),
        100.0 * load.refused as f64 / load.requests.max(1) as f64,
        shown(load.p99)
    );
    println!(
        "  health meanwhile: {} questions, p50 {}, p99 {}, worst {}",
        health.len(),
        shown(at(&health, 0.5)),
        shown(at(&health, 0.99)),
        shown(at(&health, 1.0))
    );
    println!("  recovered {} after the overload ended", shown(recovered));
}

/// A thousand heads that trickle, beside who asks properly.
fn dawdle(daemon: &Daemon, each: Duration) {
    let (_, _, path) = QUESTIONS[2];
    let without: Load = wrk(&daemon.url(path), CONNECTIONS, each);
    let mut dawdlers: Vec<TcpStream> = (0..DAWDLERS)
        .map(|_| TcpStream::connect(daemon.address()).unwrap())
        .collect();
    for dawdler in &mut dawdlers {
        dawdler.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-").unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    let trickle = std::thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            for dawdler in &mut dawdlers {
                // Some are cut off while this lasts, and meant to be.
                let _ = dawdler.write_all(b"a");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let with = wrk(&daemon.url(path), CONNECTIONS, each);
    over.store(true, Ordering::Relaxed);
    trickle.join().unwrap();
    println!(
        "\n{DAWDLERS} connections that dawdle (a price): {:.0}/s, p50 {}, p99 {}; without them {:.0}/s, p50 {}, p99 {}",
        with.per_second,
        shown(with.p50),
        shown(with.p99),
        without.per_second,
        shown(without.p50),
        shown(without.p99)
    );
}

/// Status and time of one question on a connection of its own; 0 for none.
fn asked(address: SocketAddr, path: &str) -> (u16, Duration) {
    let began = Instant::now();
    let ask = || -> std::io::Result<u16> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // In one piece, as clients write.
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let status = bytes
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Ok(status.unwrap_or(0))
    };
    (ask().unwrap_or(0), began.elapsed())
}

/// A quantile of sorted times.
fn at(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or_default()
}

fn shown(time: Duration) -> String {
    match time.as_secs_f64() * 1e3 {
        milliseconds if milliseconds < 1.0 => format!("{:.0} us", milliseconds * 1e3),
        milliseconds if milliseconds < 1e3 => format!("{milliseconds:.1} ms"),
        milliseconds => format!("{:.2} s", milliseconds / 1e3),
    }
}
