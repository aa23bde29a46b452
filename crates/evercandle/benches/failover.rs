//! What an outage costs a caller and an upstream, beside what it costs with a plain HTTP client in the same run.
//!
//! The primary upstream is a black hole: connections to it hang. The alternative is what people write by hand: `reqwest`
//! with the same time limit, one upstream after the other, every time anew. Times are of this machine; what counts is
//! what is paid once and what is paid again. The second table counts the calls an upstream sees while it flaps, and
//! while it has asked to be left alone, over ten minutes of the simulated clock.

#![allow(clippy::disallowed_methods, reason = "measuring reads clocks, files and arguments")]
#![allow(clippy::print_stdout, reason = "a benchmark talks to a terminal")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop where it stands"
)]

use std::time::{Duration, Instant};

use evercandle::{
    CircuitState, Client, Clock, Completeness, Config, Interval, Market, PriceRequest, Priority, Request, Series,
    Sources, Symbol, TimeRange, Timestamp,
};
use evercandle_simulator as sim;
use evercandle_simulator::{DoorBehaviour, Effect, Fault};

/// The time limit of both sides, in milliseconds: our default.
const TIMEOUT_MS: u64 = 3_000;
/// Calls per healthy or failed-over measurement.
const CALLS: usize = 40;
/// Simulated seconds of the outage.
const OUTAGE: u64 = 600;

#[tokio::main]
async fn main() {
    println!("black hole, {TIMEOUT_MS} ms limit               first    median     worst");
    klines().await;
    prices().await;
    by_hand().await;
    println!();
    println!("ten minutes, one question a second            calls   probes    refused  in quarantine   open");
    flapping().await;
    quarantined().await;
}

struct World {
    sim: sim::Handle,
    config: Config,
    clock: Clock,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let now = Timestamp::from_date(2024, 6, 12).unwrap().plus(37_820_000_000);
        let rules = sim::CoinGeckoRules {
            keyless_per_minute: 100_000,
            ..Default::default()
        };
        let config = sim::Config {
            coingecko: rules,
            ..sim::Config::default()
        };
        let sim = sim::Simulator::start(config.at(now.as_micros())).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            internet: Some(sim.base_url().parse().unwrap()),
            ..Config::default()
        };
        config.cache.dir = Some(dir.path().join("cache"));
        config.cache.free_min = 0;
        config.latest.price_fresh_ms = 0;
        let coingecko = config.providers.entry("coingecko".into()).or_default();
        coingecko.limits.insert("calls_per_minute".into(), 100_000);
        World {
            sim,
            config,
            clock: Clock::held(now),
            _dir: dir,
        }
    }

    fn client(&self) -> Client {
        Client::with_clock(self.config.clone(), self.clock.clone()).unwrap()
    }

    /// One provider behind a door of its own, open for now.
    async fn behind_a_door(&mut self, provider: &str) -> sim::Door {
        let door = self.sim.open_door().await.unwrap();
        let settings = self.config.providers.entry(provider.into()).or_default();
        settings.internet = Some(door.url().parse().unwrap());
        door
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.sim.clock().set(self.clock.now().as_micros());
    }
}

/// A day of the series that nobody has asked for yet.
fn day(number: i64, sources: Sources) -> Request {
    let series = Series::parse("BTCUSDT", Interval::M5, Some(Market::Spot)).unwrap();
    let start = Timestamp::from_date(2022, 1, 1).unwrap().plus(number * 86_400_000_000);
    let range = TimeRange::new(start, start.plus(86_400_000_000)).unwrap();
    Request {
        sources,
        // Nobody waits, so archives are preferred.
        priority: Priority::Bulk,
        completeness: Completeness::BestEffort,
        ..Request::new(series, range)
    }
}

async fn klines() {
    let mut world = World::new().await;
    let door = world.behind_a_door("binance-vision").await;
    let client = world.client();
    let mut days = 0..;
    let mut ask = async |calls: usize| {
        let mut took = Vec::new();
        for _ in 0..calls {
            let request = day(days.next().unwrap(), Sources::All);
            let began = Instant::now();
            assert_eq!(client.get_data(request).await.unwrap().len(), 288);
            took.push(began.elapsed());
        }
        took
    };
    ask(3).await;
    row("klines of a day, archives healthy", &ask(CALLS).await);
    door.behave(DoorBehaviour::BlackHole).unwrap();
    row("  archives hang, until the breaker opens", &ask(3).await);
    row("  archives hang, breaker open", &ask(CALLS).await);
}

