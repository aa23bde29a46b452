//! One time budget per request, handed down to everything done on its behalf.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// When a request must be answered. Clones share what [`Deadline::progress`] moves.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    at: Arc<Mutex<Instant>>,
    /// The budget that progress renews; `None`: the deadline stands.
    renewed: Option<Duration>,
}

impl Deadline {
    /// A fixed end.
    pub(crate) fn fixed(now: Instant, budget: Duration) -> Deadline {
        Deadline {
            at: Arc::new(Mutex::new(now + budget)),
            renewed: None,
        }
    }

    /// An end that every sign of progress moves: a long download that advances is not late.
    pub(crate) fn sliding(now: Instant, budget: Duration) -> Deadline {
        Deadline {
            at: Arc::new(Mutex::new(now + budget)),
            renewed: Some(budget),
        }
    }

    /// Whether a call in flight is cut off at the end. A sliding deadline only keeps further ones from beginning: a call
    /// in flight is bounded by itself (silence, slowness, size), and cutting it would lose what a slow line brought.
    pub(crate) fn cuts(&self) -> bool {
        self.renewed.is_none()
    }

    /// As much of a deadline that cuts as may be spent on one upstream while others could still be asked after it: two
    /// thirds of what is left. One that does not cut is itself.
    pub(crate) fn part(&self, now: Instant) -> Deadline {
        match self.cuts() {
            true => Deadline::fixed(now, self.remaining(now) * 2 / 3),
            false => self.clone(),
        }
    }

    /// Something useful arrived.
    pub(crate) fn progress(&self, now: Instant) {
        if let Some(budget) = self.renewed {
            let mut at = self.at.lock();
            *at = (*at).max(now + budget);
        }
    }

    /// Time left; zero when it has passed.
    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        self.at.lock().saturating_duration_since(now)
    }

    /// Whether it has passed.
    pub(crate) fn has_passed(&self, now: Instant) -> bool {
        self.remaining(now).is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_renews_a_sliding_deadline_and_leaves_a_fixed_one() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let (fixed, sliding) = (Deadline::fixed(start, 3 * second), Deadline::sliding(start, 3 * second));
        for deadline in [&fixed, &sliding.clone()] {
            assert_eq!(deadline.remaining(start + second), 2 * second);
            deadline.progress(start + 2 * second);
        }
        assert_eq!(fixed.remaining(start + 2 * second), second);
        assert_eq!(sliding.remaining(start + 2 * second), 3 * second);
        assert!(fixed.cuts() && !sliding.cuts());
        assert_eq!(
            fixed.part(start + 2 * second).remaining(start + 2 * second),
            second * 2 / 3
        );
        assert_eq!(
            sliding.part(start + 2 * second).remaining(start + 2 * second),
            3 * second
        );
        assert!(fixed.has_passed(start + 3 * second) && !sliding.has_passed(start + 3 * second));
    }
}
