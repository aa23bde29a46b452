//! Whether writing is worth a try. Pure: the time is passed in.
//!
//! A disk that is full, read-only or failing stays so for a while, and a cache that insists makes every request pay for
//! it. So after a failure writes are off, for half a minute at first and up to ten minutes; then the next write is the
//! trial. One success and all is as before.

use std::time::Duration;

use tokio::time::Instant;

/// Pause after the first failure: long enough to spare requests, short enough to notice freed space.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Whether writes are on.
#[derive(Debug, Default)]
pub(super) struct Permit(Option<Off>);

#[derive(Debug)]
struct Off {
    why: String,
    pause: Duration,
    until: Instant,
}

impl Permit {
    /// Whether to try now, or why not.
    pub(super) fn admit(&self, now: Instant) -> Result<(), String> {
        match &self.0 {
            Some(off) if now < off.until => Err(off.why.clone()),
            _ => Ok(()),
        }
    }

    /// Why writes are off, from the first failure until a success.
    pub(super) fn why(&self) -> Option<String> {
        self.0.as_ref().map(|off| off.why.clone())
    }

    /// A write failed.
    pub(super) fn failed(&mut self, why: String, now: Instant) {
        let pause = self.0.as_ref().map_or(PAUSE_MIN, |off| (off.pause * 2).min(PAUSE_MAX));
        self.0 = Some(Off {
            why,
            pause,
            until: now + pause,
        });
    }

    /// Ends the pause, for tests that will not wait for it.
    #[cfg(test)]
    pub(super) fn end_pause(&mut self, now: Instant) {
        if let Some(off) = &mut self.0 {
            off.until = now;
        }
    }

    /// A write succeeded, or space was freed.
    pub(super) fn succeeded(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_pause_longer_after_each_failure_and_resume_with_the_first_success() {
        let start = Instant::now();
        let mut permit = Permit::default();
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            permit.failed("disk full".into(), now);
            assert_eq!(permit.admit(now), Err("disk full".to_owned()));
            let mut pause = Duration::ZERO;
            while permit.admit(now + pause).is_err() {
                pause += Duration::from_secs(1);
            }
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(permit.why().as_deref(), Some("disk full"));
        permit.succeeded();
        assert_eq!((permit.admit(now), permit.why()), (Ok(()), None));
        permit.failed("again".into(), now);
        assert!(permit.admit(now + PAUSE_MIN).is_ok());
    }
}
