//! How long to wait before asking again.
//!
//! Full jitter: a random time up to an exponentially growing ceiling, so that callers who failed together do not come
//! back together. (AWS Architecture Blog, "Exponential Backoff And Jitter".)

use std::time::Duration;

use rand::{Rng, RngExt};

/// The shape of the pauses between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The longest first pause.
    pub(crate) base: Duration,
    /// The longest pause of all.
    pub(crate) max: Duration,
}

impl Backoff {
    /// The pause after try number `tried`, which counts from 1.
    pub(crate) fn pause(&self, tried: u32, rng: &mut impl Rng) -> Duration {
        let doubled = self
            .base
            .saturating_mul(1u32.checked_shl(tried.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.max).mul_f64(rng.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn pauses_stay_under_a_ceiling_that_doubles_up_to_the_longest() {
        let backoff = Backoff {
            base: Duration::from_millis(100),
            max: Duration::from_millis(350),
        };
        let mut rng = StdRng::seed_from_u64(1);
        for (tried, ceiling) in [(1, 100), (2, 200), (3, 350), (40, 350)] {
            let pauses: Vec<Duration> = (0..200).map(|_| backoff.pause(tried, &mut rng)).collect();
            let longest = pauses.iter().max().unwrap().as_millis();
            assert!(
                longest <= ceiling && longest > ceiling * 8 / 10,
                "try {tried}: {longest} ms of {ceiling}"
            );
            assert!(pauses.iter().min().unwrap().as_millis() < ceiling / 5);
        }
    }
}
