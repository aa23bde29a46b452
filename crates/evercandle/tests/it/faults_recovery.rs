//! Upstreams that come and go, and clocks that jump (F32 to F35): who is down is left alone, and nobody stays down.

use std::time::Duration;

use evercandle::{CircuitState, Client, Market, Price, PriceRequest, Status, Substitutes, Symbol, UpstreamHealth};
use evercandle_simulator::{DoorBehaviour, Effect, Fault};

use crate::support::{Counters, World, health, probed, time, until};

const HOST: &str = "fapi.binance.com";
const EXCHANGE: &str = "binance-futures";
/// How often somebody asks.
const STEP: Duration = Duration::from_secs(5);

async fn price(client: &Client) -> Price {
    let symbol = Symbol::new("BTCUSDT").unwrap();
    client.price(Market::Um, &symbol).await.unwrap()
}

async fn restless() -> World {
    let mut world = World::new().await;
    world.config.latest.price_fresh_ms = 0;
    world
}

/// One who asks every five seconds for so long, and wants nothing but the exchange's own price; what health said each
/// time.
async fn ask_for(world: &World, client: &Client, minutes: u64) -> Vec<UpstreamHealth> {
    let mut seen = Vec::new();
    for _ in 0..minutes * 60 / STEP.as_secs() {
        world.pass(STEP);
        probed(client, EXCHANGE).await;
        let mut request = PriceRequest::new(Market::Um, vec![Symbol::new("BTCUSDT").unwrap()]);
        request.substitutes = Substitutes::Refuse;
        if let Some(price) = client.prices(request).await.unwrap().prices.first() {
            world.check_price(price);
        }
        seen.push(health(client, EXCHANGE));
    }
    seen
}

/// The cooldowns in the order in which they began: with each, the next look at the upstream moves into the future.
fn cooldowns(seen: &[UpstreamHealth]) -> Vec<u64> {
    let mut began: Vec<u64> = Vec::new();
    let mut until = None;
    for look in seen.iter().filter(|h| h.state == CircuitState::Open) {
        // The monotonic clock runs on by itself between two steps, so instants seem to move a little.
        let retry_at = look.retry_at.unwrap();
        if until.is_none_or(|before| retry_at.since(before) > 4_000_000) {
            began.push(look.cooldown.unwrap().as_secs());
        }
        until = Some(retry_at);
    }
    began
}

/// Goal: an upstream that is up half of the time is not called half of the time.
/// Method: down for five seconds, up for five, for twenty minutes; somebody asks every five seconds.
#[tokio::test]
async fn f32_an_upstream_that_flaps_is_left_alone_nearly_all_the_time() {
    let counters = Counters::new();
    let world = restless().await;
    world
        .sim
        .inject(Fault::new(Effect::Refuse).on(HOST).flapping(STEP, STEP));
    let client = world.client();
    let before = ask_for(&world, &client, 1).await;
    assert!(before.iter().any(|h| h.circuit_open), "a minute of this is enough");
    world.forget_requests();
    let seen = ask_for(&world, &client, 20).await;
    let open = seen.iter().filter(|h| h.circuit_open).count();
    assert!(open * 10 >= seen.len() * 9, "{open} of {}", seen.len());
    let calls = world.sim.journal().matching(HOST);
    let (probes, real): (Vec<_>, Vec<_>) = calls.iter().partition(|c| c.method == "HEAD");
    let openings = cooldowns(&seen);
    assert!(
        probes.len() <= 20 * 60 / 30,
        "at most one probe a cooldown: {}",
        probes.len()
    );
    // A trial that happens to pass lets calls through, until the next one shows what it was worth.
    let passed = probes.iter().filter(|p| p.status == 200).count();
    assert!(
        real.len() <= 2 * passed,
        "{} calls after {passed} probes that passed",
        real.len()
    );
    assert!(openings.windows(2).all(|w| w[1] >= w[0]), "{openings:?}");
    assert!(
        openings.last() > openings.first(),
        "it rests longer for coming back too early: {openings:?}"
    );
    // One outage, not dozens: whoever raises alarms by it raises one.
    let since: Vec<_> = seen.iter().filter_map(|h| h.opened_at).collect();
    assert!(since[0].since(*since.last().unwrap()).abs() < 10_000_000, "{since:?}");
    let skipped = counters.look()["qt_provider_skipped_total{provider=binance-futures,reason=circuit_open}"];
    assert!(skipped >= 0.8 * seen.len() as f64, "{skipped}");
}

