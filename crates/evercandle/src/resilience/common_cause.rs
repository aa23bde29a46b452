//! Is it us?
//!
//! When most upstreams fail at once, the likelier fault is our own line, resolver or clock. (Envoy calls this the panic
//! threshold: if too many hosts look dead, stop trusting the verdict.) Then cooldowns should not be lengthened, since
//! none of them did anything, and one alarm is better than one for each.
//!
//! Suspected when at least 60 % of the remote upstreams of which anything is known, and at least two, opened within 30
//! seconds of each other and none has succeeded since. Whoever was never asked says nothing either way; whoever suspects
//! should ask them. One success of any of them ends it, because it proves the line. Those that are still open
//! then are down for reasons of their own: only once they have recovered does another opening of theirs count again.

use std::time::Duration;

use tokio::time::Instant;

/// How close together openings must lie: a connect timeout or two, and the calls that were on their way.
const TOGETHER: Duration = Duration::from_secs(30);
/// How many upstreams make a coincidence unlikely.
const AT_LEAST: usize = 2;
/// The share of the remote upstreams, as a fraction.
const SHARE: (usize, usize) = (3, 5);

/// What the openings of several upstreams say about ourselves. Upstreams go by their index; local ones have none.
#[derive(Clone, Debug)]
pub(crate) struct CommonCause {
    upstreams: Vec<Standing>,
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    /// Nothing was told of it yet.
    Unasked,
    /// It succeeded, and has not opened since.
    Well,
    /// Opened, and no upstream has succeeded since.
    Opened(Instant),
    /// Open since before another succeeded.
    DownAlone,
}

impl CommonCause {
    /// Of so many remote upstreams, none of them asked yet.
    pub(crate) fn new(remotes: usize) -> CommonCause {
        CommonCause {
            upstreams: vec![Standing::Unasked; remotes],
        }
    }

    /// An upstream's breaker opened. Opening again before it has succeeded changes nothing: it is down since the first.
    pub(crate) fn opened(&mut self, index: usize, now: Instant) {
        if let Some(standing @ (Standing::Well | Standing::Unasked)) = self.upstreams.get_mut(index) {
            *standing = Standing::Opened(now);
        }
    }

    /// A call to an upstream, or a probe of it, succeeded.
    pub(crate) fn recovered(&mut self, index: usize) {
        for (i, standing) in self.upstreams.iter_mut().enumerate() {
            *standing = match standing {
                _ if i == index => Standing::Well,
                Standing::Opened(_) | Standing::DownAlone => Standing::DownAlone,
                Standing::Well => Standing::Well,
                Standing::Unasked => Standing::Unasked,
            };
        }
    }

    /// Since when the fault seems to be ours: the first of the openings that lie together.
    pub(crate) fn suspected(&self) -> Option<Instant> {
        let mut openings: Vec<Instant> = self
            .upstreams
            .iter()
            .filter_map(|standing| match standing {
                Standing::Opened(at) => Some(*at),
                Standing::Unasked | Standing::Well | Standing::DownAlone => None,
            })
            .collect();
        openings.sort();
        let known = self
            .upstreams
            .iter()
            .filter(|s| !matches!(s, Standing::Unasked))
            .count();
        let enough = (known * SHARE.0).div_ceil(SHARE.1).max(AT_LEAST);
        let together = |group: &&[Instant]| group[enough - 1].saturating_duration_since(group[0]) <= TOGETHER;
        openings.windows(enough).find(together).map(|group| group[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// So many upstreams that were well, and one never asked. Which of them opened when, and since when it is suspected,
    /// in seconds.
    fn suspected(remotes: usize, openings: &[(usize, u64)]) -> Option<u64> {
        let start = Instant::now();
        let mut cause = CommonCause::new(remotes + 1);
        (0..remotes).for_each(|index| cause.recovered(index));
        for (index, at) in openings {
            cause.opened(*index, start + Duration::from_secs(*at));
        }
        cause.suspected().map(|since| (since - start).as_secs())
    }

    #[test]
    fn most_of_them_within_half_a_minute() {
        for (remotes, openings, expected) in [
            (5, &[][..], None),
            (5, &[(0, 7), (1, 8)], None),
            (5, &[(0, 7), (1, 8), (2, 9)], Some(7)),
            (5, &[(2, 9), (1, 8), (0, 7)], Some(7)),
            (5, &[(0, 7), (1, 7), (2, 37)], Some(7)),
            (5, &[(0, 7), (1, 7), (2, 38)], None),
            (5, &[(0, 1), (1, 50), (2, 60), (3, 70)], Some(50)),
            (4, &[(0, 7), (1, 8)], None),
            (4, &[(0, 7), (1, 8), (2, 8)], Some(7)),
            (3, &[(0, 7), (1, 8)], Some(7)),
            (2, &[(0, 7)], None),
            (2, &[(0, 7), (1, 8)], Some(7)),
            (1, &[(0, 7)], None),
            (3, &[(0, 7), (9, 8)], None),
            (0, &[(0, 7)], None),
        ] {
            assert_eq!(suspected(remotes, openings), expected, "{remotes}: {openings:?}");
        }
    }

    /// Goal: whoever uses two upstreams of five learns that it is his line all the same.
    #[test]
    fn who_was_never_asked_does_not_count() {
        let now = Instant::now();
        let mut cause = CommonCause::new(5);
        cause.opened(3, now);
        assert_eq!(cause.suspected(), None, "one alone proves nothing");
        cause.opened(1, now);
        assert_eq!(cause.suspected(), Some(now));
        cause.recovered(4);
        assert_eq!(cause.suspected(), None, "the first to be asked after all has answered");
    }

    /// Goal: an upstream that is down for weeks and fails a probe now and then does not make the next opening look like
    /// our fault.
    #[test]
    fn opening_again_does_not_move_an_opening() {
        assert_eq!(suspected(2, &[(0, 0), (0, 600), (1, 601)]), None);
    }

    #[test]
    fn one_success_ends_it_and_those_still_down_count_only_after_they_have_recovered() {
        let now = Instant::now();
        let mut cause = CommonCause::new(4);
        (0..4).for_each(|index| cause.opened(index, now));
        assert_eq!(cause.suspected(), Some(now));
        cause.recovered(0);
        assert_eq!(cause.suspected(), None);
        let later = now + 300 * SECOND;
        (1..4).for_each(|index| cause.opened(index, later));
        assert_eq!(
            cause.suspected(),
            None,
            "they fail their probes, but the line is proved"
        );
        (1..3).for_each(|index| cause.recovered(index));
        (0..3).for_each(|index| cause.opened(index, later + SECOND));
        assert_eq!(cause.suspected(), Some(later + SECOND));
    }

    #[test]
    fn a_success_of_one_that_never_opened_ends_it_too() {
        let now = Instant::now();
        let mut cause = CommonCause::new(3);
        (0..2).for_each(|index| cause.opened(index, now));
        assert_eq!(cause.suspected(), Some(now));
        cause.recovered(2);
        assert_eq!(cause.suspected(), None);
        cause.opened(2, now);
        assert_eq!(cause.suspected(), None);
    }
}
