//! Upstreams that want to be left alone, or have nothing yet (F11 to F14): they are, to the second, and it is no failure.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evercandle::{
    Client, Clock, Config, Market, Price, PriceRequest, Request, Secondary, SentimentRequest, Status, Substitutes,
    Symbol,
};
use evercandle_simulator::{Effect, Fault};

use crate::support::{Counters, Upstreams, World, any_answer, best_effort, health, range, series, suppliers, time};

const HOST: &str = "fapi.binance.com";
const EXCHANGE: &str = "binance-futures";

async fn price(client: &Client) -> Price {
    let symbol = Symbol::new("BTCUSDT").unwrap();
    client.price(Market::Um, &symbol).await.unwrap()
}

/// A world whose time flows and in which every question is put.
async fn restless() -> World {
    let mut world = World::new().await;
    world.config.latest.price_fresh_ms = 0;
    world.let_time_flow();
    world
}

/// Goal: told to wait 37 seconds, we wait 37 seconds: nothing is sent before, not even a probe, and it is no failure.
/// Method: ask all the while, every three seconds, until the exchange answers again.
#[tokio::test]
async fn f11_a_rate_limit_is_obeyed_to_the_second_and_is_no_failure() {
    let counters = Counters::new();
    let world = restless().await;
    let client = world.client();
    let limit = world
        .sim
        .inject(Fault::new(Effect::RateLimited { retry_after: 37 }).on(HOST));
    let first = price(&client).await;
    world.check_price(&first);
    assert_eq!(first.provider.as_str(), "coingecko");
    // From now on it would answer, if it were asked.
    world.sim.faults().clear(limit);
    let look = health(&client, EXCHANGE);
    assert_eq!(
        (look.status, look.circuit_open, look.failures_total),
        (Status::Quarantined, false, 0)
    );
    let rest = look.retry_at.unwrap().since(client.clock().now()) as f64 / 1e6;
    assert!((36.0..=37.0).contains(&rest), "{rest} s");
    let mut asked = 0;
    loop {
        world.pass(Duration::from_secs(3));
        asked += 1;
        let mut request = PriceRequest::new(Market::Um, vec![Symbol::new("BTCUSDT").unwrap()]);
        request.substitutes = Substitutes::Refuse;
        if let Some(price) = client.prices(request).await.unwrap().prices.first() {
            world.check_price(price);
            break;
        }
        assert!(asked < 20, "it is asked again");
    }
    assert!(asked >= 10, "the test must have asked all the while");
    let calls = world.sim.journal().matching(HOST);
    let apart = (calls[1].at - calls[0].at) as f64 / 1e6;
    assert!(
        (37.0..60.0).contains(&apart),
        "{apart} s between the refusal and the next call"
    );
    assert_eq!(world.sim.calls_in_quarantine(), 0);
    let counted = counters.look();
    assert_eq!(counted["qt_provider_throttled_total{provider=binance-futures}"], 1.0);
    assert_eq!(counted["qt_provider_failures_total{provider=binance-futures}"], 0.0);
    assert_eq!(counted["qt_provider_circuit_open{provider=binance-futures}"], 0.0);
    let skipped = counted["qt_provider_skipped_total{provider=binance-futures,reason=quarantined}"];
    assert_eq!(skipped as u32, asked - 1);
}

/// The hour before now, which no archive has yet.
fn the_last_hour() -> Request {
    Request::new(
        series("BTCUSDT", "1m", Market::Spot),
        range("2024-06-12T09:00:00Z", "2024-06-12T10:00:00Z"),
    )
}

/// Goal: whoever asks during a ban is told that it is one, and for how long: the first time and every time after.
/// Method: the archives are well, but cannot have what is wanted.
#[tokio::test]
async fn whoever_asks_during_a_ban_is_told_so_and_when_it_ends() {
    let world = restless().await;
    let client = world.client();
    world
        .sim
        .inject(Fault::new(Effect::RateLimited { retry_after: 37 }).on("binance-spot"));
    for (passed, left) in [(0, 37), (10, 27), (20, 7)] {
        world.pass(Duration::from_secs(passed));
        let error = client.get_data(the_last_hour()).await.unwrap_err();
        assert!(error.is_rate_limited(), "{error}");
        let told = error.retry_after().unwrap().as_secs_f64();
        assert!(
            (f64::from(left) - 2.0..=f64::from(left)).contains(&told),
            "{told} s of {left}"
        );
    }
}

