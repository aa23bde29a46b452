//! The fifteen ways in which published breakers are wrong, one test each, and what none of them mentions.
//!
//! `agreement` compares the breaker with `model`, the same once more as a second implementation.

mod agreement;
mod extremes;
mod model;

use super::*;
use Lesson::{Failure, Ignored, Success};

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
/// The default settings' cooldown, and its bound.
const COOLDOWN: Duration = Duration::from_secs(30);
const COOLDOWN_MAX: Duration = Duration::from_secs(300);
const EXPIRES: Duration = Duration::from_secs(30);

fn breaker() -> (Breaker, Instant) {
    (Breaker::new(BreakerConfig::default()), Instant::now())
}

/// Opens only by rule (b): five failures in a minute, and half of the calls.
fn by_ratio() -> (Breaker, Instant) {
    let config = BreakerConfig {
        consecutive: u32::MAX,
        ..BreakerConfig::default()
    };
    (Breaker::new(config), Instant::now())
}

/// A caller's call that ends at once.
#[track_caller]
fn call(breaker: &mut Breaker, lesson: Lesson, now: Instant) -> Option<Change> {
    let permit = breaker.admit(now).unwrap();
    breaker.settle(permit, lesson, now, 0.0, false)
}

/// A probe that ends at once.
#[track_caller]
fn probe(breaker: &mut Breaker, lesson: Lesson, now: Instant) -> Option<Change> {
    let permit = breaker.begin_probe(now).unwrap();
    breaker.settle(permit, lesson, now, 0.0, false)
}

/// Three failures in a row.
#[track_caller]
fn trip(breaker: &mut Breaker, now: Instant) -> Option<Change> {
    call(breaker, Failure, now);
    call(breaker, Failure, now);
    call(breaker, Failure, now)
}

fn opened(until: Instant, cooldown: Duration) -> Option<Change> {
    Some(Change::Opened { until, cooldown })
}

fn phase(breaker: &Breaker, now: Instant) -> Phase {
    breaker.snapshot(now).phase
}

/// Goal: a slow answer to a call from before the trip says nothing about now; early success must not close the breaker,
/// nor early failure open it again.
/// Guards against: Polly (by decision, #217), resilience4j, failsafe, recloser and tower-resilience count them.
#[test]
fn b01_late_results_from_before_the_trip_count_nothing() {
    let (mut breaker, now) = breaker();
    let mut early: Vec<Permit> = (0..6).map(|_| breaker.admit(now).unwrap()).collect();
    let mut late = |breaker: &mut Breaker, lesson, now| {
        let permit = early.pop().unwrap();
        breaker.settle(permit, lesson, now, 0.0, false)
    };
    trip(&mut breaker, now);
    let open = breaker.snapshot(now);
    assert_eq!(late(&mut breaker, Success, now), None);
    assert_eq!(late(&mut breaker, Failure, now + SECOND), None);
    assert_eq!(breaker.snapshot(now), open);
    let now = now + COOLDOWN;
    let trial = breaker.begin_probe(now).unwrap();
    assert_eq!(late(&mut breaker, Success, now), None);
    assert_eq!(late(&mut breaker, Failure, now), None);
    assert_eq!(late(&mut breaker, Ignored, now), None);
    assert!(breaker.begin_probe(now).is_err(), "the probe is still out");
    assert_eq!(
        breaker.settle(trial, Success, now, 0.0, false),
        Some(Change::HalfOpened)
    );
    assert_eq!(late(&mut breaker, Failure, now), None);
    assert_eq!(phase(&breaker, now), Phase::HalfOpen);
}

