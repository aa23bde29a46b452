//! What is refreshed without anybody asking: when, how, and what is said about it.

use std::sync::Arc;
use std::time::Duration;

use evercandle::config::{KlineWatch, PriceWatch, ScheduleConfig};
use evercandle::schedule::{JobKind, Run, RunStatus};
use evercandle::{Client, Error, Market, Scheduler};

use crate::support::{NOW, World, any_answer, best_effort, range, series, time};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn klines(symbols: &[&str], intervals: &[&str]) -> KlineWatch {
    KlineWatch {
        symbols: words(symbols),
        intervals: words(intervals),
        market: None,
        rows: 60,
    }
}

fn prices(symbols: &[&str]) -> PriceWatch {
    PriceWatch {
        symbols: words(symbols),
        market: None,
    }
}

/// Nothing is watched but what a test adds.
fn nothing() -> ScheduleConfig {
    ScheduleConfig {
        klines: Vec::new(),
        prices: Vec::new(),
        sentiment: false,
        jitter_percent: 0,
        ..ScheduleConfig::default()
    }
}

/// A scheduler whose loop runs until this is dropped.
struct Daemon {
    client: Client,
    scheduler: Scheduler,
    runs: tokio::sync::broadcast::Receiver<Arc<Run>>,
    running: tokio::task::JoinHandle<()>,
}

impl Daemon {
    fn start(world: &World) -> Daemon {
        let client = world.client();
        let scheduler = Scheduler::new(client.clone()).unwrap();
        let runs = scheduler.subscribe();
        let looping = scheduler.clone();
        Daemon {
            client,
            scheduler,
            runs,
            running: tokio::spawn(async move { looping.run().await }),
        }
    }

    /// The next run that completes.
    async fn run(&mut self) -> Arc<Run> {
        let run = tokio::time::timeout(Duration::from_secs(20), self.runs.recv());
        run.await.expect("no run completed").unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Goal: the first run begins at once, and what it brought is answered from the cache from then on.
#[tokio::test]
async fn everything_is_refreshed_at_once_and_then_served_from_the_cache() {
    let mut world = World::new().await;
    world.config.schedule = ScheduleConfig {
        klines: vec![klines(&["BTCUSDT", "ETHUSDT"], &["1m", "1h"])],
        prices: vec![prices(&["BTCUSDT", "ETHUSDT"])],
        sentiment: true,
        ..nothing()
    };
    let mut daemon = Daemon::start(&world);
    let mut runs = [daemon.run().await, daemon.run().await, daemon.run().await];
    runs.sort_by_key(|run| run.kind);
    for (run, kind) in runs.iter().zip(JobKind::ALL) {
        assert_eq!((run.kind, run.number, run.status), (kind, 1, RunStatus::Ok), "{run:?}");
        assert_eq!((run.successful_symbols, &run.errors), (run.symbols, &Vec::new()));
    }
    assert_eq!(runs.clone().map(|run| run.symbols), [2, 2, 1]);
    assert!(
        runs[0]
            .providers
            .keys()
            .all(|name| name.as_str().starts_with("binance"))
    );
    world.forget_requests();
    let wanted = range("2024-06-12T09:30:00Z", "2024-06-12T10:30:00Z");
    let answer = any_answer(
        daemon
            .client
            .get_data(best_effort(series("BTCUSDT", "1m", Market::Spot), wanted))
            .await,
    );
    assert_eq!((answer.len(), world.requests("")), (60, 0));
    let status = daemon.scheduler.status();
    assert!(status.enabled && status.running);
    for job in &status.jobs {
        assert_eq!((job.runs, job.skipped, job.resting, job.running_since), (1, 0, 0, None));
        // The wall clock stands still, the other one does not.
        let wait = job.next_run_at.unwrap().since(time(NOW)) / 1_000_000;
        assert!((160..=180).contains(&wait), "{wait} s");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_names_its_setting() {
    let mut world = World::new().await;
    for (klines, prices, expected) in [
        (
            vec![klines(&["BTCUSDT", "../etc"], &["1m"])],
            vec![],
            "schedule.klines[0].symbols",
        ),
        (
            vec![klines(&["BTCUSDT"], &["1m"]), klines(&["BTCUSDT"], &["7m"])],
            vec![],
            "schedule.klines[1].intervals",
        ),
        (vec![], vec![prices(&["BTC/USDT", ""])], "schedule.prices[0].symbols"),
        (vec![], vec![prices(&[])], "schedule.prices[0].symbols"),
    ] {
        world.config.schedule = ScheduleConfig {
            klines,
            prices,
            ..nothing()
        };
        let Err(Error::Config(why)) = Scheduler::new(world.client()) else {
            panic!("{expected}")
        };
        assert!(why.contains(expected), "{why}");
    }
}