async fn prices() {
    let mut world = World::new().await;
    let door = world.behind_a_door("binance").await;
    let client = world.client();
    let ask = async |calls: usize| {
        let mut took = Vec::new();
        for _ in 0..calls {
            let request = PriceRequest::new(Market::Spot, vec![Symbol::new("BTCUSDT").unwrap()]);
            let began = Instant::now();
            assert_eq!(client.prices(request).await.unwrap().prices.len(), 1);
            took.push(began.elapsed());
        }
        took
    };
    ask(3).await;
    row("price, exchange healthy", &ask(CALLS).await);
    door.behave(DoorBehaviour::BlackHole).unwrap();
    row("  exchange hangs, until the breaker opens", &ask(3).await);
    row("  exchange hangs, breaker open", &ask(CALLS).await);
}

/// `reqwest`, one upstream after the other.
async fn by_hand() {
    let world = World::new().await;
    let door = world.sim.open_door().await.unwrap();
    door.behave(DoorBehaviour::BlackHole).unwrap();
    let http = reqwest::Client::builder()
        .timeout(Duration::from_millis(TIMEOUT_MS))
        .no_proxy()
        .build()
        .unwrap();
    let exchange = format!("{}/api.binance.com/api/v3/ticker/price?symbol=BTCUSDT", door.url());
    let index = "api.coingecko.com/api/v3/simple/price?ids=bitcoin&vs_currencies=usd";
    let index = format!("{}/{index}", world.sim.base_url());
    let mut took = Vec::new();
    for _ in 0..4 {
        let began = Instant::now();
        assert!(http.get(&exchange).send().await.is_err());
        let body = http.get(&index).send().await.unwrap().text().await.unwrap();
        assert!(body.contains("bitcoin"), "{body}");
        took.push(began.elapsed());
    }
    row("price by hand: reqwest, one after the other", &took);
}

/// Five seconds down, five seconds up, HEAD and GET alike.
async fn flapping() {
    let world = World::new().await;
    let client = world.client();
    let (down, up) = (Duration::from_secs(5), Duration::from_secs(5));
    for host in ["binance-spot", "binance-market-data"] {
        let fault = Fault::new(Effect::Status {
            status: 503,
            body: String::new(),
        });
        world.sim.inject(fault.on(host).flapping(down, up));
    }
    count(&world, &client, "flapping every 5 s").await;
}

async fn quarantined() {
    let world = World::new().await;
    let client = world.client();
    let fault = Fault::new(Effect::RateLimited {
        // The clock is moved by the second and runs a little by itself, hence the minute.
        retry_after: OUTAGE as i64 + 60,
    });
    world.sim.inject(fault.on("binance-spot").times(1));
    count(&world, &client, "429 with Retry-After for all of it").await;
}

/// Ten minutes of a question a second, and what the upstream saw of it.
async fn count(world: &World, client: &Client, what: &str) {
    let only = Sources::Named(vec![evercandle::ProviderName::new("binance")]);
    world.sim.journal().clear();
    let mut open = 0;
    for second in 0..OUTAGE as i64 {
        let _ = client.get_data(day(second, only.clone())).await;
        let health = client.health();
        let rest = health
            .upstreams
            .iter()
            .find(|u| u.provider.as_str() == "binance")
            .unwrap();
        open += u32::from(rest.state == CircuitState::Open || rest.quarantine.is_some());
        world.pass(1);
        // Lets a prober that is due have its turn.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let seen = world.sim.journal().requests();
    let probes = seen.iter().filter(|e| e.method == "HEAD").count();
    let failed = seen.iter().filter(|e| e.status >= 400).count();
    let share = f64::from(open) / OUTAGE as f64 * 100.0;
    let breaches = world.sim.calls_in_quarantine();
    let all = seen.len();
    println!("{what:44} {all:>6} {probes:>8} {failed:>11} {breaches:>14} {share:>5.0} %");
}

fn row(what: &str, took: &[Duration]) {
    let mut sorted = took.to_vec();
    sorted.sort();
    let ms = |d: Duration| format!("{:.1} ms", d.as_secs_f64() * 1_000.0);
    let (median, worst) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    println!("{what:44} {:>10} {:>9} {:>9}", ms(took[0]), ms(median), ms(worst));
}