/// Goal: an upstream that gets up is met by one call, not by all who waited.
/// Guards against: failsafe and recloser let any number through when half-open.
#[test]
fn b02_one_probe_and_one_trial_at_a_time() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let now = start + COOLDOWN;
    let busy = Rejection::Busy { until: now + EXPIRES };
    let trial = breaker.begin_probe(now).unwrap();
    assert_eq!(breaker.begin_probe(now + PROBE_GRACE).unwrap_err(), busy);
    assert_eq!(breaker.admit(now + PROBE_GRACE).unwrap_err(), busy);
    assert_eq!(breaker.would_admit(now + PROBE_GRACE), Err(busy));
    assert_eq!(breaker.snapshot(now).retry_at, Some(now + EXPIRES));
    let now = now + PROBE_GRACE;
    let busy = Rejection::Busy { until: now + EXPIRES };
    breaker.settle(trial, Success, now, 0.0, false);
    let caller = breaker.admit(now).unwrap();
    assert_eq!(breaker.admit(now + SECOND).unwrap_err(), busy);
    assert_eq!(breaker.begin_probe(now + SECOND).unwrap_err(), busy);
    assert_eq!(breaker.snapshot(now).retry_at, Some(now + EXPIRES));
    breaker.settle(caller, Success, now + SECOND, 0.0, false);
    assert!((0..100).all(|_| breaker.admit(now + SECOND).is_ok()), "then everybody");
    assert_eq!(breaker.snapshot(now + SECOND).retry_at, None);
}

/// Goal: a permit whose result never comes (a lost task, a panic) does not end all calls for ever.
/// Guards against: resilience4j #903, #935, #1389, #2028; another project rejected 49,607 calls in six days.
#[test]
fn b03_half_open_is_never_stuck() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let first = start + COOLDOWN;
    let lost = breaker.begin_probe(first).unwrap();
    assert!(breaker.begin_probe(first + EXPIRES - NANO).is_err());
    assert_eq!(phase(&breaker, first + EXPIRES - NANO), Phase::HalfOpen);
    assert_eq!(phase(&breaker, first + EXPIRES), Phase::Open);
    let second = first + EXPIRES;
    let lost_too = breaker.admit(second).unwrap();
    assert_eq!(breaker.settle(lost, Success, second, 0.0, false), None, "superseded");
    assert!(breaker.admit(second + EXPIRES - NANO).is_err());
    let third = second + EXPIRES;
    drop(lost_too);
    assert_eq!(probe(&mut breaker, Success, third), Some(Change::HalfOpened));
    let lost_again = breaker.admit(third).unwrap();
    assert!(breaker.admit(third + EXPIRES - NANO).is_err());
    // With nobody out and the cooldown over it reads closed, which is news; the success comes on top.
    assert_eq!(call(&mut breaker, Success, third + EXPIRES), Some(Change::Closed));
    assert_eq!(breaker.settle(lost_again, Failure, third + EXPIRES, 0.0, false), None);
    assert!(breaker.admit(third + EXPIRES).is_ok() && breaker.admit(third + EXPIRES).is_ok());
}

/// Goal: a late result is better than none: as long as nobody else was sent, it counts.
#[test]
fn b03_an_expired_permit_counts_until_another_is_given() {
    for (lesson, expected) in [
        (Success, Phase::HalfOpen),
        (Failure, Phase::Open),
        (Ignored, Phase::Open),
    ] {
        let (mut breaker, start) = breaker();
        trip(&mut breaker, start);
        let slow = breaker.begin_probe(start + COOLDOWN).unwrap();
        let now = start + COOLDOWN + 2 * EXPIRES;
        let change = breaker.settle(slow, lesson, now, 0.0, false);
        assert_eq!(phase(&breaker, now), expected);
        match lesson {
            Success => assert_eq!(change, Some(Change::HalfOpened)),
            Failure => assert_eq!(change, opened(now + COOLDOWN, COOLDOWN)),
            Ignored => assert_eq!(change, None),
        }
    }
}

