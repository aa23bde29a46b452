//! How long to wait before asking again.
//!
//! Full jitter: a random time up to an exponentially growing ceiling, so that callers who failed together do not come
//! back together (AWS Architecture Blog, "Exponential Backoff And Jitter"). With two or three tries its variants differ
//! too little to matter. The one flaw of full jitter is a pause of next to nothing, which asks a server that has just
//! failed again before it can have changed; hence a floor.

use std::time::Duration;

use rand::{Rng, RngExt};

/// The shortest pause, unless the ceiling is lower still.
const FLOOR: Duration = Duration::from_millis(50);

/// The shape of the pauses between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The longest first pause; doubled with every try.
    pub(crate) base: Duration,
    /// The longest pause of all.
    pub(crate) max: Duration,
}

impl Backoff {
    /// The pause after try number `tried`, which counts from 1. `None` when it would use up the `remaining` time of the
    /// caller: a try that cannot be answered in time is not worth a pause.
    pub(crate) fn pause(&self, tried: u32, remaining: Duration, rng: &mut impl Rng) -> Option<Duration> {
        let factor = 1u32.checked_shl(tried.saturating_sub(1)).unwrap_or(u32::MAX);
        let ceiling = self.base.saturating_mul(factor).min(self.max);
        let pause = ceiling.mul_f64(rng.random::<f64>()).max(FLOOR.min(ceiling));
        (pause < remaining).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn pauses(backoff: Backoff, tried: u32) -> Vec<Duration> {
        let mut rng = StdRng::seed_from_u64(1);
        let pause = |_| backoff.pause(tried, Duration::MAX, &mut rng).unwrap();
        (0..500).map(pause).collect()
    }

    #[test]
    fn pauses_stay_under_a_ceiling_that_doubles_up_to_the_longest() {
        let backoff = Backoff {
            base: millis(100),
            max: millis(350),
        };
        for (tried, ceiling) in [(0, 100), (1, 100), (2, 200), (3, 350), (40, 350), (u32::MAX, 350)] {
            let longest = pauses(backoff, tried).into_iter().max().unwrap().as_millis();
            assert!(
                longest <= ceiling && longest > ceiling * 9 / 10,
                "try {tried}: {longest} ms of {ceiling}"
            );
        }
    }

    /// Goal: a server that has just failed is not asked again in the same moment.
    #[test]
    fn pauses_have_a_floor_which_is_never_above_the_ceiling() {
        for (base, floor) in [(1_000, 50), (60, 50), (50, 50), (20, 20), (0, 0)] {
            let backoff = Backoff {
                base: millis(base),
                max: millis(1_000),
            };
            let shortest = pauses(backoff, 1).into_iter().min().unwrap();
            let nearly = millis(floor) + millis(base) / 100;
            assert!(shortest >= millis(floor) && shortest <= nearly, "{base}: {shortest:?}");
        }
    }

    #[test]
    fn a_pause_that_uses_up_the_callers_time_is_none() {
        let backoff = Backoff {
            base: millis(20),
            max: millis(20),
        };
        let pause = |remaining| backoff.pause(1, remaining, &mut StdRng::seed_from_u64(1));
        assert_eq!(pause(millis(21)), Some(millis(20)));
        assert_eq!(pause(millis(20)), None);
        assert_eq!(pause(Duration::ZERO), None);
    }

    #[test]
    fn no_setting_overflows() {
        let backoff = Backoff {
            base: Duration::MAX,
            max: Duration::MAX,
        };
        assert!(pauses(backoff, u32::MAX).into_iter().all(|pause| pause >= FLOOR));
    }
}
