//! A thousand connections that dawdle, and the one that does not.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::{Daemon, status};

const DAWDLERS: usize = 1_000;

/// Goal: a thousand heads that trickle cost their own connections, not anybody's answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_dawdlers_do_not_slow_down_who_asks_properly() {
    allow_many_files();
    let daemon = Daemon::start(|config| {
        config.server.connections_max = DAWDLERS + 100;
        config.server.header_timeout_ms = 8_000;
    })
    .await;
    let mut dawdlers = Vec::new();
    for number in 0..DAWDLERS {
        let mut stream = daemon.connect().await;
        // Half of them where health is answered, half where everything else is.
        let path = if number % 2 == 0 { "/health" } else { "/v1/watches" };
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-");
        stream.write_all(head.as_bytes()).await.unwrap();
        dawdlers.push(tokio::spawn(dawdle(stream)));
    }
    // Whoever is answered was let in after all of them.
    assert_eq!(status(&daemon.get("/v1/watches").await), 200);
    assert_eq!(still_open(&dawdlers), DAWDLERS);
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < Duration::from_millis(700) {
        let asked = Instant::now();
        assert_eq!(status(&daemon.get("/v1/watches").await), 200);
        took.push(asked.elapsed());
    }
    took.sort();
    assert_eq!(still_open(&dawdlers), DAWDLERS, "measured without them");
    let (median, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    assert!(
        median < Duration::from_millis(300) && slowest < Duration::from_secs(5),
        "median {median:?}, slowest {slowest:?} of {} requests",
        took.len()
    );
    for dawdler in dawdlers {
        let answer = tokio::time::timeout(Duration::from_secs(20), dawdler)
            .await
            .unwrap()
            .unwrap();
        assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    }
}

fn still_open(dawdlers: &[JoinHandle<String>]) -> usize {
    dawdlers.iter().filter(|dawdler| !dawdler.is_finished()).count()
}

/// Both ends of every connection are in this process.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// A byte now and then, until it is cut off.
async fn dawdle(mut stream: TcpStream) -> String {
    let mut bytes = [0; 512];
    loop {
        let pause = Duration::from_millis(200);
        match tokio::time::timeout(pause, stream.read(&mut bytes)).await {
            Ok(Ok(read)) => return String::from_utf8_lossy(&bytes[..read]).into_owned(),
            Ok(Err(_)) => return String::new(),
            Err(_) if stream.write_all(b"a").await.is_err() => return String::new(),
            Err(_) => {}
        }
    }
}
