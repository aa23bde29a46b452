//! Weight per address and minute, and what happens to those who exceed it.
//!
//! The counter belongs to the wall minute of the exchange, not to sixty seconds after the first call.
//! Past the limit comes 429; whoever carries on is banned (418), longer each time; whoever knocks on during a ban
//! is turned away by the firewall (403), in HTML.

use std::sync::Arc;

use parking_lot::Mutex;

use super::error;
use crate::message::Response;
use crate::politeness::Politeness;
use crate::time::{DAY, MINUTE, SECOND};

/// Refused calls within a minute before the address is banned. Nobody publishes the number; ten is quick to reach.
const REFUSALS_BEFORE_BAN: u32 = 10;
/// Calls during a ban before the firewall takes over.
const KNOCKS_BEFORE_BLOCK: u32 = 30;
/// The first ban; the exchange says "from two minutes to three days".
const FIRST_BAN: i64 = 2 * MINUTE;
const LONGEST_BAN: i64 = 3 * DAY;

/// The quota that some hosts share.
#[derive(Debug)]
pub(super) struct Pool {
    name: &'static str,
    limit: u32,
    window: i64,
    record: Arc<Politeness>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    minute: i64,
    used: u32,
    refusals: u32,
    banned_until: i64,
    bans: u32,
    knocks: u32,
}

/// What the pool thinks of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Admitted { used: u32 },
    Throttled { used: u32, retry_after: i64 },
    Banned { until: i64, retry_after: i64 },
    Blocked,
}

impl Pool {
    pub(super) fn new(name: &'static str, limit: u32, window: i64, record: &Arc<Politeness>) -> Self {
        Self {
            name,
            limit,
            window,
            record: Arc::clone(record),
            state: Mutex::default(),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Charges a call and judges it.
    pub(super) fn charge(&self, weight: u32, now: i64) -> Verdict {
        let mut state = self.state.lock();
        let minute = now.div_euclid(self.window);
        if state.minute != minute {
            *state = State {
                minute,
                banned_until: state.banned_until,
                bans: state.bans,
                knocks: state.knocks,
                ..State::default()
            };
        }
        if now < state.banned_until {
            state.knocks += 1;
            if state.knocks > KNOCKS_BEFORE_BLOCK {
                return Verdict::Blocked;
            }
            return Verdict::Banned {
                until: state.banned_until,
                retry_after: seconds(state.banned_until - now),
            };
        }
        state.knocks = 0;
        state.used = state.used.saturating_add(weight);
        self.record
            .used(self.name, minute * self.window, state.used, self.limit);
        if state.used <= self.limit {
            return Verdict::Admitted { used: state.used };
        }
        state.refusals += 1;
        if state.refusals <= REFUSALS_BEFORE_BAN {
            return Verdict::Throttled {
                used: state.used,
                retry_after: seconds((minute + 1) * self.window - now),
            };
        }
        let length = FIRST_BAN
            .saturating_mul(3i64.saturating_pow(state.bans))
            .min(LONGEST_BAN);
        state.bans += 1;
        state.banned_until = now + length;
        Verdict::Banned {
            until: state.banned_until,
            retry_after: seconds(length),
        }
    }

    /// The refusal in words, or `None` for the admitted.
    pub(super) fn refusal(&self, verdict: &Verdict) -> Option<Response> {
        match *verdict {
            Verdict::Admitted { .. } => None,
            Verdict::Throttled { retry_after, .. } => Some(throttled(self.limit, retry_after)),
            Verdict::Banned { until, retry_after } => Some(banned(until, retry_after)),
            Verdict::Blocked => Some(blocked()),
        }
    }
}

/// A 429 that names the limit.
pub(crate) fn throttled(limit: u32, retry_after: i64) -> Response {
    let message = format!(
        "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
         Please use WebSocket Streams for live updates to avoid polling the API."
    );
    error::body(429, -1003, &message).with("Retry-After", retry_after)
}

/// A 418 that names the end of the ban.
pub(crate) fn banned(until: i64, retry_after: i64) -> Response {
    let message = format!(
        "Way too much request weight used; IP banned until {}. \
         Please use WebSocket Streams for live updates to avoid bans.",
        until / 1000
    );
    error::body(418, -1003, &message).with("Retry-After", retry_after)
}

/// The firewall's page.
pub(crate) fn blocked() -> Response {
    let page = "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n";
    Response::new(403, "text/html", page).with("Server", "CloudFront")
}

/// Whole seconds, rounded up: a client that waits this long must find the door open.
fn seconds(microseconds: i64) -> i64 {
    (microseconds + SECOND - 1) / SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: i64 = 1_704_067_200 * SECOND;

    fn pool(limit: u32) -> Pool {
        Pool::new("test", limit, MINUTE, &Arc::default())
    }

    #[test]
    fn the_counter_belongs_to_the_wall_minute() {
        let pool = pool(6);
        assert_eq!(pool.charge(4, MIDNIGHT + 59 * SECOND), Verdict::Admitted { used: 4 });
        assert_eq!(
            pool.charge(4, MIDNIGHT + 59 * SECOND),
            Verdict::Throttled {
                used: 8,
                retry_after: 1
            }
        );
        assert_eq!(pool.charge(4, MIDNIGHT + MINUTE), Verdict::Admitted { used: 4 });
    }

    #[test]
    fn insisting_leads_to_a_ban_then_to_the_firewall_and_bans_grow() {
        let pool = pool(1);
        let judge = |now| pool.charge(1, now);
        judge(MIDNIGHT);
        for _ in 0..REFUSALS_BEFORE_BAN {
            assert!(matches!(judge(MIDNIGHT), Verdict::Throttled { .. }));
        }
        assert_eq!(
            judge(MIDNIGHT),
            Verdict::Banned {
                until: MIDNIGHT + FIRST_BAN,
                retry_after: 120
            }
        );
        for _ in 0..KNOCKS_BEFORE_BLOCK {
            assert!(matches!(
                judge(MIDNIGHT + MINUTE),
                Verdict::Banned { retry_after: 60, .. }
            ));
        }
        assert_eq!(judge(MIDNIGHT + MINUTE), Verdict::Blocked);
        let later = MIDNIGHT + FIRST_BAN;
        assert!(matches!(judge(later), Verdict::Admitted { .. }));
        for _ in 0..REFUSALS_BEFORE_BAN {
            judge(later);
        }
        assert_eq!(
            judge(later),
            Verdict::Banned {
                until: later + 3 * FIRST_BAN,
                retry_after: 360
            }
        );
    }
}
