//! Connections that fail (F01 to F10): refused, swallowed, misnamed, forged, silent, slow, cut.
//!
//! Whoever can answer does, the failure is told by its name, and nothing half-received is served or stored.

use std::time::{Duration, Instant};

use evercandle::{Attempt, Client, Error, Market, Nature, Outcome, Price, PriceRequest, Request, Status, Symbol};
use evercandle_simulator::{Door, DoorBehaviour, Effect, Fault};

use crate::support::{Counters, Upstreams, World, health, range, series, suppliers, until};

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

/// Every attempt at one upstream that was sent, with what came of it.
fn sent<'a>(trail: &'a [Attempt], provider: &str) -> Vec<&'a Attempt> {
    let of = |a: &&Attempt| a.provider.as_str() == provider && a.number > 0;
    trail.iter().filter(of).collect()
}

fn kinds(attempts: &[&Attempt]) -> Vec<&'static str> {
    let kind = |a: &&Attempt| match a.outcome {
        Outcome::Failed { kind, .. } => kind,
        _ => "ok",
    };
    attempts.iter().map(kind).collect()
}

/// The price of a futures contract, whose exchange has one host, and how it came about.
async fn futures_price(client: &Client, text: &str) -> (Price, Vec<Attempt>) {
    let asked = client
        .prices(PriceRequest::new(Market::Um, vec![symbol(text)]))
        .await
        .unwrap();
    (asked.prices.into_iter().next().unwrap(), asked.trail)
}

/// A world in which the futures exchange is behind a door that behaves like this.
async fn behind(behaviour: DoorBehaviour, timeout_ms: u64) -> (World, Door) {
    let mut world = World::new().await;
    let door = world.sim.open_door().await.unwrap();
    door.behave(behaviour).unwrap();
    world.reach("binance-futures", &door);
    world.config.providers.get_mut("binance-futures").unwrap().timeout_ms = Some(timeout_ms);
    world.config.latest.price_fresh_ms = 0;
    (world, door)
}

/// Goal: a refused connection costs nothing but itself: the next upstream is asked at once, and it counts once.
#[tokio::test]
async fn f01_a_refused_connection_passes_the_question_on_at_once() {
    let counters = Counters::new();
    let (world, _door) = behind(DoorBehaviour::Refused, 3_000).await;
    let client = world.client();
    let mut waits = Vec::new();
    for asked in 1..=3 {
        let (price, trail) = futures_price(&client, "BTCUSDT").await;
        world.check_price(&price);
        assert!(matches!(price.nature, Nature::Substitute(_)), "{price:?}");
        let failed = sent(&trail, "binance-futures");
        assert_eq!(kinds(&failed), ["unreachable"], "asked once, not again");
        waits.push(failed[0].took);
        assert_eq!(health(&client, "binance-futures").failures_total, asked);
    }
    // The best of three: a busy machine may hold up any one of them.
    assert!(waits.iter().any(|w| *w < Duration::from_millis(50)), "{waits:?}");
    assert_eq!(health(&client, "binance-futures").status, Status::Down);
    assert_eq!(world.requests("fapi.binance.com"), 0);
    let counted = counters.look();
    assert_eq!(counted["qt_provider_failures_total{provider=binance-futures}"], 3.0);
    assert_eq!(counted["qt_provider_circuit_open{provider=binance-futures}"], 1.0);
    assert_eq!(counted["qt_provider_circuit_open{provider=coingecko}"], 0.0);
}

