//! Wall and monotonic time, and waiting: the only reader of any of them.
//!
//! Wall time says which klines have closed and how old a value is; monotonic time measures timeouts and cooldowns, so a
//! jump of the wall clock can neither expire nor extend them. Both come from one value that is passed around, so a test
//! can hold the wall clock still or move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::range::Timestamp;

/// A source of time. Cheap to clone; clones share what [`Clock::set`] and [`Clock::advance`] change.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Absent: the system's clocks.
    held: Option<Arc<Held>>,
}

/// A clock that a test moves.
#[derive(Debug)]
struct Held {
    /// The wall clock stands still at these microseconds.
    wall: AtomicI64,
    /// The monotonic clock runs, this far ahead of the system's.
    ahead: watch::Sender<Duration>,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// A wall clock that shows `now` until [`Clock::set`]. Monotonic time still flows.
    pub fn held(now: Timestamp) -> Clock {
        Clock {
            held: Some(Arc::new(Held {
                wall: AtomicI64::new(now.as_micros()),
                ahead: watch::Sender::new(Duration::ZERO),
            })),
        }
    }

    /// Moves a held wall clock; does nothing to the system's.
    pub fn set(&self, now: Timestamp) {
        if let Some(held) = &self.held {
            held.wall.store(now.as_micros(), Ordering::Relaxed);
        }
    }

    /// Moves both clocks of a held one forward, and whoever waits with them; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Some(held) = &self.held {
            let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            held.wall.fetch_add(micros, Ordering::Relaxed);
            held.ahead.send_modify(|ahead| *ahead += by);
        }
    }

    /// Wall time, UTC.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    pub fn now(&self) -> Timestamp {
        match &self.held {
            Some(held) => Timestamp::from_micros(held.wall.load(Ordering::Relaxed)),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Monotonic time.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
    pub fn instant(&self) -> Instant {
        match &self.held {
            Some(held) => Instant::now() + *held.ahead.borrow(),
            None => Instant::now(),
        }
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.instant() + duration).await;
    }

    /// Waits until an instant of this clock, however often it is moved between the choice of it and the wait.
    #[allow(clippy::disallowed_methods, reason = "the one place that sleeps")]
    pub async fn sleep_until(&self, until: Instant) {
        let Some(held) = &self.held else {
            return tokio::time::sleep_until(until).await;
        };
        let mut moved = held.ahead.subscribe();
        loop {
            let left = until.saturating_duration_since(self.instant());
            // The sender is in `self`, so only the time or a move ends the wait.
            if left.is_zero() || tokio::time::timeout(left, moved.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// Blocks this thread for a moment of the system's time, between two looks at what another process is doing.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that sleeps, where nothing can be awaited"
)]
pub(crate) fn block(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_on_a_held_clock_is_moved_with_it() {
        let clock = Clock::held(Timestamp::EPOCH);
        let (began, hour) = (clock.instant(), Duration::from_secs(3_600));
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(2 * hour).await }
        });
        tokio::task::yield_now().await;
        clock.advance(hour);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(hour);
        waiting.await.unwrap();
        assert!(clock.instant() >= began + 2 * hour);
        assert_eq!(clock.now(), Timestamp::EPOCH.plus(7_200_000_000));
    }
}
