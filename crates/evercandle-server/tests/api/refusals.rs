//! Questions that make no sense, or that are meant to do harm.

use crate::support::World;

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_was_expected() {
    let world = World::with(|config| {
        config.server.rows_max = 10_000;
        config.server.symbols_max = 3;
    })
    .await;
    let long = "A".repeat(300);
    let ask = "/v1/klines?symbol=BTCUSDT&interval=1m";
    for (path, status, named) in [
        ("/v1/klines".to_owned(), 400, "symbol: is missing"),
        ("/v1/klines?symbol=BTCUSDT".to_owned(), 400, "interval: is missing"),
        ("/v1/klines?symbol=&interval=1m".to_owned(), 400, "the symbol is empty"),
        (
            "/v1/klines?symbol=BTCUSDT&interval=60m".to_owned(),
            400,
            "did you mean 1h?",
        ),
        (format!("{ask}&intervall=1h"), 400, "did you mean interval?"),
        (format!("{ask}&limit=5&limit=6"), 400, "limit: was given twice"),
        (format!("{ask}&limit=0"), 400, "from 1 to 10000"),
        (format!("{ask}&limit=10001"), 400, "from 1 to 10000"),
        (format!("{ask}&limit=1e3"), 400, "not a whole number"),
        (format!("{ask}&last=1y"), 400, "server.rows_max"),
        (
            format!("{ask}&start=2024-01-01&last=7d"),
            400,
            "both say where the range begins",
        ),
        (
            format!("{ask}&start=2024-01-02&end=2024-01-01"),
            400,
            "the range is empty",
        ),
        (format!("{ask}&start=yesterday"), 400, "expected 2024-01-01"),
        (format!("{ask}&start=20240101"), 400, "write 2024-01-01"),
        (format!("{ask}&start=2023-02-29"), 400, "2023-02-29\\\" is not a time"),
        (format!("{ask}&end=9999-12-31"), 400, "9999-12-31\\\" is not a time"),
        (format!("{ask}&format=xml"), 400, "json, csv, ndjson, arrow, parquet"),
        (format!("{ask}&forming=1"), 400, "not one of true, false"),
        (format!("{ask}&columns=clse"), 400, "did you mean close?"),
        (format!("{ask}&market=linear"), 400, "spot, um, cm"),
        (format!("{ask}&symbol%00=x"), 400, "no such parameter"),
        (format!("{ask}&start=%ff"), 400, "not UTF-8"),
        (
            "/v1/klines?symbol=BTCUSDT&interval=1s&market=um".to_owned(),
            400,
            "spot only",
        ),
        (
            "/v1/klines?symbol=BTCUSD_PERP&interval=1m&market=spot".to_owned(),
            400,
            "belongs to market cm",
        ),
        (format!("/v1/klines?symbol={long}&interval=1m"), 400, "too long"),
        (format!("/v1/price/{long}"), 400, "too long"),
        ("/v1/price/BTC%20USDT".to_owned(), 400, "expected letters, digits"),
        ("/v1/price/%ff".to_owned(), 400, "symbol"),
        ("/v1/price/BTCUSDT?substitutes=maybe".to_owned(), 400, "allow, refuse"),
        ("/v1/prices".to_owned(), 400, "symbols: is missing"),
        ("/v1/prices?symbols=,,".to_owned(), 400, "names no symbol"),
        ("/v1/prices?symbols=A1,B1,C1,D1".to_owned(), 400, "server.symbols_max"),
        ("/v1/sentiment?count=0".to_owned(), 400, "from 1 to 10000"),
        ("/v1/symbols?market=all".to_owned(), 400, "spot, um, cm"),
        ("/v1/watches?all=1".to_owned(), 400, "takes no parameters"),
        ("/openapi.json?all=1".to_owned(), 400, "takes no parameters"),
        ("/v1/nothing".to_owned(), 404, "/docs"),
        ("/v1/price/".to_owned(), 404, "/docs"),
    ] {
        let reply = world.get(&path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        let problem = reply.problem();
        let said = format!("{} {}", problem["detail"], problem["hint"]);
        assert!(said.contains(named), "{path}: {said}");
    }
}

/// Goal: no path, URL or host from a caller reaches an upstream.
#[tokio::test]
async fn nothing_but_symbols_gets_past_the_door() {
    let world = World::new().await;
    for symbol in [
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e%2f%2e%2e",
        "..",
        "BTC%00USDT",
        "BTC%0d%0aX-Evil:1",
        "http:%2F%2Fevil.example",
        "BTCUSDT%3Fsymbol=ETHUSDT",
        "BTCUSDT%26limit=1",
        "BTC%09USDT",
        "%252e%252e%252f",
        "BTCUSDT%23",
        "@evil",
        "%5C%5Cevil%5Cshare",
        "%E2%80%AEBTC",
    ] {
        for path in [
            format!("/v1/klines?symbol={symbol}&interval=1m&limit=1"),
            format!("/v1/price/{symbol}"),
            format!("/v1/prices?symbols={symbol}"),
        ] {
            let reply = world.get(&path).await;
            assert!((400..500).contains(&reply.status), "{path}: {reply:?}");
            let problem = reply.problem();
            assert!(!problem.to_string().chars().any(char::is_control), "{problem}");
        }
    }
    assert_eq!(world.sim.journal().len(), 0, "{:?}", world.sim.journal().requests());
}

/// Goal: a caller who refuses every encoding gets a no, and not the answer with another status.
#[tokio::test]
async fn who_refuses_every_encoding_is_told_which_there_are() {
    let world = World::new().await;
    for path in [
        "/v1/klines?symbol=BTCUSDT&interval=1h&limit=100",
        "/v1/klines?symbol=BTCUSDT",
    ] {
        let reply = world.ask("GET", path, &[("Accept-Encoding", "identity;q=0")]).await;
        assert_eq!(reply.status, 406, "{path}");
        reply.problem();
        assert_eq!(reply.header("evercandle-rows"), "", "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let world = World::new().await;
    for (method, path) in [
        ("POST", "/v1/klines"),
        ("DELETE", "/v1/price/BTCUSDT"),
        ("PUT", "/v1/prices"),
        ("PATCH", "/openapi.json"),
    ] {
        let reply = world.ask(method, path, &[]).await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert!(reply.header("allow").contains("GET"), "{reply:?}");
        assert!(reply.problem()["detail"].as_str().unwrap().contains("Allow"));
    }
}