/// Goal: silence costs three seconds and not more, is not repeated, and after three of them nobody waits any longer.
/// Method: three questions at once, so that the test waits once.
async fn silence_costs_three_seconds_once(behaviour: DoorBehaviour) {
    let (mut world, _door) = behind(behaviour, 3_000).await;
    world.config.http.timeout_ms = 3_000;
    let client = world.client();
    let names = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];
    for (price, trail) in futures::future::join_all(names.map(|name| futures_price(&client, name))).await {
        world.check_price(&price);
        assert_eq!(price.provider.as_str(), "coingecko");
        let failed = sent(&trail, "binance-futures");
        assert_eq!(kinds(&failed), ["timed_out"], "a silence is not asked again");
        let took = failed[0].took.as_secs_f64();
        assert!((2.99..5.9).contains(&took), "{took} s");
    }
    let look = health(&client, "binance-futures");
    assert_eq!((look.status, look.failures_total), (Status::Down, 3));
    let began = Instant::now();
    let (price, trail) = futures_price(&client, "XRPUSDT").await;
    world.check_price(&price);
    assert!(sent(&trail, "binance-futures").is_empty(), "{trail:?}");
    assert!(began.elapsed() < Duration::from_millis(2_900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn f02_a_connection_that_nobody_answers_ends_after_three_seconds_and_opens_the_circuit() {
    silence_costs_three_seconds_once(DoorBehaviour::BlackHole).await;
}

/// Goal: a name that does not resolve is told as that, and is the trouble of one upstream only.
#[tokio::test]
async fn f03_a_name_that_does_not_resolve_is_told_and_passed_over() {
    let counters = Counters::new();
    let mut world = World::new().await;
    let settings = world.config.providers.entry("binance-futures".into()).or_default();
    settings.internet = Some("http://no-such-host.invalid:80".parse().unwrap());
    let client = world.client();
    let (price, trail) = futures_price(&client, "BTCUSDT").await;
    world.check_price(&price);
    assert_eq!(price.provider.as_str(), "coingecko");
    let failed = sent(&trail, "binance-futures");
    assert_eq!(kinds(&failed), ["unreachable"]);
    assert!(
        failed[0].outcome.to_string().contains("no such host"),
        "{}",
        failed[0].outcome
    );
    assert_eq!(
        counters.look()["qt_provider_failures_total{provider=binance-futures}"],
        1.0
    );
    assert_eq!(health(&client, "coingecko").status, Status::Ok);
}

/// Goal: who cannot prove who they are is not talked to, and not asked twice whether they can.
#[tokio::test]
async fn f05_a_certificate_that_proves_nothing_is_never_accepted_nor_tried_again() {
    for behaviour in [
        DoorBehaviour::TlsExpired,
        DoorBehaviour::TlsWrongHost,
        DoorBehaviour::TlsSelfSigned,
        DoorBehaviour::TlsResetInHandshake,
    ] {
        let (world, _door) = behind(behaviour, 10_000).await;
        let client = world.client();
        let (price, trail) = futures_price(&client, "BTCUSDT").await;
        world.check_price(&price);
        assert_eq!(price.provider.as_str(), "coingecko", "{behaviour:?}");
        assert_eq!(
            kinds(&sent(&trail, "binance-futures")),
            ["unreachable"],
            "{behaviour:?}"
        );
        assert_eq!(
            world.requests("fapi.binance.com"),
            0,
            "{behaviour:?}: no question may have been put"
        );
        assert_eq!(health(&client, "binance-futures").failures_total, 1);
    }
}

#[tokio::test]
async fn f06_an_accepted_connection_that_stays_silent_ends_after_three_seconds_and_opens_the_circuit() {
    silence_costs_three_seconds_once(DoorBehaviour::Silent).await;
}

/// A month from the archive, which has this fault: REST must answer, in full, and nothing of the archive's be stored.
/// How often the archive's file was asked for, and what was said of it.
async fn month_without_archive(effect: Effect) -> (usize, Vec<&'static str>) {
    let mut world = World::new().await;
    world.impatient(600);
    let file = "monthly/klines/BTCUSDT/15m/BTCUSDT-15m-2024-04.zip";
    world
        .sim
        .inject(Fault::new(effect.clone()).on("binance-vision").path(".zip"));
    world.config.providers.entry("binance".into()).or_default().timeout_ms = Some(10_000);
    let client = world.client();
    let request = Request::new(
        series("BTCUSDT", "15m", Market::Spot),
        range("2024-04-01", "2024-05-01"),
    );
    let answer = client.get_data(request.clone()).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert!(answer.gaps.is_empty(), "{effect:?}: {:?}", answer.gaps);
    assert_eq!(suppliers(&answer), ["binance"], "{effect:?}");
    let held = client.store().read(&request.series, request.range);
    assert!(
        held.pieces.iter().all(|p| p.origin.provider.as_str() == "binance"),
        "{effect:?}"
    );
    assert_eq!(
        held.covered.hull(),
        Some(request.range),
        "{effect:?}: what REST said is stored"
    );
    assert!(health(&client, "binance-vision").failures_total > 0);
    let asked = world
        .sim
        .journal()
        .matching(file)
        .iter()
        .filter(|r| r.path.ends_with(file))
        .count();
    let tries: Vec<&Attempt> = sent(&answer.trail, "binance-vision");
    let of_month = tries.into_iter().filter(|a| a.form == "month").collect::<Vec<_>>();
    (asked, kinds(&of_month))
}

#[tokio::test]
async fn f07_a_body_that_trickles_is_given_up_and_none_of_it_kept() {
    let (_, said) = month_without_archive(Effect::Trickle { bytes_per_second: 1 }).await;
    assert_eq!(said, ["timed_out"], "given up, and not asked again");
}

#[tokio::test]
async fn f08_a_connection_reset_within_a_body_is_tried_once_more_and_then_passed_on() {
    let (_, said) = month_without_archive(Effect::ResetMidBody { after: 40 }).await;
    assert_eq!(said, ["unreachable", "unreachable"], "one retry");
}

#[tokio::test]
async fn f09_a_body_that_ends_early_is_noticed_tried_once_more_and_then_passed_on() {
    for effect in [Effect::ShortBody { missing: 7 }, Effect::UnfinishedChunks] {
        let (_, said) = month_without_archive(effect.clone()).await;
        assert_eq!(said, ["unreachable", "unreachable"], "{effect:?}: one retry");
    }
}

/// Goal: an error of the server is asked about once more where that may help; a CDN repeats its errors for seconds.
#[tokio::test]
async fn f10_a_server_error_is_tried_once_more_but_not_at_a_cdn() {
    for status in [500, 502, 503, 504] {
        let effect = Effect::Status {
            status,
            body: "<html>sorry</html>".into(),
        };
        let (asked, said) = month_without_archive(effect.clone()).await;
        assert!(asked <= 1, "{status}: {asked}");
        assert_eq!(said, ["unreachable"], "{status}: once");

        let world = World::new().await;
        world.sim.inject(Fault::new(effect).on("fapi.binance.com"));
        let client = world.client();
        let (price, trail) = futures_price(&client, "BTCUSDT").await;
        world.check_price(&price);
        assert_eq!(price.provider.as_str(), "coingecko");
        assert_eq!(kinds(&sent(&trail, "binance-futures")), ["unreachable"; 2], "{status}");
        assert_eq!(world.requests("fapi.binance.com"), 2, "{status}");
    }
}

/// Goal: when nobody can be reached it is our own line: one finding, nothing lengthened, the last known served with its
/// age; and the first to answer has all others looked after at once.
#[tokio::test]
async fn f04_with_no_line_at_all_the_last_known_is_served_and_the_first_answer_frees_everybody() {
    let counters = Counters::new();
    let mut world = World::new().await;
    let line = world.sim.open_door().await.unwrap();
    world.config.internet = Some(line.url().parse().unwrap());
    world.config.latest.price_fresh_ms = 0;
    world.config.latest.sentiment_fresh_ms = 0;
    world.config.engine.deadline_ms = 5_000;
    world.let_time_flow();
    let client = world.client();
    let known = client.price(Market::Spot, &symbol("BTCUSDT")).await.unwrap();
    world.check_price(&known);
    let ask_everybody = || async {
        let old = series("BTCUSDT", "15m", Market::Spot);
        let klines = Request::new(old, range("2024-04-01", "2024-05-01"));
        assert!(matches!(client.get_data(klines).await, Err(Error::Unavailable(_))));
        assert!(client.price(Market::Um, &symbol("BTCUSDT")).await.is_err());
        client.price(Market::Spot, &symbol("BTCUSDT")).await.unwrap()
    };
    line.behave(DoorBehaviour::Refused).unwrap();
    for _ in 0..4 {
        let served = ask_everybody().await;
        assert_eq!((served.state.as_str(), &served.price), ("last_known", &known.price));
        world.pass(Duration::from_secs(2));
    }
    assert!(
        client.health().common_cause_since.is_some(),
        "four of five have failed, and nobody has answered"
    );
    // One more fails later than the others, so that it is due later, too.
    world.pass(Duration::from_secs(10));
    for _ in 0..3 {
        assert!(client.sentiment(Default::default()).await.is_err());
    }
    let names = [
        "binance-vision",
        "binance",
        "binance-futures",
        "coingecko",
        "alternative-me",
    ];
    let since = client.health().common_cause_since.expect("everybody failed at once");
    for name in names {
        assert_eq!(health(&client, name).status, Status::Down, "{name}");
    }
    assert_eq!(counters.look()["qt_common_cause_suspected{}"], 1.0);
    // Two and a half minutes: probes fail again and again, and nothing is lengthened by it.
    for _ in 0..10 {
        world.pass(Duration::from_secs(15));
        for name in names {
            crate::support::probed(&client, name).await;
            assert_eq!(health(&client, name).cooldown, Some(Duration::from_secs(30)), "{name}");
        }
        let served = client.price(Market::Spot, &symbol("BTCUSDT")).await.unwrap();
        assert_eq!(served.price, known.price);
        assert!(served.age >= Duration::from_micros(client.clock().now().since(known.fetched_at).unsigned_abs()));
    }
    let still = client.health().common_cause_since.expect("nobody has answered since");
    assert!(
        (still.since(since)).abs() < 60_000_000,
        "one finding, not several: {since} and {still}"
    );
    // Wait for a moment at which one of them is about to be probed, and another not for long.
    let rest = |name: &&str| {
        health(&client, name)
            .retry_at
            .map_or(0, |at| at.since(client.clock().now()))
    };
    for second in 0.. {
        let rests: Vec<i64> = names.iter().map(rest).collect();
        let (first, last) = (rests.iter().min().unwrap(), rests.iter().max().unwrap());
        if *first < 2_500_000 && *last > 10_000_000 {
            break;
        }
        assert!(second < 300, "their rests differ: {rests:?}");
        world.pass(Duration::from_secs(1));
        for name in names {
            crate::support::probed(&client, name).await;
        }
    }
    // The line is back: the first is probed on schedule, and its answer has everybody probed at once.
    line.behave(DoorBehaviour::Open).unwrap();
    let began = Instant::now();
    world.pass(Duration::from_secs(3));
    let answered = |name| {
        health(&client, name)
            .last_probe
            .is_some_and(|probe| probe.is_answered())
    };
    until("all of them to be probed", || names.iter().all(|name| answered(name))).await;
    assert!(began.elapsed() < Duration::from_secs(6), "not by their own schedule");
    assert_eq!(client.health().common_cause_since, None);
    let price = client.price(Market::Spot, &symbol("BTCUSDT")).await.unwrap();
    world.check_price(&price);
    assert_eq!((price.state.as_str(), price.provider.as_str()), ("live", "binance"));
}
