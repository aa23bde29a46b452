//! A constant load for minutes, while upstreams fail in turns: what grows?
//!
//! After the first quarter, when caches and pools are filled, memory, open files and threads should stay where they are.
//! Every upstream is switched off and on, and all of them together, so that breakers, probes, last known values and
//! refusals are at work too. Answers may be 503 while all are away; nothing may be 500, or no answer at all.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evercandle_simulator::{Effect, Fault};
use parking_lot::Mutex;

use crate::daemon::World;
use crate::{asked, shown};

/// Threads that ask; each does so this often.
const CALLERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(40);
/// An event stream for each of these stays open, and is opened again from time to time.
const STREAMS: usize = 8;
const STREAM_LASTS: Duration = Duration::from_secs(20);
/// Between two looks at the process.
const LOOK: Duration = Duration::from_secs(15);

const PATHS: [&str; 9] = [
    "/v1/klines?symbol=BTCUSDT&interval=1m&last=2h",
    "/v1/klines?symbol=ETHUSDT&interval=1m&start=2024-01-01T00:00:00Z&limit=1000",
    "/v1/klines?symbol=BTCUSDT&interval=1m&start=2024-01-01T00:00:00Z&end=2024-01-08T00:00:00Z&format=arrow",
    "/v1/klines?symbol=SOLUSDT&interval=1h&last=7d&format=csv&completeness=best_effort",
    "/v1/price/BTCUSDT",
    "/v1/prices?symbols=BTCUSDT,ETHUSDT,SOLUSDT",
    "/v1/sentiment",
    "/health/scheduler",
    "/metrics",
];

/// What fails, in turns; the fault lasts as long as the quiet after it.
const OUTAGES: [(&str, &[&str]); 4] = [
    (
        "the exchange's REST",
        &[
            "api.binance.com",
            "api1.binance.com",
            "api2.binance.com",
            "data-api.binance.vision",
        ],
    ),
    ("the archives", &["data.binance.vision"]),
    (
        "prices elsewhere and the index",
        &["api.coingecko.com", "api.alternative.me"],
    ),
    ("everything", &[""]),
];
const OUTAGE: Duration = Duration::from_secs(20);

pub(crate) fn run(minutes: f64) {
    let world = World::new();
    let daemon = world.daemon(true);
    let address = daemon.address();
    let over = Arc::new(AtomicBool::new(false));
    let answers: Arc<Mutex<BTreeMap<u16, u64>>> = Arc::default();
    let slowest = Arc::new(Mutex::new(Duration::ZERO));
    let mut threads = Vec::new();
    for caller in 0..CALLERS {
        let (over, answers, slowest) = (over.clone(), answers.clone(), slowest.clone());
        threads.push(std::thread::spawn(move || {
            let mut turn = caller;
            while !over.load(Ordering::Relaxed) {
                let (status, took) = asked(address, PATHS[turn % PATHS.len()]);
                *answers.lock().entry(status).or_default() += 1;
                let mut slowest = slowest.lock();
                *slowest = took.max(*slowest);
                drop(slowest);
                turn += 1;
                std::thread::sleep(PAUSE);
            }
        }));
    }
    for _ in 0..STREAMS {
        let over = over.clone();
        threads.push(std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let _ = listen(address, &over);
            }
        }));
    }
    println!(
        "    time   memory MiB   files   threads   answers (status: count)                 slowest   the exchange"
    );
    let (began, whole) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0));
    let mut looked = Vec::new();
    let mut next_look = Instant::now();
    let mut turn = 0;
    while began.elapsed() < whole {
        let phase = (began.elapsed().as_secs() / OUTAGE.as_secs()) as usize;
        if turn <= phase {
            world.exchange.faults().clear_all();
            turn = phase + 1;
            if phase % 2 == 1 {
                for host in OUTAGES[phase / 2 % OUTAGES.len()].1 {
                    let fault = Fault::new(Effect::Refuse);
                    let fault = if host.is_empty() { fault } else { fault.on(host) };
                    world.exchange.inject(fault);
                }
            }
        }
        if next_look <= Instant::now() {
            next_look += LOOK;
            let state = if phase % 2 == 1 {
                OUTAGES[phase / 2 % OUTAGES.len()].0
            } else {
                ""
            };
            let counted: Vec<String> = answers
                .lock()
                .iter()
                .map(|(status, count)| format!("{status}: {count}"))
                .collect();
            let slowest = std::mem::take(&mut *slowest.lock());
            println!(
                "{:>6} s {:>12.1} {:>7} {:>9}   {:<40} {:>8}   {}",
                began.elapsed().as_secs(),
                daemon.resident() as f64 / 1048576.0,
                daemon.files(),
                daemon.threads(),
                counted.join("  "),
                shown(slowest),
                if state.is_empty() {
                    "works".to_owned()
                } else {
                    format!("without {state}")
                },
            );
            looked.push((
                daemon.resident() as f64 / 1048576.0,
                daemon.files() as f64,
                daemon.threads() as f64,
            ));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    world.exchange.faults().clear_all();
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    std::thread::sleep(Duration::from_secs(2));
    let files = daemon.files();
    let (took, clean) = daemon.terminate();
    let settled = &looked[looked.len() / 4..];
    let half = settled.len() / 2;
    let mean = |of: &[(f64, f64, f64)], pick: fn(&(f64, f64, f64)) -> f64| {
        of.iter().map(pick).sum::<f64>() / of.len().max(1) as f64
    };
    for (name, pick) in [
        ("memory MiB", (|l| l.0) as fn(&(f64, f64, f64)) -> f64),
        ("open files", |l| l.1),
        ("threads", |l| l.2),
    ] {
        let (early, late) = (mean(&settled[..half], pick), mean(&settled[half..], pick));
        println!(
            "drift of {name}: {early:.1} → {late:.1} ({:+.1} %)",
            100.0 * (late - early) / early.max(1.0)
        );
    }
    let counted = answers.lock().clone();
    println!(
        "answers: {counted:?}; open files when nobody asks: {files}; SIGTERM: {} and {}",
        shown(took),
        if clean { "0" } else { "not 0" }
    );
    let broken: u64 = counted
        .iter()
        .filter(|(status, _)| matches!(status, 0 | 500))
        .map(|(_, count)| count)
        .sum();
    println!(
        "{}",
        if broken == 0 {
            "nothing was broken"
        } else {
            "something was broken"
        }
    );
}

/// An event stream for a while.
fn listen(address: SocketAddr, over: &AtomicBool) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(
        stream,
        "GET /v1/stream?symbols=BTCUSDT,ETHUSDT&interval=1m HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )?;
    let (began, mut bytes) = (Instant::now(), [0; 16_384]);
    while began.elapsed() < STREAM_LASTS && !over.load(Ordering::Relaxed) {
        match stream.read(&mut bytes) {
            Ok(0) => {
                std::thread::sleep(Duration::from_millis(200));
                return Ok(());
            }
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
