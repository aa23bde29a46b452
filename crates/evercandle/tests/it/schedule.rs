//! What is refreshed without anybody asking: when, how, and what is said about it.

use std::sync::Arc;
use std::time::Duration;

use evercandle::config::{KlineWatch, PriceWatch, ScheduleConfig};
use evercandle::schedule::{JobKind, Run, RunStatus};
use evercandle::{Client, Error, Market, Request, Scheduler, Symbol};
use evercandle_simulator as sim;
use evercandle_simulator::{Effect, Fault};

use crate::support::{Counters, NOW, World, any_answer, best_effort, health, range, series, time, until};

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

/// Goal: a run begins when its time comes, and no sooner. Method: the clock is moved to just before it, then over it.
#[tokio::test]
async fn a_run_begins_a_period_after_the_last_one_began() {
    let mut world = World::new().await;
    world.config.schedule = ScheduleConfig {
        klines: vec![klines(&["BTCUSDT"], &["1m"])],
        prices: vec![prices(&["BTCUSDT"])],
        prices_ms: 3_600_000,
        ..nothing()
    };
    let mut daemon = Daemon::start(&world);
    let (first, second) = (daemon.run().await, daemon.run().await);
    assert_eq!((first.number, second.number), (1, 1), "one of each kind, at once");
    world.pass(Duration::from_secs(100));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(daemon.runs.try_recv().is_err());
    world.pass(Duration::from_secs(80));
    let next = daemon.run().await;
    assert_eq!(
        (next.kind, next.number, next.status),
        (JobKind::Klines, 2, RunStatus::Ok)
    );
    assert_eq!(
        (next.providers.len(), next.cached),
        (1, 0),
        "the minutes since: {next:?}"
    );
    assert!(next.started_at >= time(NOW).plus(180_000_000));
}

/// Goal: what is slow is not asked twice. Method: the exchange says nothing for two periods, and by hand does no more.
#[tokio::test]
async fn a_tick_during_a_run_is_skipped_and_counted() {
    let mut world = World::new().await;
    world.impatient(1_500);
    world.config.schedule = ScheduleConfig {
        klines: vec![klines(&["BTCUSDT"], &["1m"])],
        ..nothing()
    };
    world.sim.inject(Fault::new(Effect::BlackHole));
    let mut daemon = Daemon::start(&world);
    let job = || daemon.scheduler.status().jobs.remove(0);
    until("the run to begin", || job().running_since.is_some()).await;
    assert_eq!(job().next_run_at, None);
    assert!(!daemon.scheduler.refresh_now(None), "it is under way already");
    for skipped in 1..=2 {
        world.pass(Duration::from_secs(180));
        until("the tick to be skipped", || job().skipped == skipped).await;
    }
    assert_eq!((job().runs, job().running_since), (0, Some(time(NOW))));
    let run = daemon.run().await;
    assert_eq!((run.number, run.status), (1, RunStatus::Failed));
    assert!(daemon.scheduler.status().jobs[0].next_run_at.is_some());
    assert!(daemon.runs.try_recv().is_err(), "nothing was queued");
}

/// Goal: a run that only waits ends after five periods, says what it did not reach, and the next one begins there. Method:
/// one question at a time; the first hangs while five periods pass.
#[tokio::test]
async fn a_run_ends_after_five_periods_and_the_next_begins_where_it_ended() {
    let mut world = World::new().await;
    world.impatient(1_500);
    world.config.schedule = ScheduleConfig {
        klines: vec![klines(&["BTCUSDT", "ETHUSDT"], &["1m"])],
        concurrency: 1,
        ..nothing()
    };
    let silence = world.sim.inject(Fault::new(Effect::BlackHole));
    let mut daemon = Daemon::start(&world);
    until("a question", || 0 < world.requests("")).await;
    world.pass(Duration::from_secs(5 * 180));
    let run = daemon.run().await;
    assert_eq!((run.status, run.successful_symbols), (RunStatus::Failed, 0));
    let unreached = run
        .errors
        .iter()
        .find(|error| error.symbol.as_deref() == Some("ETHUSDT"));
    assert_eq!(unreached.unwrap().what, "not reached before the run had to end");
    assert_eq!(world.requests("ETHUSDT"), 0);

    world.sim.faults().clear(silence);
    world.forget_requests();
    assert!(daemon.scheduler.refresh_now(None), "those that rest included");
    assert_eq!(daemon.run().await.status, RunStatus::Ok);
    let asked = world.sim.journal().matching("symbol=");
    let first = asked.first().unwrap();
    assert!(first.target().contains("ETHUSDT"), "{first:?}");
    assert!(0 < world.requests("BTCUSDT"));
}