/// Goal: a caller who goes away proves nothing.
/// Guards against: Polly v8 closes the circuit when its probe is cancelled.
#[test]
fn b04_a_cancelled_probe_or_trial_neither_closes_nor_opens() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let now = start + COOLDOWN;
    let before = breaker.snapshot(now);
    assert_eq!(probe(&mut breaker, Ignored, now), None);
    assert_eq!(breaker.snapshot(now), before);
    let not_yet = Rejection::Open {
        retry_at: now + PROBE_GRACE,
    };
    assert_eq!(breaker.admit(now).unwrap_err(), not_yet, "as if it had not begun");
    assert_eq!(call(&mut breaker, Ignored, now + PROBE_GRACE), None);
    assert_eq!(breaker.snapshot(now + PROBE_GRACE), before);
    let now = now + PROBE_GRACE;
    probe(&mut breaker, Success, now);
    let before = breaker.snapshot(now);
    for _ in 0..5 {
        assert_eq!(call(&mut breaker, Ignored, now), None);
        assert_eq!(breaker.snapshot(now), before);
    }
    call(&mut breaker, Success, now);
    let before = breaker.snapshot(now);
    assert_eq!(call(&mut breaker, Ignored, now), None);
    assert_eq!(breaker.snapshot(now), before);
}

/// Goal: two threads that read the clock before they take the lock arrive in the wrong order; an instant that seems to
/// lie before the last one is that one, and nothing panics or is shortened.
/// Guards against: Hystrix and resilience4j measure with the wall clock. There is none here to be set.
#[test]
fn b05_equal_and_earlier_instants_are_harmless() {
    let (mut breaker, start) = breaker();
    let (now, earlier) = (start + 1_000 * SECOND, start);
    assert_eq!(call(&mut breaker, Failure, now), None);
    assert_eq!(call(&mut breaker, Failure, earlier), None);
    assert_eq!(call(&mut breaker, Failure, earlier), opened(now + COOLDOWN, COOLDOWN));
    assert!(breaker.begin_probe(earlier + COOLDOWN).is_err());
    assert_eq!(breaker.snapshot(earlier), breaker.snapshot(now));
    assert_eq!(breaker.would_admit(earlier), breaker.would_admit(now));
    assert_eq!(breaker.tick(earlier), None);
    breaker.retry_now(earlier);
    assert_eq!(breaker.snapshot(earlier).retry_at, Some(now));
    assert_eq!(probe(&mut breaker, Success, earlier), Some(Change::HalfOpened));
    assert_eq!(call(&mut breaker, Success, earlier), None);
    assert_eq!(breaker.tick(now + COOLDOWN - NANO), None);
    assert_eq!(breaker.tick(now + COOLDOWN), Some(Change::Closed));
    assert_eq!(breaker.tick(earlier), None);
}

/// Goal: twenty calls that time out together are one opening, not twenty.
#[test]
fn b06_one_opening_per_burst() {
    let (mut breaker, now) = breaker();
    let burst: Vec<Permit> = (0..20).map(|_| breaker.admit(now).unwrap()).collect();
    let settle = |(i, permit): (u32, Permit)| breaker.settle(permit, Failure, now + i * SECOND, 0.0, false);
    let changes: Vec<Change> = (0..).zip(burst).filter_map(settle).collect();
    assert_eq!(
        changes,
        opened(now + 2 * SECOND + COOLDOWN, COOLDOWN)
            .into_iter()
            .collect::<Vec<_>>()
    );
    let snapshot = breaker.snapshot(now);
    assert_eq!((snapshot.openings, snapshot.failure_count), (1, 3));
}

/// Goal: an upstream that is asked once an hour and fails every time is not asked for ever.
/// Guards against: breakers with nothing but a window (resilience4j, Polly, Hystrix) never open at low rates.
#[test]
fn b07_a_run_of_failures_trips_however_far_apart() {
    let (mut breaker, start) = breaker();
    let day = 86_400 * SECOND;
    assert_eq!(call(&mut breaker, Failure, start), None);
    assert_eq!(call(&mut breaker, Failure, start + day), None);
    let now = start + 2 * day;
    assert_eq!(call(&mut breaker, Failure, now), opened(now + COOLDOWN, COOLDOWN));
}