/// Goal: whoever could not be asked, because it lists nothing or was not wanted, does not hide when asking again makes
/// sense.
#[tokio::test]
async fn when_to_ask_again_is_decided_by_those_who_were_asked() {
    let world = restless().await;
    let client = world.client();
    for host in ["binance-spot", "alternative-me"] {
        world
            .sim
            .inject(Fault::new(Effect::RateLimited { retry_after: 37 }).on(host));
    }
    for idle in ["binance-futures", "binance-vision"] {
        client.control(idle, evercandle::Control::ForceOpen).unwrap();
    }
    let instruments = client.instruments(Market::Spot).await.unwrap_err();
    let evercandle::Error::NoUpstream { reasons, .. } = &instruments else {
        panic!("{instruments}")
    };
    // Whoever lists nothing of the market has no part in it, not even when nothing may be sent to them.
    assert_eq!(
        reasons.iter().map(|(who, _)| who.as_str()).collect::<Vec<_>>(),
        ["binance"]
    );
    let mut request = PriceRequest::new(Market::Spot, vec![Symbol::new("BTCUSDT").unwrap()]);
    request.substitutes = Substitutes::Refuse;
    let prices = client.prices(request).await.unwrap();
    let sentiment = SentimentRequest {
        secondary: Secondary::Refuse,
        ..SentimentRequest::default()
    };
    let sentiment = client.sentiment(sentiment).await.unwrap_err();
    for (what, told) in [
        ("instruments", instruments.retry_after()),
        ("prices", prices.missing[0].retry_after),
        ("sentiment", sentiment.retry_after()),
    ] {
        assert!(
            told.is_some_and(|told| told <= Duration::from_secs(37)),
            "{what}: {told:?}"
        );
    }
}

/// Goal: while every circuit rests, errors say when the first of them is tried again; before that, asking again is free.
#[tokio::test]
async fn while_every_circuit_rests_errors_say_when_one_is_tried_again() {
    let world = restless().await;
    let client = world.client();
    world.sim.inject(Fault::new(Effect::Refuse));
    let long_ago = Request::new(series("BTCUSDT", "1m", Market::Spot), range("2024-03-01", "2024-03-20"));
    let first = client.get_data(the_last_hour()).await.unwrap_err();
    assert!(!first.is_rate_limited(), "{first}");
    for _ in 0..3 {
        client.get_data(long_ago.clone()).await.unwrap_err();
    }
    for request in [the_last_hour(), long_ago] {
        let error = client.get_data(request).await.unwrap_err();
        let told = error.retry_after().unwrap();
        let until = |name| health(&client, name).retry_at.unwrap().since(client.clock().now());
        let soonest = until("binance").min(until("binance-vision"));
        assert!(
            told <= Duration::from_secs(40) && !error.is_rate_limited(),
            "{told:?}: {error}"
        );
        assert!(soonest <= told.as_micros() as i64 + 1_000_000, "{soonest} {told:?}");
    }
}

const CACHE: &str = "EVERCANDLE_TEST_FAULTS_CACHE";
const INTERNET: &str = "EVERCANDLE_TEST_FAULTS_INTERNET";
const NOW: &str = "EVERCANDLE_TEST_FAULTS_NOW";

/// A child of the test below; without an assignment it has nothing to do. Asks once, says who answered, and hangs.
#[tokio::test]
#[allow(clippy::print_stdout, reason = "this is how a child tells its parent")]
async fn asks_for_one_price_and_waits_to_be_killed() {
    let (Ok(cache), Ok(internet), Ok(now)) = (std::env::var(CACHE), std::env::var(INTERNET), std::env::var(NOW)) else {
        return;
    };
    let mut config = Config {
        internet: Some(internet.parse().unwrap()),
        ..Config::default()
    };
    config.cache.dir = Some(cache.into());
    config.cache.free_min = 0;
    config.http.timeout_ms = 10_000;
    let client = Client::with_clock(config, Clock::held(time(&now))).unwrap();
    println!("\nanswered by {};", price(&client).await.provider);
    std::future::pending::<()>().await;
}

/// Another process on the world's cache asks; who answered it. It is killed without a chance to say goodbye.
async fn another_process_asks(world: &World) -> String {
    let mut child: Child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "faults_limits::asks_for_one_price_and_waits_to_be_killed",
            "--nocapture",
        ])
        .env(CACHE, world.config.cache.dir.as_ref().unwrap())
        .env(INTERNET, world.sim.base_url())
        .env(NOW, world.clock.now().to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let said = move || {
        use std::io::BufRead;
        let lines = std::io::BufReader::new(output).lines().map_while(Result::ok);
        let mut answers = lines.filter_map(|l| Some(l.strip_prefix("answered by ")?.trim_end_matches(';').to_owned()));
        answers.next()
    };
    let said = tokio::task::spawn_blocking(said).await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    said.expect("the child says who answered")
}

