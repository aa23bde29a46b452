//! What cannot be had, is old, or stands in says so: in the status, the headers and the body.

use std::time::Duration;

use crate::support::World;

/// Goal: the whole way down, each step labelled. Method: take the exchange away, then the index, then let time pass.
#[tokio::test]
async fn a_price_is_live_then_remembered_then_a_substitute_then_the_last_known_then_a_no() {
    let world = World::new().await;
    let ask = async || world.get("/v1/price/BTCUSDT").await;
    let live = ask().await;
    assert_eq!((live.status, live.header("evercandle-state")), (200, "live"));
    assert_eq!(
        (live.header("cache-status"), live.header("age")),
        ("evercandle; fwd=miss", "")
    );
    assert_eq!(live.json()["via"], "upstream");

    let again = ask().await;
    assert_eq!(again.header("cache-status"), "evercandle; hit");
    assert_eq!(
        (again.header("age"), again.json()["via"].as_str().unwrap()),
        ("0", "cache")
    );

    world.down("binance-spot");
    world.down("binance-market-data");
    world.pass(Duration::from_secs(60));
    let substitute = ask().await;
    let body = substitute.json();
    assert_eq!(substitute.header("evercandle-state"), "substitute", "{body}");
    assert_eq!(substitute.header("evercandle-nature"), "substitute");
    assert_eq!(
        (&body["state"], &body["provider"]),
        (&"substitute".into(), &"coingecko".into())
    );
    assert!(body["substitute"].as_str().unwrap().contains("bitcoin"), "{body}");

    world.down("");
    world.pass(Duration::from_secs(120));
    let own = world.get("/v1/price/BTCUSDT?substitutes=refuse").await;
    assert_eq!(own.header("cache-status"), "evercandle; fwd=stale; detail=last_known");
    assert_eq!(
        (own.header("evercandle-state"), own.header("evercandle-nature")),
        ("last_known", "exchange")
    );
    assert!(180 <= own.header("age").parse::<u64>().unwrap());
    assert!(180.0 <= own.json()["age_seconds"].as_f64().unwrap());

    let nobody = world.get("/v1/price/SOLUSDT").await;
    assert_eq!(nobody.status, 503);
    let problem = nobody.problem();
    assert_eq!(problem["type"], "urn:evercandle:problem:unavailable");
    assert_eq!(problem["instance"], "/v1/price/SOLUSDT");
    let told: Vec<&str> = problem["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["provider"].as_str().unwrap())
        .collect();
    assert!(told.contains(&"binance") && told.contains(&"coingecko"), "{problem}");
    assert_eq!(nobody.header("retry-after"), problem["retry_after_seconds"].to_string());
}

#[tokio::test]
async fn several_prices_come_with_those_that_are_missing() {
    let world = World::new().await;
    let reply = world
        .get("/v1/prices?symbols=ETHUSDT,NOSUCHUSDT,btc/usdt,BTCUSD_PERP")
        .await;
    let body = reply.json();
    let found: Vec<String> = body["prices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| format!("{} {}", p["market"], p["symbol"]))
        .collect();
    assert_eq!(
        found,
        ["\"spot\" \"ETHUSDT\"", "\"spot\" \"BTCUSDT\"", "\"cm\" \"BTCUSD_PERP\""]
    );
    assert_eq!(body["missing"][0]["symbol"], "NOSUCHUSDT");
    assert_eq!(body["missing"][0]["unknown"], true);
    assert!(
        body["missing"][0]["reasons"][0]["what"]
            .as_str()
            .unwrap()
            .contains("-1121")
    );

    let unknown = world.get("/v1/prices?symbols=NOSUCHUSDT").await;
    assert_eq!(
        (unknown.status, unknown.problem()["type"].clone()),
        (404, "urn:evercandle:problem:unknown-symbol".into())
    );
    let unknown = world.get("/v1/price/NOSUCHUSDT").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.problem()["hint"].as_str().unwrap().contains("/v1/symbols"));
    world.down("");
    assert_eq!(world.get("/v1/prices?symbols=SOLUSDT,XRPUSDT").await.status, 503);
}

/// Goal: 200 is complete unless something else was asked for. Method: hold one day, take everything away, ask for two.
#[tokio::test]
async fn an_incomplete_answer_is_a_no_with_what_is_missing_unless_it_will_do() {
    let world = World::new().await;
    let day = "symbol=BTCUSDT&interval=1h&start=2024-01-01";
    assert_eq!(world.get(&format!("/v1/klines?{day}&end=2024-01-02")).await.status, 200);
    world.down("");

    let refused = world.get(&format!("/v1/klines?{day}&end=2024-01-03")).await;
    assert_eq!(refused.status, 503);
    let problem = refused.problem();
    assert_eq!(problem["type"], "urn:evercandle:problem:incomplete");
    assert_eq!(
        (&problem["rows"], &problem["gaps"][0]["slots"]),
        (&24.into(), &24.into()),
        "{problem}"
    );
    assert_eq!(problem["gaps"][0]["reason"], "no_upstream_left");
    assert!(
        !problem["gaps"][0]["tried"][0]["what"].as_str().unwrap().is_empty(),
        "{problem}"
    );
    assert!(!problem["reasons"].as_array().unwrap().is_empty());
    assert!(problem["hint"].as_str().unwrap().contains("best_effort"));
    assert!(1 <= refused.header("retry-after").parse::<u64>().unwrap());

    let found = world
        .get(&format!("/v1/klines?{day}&end=2024-01-03&completeness=best_effort"))
        .await;
    assert_eq!((found.status, found.header("evercandle-complete")), (200, "?0"));
    assert!(
        found
            .header("evercandle-gaps")
            .starts_with("no_upstream_left;start=\"2024-01-02T00:00:00Z\""),
        "{found:?}"
    );
    assert!(found.header("evercandle-gaps").ends_with("slots=24;final=?0"));
    let body = found.json();
    assert_eq!(
        (body["klines"].as_array().unwrap().len(), &body["complete"]),
        (24, &false.into())
    );
    assert_eq!(found.header("cache-status"), "evercandle; hit");

    let nothing = world
        .get("/v1/klines?symbol=ETHUSDT&interval=1h&limit=5&completeness=best_effort")
        .await;
    assert_eq!(
        (nothing.status, nothing.problem()["type"].clone()),
        (503, "urn:evercandle:problem:unavailable".into())
    );
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_and_what_never_will_is_no_failure() {
    let world = World::new().await;
    let unknown = world.get("/v1/klines?symbol=NOSUCHUSDT&interval=1h&limit=5").await;
    assert_eq!(
        (unknown.status, unknown.problem()["type"].clone()),
        (404, "urn:evercandle:problem:unknown-symbol".into())
    );
    let before = world
        .get("/v1/klines?symbol=BTCUSDT&interval=1d&start=2017-08-10&end=2017-08-20")
        .await;
    let body = before.json();
    assert_eq!((before.status, &body["complete"]), (200, &true.into()), "{body}");
    assert_eq!(
        (&body["gaps"][0]["reason"], &body["gaps"][0]["final"]),
        (&"before_listing".into(), &true.into())
    );
    let open = world
        .get("/v1/klines?symbol=BTCUSDT&interval=1h&start=2024-06-12&end=2024-06-13")
        .await
        .json();
    assert_eq!(open["gaps"][0]["reason"], "not_yet_closed");
}

#[tokio::test]
async fn a_sentiment_is_labelled_as_what_it_is() {
    let world = World::new().await;
    let reply = world.get("/v1/sentiment?count=3").await;
    let body = reply.json();
    assert_eq!(
        (&body["measure"], &body["primary"]),
        (&"fear_and_greed".into(), &true.into())
    );
    assert_eq!(
        (
            body["readings"].as_array().unwrap().len(),
            reply.header("evercandle-state")
        ),
        (3, "current")
    );
    world.down("alternative-me");
    world.pass(Duration::from_secs(86_400));
    let other = world.get("/v1/sentiment").await.json();
    assert_eq!(other["primary"], false, "{other}");
    let own = world.get("/v1/sentiment?secondary=refuse").await;
    assert_eq!(own.header("cache-status"), "evercandle; fwd=stale; detail=last_known");
    assert!(86_400 <= own.header("age").parse::<u64>().unwrap());
}

/// Goal: a listing, which is megabytes at the exchange, is not asked for each time, and outlives the exchange.
#[tokio::test]
async fn a_listing_is_remembered_and_served_through_an_outage() {
    let world = World::new().await;
    let ask = async || world.get("/v1/symbols?search=btc-u&limit=1").await;
    let first = ask().await;
    let body = first.json();
    assert_eq!(
        (&body["symbols"][0]["symbol"], &body["state"]),
        (&"BTCUSDT".into(), &"current".into())
    );
    assert_eq!(
        (first.header("cache-status"), body["via"].as_str()),
        ("evercandle; fwd=miss", Some("upstream"))
    );
    world.pass(Duration::from_secs(60));
    let again = ask().await;
    assert_eq!(
        (again.header("cache-status"), again.header("age")),
        ("evercandle; hit", "60")
    );
    assert_eq!(world.sim.journal().count("exchangeInfo"), 1);

    world.down("");
    world.pass(Duration::from_secs(600));
    let old = ask().await;
    assert_eq!(
        (old.status, old.header("evercandle-state"), old.header("age")),
        (200, "last_known", "660")
    );
    assert_eq!(old.json()["symbols"], body["symbols"]);
    let none = world.get("/v1/symbols?market=um").await;
    assert_eq!(
        (none.status, none.problem()["type"].clone()),
        (503, "urn:evercandle:problem:unavailable".into())
    );
}

/// Goal: a crowd that waits for a listing which nobody can tell does not ask for it one after another; and when the exchange
/// is back, the listing is back within seconds.
#[tokio::test]
async fn that_nobody_can_tell_a_listing_is_remembered_for_a_while() {
    let world = World::new().await;
    let ask = async || world.get("/v1/symbols?search=btc-u&limit=1").await;
    let down = world.down("");
    assert_eq!(ask().await.status, 503);
    world.sim.faults().clear(down);
    let asked = world.sim.journal().requests().len();
    let again = ask().await;
    assert_eq!(again.status, 503);
    assert_eq!(again.problem()["retry_after_seconds"], 3);
    assert_eq!(world.sim.journal().requests().len(), asked);
    world.pass(Duration::from_secs(4));
    assert_eq!(ask().await.status, 200);
}

/// Goal: fewer readings than were asked for are not passed off as all of them. Method: ask for more than are published;
/// then hold three, take everything away, and ask for ten.
#[tokio::test]
async fn fewer_readings_than_were_asked_for_are_told_with_the_reason() {
    let world = World::new().await;
    let all = world.get("/v1/sentiment?count=10000").await;
    let body = all.json();
    let known = body["readings"].as_array().unwrap().len();
    assert!(known < 10_000);
    assert_eq!(
        (&body["asked"], &body["fewer"]["why"]),
        (&10_000.into(), &"no_more".into())
    );
    let expected = format!("{known};asked=10000;why=no_more");
    assert_eq!(all.header("evercandle-readings"), expected);

    let world = World::new().await;
    let three = world.get("/v1/sentiment?count=3").await;
    assert_eq!(three.header("evercandle-readings"), "3;asked=3");
    assert_eq!(three.json()["fewer"], serde_json::Value::Null);
    world.down("");
    let ten = world.get("/v1/sentiment?count=10").await;
    assert_eq!(ten.header("evercandle-readings"), "3;asked=10;why=unanswered");
    let fewer = &ten.json()["fewer"];
    assert!(
        fewer["what"]
            .as_str()
            .unwrap()
            .starts_with("10 readings were asked for and 3 are known")
    );
    assert_eq!(fewer["reasons"][0]["provider"], "alternative-me", "{fewer}");
}

/// Goal: what the JSON notices is noticed in every format.
#[tokio::test]
async fn notices_are_told_in_every_format() {
    let world = World::new().await;
    world.sim.clock().advance(5 * 60 * 1_000_000);
    let asked = "symbol=BTCUSDT&interval=1m&limit=3";
    let body = world.get(&format!("/v1/klines?{asked}")).await.json();
    let notice = body["notices"][0].as_str().unwrap().to_owned();
    assert!(notice.contains("clock"), "{body}");
    for format in ["json", "ndjson", "csv", "arrow", "parquet"] {
        let world = World::new().await;
        world.sim.clock().advance(5 * 60 * 1_000_000);
        let reply = world.get(&format!("/v1/klines?{asked}&format={format}")).await;
        assert_eq!(reply.header("evercandle-notices"), format!("\"{notice}\""), "{format}");
    }
}