/// Goal: a run is a run.
#[test]
fn b08_a_success_in_between_resets_the_run() {
    let (mut breaker, start) = breaker();
    for i in 0..100 {
        let now = start + i * 100 * SECOND;
        assert_eq!(call(&mut breaker, Failure, now), None);
        assert_eq!(call(&mut breaker, Ignored, now), None);
        assert_eq!(call(&mut breaker, Failure, now), None);
        assert_eq!(breaker.snapshot(now).failure_count, 2);
        assert_eq!(call(&mut breaker, Success, now), None);
        assert_eq!(breaker.snapshot(now).failure_count, 0);
    }
}

/// Goal: the window is exact.
/// Guards against: windows made of buckets are off by up to one of them.
#[test]
fn b09_exactly_the_window_trips_and_a_nanosecond_more_does_not() {
    let window = BreakerConfig::default().window;
    for (span, trips) in [(window - NANO, true), (window, true), (window + NANO, false)] {
        let (mut breaker, start) = by_ratio();
        for now in [start, start, start + SECOND, start + SECOND] {
            assert_eq!(call(&mut breaker, Failure, now), None);
        }
        assert_eq!(call(&mut breaker, Failure, start + span).is_some(), trips, "{span:?}");
    }
    // The window slides: it is the last five that count, not the first.
    let (mut breaker, start) = by_ratio();
    for i in 0..4 {
        assert_eq!(call(&mut breaker, Failure, start + i * 21 * SECOND), None);
    }
    let now = start + 82 * SECOND;
    assert_eq!(call(&mut breaker, Failure, now - NANO), None);
    assert_eq!(
        call(&mut breaker, Failure, now - NANO),
        None,
        "from 21 s: more than a minute ago"
    );
    assert!(call(&mut breaker, Failure, now).is_some(), "from 42 s");
}

/// Goal: an upstream whose HEAD works and whose GET does not is asked ever more rarely.
/// Guards against: Envoy's documentation warns of exactly this; most breakers close for good on one passing probe.
#[test]
fn b10_a_passing_probe_is_not_evidence() {
    let (mut breaker, start) = breaker();
    let mut now = start;
    assert_eq!(trip(&mut breaker, now), opened(now + COOLDOWN, COOLDOWN));
    for cooldown in [60, 120, 240, 300, 300] {
        let cooldown = Duration::from_secs(cooldown);
        now = breaker.snapshot(now).retry_at.unwrap();
        assert_eq!(probe(&mut breaker, Success, now), Some(Change::HalfOpened));
        assert!(breaker.snapshot(now).on_probation);
        assert_eq!(call(&mut breaker, Failure, now), opened(now + cooldown, cooldown));
        assert_eq!(breaker.snapshot(now).opened_at, Some(start), "down since then");
    }
    assert_eq!(breaker.snapshot(now).openings, 6);
}

/// Goal: probation lasts a cooldown from the first real success, and one failure within it is enough.
#[test]
fn b10_probation_ends_one_cooldown_after_the_first_real_success() {
    for (wait, relapses) in [(COOLDOWN - NANO, true), (COOLDOWN, false)] {
        let (mut breaker, start) = breaker();
        trip(&mut breaker, start);
        let passed = start + COOLDOWN;
        probe(&mut breaker, Success, passed);
        let proved = passed + SECOND;
        assert_eq!(call(&mut breaker, Success, proved), None);
        assert_eq!(
            call(&mut breaker, Success, proved + SECOND),
            None,
            "the first one counts"
        );
        let now = proved + wait;
        assert_eq!(breaker.snapshot(now).on_probation, relapses);
        assert_eq!(phase(&breaker, now) == Phase::HalfOpen, relapses);
        let change = call(&mut breaker, Failure, now);
        if relapses {
            assert_eq!(change, opened(now + 2 * COOLDOWN, 2 * COOLDOWN));
        } else {
            assert_eq!(
                change,
                Some(Change::Closed),
                "told late, and the failure is the first of a new count"
            );
            assert_eq!(breaker.snapshot(now).failure_count, 1);
        }
    }
}

