//! Work that nobody waits for outlasts outages; whoever waits is told at once.

use std::time::Duration;

use evercandle::{Answer, Client, Error, Market, Outcome, Priority, Request};
use evercandle_simulator::{Effect, Fault};

use crate::support::{Upstreams, World, any_answer, range, series};

/// Two months of hours: two archives, and pages if need be.
fn two_months(priority: Priority) -> Request {
    Request {
        priority,
        ..Request::new(series("BTCUSDT", "1h", Market::Um), range("2024-03-01", "2024-05-01"))
    }
}

/// A world whose time flows, for an exchange's bans do not end earlier than ours.
async fn world() -> World {
    let mut world = World::new().await;
    world.config.engine.backoff_max_ms = 10;
    world.let_time_flow();
    world
}

fn nobody_answers() -> Fault {
    Fault::new(Effect::Refuse)
}

/// Asks, and lets the time pass that is waited for, each time after `before`, which is told how much passed so far; how
/// much it was together.
async fn outlasted(
    world: &World,
    client: &Client,
    request: Request,
    mut before: impl FnMut(Duration),
) -> (Result<Answer, Error>, Duration) {
    let mut waiting = client.waiting();
    let mut asked = std::pin::pin!(client.get_data(request));
    let mut passed = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            result = &mut asked => return (result, passed),
            _ = waiting.changed() => {
                let Some(told) = waiting.borrow_and_update().clone() else { continue };
                before(passed);
                let rest = told.until.since(world.clock.now()).max(0);
                let rest = Duration::from_micros(rest as u64);
                assert!(told.until <= told.gives_up_at, "{told:?}");
                world.pass(rest);
                passed += rest;
            }
        }
    }
}

/// Goal: a download outlasts an outage, is whole afterwards, and calls nobody meanwhile who wants to be left alone.
/// Method: nobody answers for three minutes; the trail says what was sent.
#[tokio::test]
async fn a_download_goes_on_after_an_outage() {
    let world = world().await;
    let client = world.client();
    let outage = world.sim.inject(nobody_answers());
    let minutes = Duration::from_secs(60);
    let end = |passed| {
        if passed >= 3 * minutes {
            world.sim.faults().clear(outage);
        }
    };
    let (result, passed) = outlasted(&world, &client, two_months(Priority::Bulk), end).await;
    let answer = result.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert!(answer.is_complete());
    assert!((3 * minutes..8 * minutes).contains(&passed), "{passed:?}");
    let failed = answer
        .trail
        .iter()
        .filter(|a| a.number > 0 && matches!(a.outcome, Outcome::Failed { .. }));
    assert!(failed.clone().count() < 20, "{:#?}", failed.collect::<Vec<_>>());
    assert!(answer.notices.is_empty(), "{:?}", answer.notices);
    assert_eq!(client.waiting().borrow().clone(), None, "it is over");
}

/// Goal: whoever waits for an answer is told at once that there is none; so are downloads that are not to wait.
#[tokio::test]
async fn whoever_waits_is_told_of_an_outage_at_once() {
    for (priority, patience_ms) in [
        (Priority::Interactive, 900_000),
        (Priority::Refresh, 900_000),
        (Priority::Bulk, 0),
    ] {
        let mut world = world().await;
        world.config.engine.patience_ms = patience_ms;
        let client = world.client();
        world.sim.inject(nobody_answers());
        let (result, passed) = outlasted(&world, &client, two_months(priority), |_| {}).await;
        assert!(matches!(result, Err(Error::Unavailable(_))), "{priority:?}");
        assert_eq!(passed, Duration::ZERO, "{priority:?}");
    }
}