/// Goal: several daemons do not march in step. Method: eight pauses, each within the jitter, and not all alike.
#[tokio::test]
async fn no_two_pauses_are_alike_and_none_strays_too_far() {
    let mut world = World::new().await;
    world.config.schedule = ScheduleConfig {
        prices: vec![prices(&["BTCUSDT"])],
        jitter_percent: 20,
        ..nothing()
    };
    let mut daemon = Daemon::start(&world);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        daemon.run().await;
        let next = || daemon.scheduler.status().jobs[0].next_run_at;
        until("the next to be planned", || next().is_some()).await;
        let pause = next().unwrap().since(world.clock.now());
        // What has passed on the machine's own clock since the run began is no part of it any more.
        assert!((134_000_000..=216_000_000).contains(&pause), "{pause} µs");
        pauses.push(pause / 1_000_000);
        world.pass(Duration::from_micros(pause.unsigned_abs()));
    }
    pauses.dedup();
    assert!(1 < pauses.len(), "{pauses:?}");
}

/// Goal: an outage of one is told although others stand in for it, and nothing of theirs passes for its own.
#[tokio::test]
async fn when_one_upstream_is_down_others_refresh_and_the_record_says_so() {
    let mut world = World::new().await;
    world.config.schedule = ScheduleConfig {
        prices: vec![prices(&["BTCUSDT", "ETHUSDT"])],
        ..nothing()
    };
    world.down("binance-spot");
    world.down("binance-market-data");
    let mut daemon = Daemon::start(&world);
    let run = daemon.run().await;
    assert_eq!(
        (run.status, run.symbols, run.successful_symbols),
        (RunStatus::Degraded, 2, 0)
    );
    let providers: Vec<_> = run.providers.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(providers, [("coingecko", 2)]);
    let subjects: Vec<_> = run.errors.iter().map(|e| e.symbol.as_deref()).collect();
    assert_eq!(subjects, [None, Some("BTCUSDT"), Some("ETHUSDT")]);
    for error in &run.errors {
        assert_eq!(error.reasons[0].0.as_str(), "binance", "{error:?}");
        assert_eq!(error.retry_at, None, "it has a price, so it does not rest");
    }
    assert!(run.errors[1].what.contains("substitute"), "{:?}", run.errors[1]);
}