/// Goal: an idle upstream that passed its probe does not look broken for ever, and is not trusted blindly either.
#[test]
fn b10_an_idle_upstream_reads_closed_and_stays_on_probation() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let passed = start + COOLDOWN;
    probe(&mut breaker, Success, passed);
    assert_eq!(breaker.tick(passed + COOLDOWN - NANO), None);
    assert_eq!(phase(&breaker, passed + COOLDOWN - NANO), Phase::HalfOpen);
    let now = passed + COOLDOWN;
    assert_eq!(breaker.tick(now), Some(Change::Closed));
    assert_eq!(breaker.tick(now), None, "told once");
    let idle = breaker.snapshot(now);
    assert_eq!(
        (idle.phase, idle.on_probation, idle.opened_at),
        (Phase::Closed, true, None)
    );
    assert_eq!((idle.cooldown, idle.openings), (Some(COOLDOWN), 1));
    let now = now + 10 * COOLDOWN_MAX;
    let mut proved = breaker.clone();
    let caller = breaker.admit(now).unwrap();
    assert!(breaker.admit(now).is_err(), "still one at a time");
    let relapse = breaker.settle(caller, Failure, now, 0.0, false);
    assert_eq!(
        relapse,
        opened(now + 2 * COOLDOWN, 2 * COOLDOWN),
        "being idle is no health"
    );
    assert_eq!(breaker.snapshot(now).opened_at, Some(now));
    call(&mut proved, Success, now);
    assert!(proved.admit(now).is_ok() && proved.admit(now).is_ok());
    assert_eq!(phase(&proved, now), Phase::Closed, "it has been told to be closed");
    assert!(proved.snapshot(now + COOLDOWN - NANO).on_probation);
    assert!(!proved.snapshot(now + COOLDOWN).on_probation);
    assert_eq!(proved.tick(now + COOLDOWN), None);
}

/// Goal: a caller that is finding out is not idleness; one that is lost is.
#[test]
fn b10_a_running_trial_keeps_it_half_open() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let passed = start + COOLDOWN;
    probe(&mut breaker, Success, passed);
    let lost = breaker.admit(passed + 20 * SECOND).unwrap();
    assert_eq!(phase(&breaker, passed + COOLDOWN), Phase::HalfOpen);
    assert_eq!(phase(&breaker, passed + 20 * SECOND + EXPIRES - NANO), Phase::HalfOpen);
    assert_eq!(phase(&breaker, passed + 20 * SECOND + EXPIRES), Phase::Closed);
    drop(lost);
}

/// Goal: when it is our own line that fails, upstreams are not left alone for longer and longer.
#[test]
fn b10_a_common_cause_does_not_lengthen_the_cooldown() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let now = start + COOLDOWN;
    probe(&mut breaker, Success, now);
    let caller = breaker.admit(now).unwrap();
    assert_eq!(
        breaker.settle(caller, Failure, now, 0.0, true),
        opened(now + COOLDOWN, COOLDOWN)
    );
    assert_eq!(breaker.snapshot(now).openings, 1);
    let mut fresh = Breaker::new(BreakerConfig {
        consecutive: 1,
        ..BreakerConfig::default()
    });
    let caller = fresh.admit(now).unwrap();
    assert_eq!(
        fresh.settle(caller, Failure, now, 0.0, true),
        opened(now + COOLDOWN, COOLDOWN)
    );
    assert_eq!(fresh.snapshot(now).openings, 1);
}

