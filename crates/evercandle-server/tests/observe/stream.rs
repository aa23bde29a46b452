//! The protocol of `/v1/stream`.

use std::time::Duration;

use evercandle_simulator as sim;

use super::support::{Heard, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_with_advice_and_what_is_known_now() {
    let daemon = World::new().await.serve().await;
    let reply = daemon.listen("").await.next().await;
    assert_eq!(reply, Heard::Retry(2_000));
    let (id, snapshot) = daemon.listen("").await.event("snapshot").await;
    assert!(id.is_some());
    let names: Vec<&str> = snapshot["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    let known = daemon.client.health().upstreams;
    let known: Vec<&str> = known.iter().map(|u| u.provider.as_str()).collect();
    assert_eq!(names, known);
    assert_eq!(snapshot["prices"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_stream_is_kept_open_by_comments() {
    let mut world = World::new().await;
    world.config.server.stream_heartbeat_ms = 20;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("events=run").await;
    listener.event("snapshot").await;
    for _ in 0..3 {
        assert_eq!(listener.next().await, Heard::Comment);
    }
}

/// Goal: events are not held back until there is enough of them to compress.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_not_compressed() {
    let daemon = World::new().await.serve().await;
    let mut listener = daemon.listen_with("", "Accept-Encoding: gzip, zstd\r\n").await;
    listener.event("snapshot").await;
}

/// Goal: prices change, nobody misses one, and what is told is what `/v1/prices` would be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_is_told_at_once_and_again_when_it_changes() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("symbols=BTCUSDT,ETHUSDT&events=price").await;
    let (_, first) = listener
        .event_where("price", |price| price["symbol"] == "BTCUSDT")
        .await;
    assert_eq!(
        (&first["state"], &first["nature"], &first["provider"]),
        (&"live".into(), &"exchange".into(), &"binance".into())
    );
    world.pass(Duration::from_secs(60));
    let (_, second) = listener
        .event_where("price", |price| {
            price["symbol"] == "BTCUSDT" && price["price"] != first["price"]
        })
        .await;
    let ticker = world
        .sim
        .market()
        .ticker(sim::ExchangeMarket::Spot, "BTCUSDT", world.sim.clock().now())
        .unwrap();
    assert_eq!(second["price"], ticker.last_price_text());
    // Whoever comes later begins with it.
    let (_, snapshot) = daemon
        .listen("symbols=BTCUSDT&events=price")
        .await
        .event("snapshot")
        .await;
    assert_eq!(snapshot["prices"][0]["price"], second["price"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_had_is_told_once_with_everybodys_reason() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("symbols=NOSUCHCOIN&events=price").await;
    let (_, told) = listener.event("price").await;
    assert_eq!(
        (&told["state"], &told["unknown"], &told["price"]),
        (&"unavailable".into(), &true.into(), &serde_json::Value::Null)
    );
    assert_eq!(told["reasons"][0]["provider"], "binance", "{told}");
}

/// Goal: who loses the connection goes on after the last event it saw, without a hole and without a repetition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_goes_on_where_it_was() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let query = "symbols=BTCUSDT&interval=1m&events=candle";
    let mut listener = daemon.listen(query).await;
    listener.event("snapshot").await;
    world.pass(Duration::from_secs(60));
    let (id, first) = listener.event("candle").await;
    assert_eq!(first["kline"]["open_time"], "2024-06-12T10:30:00Z");
    drop(listener);
    world.pass(Duration::from_secs(60));
    // The feed went on without it; both ways of showing an id do.
    let mut witness = daemon.listen(query).await;
    witness.event_where("snapshot", |_| true).await;
    let by_header = daemon.listen_after(query, id.as_deref()).await.event("candle").await;
    assert_eq!(by_header.1["kline"]["open_time"], "2024-06-12T10:31:00Z");
    let by_parameter = daemon
        .listen(&format!("{query}&last_event_id={}", id.unwrap()))
        .await
        .event("candle")
        .await;
    assert_eq!(by_parameter, by_header);
    // After that one there is nothing to be told again.
    world.pass(Duration::from_secs(60));
    let next = daemon
        .listen_after(query, by_header.0.as_deref())
        .await
        .event("candle")
        .await;
    assert_eq!(next.1["kline"]["open_time"], "2024-06-12T10:32:00Z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_not_known_is_answered_with_a_reset_and_where_to_ask() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let (id, _) = daemon.listen("").await.event("snapshot").await;
    let id = id.unwrap();
    let of_another_boot = format!("ffffffff-{}", id.split_once('-').unwrap().1);
    for (shown, reason, since) in [
        (of_another_boot.as_str(), "unknown_id", "2024-06-12T10:30:20Z".into()),
        ("nonsense", "unknown_id", serde_json::Value::Null),
    ] {
        let mut listener = daemon.listen_after("", Some(shown)).await;
        let (_, reset) = listener.event("reset").await;
        assert_eq!(
            (&reset["reason"], &reset["missing_since"]),
            (&reason.into(), &since),
            "{shown}"
        );
        assert!(reset["do"].as_str().unwrap().contains("/v1/klines"));
        assert!(matches!(listener.next().await, Heard::Event { kind, .. } if kind == "snapshot"));
    }
    // What nobody looked at meanwhile may have been missed too.
    let mut listener = daemon.listen_after("symbols=BTCUSDT&events=candle", Some(&id)).await;
    let (_, reset) = listener.event("reset").await;
    assert_eq!(reset["reason"], "not_followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_what_they_follow_are_bounded() {
    let mut world = World::new().await;
    world.config.server.streams_max = 2;
    world.config.server.stream_series_max = 2;
    let daemon = world.serve().await;
    let reply = daemon
        .get("/v1/stream?symbols=BTCUSDT,ETHUSDT,BNBUSDT&events=candle")
        .await;
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("server.stream_series_max"), "{reply:?}");
    let mut open = Vec::new();
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let mut listener = daemon.listen(&format!("symbols={symbol}&events=candle")).await;
        listener.event("snapshot").await;
        open.push(listener);
    }
    let reply = daemon.get("/v1/stream").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert!(reply.body.contains("server.streams_max"), "{reply:?}");
    // A stream that was closed makes room, and so does what it followed.
    open.pop();
    super::support::until("room", || async {
        daemon.metric("qt_http_streams").await < 2.0 || daemon.get("/health/live").await.status != 200
    })
    .await;
    let mut listener = daemon.listen("symbols=BNBUSDT&events=candle").await;
    listener.event("snapshot").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_make_no_sense_are_refused_with_what_was_expected() {
    let daemon = World::new().await.serve().await;
    for (query, expected) in [
        ("events=candle", "needs symbols"),
        ("events=tea", "expected some of candle, price, provider, run"),
        ("symbols=../etc", "symbols"),
        ("symbols=BTCUSDT&interval=7m", "expected one of 1s"),
        ("symbols=BTCUSDT&market=moon", "market"),
        ("symbols=BTCUSDT&market=um&interval=1s", "1s"),
        ("colour=red", "colour"),
    ] {
        let reply = daemon.get(&format!("/v1/stream?{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
        assert!(reply.body.contains(expected), "{query}: {}", reply.body);
    }
}

/// Goal: a stream ends when the daemon does, at once, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_when_the_daemon_is_told_to_stop() {
    let mut daemon = World::new().await.serve().await;
    let mut listener = daemon.listen("symbols=BTCUSDT").await;
    listener.event("snapshot").await;
    let began = std::time::Instant::now();
    daemon.tell_to_stop();
    let (id, end) = listener.event("end").await;
    assert_eq!((id, &end["reason"]), (None, &"stopping".into()));
    assert_eq!(listener.next().await, Heard::Silence);
    daemon.end().await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Goal: an outage is seen by whoever listens within seconds, and so is its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_and_its_end_are_told_within_seconds() {
    let mut world = World::new().await;
    world.config.breaker.failures = 2;
    world.config.breaker.cooldown_ms = 200;
    world.config.breaker.cooldown_max_ms = 400;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("symbols=BTCUSDT&events=provider,price").await;
    listener.event("price").await;
    world.down("binance");
    let began = std::time::Instant::now();
    let (_, down) = listener
        .event_where("provider", |data| data["name"] == "binance" && data["status"] == "down")
        .await;
    assert_eq!(down["circuit_open"], true);
    assert!(down["last_error"]["what"].is_string(), "{down}");
    assert!(began.elapsed() < Duration::from_secs(5));
    world.up();
    let (_, back) = listener
        .event_where("provider", |data| data["name"] == "binance" && data["status"] == "ok")
        .await;
    assert_ne!(back["previous_status"], "ok");
}

/// Goal: whoever follows prices leaves the exchange's allowance to those who ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followed_prices_take_a_small_share_of_what_the_exchange_allows() {
    let world = World::new().await;
    let daemon = world.serve().await;
    let mut listener = daemon.listen("symbols=BTCUSDT,ETHUSDT&market=um&events=price").await;
    listener.event("price").await;
    for _ in 0..100 {
        world.pass(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let peaks = world.sim.peak_weights();
    let futures: Vec<_> = peaks.iter().filter(|peak| peak.pool == "binance-futures").collect();
    assert!(futures.iter().any(|peak| 2 * 40 <= peak.used), "asked again: {peaks:?}");
    assert!(futures.iter().all(|peak| peak.share() <= 0.12), "{peaks:?}");
}