/// Goal: nobody is asked in vain again and again, and an outage that is over is over for what it silenced too.
/// Method: everything down for hours, then back.
#[tokio::test]
async fn an_outage_of_everybody_fails_the_run_rests_the_watches_and_ends_with_the_first_answer() {
    let mut world = World::new().await;
    world.config.schedule = ScheduleConfig {
        klines: vec![klines(&["BTCUSDT", "ETHUSDT"], &["1m"])],
        sentiment: true,
        ..nothing()
    };
    let mut daemon = Daemon::start(&world);
    for _ in 0..2 {
        assert_eq!(daemon.run().await.status, RunStatus::Ok);
    }
    let line = world.down("");
    let mut retries = Vec::new();
    for number in 2..=9 {
        world.pass(Duration::from_secs(180));
        let run = [daemon.run().await, daemon.run().await];
        let run = run.iter().find(|run| run.kind == JobKind::Klines).unwrap();
        assert_eq!(
            (run.number, run.status, run.successful_symbols),
            (number, RunStatus::Failed, 0),
            "{run:?}"
        );
        assert!(
            run.duration < Duration::from_secs(5),
            "nobody is waited for: {:?}",
            run.duration
        );
        let error = run
            .errors
            .iter()
            .find(|e| e.symbol.as_deref() == Some("BTCUSDT"))
            .unwrap();
        assert!(
            error.reasons.iter().any(|(name, _)| name.as_str() == "binance"),
            "{error:?}"
        );
        retries.push((error.failures, run.resting));
    }
    assert_eq!(
        retries[..4],
        [(1, 0), (2, 0), (3, 0), (3, 2)],
        "a rest of four minutes: {retries:?}"
    );
    assert_eq!(daemon.scheduler.status().jobs[0].resting, 2);
    world.sim.faults().clear(line);
    world.pass(Duration::from_secs(400));
    let recovered = || {
        health(&daemon.client, "binance")
            .last_probe
            .is_some_and(|probe| probe.is_answered())
    };
    until("the exchange to be heard", recovered).await;
    let mut last = Vec::new();
    while daemon.scheduler.status().jobs[0].last_run.as_ref().unwrap().status != RunStatus::Ok {
        world.pass(Duration::from_secs(180));
        last = vec![daemon.run().await, daemon.run().await];
        assert!(last[0].number < 14, "it does not recover: {last:?}");
    }
    assert!(last.iter().all(|run| run.resting == 0), "{last:?}");
    assert_eq!(daemon.scheduler.status().jobs[0].resting, 0);
}

/// Goal: a watch that cannot be is left alone longer and longer, and costs the others nothing.
#[tokio::test]
async fn a_symbol_nobody_knows_rests_alone() {
    let mut world = World::new().await;
    world.config.schedule = ScheduleConfig {
        prices: vec![prices(&["NOSUCHUSDT", "BTCUSDT"])],
        ..nothing()
    };
    let mut daemon = Daemon::start(&world);
    let mut told = Vec::new();
    for _ in 0..5 {
        let run = daemon.run().await;
        assert_eq!(
            (run.status, run.successful_symbols),
            (RunStatus::Degraded, 1),
            "{run:?}"
        );
        told.push((run.errors[0].failures, run.resting));
        world.pass(Duration::from_secs(180));
    }
    // Rests of one, two, four minutes; the third outlasts a period.
    assert_eq!(told, [(1, 0), (2, 0), (3, 0), (3, 1), (4, 0)]);
    daemon.run().await;
    assert!(daemon.scheduler.refresh_now(Some(JobKind::Prices)));
    let by_hand = daemon.run().await;
    assert_eq!(
        (by_hand.errors[0].failures, by_hand.resting),
        (5, 0),
        "asked by hand, although it rests"
    );
}

/// Goal: a refresh that waits for its share of the quota keeps nobody waiting.
/// Method: an exchange that allows fewer klines a minute than are watched, and one slot; a price is asked for meanwhile.
#[tokio::test]
async fn whoever_waits_is_answered_while_a_run_waits_for_its_quota() {
    let quotas = sim::Quotas {
        futures: 30,
        ..sim::Quotas::default()
    };
    let config = sim::Config {
        quotas,
        ..sim::Config::default()
    };
    let mut world = World::of(NOW, config).await;
    let futures = world.config.providers.entry("binance-futures".into()).or_default();
    futures.limits.insert("weight_per_minute".into(), 30);
    futures.slots = 1;
    let intervals = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h"];
    world.config.schedule = ScheduleConfig {
        klines: vec![KlineWatch {
            market: Some("um".to_owned()),
            ..klines(&["BTCUSDT", "ETHUSDT", "SOLUSDT"], &intervals)
        }],
        ..nothing()
    };
    let mut daemon = Daemon::start(&world);
    let used = || health(&daemon.client, "binance-futures").quota.unwrap().used;
    until("bulk's share to be spent", || used() >= 21).await;
    let began = std::time::Instant::now();
    let price = daemon
        .client
        .price(Market::Um, &Symbol::new("BTCUSDT").unwrap())
        .await
        .unwrap();
    assert!(
        price.is_live() && price.provider.as_str() == "binance-futures",
        "{price:?}"
    );
    // The very klines that the run waits for are no reason to wait with it.
    let wanted = range("2024-06-12T05:30:00Z", "2024-06-12T10:30:00Z");
    let same = Request::new(series("SOLUSDT", "5m", Market::Um), wanted);
    assert_eq!(daemon.client.get_data(same).await.unwrap().len(), 60);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(
        daemon.scheduler.status().jobs[0].running_since.is_some(),
        "the run goes on"
    );
    world.pass(Duration::from_secs(60));
    let run = daemon.run().await;
    assert_eq!(
        (run.status, run.symbols, run.successful_symbols),
        (RunStatus::Ok, 3, 3),
        "{run:?}"
    );
}