/// Goal: a busy upstream with the usual errors stays in use.
/// Guards against: "five failures in a minute" alone, which at 100 calls a second and 1 % opens every five seconds.
#[test]
fn b11_one_error_in_a_hundred_never_trips() {
    let (mut breaker, start) = breaker();
    for i in 0..60_000 {
        let lesson = if i % 100 == 0 { Failure } else { Success };
        assert_eq!(call(&mut breaker, lesson, start + i * SECOND / 100), None);
    }
}

/// Goal: the ratio is exact, with the first of the failures in the count and what came before it not.
#[test]
fn b11_the_ratio_is_that_of_the_calls_since_the_first_failure() {
    for (successes, ratio, trips) in [
        (5, 0.5, true),
        (6, 0.5, false),
        (0, 1.0, true),
        (1, 1.0, false),
        (1_000, 0.0, true),
        (0, 1.000_001, false),
        (0, f64::INFINITY, false),
        (0, f64::NAN, false),
        (1_000, -1.0, true),
    ] {
        let (_, now) = by_ratio();
        let mut breaker = Breaker::new(BreakerConfig {
            consecutive: u32::MAX,
            failure_ratio: ratio,
            ..BreakerConfig::default()
        });
        (0..50).for_each(|_| assert_eq!(call(&mut breaker, Success, now), None));
        (0..4).for_each(|_| assert_eq!(call(&mut breaker, Failure, now), None));
        (0..successes).for_each(|_| assert_eq!(call(&mut breaker, Success, now), None));
        let change = call(&mut breaker, Failure, now);
        assert_eq!(change.is_some(), trips, "5 of {} against {ratio}", 5 + successes);
    }
}

/// Goal: two failures of two are not "100 %".
/// Guards against: resilience4j needed `minimumNumberOfCalls` for it; here the number of failures is the minimum.
#[test]
fn b12_too_few_samples_never_trip_by_ratio() {
    for failures in 1..=20 {
        let mut breaker = Breaker::new(BreakerConfig {
            failures,
            consecutive: u32::MAX,
            ..BreakerConfig::default()
        });
        let now = Instant::now();
        (1..failures).for_each(|_| assert_eq!(call(&mut breaker, Failure, now), None));
        assert!(call(&mut breaker, Failure, now).is_some());
    }
}

/// Goal: flapping costs ever more, up to a bound, and health is forgiven step by step.
#[test]
fn b13_the_cooldown_is_capped_and_decays_with_health() {
    let (mut breaker, mut now) = breaker();
    for (healthy, openings, cooldown) in [
        (Duration::ZERO, 1, 30),
        (Duration::ZERO, 2, 60),
        (COOLDOWN_MAX - NANO, 3, 120),
        (COOLDOWN_MAX, 3, 120),
        (2 * COOLDOWN_MAX - NANO, 3, 120),
        (2 * COOLDOWN_MAX, 2, 60),
        (Duration::ZERO, 3, 120),
        (Duration::ZERO, 4, 240),
        (Duration::ZERO, 5, 300),
        (Duration::ZERO, 6, 300),
        (100 * COOLDOWN_MAX, 1, 30),
    ] {
        now += healthy;
        let cooldown = Duration::from_secs(cooldown);
        let expected = openings - 1;
        assert_eq!(breaker.snapshot(now).openings, expected);
        assert_eq!(
            trip(&mut breaker, now),
            opened(now + cooldown, cooldown),
            "after {healthy:?}"
        );
        let open = breaker.snapshot(now);
        assert_eq!((open.openings, open.cooldown), (openings, Some(cooldown)));
        now += cooldown;
        probe(&mut breaker, Success, now);
        call(&mut breaker, Success, now);
        now += cooldown;
        assert_eq!(breaker.tick(now + SECOND), Some(Change::Closed));
        // Health counts from the end of probation, whenever that was noticed.
        breaker.seen = Some(now);
    }
}