/// Goal: a probe that passes is no proof. Method: HEAD is answered, GET never, for twenty minutes.
#[tokio::test]
async fn f33_an_upstream_whose_probes_pass_and_whose_calls_fail_rests_longer_each_time() {
    let counters = Counters::new();
    let world = restless().await;
    let broken = Effect::Status {
        status: 500,
        body: String::new(),
    };
    let fault = world.sim.inject(Fault::new(broken).on(HOST).method("GET"));
    let client = world.client();
    let before = ask_for(&world, &client, 1).await;
    let first = before
        .iter()
        .position(|h| h.circuit_open)
        .expect("a minute of this is enough");
    let mut seen = before[first..].to_vec();
    world.forget_requests();
    seen.extend(ask_for(&world, &client, 24).await);
    assert!(seen.iter().all(|h| h.circuit_open), "on probation it counts as open");
    assert_eq!(cooldowns(&seen)[..6], [30, 60, 120, 240, 300, 300]);
    let calls = world.sim.journal().matching(HOST);
    let heads = calls.iter().filter(|c| c.method == "HEAD").count();
    let trials = calls.len() - heads;
    assert!(
        heads.abs_diff(trials) <= 1,
        "one trial for each probe that passed: {heads}, {trials}"
    );
    assert!(heads <= 8, "{heads} cooldowns");
    assert_eq!(
        counters.look()["qt_provider_circuit_open{provider=binance-futures}"],
        1.0
    );
    // It heals; the rest it was given is not cut short, and then everything is as before.
    world.sim.faults().clear(fault);
    let healed = ask_for(&world, &client, 12).await;
    assert_eq!(healed.last().unwrap().state, CircuitState::Closed);
    assert_eq!(price(&client).await.provider.as_str(), EXCHANGE);
}

/// Goal: a probe that never ends keeps nobody waiting and does not end the probing.
/// Method: a door that accepts and says nothing, and a patience of an hour, so that only the permit ends a probe.
#[tokio::test]
async fn f34_a_probe_that_hangs_is_given_up_and_the_next_one_goes_on_schedule() {
    let counters = Counters::new();
    let mut world = restless().await;
    world.config.breaker.permit_ms = 400;
    let door = world.door(EXCHANGE).await;
    let settings = world.config.providers.get_mut(EXCHANGE).unwrap();
    settings.timeout_ms = Some(3_600_000);
    world.config.http.timeout_ms = 3_600_000;
    let client = world.client();
    door.behave(DoorBehaviour::Refused).unwrap();
    for _ in 0..3 {
        assert_eq!(price(&client).await.provider.as_str(), "coingecko");
    }
    assert_eq!(health(&client, EXCHANGE).status, Status::Down);
    door.behave(DoorBehaviour::Silent).unwrap();
    let last = || health(&client, EXCHANGE).last_probe;
    let mut before = last();
    for _ in 0..3 {
        world.pass(Duration::from_secs(34));
        // While the probe hangs, callers are answered by others.
        let price = price(&client).await;
        world.check_price(&price);
        assert_eq!(price.provider.as_str(), "coingecko");
        until("the probe to be given up", || last() != before).await;
        let what = last().unwrap().result.unwrap_err();
        assert!(what.contains("did not end within 400 ms"), "{what}");
        assert_eq!(health(&client, EXCHANGE).status, Status::Down);
        before = last();
    }
    assert_eq!(
        counters.look()["qt_provider_probe_total{provider=binance-futures,result=timed_out}"],
        3.0
    );
    door.behave(DoorBehaviour::Open).unwrap();
    world.pass(Duration::from_secs(34));
    until("the probe to be answered", || {
        health(&client, EXCHANGE).state == CircuitState::HalfOpen
    })
    .await;
    let price = price(&client).await;
    world.check_price(&price);
    assert_eq!(price.provider.as_str(), EXCHANGE);
}