#[tokio::test]
async fn a_loop_that_is_cancelled_in_a_run_leaves_no_record_and_can_begin_again() {
    let mut world = World::new().await;
    world.impatient(5_000);
    world.config.schedule = ScheduleConfig {
        klines: vec![klines(&["BTCUSDT"], &["1m"])],
        ..nothing()
    };
    let silence = world.sim.inject(Fault::new(Effect::BlackHole));
    let mut daemon = Daemon::start(&world);
    let status = || daemon.scheduler.status();
    until("the run to begin", || status().jobs[0].running_since.is_some()).await;
    daemon.running.abort();
    until("the loop to end", || !status().running).await;
    let job = status().jobs.remove(0);
    assert_eq!((job.running_since, job.next_run_at, job.runs), (None, None, 0));
    assert!(!daemon.scheduler.refresh_now(None), "nobody would do it");
    world.sim.faults().clear(silence);
    let again = daemon.scheduler.clone();
    daemon.running = tokio::spawn(async move { again.run().await });
    assert_eq!(daemon.run().await.number, 1);
}

#[tokio::test]
async fn what_is_not_enabled_watches_nothing_and_says_so() {
    let mut world = World::new().await;
    world.config.schedule.enabled = false;
    let daemon = Daemon::start(&world);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let status = daemon.scheduler.status();
    assert!(!status.enabled && !status.running && status.jobs.is_empty());
    assert!(daemon.scheduler.watches().klines.is_empty() && !daemon.scheduler.refresh_now(None));
    assert!(!daemon.running.is_finished(), "a daemon that only serves goes on");
    assert_eq!(world.requests(""), 0);
}

/// Goal: everything that happened is in the numbers.
#[tokio::test]
async fn runs_skips_and_rests_are_counted() {
    let counters = Counters::new();
    let mut world = World::new().await;
    world.config.schedule = ScheduleConfig {
        prices: vec![prices(&["NOSUCHUSDT", "BTCUSDT"])],
        ..nothing()
    };
    let mut daemon = Daemon::start(&world);
    daemon.run().await;
    let told = counters.look();
    for (name, value) in [
        ("qt_scheduler_running{}", 1.0),
        ("qt_scheduler_runs_total{kind=prices,status=degraded}", 1.0),
        ("qt_scheduler_runs_total{kind=prices,status=ok}", 0.0),
        ("qt_scheduler_run_duration_seconds{kind=prices}", 1.0),
        ("qt_scheduler_period_seconds{kind=prices}", 180.0),
        ("qt_scheduler_watches{kind=prices}", 2.0),
        ("qt_scheduler_watches_resting{kind=prices}", 1.0),
        ("qt_scheduler_watch_failures_total{kind=prices}", 1.0),
        ("qt_scheduler_skipped_ticks_total{kind=prices}", 0.0),
        ("qt_cache_readonly{}", 0.0),
    ] {
        assert_eq!(told.get(name), Some(&value), "{name}: {told:?}");
    }
    let completed = told["qt_scheduler_last_completed_timestamp_seconds{kind=prices}"];
    assert_eq!(completed, time(NOW).as_micros() as f64 / 1e6);
}