/// Goal: jitter spreads and never shortens.
#[test]
fn b13_jitter_is_bounded() {
    for (roll, millis) in [
        (0.0, 30_000),
        (0.5, 31_500),
        (1.0, 33_000),
        (-7.0, 30_000),
        (7.0, 33_000),
        (f64::NAN, 30_000),
        (f64::INFINITY, 33_000),
    ] {
        let (mut breaker, now) = breaker();
        call(&mut breaker, Failure, now);
        call(&mut breaker, Failure, now);
        let permit = breaker.admit(now).unwrap();
        let change = breaker.settle(permit, Failure, now, roll, false);
        assert_eq!(change, opened(now + Duration::from_millis(millis), COOLDOWN), "{roll}");
    }
}

/// Goal: a HEAD that fails costs nothing, so it is tried as often as ever; and nobody has to try it.
#[test]
fn b14_probe_failures_keep_the_schedule() {
    let (mut breaker, start) = breaker();
    let mut now = start;
    trip(&mut breaker, now);
    for round in 1..=10 {
        now += COOLDOWN;
        assert_eq!(probe(&mut breaker, Failure, now), opened(now + COOLDOWN, COOLDOWN));
        let open = breaker.snapshot(now);
        assert_eq!((open.openings, open.opened_at), (1, Some(start)));
        assert_eq!(open.failure_count, 3 + round);
    }
    // A caller's trial that fails without a probe before it is no relapse either.
    now += COOLDOWN + PROBE_GRACE;
    assert_eq!(call(&mut breaker, Failure, now), opened(now + COOLDOWN, COOLDOWN));
}

/// Goal: an open breaker without a prober (it died, the machine slept) is not stuck.
#[test]
fn b14_without_a_prober_a_caller_is_the_trial() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let due = start + COOLDOWN;
    assert!(breaker.admit(due + PROBE_GRACE - NANO).is_err());
    let now = due + PROBE_GRACE;
    assert_eq!(breaker.would_admit(now), Ok(()));
    let trial = breaker.admit(now).unwrap();
    assert!(breaker.admit(now).is_err() && breaker.begin_probe(now).is_err());
    assert_eq!(
        breaker.settle(trial, Success, now, 0.0, false),
        Some(Change::HalfOpened)
    );
    assert_eq!(breaker.snapshot(now).failure_count, 0);
    assert!(
        breaker.admit(now).is_ok() && breaker.admit(now).is_ok(),
        "a real success"
    );
    assert_eq!(breaker.tick(now + COOLDOWN), Some(Change::Closed));
}

/// Goal: when others come back, nobody waits out a cooldown of five minutes.
#[test]
fn b14_an_open_one_can_be_probed_at_once_on_request() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let now = start + SECOND;
    breaker.retry_now(now);
    assert_eq!(breaker.snapshot(now).retry_at, Some(now));
    assert!(breaker.would_admit(now + PROBE_GRACE - NANO).is_err());
    assert_eq!(breaker.would_admit(now + PROBE_GRACE), Ok(()));
    breaker.retry_now(now + SECOND);
    assert_eq!(breaker.snapshot(now).retry_at, Some(now), "never later");
    assert_eq!(
        probe(&mut breaker, Failure, now + SECOND),
        opened(now + SECOND + COOLDOWN, COOLDOWN)
    );
    let (mut closed, _) = self::breaker();
    closed.retry_now(now);
    assert_eq!(phase(&closed, now), Phase::Closed);
}

/// Goal: who is turned away knows when to come back.
#[test]
fn b15_rejections_carry_when_to_retry() {
    let (mut breaker, start) = breaker();
    let busy_now = Rejection::Busy { until: start };
    assert_eq!(breaker.begin_probe(start).unwrap_err(), busy_now, "nothing to find out");
    trip(&mut breaker, start);
    let open = |retry_at| Rejection::Open { retry_at };
    let due = start + COOLDOWN;
    assert_eq!(breaker.admit(start).unwrap_err(), open(due));
    assert_eq!(breaker.begin_probe(start).unwrap_err(), open(due));
    assert_eq!(breaker.would_admit(due - NANO), Err(open(due)));
    assert_eq!(breaker.would_admit(due), Err(open(due + PROBE_GRACE)));
    assert_eq!(breaker.would_admit(due + PROBE_GRACE), Ok(()));
    assert_eq!(probe(&mut breaker, Success, due), Some(Change::HalfOpened));
    assert_eq!(breaker.begin_probe(due).unwrap_err(), Rejection::Busy { until: due });
}

