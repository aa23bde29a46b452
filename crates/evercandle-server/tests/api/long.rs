//! Ranges too long to be held.

use std::time::Duration;

use evercandle_simulator::{Effect, Fault};
use tokio::io::AsyncReadExt;

use crate::formats;
use crate::support::World;

/// Two months of minutes: 86,400 klines.
const LONG: &str = "/v1/klines?symbol=BTCUSDT&interval=1m&start=2024-01-01&end=2024-03-01";
const ROWS: usize = 60 * 1_440;

/// Goal: a long answer is as right as a short one, in every format, and says beforehand how complete it is.
#[tokio::test]
async fn a_long_range_is_gone_through_first_and_then_streamed() {
    let world = World::new().await;
    let csv = world.get(&format!("{LONG}&format=csv&time=us")).await;
    assert_eq!(
        (csv.status, csv.header("evercandle-complete"), csv.whole),
        (200, "?1", true)
    );
    assert_eq!(
        (csv.header("evercandle-rows"), csv.header("transfer-encoding")),
        ("86400", "chunked")
    );
    let truth = world.truth("BTCUSDT", "1m", "2024-01-01", "2024-03-01");
    assert_eq!(truth.len(), ROWS);
    let mut rows = 0;
    for (line, (open_time, fields)) in csv.text().lines().skip(1).zip(&truth) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0], open_time.to_string());
        assert_eq!(cells[4].parse::<f64>().unwrap(), fields[4].parse::<f64>().unwrap());
        rows += 1;
    }
    assert_eq!(rows, ROWS);

    // Held now, and from archives: sealed.
    let json = world.get(&format!("{LONG}&columns=open_time,close&time=us")).await;
    assert!(
        json.header("etag").starts_with("W/"),
        "{:?}",
        json.header("evercandle-segments")
    );
    let body = json.json();
    assert_eq!(
        (body["klines"].as_array().unwrap().len(), &body["complete"]),
        (ROWS, &true.into())
    );
    let tag = json.header("etag").to_owned();
    let same = world
        .ask(
            "GET",
            &format!("{LONG}&columns=open_time,close&time=us"),
            &[("If-None-Match", &tag)],
        )
        .await;
    assert_eq!(same.status, 304);

    let packed = world
        .ask(
            "GET",
            &format!("{LONG}&format=csv&columns=close"),
            &[("Accept-Encoding", "gzip")],
        )
        .await;
    assert_eq!((packed.header("content-encoding"), packed.whole), ("gzip", true));

    let (batches, told) = formats::arrow(&world.get(&format!("{LONG}&format=arrow")).await);
    assert_eq!(formats::of_arrow(&batches).len(), ROWS);
    assert!(told.contains_key("evercandle.segments"));
    let parquet = formats::parquet(&world.get(&format!("{LONG}&format=parquet")).await);
    assert_eq!(formats::of_arrow(&parquet), formats::of_arrow(&batches));

    // Without anybody to ask, the same range and two more days.
    world.down("");
    let longer = LONG.replace("2024-03-01", "2024-03-03");
    let refused = world.get(&longer).await;
    assert_eq!((refused.status, refused.problem()["rows"].clone()), (503, ROWS.into()));
    let best = format!("{longer}&completeness=best_effort&format=csv&columns=close");
    let found = world.ask("GET", &best, &[("TE", "trailers")]).await;
    assert_eq!(
        (found.status, found.whole, found.text().lines().count()),
        (200, true, 1 + ROWS)
    );
    assert_eq!(found.header("evercandle-complete"), "", "nothing was known beforehand");
    let trailer = |name: &str| {
        found
            .trailers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(trailer("evercandle-complete"), Some("?0"), "{:?}", found.trailers);
    assert!(trailer("evercandle-gaps").unwrap().contains("slots=2880;final=?0"));
    assert_eq!(
        (found.header("cache-status"), trailer("cache-status")),
        ("", Some("evercandle; hit"))
    );
    let untold = world.get(&best).await;
    assert!(untold.trailers.is_empty() && untold.whole);
    let json = world
        .get(&format!("{longer}&completeness=best_effort&columns=close"))
        .await
        .json();
    assert_eq!(
        (json["klines"].as_array().unwrap().len(), &json["complete"]),
        (ROWS, &false.into())
    );
}

/// Goal: nobody works for a caller who has gone. Method: one request is all that is allowed at a time, it waits for an
/// exchange that says nothing, and its caller leaves.
#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_work_behind() {
    let world = World::with(|config| config.server.requests_max = 1).await;
    world.sim.inject(Fault::new(Effect::BlackHole));
    let waiting = world
        .send("GET", "/v1/klines?symbol=BTCUSDT&interval=1h&limit=5", &[])
        .await;
    until(async || world.get("/v1/watches").await.status == 503).await;
    drop(waiting);
    until(async || world.get("/v1/watches").await.status == 200).await;
}

/// Goal: what a slow reader has not read yet is not made. Method: read the beginning of an answer of megabytes, and
/// leave it; while it is left, no more of it was made than lies between the daemon and the reader.
#[tokio::test]
async fn a_reader_who_leaves_in_the_middle_is_let_go() {
    let world = World::with(|config| config.server.requests_max = 1).await;
    let path = format!("{LONG}&format=ndjson");
    assert_eq!(world.get(&path).await.status, 200);
    let mut stream = world.send("GET", &path, &[]).await;
    let mut beginning = [0; 4_096];
    stream.read_exact(&mut beginning).await.unwrap();
    assert!(String::from_utf8_lossy(&beginning).contains("\"open_time\""));
    // The answer counts until its last byte is handed over, and it is far from that.
    assert_eq!(world.get("/v1/watches").await.status, 503);
    drop(stream);
    until(async || world.get("/v1/watches").await.status == 200).await;
}

async fn until(mut happens: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if happens().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never happened");
}
