//! When to stop asking an upstream that fails.
//!
//! A plain breaker: so many failures in a row open it; after a cooldown one call is let through as a trial, and decides.
//! Permits carry the generation they were given in, so a call that began before the breaker opened cannot close it (or
//! open it again) when it ends late. A trial whose result never comes does not block for ever: its permit expires.

use std::time::Duration;

use tokio::time::Instant;

/// How long a trial may take before another is let through.
const TRIAL_EXPIRES: Duration = Duration::from_secs(30);

/// A breaker's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BreakerConfig {
    /// Failures in a row that open it.
    pub(crate) failures: u32,
    /// How long it stays open.
    pub(crate) cooldown: Duration,
}

/// Whether an upstream may be called.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: State,
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { trial_expires: Instant },
}

/// Leave for one call; give it back to [`Breaker::settle`] with what came of the call, or drop it to say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permit(u64);

impl Breaker {
    /// A closed one.
    pub(crate) fn new(config: BreakerConfig) -> Breaker {
        Breaker {
            config,
            state: State::Closed { failures: 0 },
            generation: 0,
        }
    }

    /// Leave to call now, or how long until it is worth asking again.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Permit, Duration> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until } | State::HalfOpen { trial_expires: until } if until > now => return Err(until - now),
            State::Open { .. } | State::HalfOpen { .. } => {
                self.generation += 1;
                self.state = State::HalfOpen {
                    trial_expires: now + TRIAL_EXPIRES,
                };
            }
        }
        Ok(Permit(self.generation))
    }

    /// Whether a call would be let through, without asking for leave.
    pub(crate) fn would_admit(&self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Open { until } | State::HalfOpen { trial_expires: until } if until > now => Err(until - now),
            _ => Ok(()),
        }
    }

    /// What came of a call. Results from before the last change of state count nothing.
    pub(crate) fn settle(&mut self, permit: Permit, succeeded: bool, now: Instant) {
        if permit.0 != self.generation {
            return;
        }
        match (self.state, succeeded) {
            (_, true) => self.state = State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < self.config.failures => {
                self.state = State::Closed { failures: failures + 1 };
            }
            (_, false) => {
                self.generation += 1;
                self.state = State::Open {
                    until: now + self.config.cooldown,
                };
            }
        }
    }

    /// A call ended without saying anything about the upstream: it was cancelled, or the caller's time was up. A trial
    /// given up this way lets the next one through.
    pub(crate) fn ignore(&mut self, permit: Permit, now: Instant) {
        if permit.0 == self.generation && matches!(self.state, State::HalfOpen { .. }) {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig {
            failures: 3,
            cooldown: 10 * SECOND,
        })
    }

    fn fail(breaker: &mut Breaker, now: Instant) {
        let permit = breaker.admit(now).unwrap();
        breaker.settle(permit, false, now);
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_trial_decides_after_the_cooldown() {
        let (mut breaker, start) = (breaker(), Instant::now());
        for _ in 0..3 {
            fail(&mut breaker, start);
        }
        assert_eq!(breaker.admit(start + SECOND), Err(9 * SECOND));
        let trial = breaker.admit(start + 10 * SECOND).unwrap();
        assert!(breaker.admit(start + 10 * SECOND).is_err(), "one trial at a time");
        breaker.settle(trial, false, start + 11 * SECOND);
        assert_eq!(breaker.admit(start + 12 * SECOND), Err(9 * SECOND));
        let trial = breaker.admit(start + 21 * SECOND).unwrap();
        breaker.settle(trial, true, start + 21 * SECOND);
        assert!(breaker.admit(start + 21 * SECOND).is_ok() && breaker.admit(start + 21 * SECOND).is_ok());
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..10 {
            fail(&mut breaker, now);
            fail(&mut breaker, now);
            let permit = breaker.admit(now).unwrap();
            breaker.settle(permit, true, now);
        }
        assert!(breaker.admit(now).is_ok());
    }

    #[test]
    fn a_late_result_from_before_it_opened_counts_nothing() {
        let (mut breaker, now) = (breaker(), Instant::now());
        let early = breaker.admit(now).unwrap();
        for _ in 0..3 {
            fail(&mut breaker, now);
        }
        breaker.settle(early, true, now);
        assert!(breaker.admit(now).is_err());
        let trial = breaker.admit(now + 10 * SECOND).unwrap();
        breaker.settle(early, false, now + 10 * SECOND);
        breaker.settle(trial, true, now + 10 * SECOND);
        assert!(breaker.admit(now + 10 * SECOND).is_ok());
    }

    #[test]
    fn a_trial_that_never_ends_or_is_given_up_does_not_block_for_ever() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..3 {
            fail(&mut breaker, now);
        }
        let later = now + 10 * SECOND;
        breaker.admit(later).unwrap();
        assert!(breaker.admit(later + 29 * SECOND).is_err());
        let trial = breaker.admit(later + TRIAL_EXPIRES).unwrap();
        breaker.ignore(trial, later + TRIAL_EXPIRES);
        assert!(breaker.admit(later + TRIAL_EXPIRES).is_ok());
    }
}
