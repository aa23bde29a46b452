//! What is told to whoever listens, however late those who look begin.

use std::collections::BTreeMap;

use evercandle::schedule::{JobKind, RunStatus};
use evercandle::{Clock, Config, Control, Timestamp};
use evercandle_simulator as sim;
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Beyond this, a test waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// The record of a refresh.
pub(crate) fn run(number: u64) -> Run {
    Run {
        kind: JobKind::Prices,
        number,
        started_at: NOW,
        completed_at: NOW,
        duration: Duration::ZERO,
        status: RunStatus::Ok,
        symbols: 1,
        successful_symbols: 1,
        errors: Vec::new(),
        providers: BTreeMap::new(),
        cached: 0,
        resting: 0,
        served: BTreeMap::new(),
    }
}

struct World {
    _sim: sim::Handle,
    clock: Clock,
    feed: Feed,
    _dir: tempfile::TempDir,
}

impl World {
    /// Nobody looks at anything yet.
    async fn new() -> World {
        let config = sim::Config::default().seed(7).at(NOW.as_micros());
        let sim = sim::Simulator::start(config).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            internet: Some(sim.base_url().parse().unwrap()),
            ..Config::default()
        };
        config.cache.dir = Some(dir.path().join("cache"));
        config.cache.free_min = 0;
        let clock = Clock::held(NOW);
        let client = Client::with_clock(config, clock.clone()).unwrap();
        World {
            _sim: sim,
            clock,
            feed: Feed::new(client, CancellationToken::new()),
            _dir: dir,
        }
    }

    fn look(&self) -> AbortOnDropHandle<()> {
        let feed = self.feed.clone();
        AbortOnDropHandle::new(tokio::spawn(async move { feed.run().await }))
    }
}

async fn heard(listening: &mut Listening) -> Event {
    let event = timeout(PATIENCE, listening.joined.events.recv()).await;
    event.expect("waited in vain").expect("a listener that keeps up")
}

#[tokio::test]
async fn a_refresh_that_ends_before_its_telling_begins_is_told() {
    let world = World::new().await;
    let mut listening = world.feed.listen(HashSet::from([Topic::Runs]), None).unwrap();
    let (refreshed, runs) = broadcast::channel(8);
    let _telling = world.feed.tell_runs(runs);
    // On this one thread the telling has not begun.
    refreshed.send(Arc::new(run(1))).unwrap();
    assert!(heard(&mut listening).await.data.contains("\"number\":1"));
}

#[tokio::test]
async fn an_upstream_that_changes_before_it_is_looked_at_is_told() {
    let world = World::new().await;
    let mut listening = world.feed.listen(HashSet::from([Topic::Providers]), None).unwrap();
    world.feed.0.client.control("binance", Control::ForceOpen).unwrap();
    let _looking = world.look();
    let told = heard(&mut listening).await;
    assert!(told.data.contains("\"name\":\"binance\""), "{}", told.data);
}

/// Goal: who follows a price is told of it, even if somebody was before, long ago.
#[tokio::test]
async fn that_a_price_cannot_be_had_is_told_anew_to_who_follows_it_anew() {
    let world = World::new().await;
    let _looking = world.look();
    let topics = HashSet::from([Topic::Price(Market::Spot, Symbol::new("NOSUCHCOIN").unwrap())]);
    for _ in 0..2 {
        let mut listening = world.feed.listen(topics.clone(), None).unwrap();
        let told = heard(&mut listening).await;
        assert!(told.data.contains("unavailable"), "{}", told.data);
        drop(listening);
        world.clock.advance(LINGERS);
        world.feed.0.tidy();
    }
}
