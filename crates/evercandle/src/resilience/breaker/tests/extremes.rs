//! Settings and counts nobody should use.

use super::*;

/// Goal: no setting, however foolish, panics or overflows.
#[test]
fn no_setting_overflows() {
    let durations = [Duration::ZERO, NANO, COOLDOWN, Duration::MAX];
    let counts = [0, 1, 2, u32::MAX];
    for (i, ratio) in [0.0, 0.5, 1.0, 2.0, -1.0, f64::NAN, f64::INFINITY]
        .into_iter()
        .enumerate()
    {
        for mix in 0..256usize {
            let pick = |place: u32| (mix >> (2 * place)) & 3;
            let mut breaker = Breaker::new(BreakerConfig {
                failures: counts[pick(0)],
                consecutive: counts[pick(1)],
                failure_ratio: ratio,
                window: durations[pick(2)],
                cooldown: durations[pick(3)],
                cooldown_max: durations[(pick(0) + i) & 3],
                permit_expires: durations[(pick(1) + i) & 3],
            });
            let mut now = Instant::now();
            for step in 0..200u32 {
                let lesson = [Failure, Success, Failure, Ignored][step as usize % 4];
                for permit in [breaker.admit(now), breaker.begin_probe(now)].into_iter().flatten() {
                    breaker.settle(permit, lesson, now, 1.0, false);
                }
                breaker.tick(now);
                breaker.snapshot(now);
                now = breaker.snapshot(now).retry_at.unwrap_or(now).min(now + COOLDOWN_MAX);
            }
            breaker.openings = u32::MAX;
            breaker.run = u32::MAX;
            breaker.reset(now);
        }
    }
}

/// Goal: a foolish number of failures to remember does not become memory.
#[test]
fn failures_remembered_are_bounded() {
    let mut breaker = Breaker::new(BreakerConfig {
        failures: u32::MAX,
        consecutive: u32::MAX,
        failure_ratio: 2.0,
        ..BreakerConfig::default()
    });
    let now = Instant::now();
    (0..3_000).for_each(|_| assert_eq!(call(&mut breaker, Failure, now), None));
    assert_eq!(breaker.recent.len(), FAILURES_MAX as usize);
}

/// Goal: whoever shows "until" for what has no end shows a date that nobody waits for, and that no sum overflows.
#[test]
fn forever_is_a_century() {
    assert_eq!(FOREVER, Duration::from_secs(3_153_600_000));
}
