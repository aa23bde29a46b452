//! How long the daemon waits: for a head, for a next request, for a reader, and for answers when it is told to stop.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Daemon, status, until_closed};

#[tokio::test]
async fn a_head_that_trickles_is_cut_off_with_408() {
    let daemon = Daemon::start(|config| config.server.header_timeout_ms = 400).await;
    let mut stream = daemon.connect().await;
    let began = Instant::now();
    let (mut read, mut write) = stream.split();
    let trickle = async {
        let head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        for byte in head.chunks(1) {
            if write.write_all(byte).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = read.read_to_end(&mut answer) => {}
        () = trickle => panic!("the whole head was awaited"),
    }
    let took = began.elapsed();
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 408);
    assert!(
        Duration::from_millis(350) < took && took < Duration::from_secs(5),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed_and_one_that_asked_may_rest_longer() {
    let daemon = Daemon::start(|config| {
        config.server.header_timeout_ms = 200;
        config.server.idle_timeout_ms = 3_000;
    })
    .await;
    let began = Instant::now();
    assert_eq!(until_closed(&mut daemon.connect().await).await, "");
    assert!(began.elapsed() < Duration::from_millis(2_900), "{:?}", began.elapsed());

    let mut stream = daemon.connect().await;
    stream
        .write_all(b"GET /v1/watches HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let began = Instant::now();
    assert_eq!(status(&until_closed(&mut stream).await), 200);
    let rested = began.elapsed();
    assert!(
        Duration::from_millis(2_950) < rested && rested < Duration::from_secs(10),
        "{rested:?}"
    );
}

#[tokio::test]
async fn connections_that_wait_do_not_hold_up_the_end() {
    let mut daemon = Daemon::start(|_| {}).await;
    let (mut idle, mut greeted, mut half) = (daemon.connect().await, daemon.connect().await, daemon.connect().await);
    greeted
        .write_all(b"GET /v1/watches HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    half.write_all(b"GET /v1/watches HTTP/1.1\r\nHo").await.unwrap();
    assert_eq!(status(&daemon.get("/v1/watches").await), 200);
    daemon.tell_to_stop();
    for stream in [&mut idle, &mut greeted, &mut half] {
        until_closed(stream).await;
    }
    let took = daemon.ended().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}