/// Goal: patience ends, once for the whole job, and then the answer says what every upstream said and how long it was.
/// Method: nobody ever answers; ask for two series.
#[tokio::test]
async fn a_download_gives_up_when_its_patience_is_over_and_the_next_of_the_job_at_once() {
    let world = world().await;
    let client = world.client();
    world.sim.inject(nobody_answers());
    let (result, passed) = outlasted(&world, &client, two_months(Priority::Bulk), |_| {}).await;
    let patience = Duration::from_millis(world.config.engine.patience_ms);
    assert!((patience * 9 / 10..=patience).contains(&passed), "{passed:?}");
    let answer = any_answer(result);
    let told = answer.notices.join("; ");
    assert!(told.contains("within the patience of 900 s"), "{told}");
    let why = answer.gaps.iter().map(|gap| gap.reason.to_string()).collect::<String>();
    for upstream in ["binance-vision: ", "binance-futures: "] {
        let (_, theirs) = why.split_once(upstream).unwrap();
        assert!(
            !theirs.starts_with("circuit open"),
            "how it failed, not that it rests: {why}"
        );
    }
    let other = Request {
        series: series("ETHUSDT", "1h", Market::Um),
        ..two_months(Priority::Bulk)
    };
    let (result, passed) = outlasted(&world, &client, other.clone(), |_| {}).await;
    assert!(result.is_err());
    assert_eq!(passed, Duration::ZERO, "the same outage, and the same job");
    world.pass(Duration::from_secs(3_600));
    let (_, passed) = outlasted(&world, &client, other, |_| {}).await;
    assert!(passed > Duration::ZERO, "another job has a patience of its own");
}

/// Goal: an outage that is shorter than the patience is outlasted, however long those who failed are to be left alone.
/// Method: nobody answers until half a minute before the end, when everybody rests for five minutes at a time.
#[tokio::test]
async fn whoever_rests_beyond_the_end_of_patience_is_looked_at_once_more_before() {
    let world = world().await;
    let client = world.client();
    let outage = world.sim.inject(nobody_answers());
    let patience = Duration::from_millis(world.config.engine.patience_ms);
    let (mut last, began) = (Duration::ZERO, world.clock.now());
    let mut waiting = client.waiting();
    let end = |passed| {
        let told = waiting.borrow_and_update().clone().unwrap();
        last = Duration::from_micros(told.until.since(began) as u64);
        if last + Duration::from_secs(15) > patience {
            world.sim.faults().clear(outage);
        }
        assert!(passed < last, "{told:?}");
    };
    let (result, passed) = outlasted(&world, &client, two_months(Priority::Bulk), end).await;
    world.check(&result.unwrap(), Upstreams::TellTheTruth);
    assert!((patience * 9 / 10..=patience).contains(&passed), "{passed:?}");
}

/// Goal: a ban is waited for to its end, and not a moment less. (That nobody is called during one is checked wherever a
/// `World` ends.) One that ends too late is not waited for at all.
#[tokio::test]
async fn a_download_waits_for_the_end_of_a_ban() {
    for (seconds, waits_for_it) in [(120u32, true), (7_200, false)] {
        let world = world().await;
        let client = world.client();
        let limit = world.sim.inject(Fault::new(Effect::RateLimited {
            retry_after: seconds.into(),
        }));
        // What begins a ban is seen by the one call that is refused.
        let (result, passed) = outlasted(&world, &client, two_months(Priority::Bulk), |_| {
            world.sim.faults().clear(limit);
        })
        .await;
        assert_eq!(result.is_ok(), waits_for_it, "{seconds} s");
        assert_eq!(
            passed.as_secs().abs_diff(seconds.into()) < 10,
            waits_for_it,
            "{passed:?}"
        );
    }
}

/// Goal: whoever goes away while waiting leaves nothing behind, neither a wait that is told nor spent patience.
#[tokio::test]
async fn a_download_that_is_dropped_waits_no_longer() {
    let world = world().await;
    let client = world.client();
    world.sim.inject(nobody_answers());
    let mut waiting = client.waiting();
    tokio::select! {
        _ = client.get_data(two_months(Priority::Bulk)) => panic!("nobody answers"),
        _ = waiting.changed() => {}
    }
    assert_eq!(client.waiting().borrow().clone(), None);
}
