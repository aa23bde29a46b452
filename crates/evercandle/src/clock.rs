//! Wall and monotonic time, and waiting: the only reader of any of them.
//!
//! Wall time says which klines have closed and how old a value is; monotonic time measures timeouts and cooldowns, so a
//! jump of the wall clock can neither expire nor extend them. Both come from one value that is passed around, so a test
//! can hold the wall clock still or move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::range::Timestamp;

/// A source of time. Cheap to clone; clones share what [`Clock::set`] changes.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// The wall clock stands still at these microseconds; absent: it is the system's.
    held: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// A wall clock that shows `now` until [`Clock::set`]. Monotonic time still flows.
    pub fn held(now: Timestamp) -> Clock {
        Clock {
            held: Some(Arc::new(AtomicI64::new(now.as_micros()))),
        }
    }

    /// Moves a held wall clock; does nothing to the system's.
    pub fn set(&self, now: Timestamp) {
        if let Some(held) = &self.held {
            held.store(now.as_micros(), Ordering::Relaxed);
        }
    }

    /// Wall time, UTC.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    pub fn now(&self) -> Timestamp {
        match &self.held {
            Some(held) => Timestamp::from_micros(held.load(Ordering::Relaxed)),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Monotonic time.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Waits.
    #[allow(clippy::disallowed_methods, reason = "the one place that sleeps")]
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
