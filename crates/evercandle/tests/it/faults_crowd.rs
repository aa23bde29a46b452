//! Many callers, and callers that leave (F30, F31), and nobody left to ask (F38).

use std::time::Duration;

use evercandle::{Client, Error, Market, PriceState, Request, SentimentState, Symbol};
use evercandle_simulator::{Effect, Fault};

use crate::support::{Counters, Upstreams, World, range, series, until};

const CALLERS: usize = 10_000;

/// A world whose answers are under way for long enough that everybody has asked before the first arrives.
async fn slow(milliseconds: u64) -> World {
    let mut world = World::new().await;
    world.sim.inject(Fault::new(Effect::Latency { milliseconds }));
    world.config.http.timeout_ms = 60_000;
    world
}

fn an_hour() -> Request {
    Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-06-12T05:00:00Z", "2024-06-12T06:00:00Z"),
    )
}

async fn price(client: &Client) -> Result<evercandle::Price, Error> {
    client.price(Market::Spot, &Symbol::new("BTCUSDT").unwrap()).await
}

/// Goal: whatever stampedes towards us reaches the upstream once.
#[tokio::test]
async fn f30_ten_thousand_who_want_the_same_klines_are_one_request() {
    let world = slow(2_000).await;
    let client = world.client();
    let all = futures::future::join_all((0..CALLERS).map(|_| client.get_data(an_hour()))).await;
    let first = all[0].as_ref().unwrap();
    world.check(first, Upstreams::TellTheTruth);
    for answer in &all {
        let answer = answer.as_ref().unwrap();
        assert_eq!((answer.len(), answer.gaps.len()), (60, 0));
        assert!(answer.batches[0].same_klines(&first.batches[0]));
    }
    assert_eq!(world.requests("/klines?"), 1);
    assert_eq!(
        world.requests("/time"),
        1,
        "what is asked beside the klines is asked once, too"
    );
    assert_eq!(world.requests(""), 2);
}

#[tokio::test]
async fn f30_ten_thousand_who_want_the_same_price_are_one_request() {
    let world = slow(2_000).await;
    let client = world.client();
    let all = futures::future::join_all((0..CALLERS).map(|_| price(&client))).await;
    let first = all[0].as_ref().unwrap();
    world.check_price(first);
    assert!(all.iter().all(|p| p.as_ref().unwrap().price == first.price));
    assert_eq!(world.requests(""), 1);
}

/// Goal: whoever asked first may leave without taking the answer along.
#[tokio::test]
async fn f31_the_first_to_ask_leaves_and_the_others_are_answered_by_the_same_request() {
    let world = slow(700).await;
    let client = world.client();
    let leader = tokio::spawn({
        let client = client.clone();
        async move { client.get_data(an_hour()).await }
    });
    until("the leader's request", || world.requests("/klines?") == 1).await;
    let others: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get_data(an_hour()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    for other in others {
        let answer = other.await.unwrap().unwrap();
        world.check(&answer, Upstreams::TellTheTruth);
        assert_eq!(answer.len(), 60);
    }
    assert_eq!(world.requests("/klines?"), 1);

    let leader = tokio::spawn({
        let client = client.clone();
        async move { price(&client).await }
    });
    until("the leader's request", || world.requests("/ticker/") == 1).await;
    let follower = tokio::spawn({
        let client = client.clone();
        async move { price(&client).await }
    });
    tokio::task::yield_now().await;
    leader.abort();
    let price = follower.await.unwrap().unwrap();
    world.check_price(&price);
    assert_eq!(world.requests("/ticker/"), 1);
}

/// Goal: with nobody to ask, what is known is served with its age, and what is too old or unknown is refused, with
/// every upstream's reason and when to come back.
#[tokio::test]
async fn f38_with_everybody_down_the_last_known_is_labelled_and_the_rest_is_refused_with_reasons() {
    let counters = Counters::new();
    let world = World::new().await;
    let client = world.client();
    let (known, fear) = (
        price(&client).await.unwrap(),
        client.sentiment(Default::default()).await.unwrap(),
    );
    client.get_data(an_hour()).await.unwrap();
    world.down("");
    world.pass(Duration::from_secs(600));
    let served = price(&client).await.unwrap();
    assert_eq!(
        (&served.state, &served.price, served.as_of),
        (&PriceState::LastKnown, &known.price, known.as_of)
    );
    let age = served.age.as_secs();
    assert!((600..620).contains(&age), "{age} s");
    assert!(!served.is_live());
    let klines = client.get_data(an_hour()).await.unwrap();
    world.check(&klines, Upstreams::TellTheTruth);
    assert_eq!(klines.len(), 60, "klines do not age");
    // Another process knows it, too.
    let other = price(&world.client()).await.unwrap();
    assert_eq!((&other.state, &other.price), (&PriceState::LastKnown, &known.price));

    // Something that was never known: refused, with everybody's reason.
    let never = Symbol::new("ETHUSDT").unwrap();
    let Err(Error::NoUpstream { reasons, .. }) = client.price(Market::Spot, &never).await else {
        panic!("nobody knows")
    };
    let named: Vec<&str> = reasons.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        named.contains(&"binance") && named.contains(&"coingecko"),
        "{reasons:?}"
    );
    assert!(reasons.iter().all(|(_, why)| !why.is_empty()));

    // Too old: refused rather than served.
    world.pass(Duration::from_secs(301));
    for _ in 0..2 {
        let _ = price(&client).await;
    }
    let Err(Error::NoUpstream {
        reasons, retry_after, ..
    }) = price(&client).await
    else {
        panic!("a quarter of an hour is too old")
    };
    assert!(
        reasons
            .iter()
            .any(|(who, why)| who.as_str() == "cache" && why.contains("900 s allowed")),
        "{reasons:?}"
    );
    let retry_after = retry_after.expect("all rest").as_secs();
    assert!(retry_after <= 40, "{retry_after} s");

    // A day later the index of that day is known to be old, and after three days it is not served any more.
    world.pass(Duration::from_secs(30 * 3_600));
    let old = client.sentiment(Default::default()).await.unwrap().sentiment;
    assert_eq!(
        (old.state, &old.readings),
        (SentimentState::LastKnown, &fear.sentiment.readings)
    );
    world.pass(Duration::from_secs(48 * 3_600));
    let refused = client.sentiment(Default::default()).await;
    assert!(matches!(refused, Err(Error::NoUpstream { .. })), "{refused:?}");
    let counted = counters.look();
    assert_eq!(counted["qt_stale_served_total{cache_name=prices}"], 2.0);
    assert_eq!(counted["qt_stale_served_total{cache_name=sentiment}"], 1.0);
    // What may not be served any more is counted too: it is worse, not over.
    assert_eq!(counted["qt_stale_refused_total{cache_name=prices}"], 4.0);
    assert_eq!(counted["qt_stale_refused_total{cache_name=sentiment}"], 1.0);
    assert_eq!(counted["qt_latest_not_fresh{cache_name=prices}"], 1.0);
}