/// Goal: an operator's word holds until the operator takes it back.
#[test]
fn b15_forced_states_hold_until_lifted() {
    let (mut breaker, now) = breaker();
    let (century, later) = (now + FOREVER, now + 1_000_000 * SECOND);
    let early = breaker.admit(now).unwrap();
    assert_eq!(breaker.force_open(now), opened(century, FOREVER));
    assert_eq!(breaker.force_open(now), None);
    assert_eq!(breaker.settle(early, Success, now, 0.0, false), None);
    breaker.retry_now(now);
    assert_eq!(breaker.tick(now), None);
    assert_eq!(breaker.admit(later).unwrap_err(), Rejection::Forced);
    assert_eq!(breaker.begin_probe(later).unwrap_err(), Rejection::Forced);
    assert_eq!(breaker.would_admit(later), Err(Rejection::Forced));
    let held = breaker.snapshot(later);
    assert_eq!(
        (held.phase, held.forced, held.opened_at),
        (Phase::Open, Some(Phase::Open), Some(now))
    );
    assert_eq!((held.on_probation, held.cooldown, held.retry_at), (false, None, None));

    assert_eq!(breaker.force_closed(later), Some(Change::Closed));
    assert_eq!(breaker.force_closed(later), None);
    for _ in 0..100 {
        assert_eq!(call(&mut breaker, Failure, later), None);
    }
    assert_eq!(breaker.begin_probe(later).unwrap_err(), Rejection::Forced);
    let held = breaker.snapshot(later);
    assert_eq!(
        (held.phase, held.forced, held.failure_count),
        (Phase::Closed, Some(Phase::Closed), 100)
    );
    let early = breaker.admit(later).unwrap();

    assert_eq!(breaker.reset(later), None);
    let fresh = Breaker::new(BreakerConfig::default()).snapshot(later);
    assert_eq!(breaker.snapshot(later), fresh);
    assert_eq!(breaker.settle(early, Failure, later, 0.0, false), None);
    assert_eq!(breaker.snapshot(later), fresh, "from before the reset");
    trip(&mut breaker, later);
    let before = breaker.snapshot(later);
    assert_eq!(breaker.force_open(later + SECOND), None, "it was open already");
    assert_eq!(breaker.snapshot(later).opened_at, before.opened_at);
    assert_eq!(breaker.reset(later), Some(Change::Closed));
    assert_eq!(breaker.snapshot(later), fresh);
    assert_eq!(
        trip(&mut breaker, later + SECOND),
        opened(later + SECOND + COOLDOWN, COOLDOWN)
    );
}

/// Goal: forcing a half-open one is news, and its probe's result is none.
#[test]
fn b15_forcing_supersedes_a_probe() {
    let (mut breaker, start) = breaker();
    trip(&mut breaker, start);
    let now = start + COOLDOWN;
    let probe = breaker.begin_probe(now).unwrap();
    assert_eq!(breaker.force_open(now), opened(now + FOREVER, FOREVER));
    assert_eq!(breaker.snapshot(now).opened_at, Some(start));
    assert_eq!(breaker.settle(probe, Success, now, 0.0, false), None);
    assert_eq!(phase(&breaker, now), Phase::Open);
    let (mut counted, now) = self::breaker();
    call(&mut counted, Failure, now);
    let early = counted.admit(now).unwrap();
    assert_eq!(counted.force_closed(now), None);
    assert_eq!(counted.settle(early, Failure, now, 0.0, false), None);
    assert_eq!(counted.snapshot(now).failure_count, 1);
}