/// Goal: a ban outlives the process that was banned, however it ends, and ends when it is over.
#[tokio::test]
async fn f12_a_ban_outlives_a_killed_process_and_not_its_time() {
    let world = restless().await;
    let ban = world
        .sim
        .inject(Fault::new(Effect::Banned { retry_after: 120 }).on(HOST));
    assert_eq!(another_process_asks(&world).await, "coingecko");
    assert_eq!(world.requests(HOST), 1);
    world.sim.faults().clear(ban);
    for _ in 0..3 {
        world.pass(Duration::from_secs(20));
        assert_eq!(another_process_asks(&world).await, "coingecko");
        assert_eq!(world.requests(HOST), 1, "nothing is sent during the ban, by nobody");
    }
    world.pass(Duration::from_secs(62));
    assert_eq!(another_process_asks(&world).await, EXCHANGE);
    assert_eq!(world.sim.calls_in_quarantine(), 0);
}

/// Goal: at three in the morning, after a restart, it is still to be seen since when an upstream keeps us out.
#[tokio::test]
async fn a_restart_does_not_hide_since_when_a_ban_lasts() {
    let world = restless().await;
    let client = world.client();
    world
        .sim
        .inject(Fault::new(Effect::Banned { retry_after: 120 }).on(HOST));
    price(&client).await;
    let before = health(&client, EXCHANGE);
    world.pass(Duration::from_secs(40));
    let after = health(&world.client(), EXCHANGE);
    assert_eq!(
        (before.status, after.status),
        (Status::Quarantined, Status::Quarantined)
    );
    let apart = after.status_since.since(before.status_since).abs();
    assert!(apart < 2_000_000, "{} and {}", before.status_since, after.status_since);
}

/// Goal: whoever is kept out without being told for how long comes back ever more rarely, and is no failure.
#[tokio::test]
async fn f13_a_firewall_or_a_border_is_left_alone_for_long_and_then_longer() {
    let world = restless().await;
    let client = world.client();
    let wall = world.sim.inject(Fault::new(Effect::Forbidden).on(HOST));
    for (call, minutes) in [(1, 5), (2, 10), (3, 20), (4, 40)] {
        let price = price(&client).await;
        world.check_price(&price);
        assert_eq!(price.provider.as_str(), "coingecko");
        assert_eq!(world.requests(HOST), call);
        let look = health(&client, EXCHANGE);
        assert_eq!(
            (look.status, look.circuit_open, look.failures_total),
            (Status::Quarantined, false, 0)
        );
        let rest = look.retry_at.unwrap().since(client.clock().now());
        assert_eq!((rest as f64 / 60e6).round() as i64, minutes);
        world.pass(Duration::from_secs(minutes as u64 * 60 - 20));
        self::price(&client).await;
        assert_eq!(world.requests(HOST), call, "not before its time");
        world.pass(Duration::from_secs(21));
    }
    world.sim.faults().clear(wall);
    world.sim.inject(Fault::new(Effect::RestrictedLocation).on(HOST));
    assert_eq!(price(&client).await.provider.as_str(), "coingecko");
    let look = health(&client, EXCHANGE);
    let hours = look.retry_at.unwrap().since(client.clock().now()) / 3_600_000_000;
    assert!((23..=24).contains(&hours), "{hours} h");
    assert!(look.quarantine.unwrap().contains("451"));
}

/// Goal: an archive that is not there yet is no failure, is not asked for all the time, and is taken once it is there.
#[tokio::test]
async fn f14_a_day_that_is_not_published_yet_is_filled_from_rest_and_asked_for_again_later() {
    let world = restless().await;
    let day = "daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-06-10";
    let absent = world
        .sim
        .inject(Fault::new(Effect::NotFound).on("binance-vision").path("2024-06-10"));
    let client = world.client();
    let request = Request::new(series("BTCUSDT", "1m", Market::Spot), range("2024-06-08", "2024-06-11"));
    let answer = client.get_data(request.clone()).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(
        (answer.len(), suppliers(&answer)),
        (3 * 1_440, vec!["binance-vision".into(), "binance".to_owned()])
    );
    assert_eq!(world.requests(day), 1);
    let look = health(&client, "binance-vision");
    assert_eq!((look.status, look.failures_total), (Status::Ok, 0));

    // Nobody else has another series' day either, so it would be asked for at every turn.
    world.down("api");
    let other = best_effort(series("ETHUSDT", "1m", Market::Spot), range("2024-06-10", "2024-06-11"));
    let day = "daily/klines/ETHUSDT/1m/ETHUSDT-1m-2024-06-10";
    for _ in 0..5 {
        let nothing = any_answer(client.get_data(other.clone()).await);
        assert!(nothing.is_empty() && !nothing.is_complete());
        world.pass(Duration::from_secs(100));
    }
    assert_eq!(world.requests(day), 1, "remembered");
    world.sim.faults().clear(absent);
    world.pass(Duration::from_secs(101));
    let there = client.get_data(other).await.unwrap();
    world.check(&there, Upstreams::TellTheTruth);
    assert_eq!(suppliers(&there), ["binance-vision"]);
}