/// Goal: only time that passed counts. Method: one upstream is down, one banned us, the others are well; the wall clock
/// jumps a day ahead, a day back, and then an hour passes as it does while a machine sleeps.
#[tokio::test]
async fn f35_a_wall_clock_that_jumps_neither_opens_nor_closes_nor_frees_anything() {
    let mut world = restless().await;
    world.config.latest.price_fresh_ms = 1_000;
    let limit = world
        .sim
        .inject(Fault::new(Effect::RateLimited { retry_after: 3_000 }).on("binance-spot"));
    let door = world.door(EXCHANGE).await;
    let client = world.client();
    // Every host of the spot market shares the ban, so one call is enough.
    let spot = Symbol::new("ETHUSDT").unwrap();
    assert_eq!(
        client.price(Market::Spot, &spot).await.unwrap().provider.as_str(),
        "coingecko"
    );
    world.sim.faults().clear(limit);
    door.behave(DoorBehaviour::Refused).unwrap();
    for _ in 0..3 {
        world.pass(Duration::from_secs(2));
        assert_eq!(price(&client).await.provider.as_str(), "coingecko");
    }
    let fear = client.sentiment(Default::default()).await.unwrap().sentiment;
    let look = |name: &str| {
        let h = health(&client, name);
        let left = h.retry_at.map(|at| at.since(client.clock().now()) / 10_000_000);
        (h.status, h.state, h.failure_count, h.cooldown, left)
    };
    let names = ["binance-vision", "binance", EXCHANGE, "coingecko", "alternative-me"];
    let before = names.map(look);
    assert_eq!((before[1].0, before[2].0), (Status::Quarantined, Status::Down));
    let wall = client.clock().now();
    world.forget_requests();
    const DAY: i64 = 86_400_000_000;
    for jump in [DAY, -DAY, 0] {
        client.clock().set(wall.plus(jump));
        let after = names.map(look);
        for (then, now) in before.iter().zip(&after) {
            assert_eq!((then.0, then.1, then.2, then.3), (now.0, now.1, now.2, now.3), "{jump}");
            // What is left of a rest only shrinks by the little time that really passed.
            let (then, now) = (then.4.unwrap_or(0), now.4.unwrap_or(0));
            assert!((then - 2..=then).contains(&now), "{jump}: {then} and {now}");
        }
        // What was told a moment ago is a moment old.
        let price = price(&client).await;
        assert!(price.age < Duration::from_secs(300), "{jump}: {:?}", price.age);
        let again = client.sentiment(Default::default()).await.unwrap().sentiment;
        assert_eq!(again.readings, fear.readings);
        assert!(
            again.age.abs_diff(fear.age) < Duration::from_secs(60),
            "{jump}: {:?}",
            again.age
        );
    }
    let sent = world.sim.journal().matching("binance");
    assert!(sent.is_empty(), "{sent:?}");
    // An hour of sleep: cooldown and ban are over, and everybody is asked again.
    door.behave(DoorBehaviour::Open).unwrap();
    world.pass(Duration::from_secs(3_600));
    probed(&client, EXCHANGE).await;
    let futures = price(&client).await;
    world.check_price(&futures);
    assert_eq!(futures.provider.as_str(), EXCHANGE);
    let spot = client.price(Market::Spot, &spot).await.unwrap();
    assert_eq!((spot.provider.as_str(), spot.state.as_str()), ("binance", "live"));
    assert!(client.health().at > time(crate::support::NOW));
}

/// Goal: one failed call of an upstream that nobody needs afterwards is not an illness for ever, and not nothing either.
/// Method: one call fails; probes are answered, a moment later and minutes later.
#[tokio::test]
async fn a_failure_long_ago_is_over_once_a_probe_is_answered() {
    let world = restless().await;
    world
        .sim
        .inject(Fault::new(Effect::Refuse).on(HOST).method("GET").times(2));
    let client = world.client();
    let mut request = PriceRequest::new(Market::Um, vec![Symbol::new("BTCUSDT").unwrap()]);
    request.substitutes = Substitutes::Refuse;
    assert!(client.prices(request).await.unwrap().prices.is_empty());
    assert_eq!(health(&client, EXCHANGE).status, Status::Degraded);
    client.check().await;
    let soon = health(&client, EXCHANGE);
    assert_eq!(soon.status, Status::Degraded, "a probe is no proof: {soon:?}");
    world.pass(Duration::from_secs(6 * 60));
    client.check().await;
    let later = health(&client, EXCHANGE);
    assert_eq!(
        (later.status, later.answered_last),
        (Status::Ok, Some(true)),
        "{later:?}"
    );
}
