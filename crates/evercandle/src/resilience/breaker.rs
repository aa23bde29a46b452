//! When to stop asking an upstream that fails, and how to find out that it works again.
//!
//! Breakers are small and most published ones are wrong somewhere: late results from before the trip are counted, a
//! cancelled probe closes the circuit, a probe whose result never comes keeps it half-open for days, wall clocks end a
//! cooldown early. This one is our own, about three hundred lines, so that each of those has a rule and a test
//! (`b01` to `b15`), and a second implementation to disagree with (`tests/model.rs`).
//!
//! **Closed** it counts. It opens after a run of failures however far apart, or when the last `failures` of them lie
//! within `window` and are a large enough share of the calls settled since the first of them. The ratio is exact:
//! no buckets, no minimum count to tune, because fewer than `failures` failures can never trip it.
//!
//! **Open** it admits nobody until the cooldown is over. Then one probe of our own may go ([`Breaker::begin_probe`]),
//! so that it is not a caller who pays for finding out. Should nobody probe, a caller is let through as the trial: an
//! open breaker cannot be stuck. A probe that fails keeps the schedule. It does not double the cooldown, since asking
//! was cheap.
//!
//! **Half-open** it is on probation. A passing probe is no evidence that real calls work (a HEAD is answered by another
//! machine than a GET), so callers go one at a time until a real call succeeds, and the first real one that fails opens
//! it again for twice as long. Probation ends one cooldown after the first real success.
//!
//! Permits carry the generation they were given in: a call from before the breaker opened can neither close it nor open
//! it again. Closing at the end of probation begins no new generation, because calls let through on probation tell as
//! much as those after it. A permit is not `Clone`, so each call is settled at most once, and an exclusive one (a probe's
//! or a trial's) expires: whatever swallowed the result, the next may go.
//!
//! Time is monotonic and passed in. Callers read their clocks before they take the lock, so an instant may be earlier
//! than one seen already; it then counts as that one.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long a breaker whose cooldown is over waits for a probe before it lets a caller through as the trial: a few of a
/// prober's rounds, so that callers pay only when there is no prober, or the machine slept.
pub(crate) const PROBE_GRACE: Duration = Duration::from_secs(5);
/// Failures remembered for the window at the most; a larger setting counts as this.
const FAILURES_MAX: u32 = 1_000;
/// Stands for "never" where an instant is asked for; sums beyond what an instant can hold end here too.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// A breaker's settings. The rules (a) and (b) are independent; either opens it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BreakerConfig {
    /// (b) So many failures within `window` open it, if they are at least `failure_ratio` of the calls. At least 1.
    pub(crate) failures: u32,
    /// (b) The span in which they must lie, both ends included.
    pub(crate) window: Duration,
    /// (b) Their share among the calls settled since the first of them, 0 to 1. 0 counts failures only; above 1, or not
    /// a number, (b) is off.
    pub(crate) failure_ratio: f64,
    /// (a) So many failures in a row open it, however far apart. At least 1.
    pub(crate) consecutive: u32,
    /// How long it stays open the first time; doubled with every opening in a row.
    pub(crate) cooldown: Duration,
    /// The longest cooldown; jitter may add a tenth to it. Also the time closed that forgives one opening.
    pub(crate) cooldown_max: Duration,
    /// How long a probe or trial may take before another may begin.
    pub(crate) permit_expires: Duration,
}

impl Default for BreakerConfig {
    fn default() -> BreakerConfig {
        BreakerConfig {
            failures: 5,
            window: Duration::from_secs(60),
            failure_ratio: 0.5,
            consecutive: 3,
            cooldown: Duration::from_secs(30),
            cooldown_max: Duration::from_secs(300),
            permit_expires: Duration::from_secs(30),
        }
    }
}

/// What a call says about the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lesson {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// Nothing: the call was cancelled, or the answer was about the question.
    Ignored,
}

/// Leave for one call; give it back to [`Breaker::settle`] with what came of the call. One that is dropped says nothing,
/// but if it was a probe's or a trial's, the next has to wait until it expires: settle it as [`Lesson::Ignored`].
#[derive(Debug)]
#[must_use = "a permit that is never settled teaches nothing, and may keep others waiting"]
pub(crate) struct Permit {
    generation: u64,
}

/// Why there is no leave to call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It is open; asking again earlier than `retry_at` is in vain. Always later than now.
    Open { retry_at: Instant },
    /// Another call is finding out whether it works; its permit ends at `until`. To a probe also: nothing to find out,
    /// callers' calls decide; then `until` is now.
    Busy { until: Instant },
    /// It was opened by hand (to a probe also: closed by hand) and stays so.
    Forced,
}

/// Something happened that is worth a line in the log. Returned, never called back, so that no lock is held meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Calls stop until `until`. `cooldown` is the nominal one; the difference is jitter. Opened by hand, both are a
    /// century away.
    Opened { until: Instant, cooldown: Duration },
    /// A probe or trial succeeded: calls are let through again, on probation.
    HalfOpened,
    /// It counts as healthy again.
    Closed,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everybody is let through.
    Closed,
    /// Nobody is.
    Open,
    /// A probe or trial is out, or one has passed and it is on probation.
    HalfOpen,
}

/// A breaker as it looks at an instant, for status pages and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) phase: Phase,
    /// The phase it is held in by hand, if it is.
    pub(crate) forced: Option<Phase>,
    /// Failures in a row, probes' included, up to the last real success.
    pub(crate) failure_count: u32,
    /// Since when it has not been closed; kept over failed probes and relapses.
    pub(crate) opened_at: Option<Instant>,
    /// The nominal cooldown of the last opening, while it is open or on probation.
    pub(crate) cooldown: Option<Duration>,
    /// Open: when it may be probed. A probe or trial out: when that expires.
    pub(crate) retry_at: Option<Instant>,
    /// Whether the next real failure opens it again at once. An upstream that passed its probe and that nobody called
    /// for a cooldown reads as closed, and is still on probation.
    pub(crate) on_probation: bool,
    /// Openings in a row, less those that health forgave; what the doubling counts.
    pub(crate) openings: u32,
}

/// Whether an upstream may be called.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Of the permits whose results count.
    generation: u64,
    /// Failures in a row.
    run: u32,
    /// The last failures since it closed, oldest first, `failures` at the most.
    recent: VecDeque<Failed>,
    /// Successes so far; only differences matter.
    successes: u64,
    /// Openings in a row, as of the last one.
    openings: u32,
    /// The latest instant seen.
    seen: Option<Instant>,
    /// Whether the last change told was to a phase other than closed.
    told_open: bool,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    at: Instant,
    /// Successes before it.
    successes: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        /// Since when; `None`: from the start.
        since: Option<Instant>,
    },
    Open {
        opened_at: Instant,
        until: Instant,
        trial: Option<Trial>,
    },
    Probation {
        opened_at: Instant,
        /// When the probe or trial passed.
        passed_at: Instant,
        trial: Option<Trial>,
        /// When the first real call succeeded.
        proved_at: Option<Instant>,
        /// Nobody called for a cooldown: reads as closed.
        idle: bool,
    },
    ForcedOpen {
        opened_at: Instant,
    },
    ForcedClosed,
}

/// The one call that is out to find out.
#[derive(Clone, Copy, Debug)]
struct Trial {
    expires: Instant,
    /// A caller's call, as opposed to a probe of ours.
    real: bool,
}

impl Breaker {
    /// A closed one.
    pub(crate) fn new(config: BreakerConfig) -> Breaker {
        let config = BreakerConfig {
            failures: config.failures.clamp(1, FAILURES_MAX),
            consecutive: config.consecutive.max(1),
            ..config
        };
        Breaker {
            config,
            state: State::Closed { since: None },
            generation: 0,
            run: 0,
            recent: VecDeque::new(),
            successes: 0,
            openings: 0,
            seen: None,
            told_open: false,
        }
    }

    /// Leave for a caller's call.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Permit, Rejection> {
        let now = self.arrive(now);
        Ok(match self.entrance(now)? {
            Entrance::Shared => self.permit(),
            Entrance::Alone => self.begin(true, now),
        })
    }

    /// Whether [`Breaker::admit`] would give leave, without taking it.
    pub(crate) fn would_admit(&self, now: Instant) -> Result<(), Rejection> {
        self.entrance(self.latest(now)).map(|_| ())
    }

    /// Leave for a probe of our own: one at a time, and only once the cooldown is over.
    pub(crate) fn begin_probe(&mut self, now: Instant) -> Result<Permit, Rejection> {
        let now = self.arrive(now);
        match self.state {
            State::ForcedOpen { .. } | State::ForcedClosed => Err(Rejection::Forced),
            State::Open { trial, until, .. } => match running(trial, now) {
                Some(trial) => Err(Rejection::Busy { until: trial.expires }),
                None if now < until => Err(Rejection::Open { retry_at: until }),
                None => Ok(self.begin(false, now)),
            },
            State::Probation { trial, .. } => Err(Rejection::Busy {
                until: running(trial, now).map_or(now, |trial| trial.expires),
            }),
            State::Closed { .. } => Err(Rejection::Busy { until: now }),
        }
    }

    /// What came of a call. `roll` is random in [0, 1) and spreads the cooldown, should one begin. With `common_cause`
    /// (the fault is likely ours, see `common_cause.rs`) an opening does not lengthen it.
    pub(crate) fn settle(
        &mut self,
        permit: Permit,
        lesson: Lesson,
        now: Instant,
        roll: f64,
        common_cause: bool,
    ) -> Option<Change> {
        let now = self.arrive(now);
        let counts = permit.generation == self.generation;
        let opening = Opening {
            now,
            roll,
            common_cause,
        };
        let change = counts.then(|| self.learn(lesson, opening)).flatten();
        self.tell(change, now)
    }

    /// Tells what time alone has changed: probation is over. To be called now and then; nothing but news depends on it.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Change> {
        let now = self.arrive(now);
        self.tell(None, now)
    }

    /// Admits nobody and nothing, until [`Breaker::force_closed`] or [`Breaker::reset`].
    pub(crate) fn force_open(&mut self, now: Instant) -> Option<Change> {
        let now = self.arrive(now);
        let before = self.snapshot(now);
        self.force(State::ForcedOpen {
            opened_at: before.opened_at.unwrap_or(now),
        });
        let opened = Change::Opened {
            until: after(now, FOREVER),
            cooldown: FOREVER,
        };
        self.tell((before.phase != Phase::Open).then_some(opened), now)
    }

    /// Admits everybody and never opens, until [`Breaker::force_open`] or [`Breaker::reset`].
    pub(crate) fn force_closed(&mut self, now: Instant) -> Option<Change> {
        let now = self.arrive(now);
        self.force(State::ForcedClosed);
        self.tell(None, now)
    }

    /// As new: closed, nothing counted, nothing forced. Results of calls begun before count nothing.
    pub(crate) fn reset(&mut self, now: Instant) -> Option<Change> {
        let now = self.arrive(now);
        *self = Breaker {
            generation: self.generation + 1,
            seen: self.seen,
            told_open: self.told_open,
            ..Breaker::new(self.config)
        };
        self.tell(None, now)
    }

    /// Others recovered: an open one may be probed at once.
    pub(crate) fn retry_now(&mut self, now: Instant) {
        let now = self.arrive(now);
        if let State::Open { until, .. } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// How it looks.
    pub(crate) fn snapshot(&self, now: Instant) -> Snapshot {
        let now = self.latest(now);
        let state = self.state_at(now);
        let (opened_at, retry_at) = match state {
            State::Open {
                opened_at,
                until,
                trial,
            } => (Some(opened_at), Some(running(trial, now).map_or(until, |t| t.expires))),
            State::Probation {
                opened_at, idle, trial, ..
            } => ((!idle).then_some(opened_at), running(trial, now).map(|t| t.expires)),
            State::ForcedOpen { opened_at } => (Some(opened_at), None),
            State::Closed { .. } | State::ForcedClosed => (None, None),
        };
        let on_probation = matches!(state, State::Probation { .. });
        let cools = on_probation || matches!(state, State::Open { .. });
        Snapshot {
            phase: phase(state, now),
            forced: match state {
                State::ForcedOpen { .. } => Some(Phase::Open),
                State::ForcedClosed => Some(Phase::Closed),
                _ => None,
            },
            failure_count: self.run,
            opened_at,
            cooldown: cools.then(|| self.cooldown()),
            retry_at,
            on_probation,
            openings: self.openings_left(state, now),
        }
    }

    /// Takes up the time: everything that changes state begins here.
    fn arrive(&mut self, now: Instant) -> Instant {
        let now = self.latest(now);
        self.seen = Some(now);
        self.state = self.state_at(now);
        now
    }

    fn latest(&self, now: Instant) -> Instant {
        self.seen.map_or(now, |seen| seen.max(now))
    }

    /// The state after what is due by time alone.
    fn state_at(&self, now: Instant) -> State {
        match self.state {
            State::Probation {
                proved_at: Some(proved_at),
                ..
            } if now >= after(proved_at, self.cooldown()) => State::Closed {
                since: Some(after(proved_at, self.cooldown())),
            },
            State::Probation {
                opened_at,
                passed_at,
                trial,
                proved_at: None,
                ..
            } if now >= after(passed_at, self.cooldown()) && running(trial, now).is_none() => State::Probation {
                opened_at,
                passed_at,
                trial,
                proved_at: None,
                idle: true,
            },
            state => state,
        }
    }

    /// How a caller would be let in, or why not.
    fn entrance(&self, now: Instant) -> Result<Entrance, Rejection> {
        let trial = match self.state {
            State::ForcedOpen { .. } => return Err(Rejection::Forced),
            State::Closed { .. } | State::ForcedClosed | State::Probation { proved_at: Some(_), .. } => {
                return Ok(Entrance::Shared);
            }
            State::Open { trial, .. } | State::Probation { trial, .. } => trial,
        };
        if let Some(trial) = running(trial, now) {
            return Err(Rejection::Busy { until: trial.expires });
        }
        // An expired trial shows that there is no prober to be waited for.
        if let State::Open { until, trial: None, .. } = self.state {
            let steps = [until, after(until, PROBE_GRACE)];
            if let Some(retry_at) = steps.into_iter().find(|step| now < *step) {
                return Err(Rejection::Open { retry_at });
            }
        }
        Ok(Entrance::Alone)
    }

    /// Sends out the one call that is to find out; one before it that has expired counts no longer.
    fn begin(&mut self, real: bool, now: Instant) -> Permit {
        self.generation += 1;
        self.set_trial(Some(Trial {
            expires: after(now, self.config.permit_expires),
            real,
        }));
        self.permit()
    }

    fn permit(&self) -> Permit {
        Permit {
            generation: self.generation,
        }
    }

    fn set_trial(&mut self, next: Option<Trial>) {
        if let State::Open { trial, .. } | State::Probation { trial, .. } = &mut self.state {
            *trial = next;
        }
    }

    /// A result that counts.
    fn learn(&mut self, lesson: Lesson, opening: Opening) -> Option<Change> {
        match lesson {
            Lesson::Success => self.learn_success(opening.now),
            Lesson::Failure => self.learn_failure(opening),
            Lesson::Ignored => {
                self.set_trial(None);
                None
            }
        }
    }

    fn learn_success(&mut self, now: Instant) -> Option<Change> {
        if let State::Open { opened_at, trial, .. } = self.state {
            let proved_at = trial.filter(|trial| trial.real).map(|_| now);
            if proved_at.is_some() {
                self.run = 0;
            }
            self.state = State::Probation {
                opened_at,
                passed_at: now,
                trial: None,
                proved_at,
                idle: false,
            };
            return Some(Change::HalfOpened);
        }
        self.run = 0;
        self.successes += 1;
        if let State::Probation { proved_at, trial, .. } = &mut self.state {
            proved_at.get_or_insert(now);
            *trial = None;
        }
        None
    }

    fn learn_failure(&mut self, opening: Opening) -> Option<Change> {
        self.run = self.run.saturating_add(1);
        match self.state {
            State::Closed { .. } => {
                self.remember(opening.now);
                let lengthened = opening.lengthened(self.openings_left(self.state, opening.now));
                self.trips(opening.now)
                    .then(|| self.open(opening.now, lengthened, opening))
            }
            State::Open { opened_at, .. } => Some(self.open(opened_at, self.openings, opening)),
            State::Probation { opened_at, idle, .. } => {
                let opened_at = if idle { opening.now } else { opened_at };
                Some(self.open(opened_at, opening.lengthened(self.openings), opening))
            }
            State::ForcedOpen { .. } | State::ForcedClosed => None,
        }
    }

    fn remember(&mut self, now: Instant) {
        if self.recent.len() >= self.config.failures as usize {
            self.recent.pop_front();
        }
        self.recent.push_back(Failed {
            at: now,
            successes: self.successes,
        });
    }

    /// Whether the failures counted are enough: rule (a) or rule (b).
    fn trips(&self, now: Instant) -> bool {
        let BreakerConfig {
            failures,
            window,
            failure_ratio,
            consecutive,
            ..
        } = self.config;
        let crowded = |oldest: &Failed| {
            let (failed, succeeded) = (f64::from(failures), (self.successes - oldest.successes) as f64);
            now.saturating_duration_since(oldest.at) <= window && failed / (failed + succeeded) >= failure_ratio
        };
        let full = self.recent.len() == failures as usize;
        self.run >= consecutive || (full && self.recent.front().is_some_and(crowded))
    }

    fn open(&mut self, opened_at: Instant, openings: u32, opening: Opening) -> Change {
        self.generation += 1;
        self.recent.clear();
        self.openings = openings;
        let cooldown = self.cooldown();
        let until = after(opening.now, jittered(cooldown, opening.roll));
        self.state = State::Open {
            opened_at,
            until,
            trial: None,
        };
        Change::Opened { until, cooldown }
    }

    fn force(&mut self, state: State) {
        self.generation += 1;
        self.recent.clear();
        self.state = state;
    }

    /// The nominal cooldown of the last opening: doubled with every one in a row, up to the longest.
    fn cooldown(&self) -> Duration {
        let doublings = self.openings.saturating_sub(1);
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.config
            .cooldown
            .saturating_mul(factor)
            .min(self.config.cooldown_max)
    }

    /// Openings in a row that the time closed has not forgiven.
    fn openings_left(&self, state: State, now: Instant) -> u32 {
        let State::Closed { since: Some(since) } = state else {
            return self.openings;
        };
        let (healthy, each) = (now.saturating_duration_since(since), self.config.cooldown_max);
        let forgiven = healthy.as_nanos().checked_div(each.as_nanos()).unwrap_or(u128::MAX);
        self.openings
            .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    /// A change, and failing that the news that it is closed, if that was not told yet.
    fn tell(&mut self, change: Option<Change>, now: Instant) -> Option<Change> {
        // Looked at afresh: a trial given up after the cooldown leaves an idle one.
        let is_open = phase(self.state_at(now), now) != Phase::Closed;
        let closed = self.told_open && !is_open;
        self.told_open = is_open;
        change.or(closed.then_some(Change::Closed))
    }
}

/// How a caller is let in.
enum Entrance {
    /// Like everybody.
    Shared,
    /// As the one that finds out.
    Alone,
}

/// The circumstances of an opening, should there be one.
#[derive(Clone, Copy)]
struct Opening {
    now: Instant,
    roll: f64,
    common_cause: bool,
}

impl Opening {
    /// One opening more than `before`, unless the fault is likely ours.
    fn lengthened(self, before: u32) -> u32 {
        if self.common_cause {
            before.max(1)
        } else {
            before.saturating_add(1)
        }
    }
}

fn phase(state: State, now: Instant) -> Phase {
    match state {
        State::Open { trial, .. } if running(trial, now).is_none() => Phase::Open,
        State::ForcedOpen { .. } => Phase::Open,
        State::Closed { .. } | State::ForcedClosed | State::Probation { idle: true, .. } => Phase::Closed,
        State::Open { .. } | State::Probation { .. } => Phase::HalfOpen,
    }
}

/// The trial, unless it has expired.
fn running(trial: Option<Trial>, now: Instant) -> Option<Trial> {
    trial.filter(|trial| now < trial.expires)
}

/// Up to a tenth longer, never shorter, so that clients that were cut off together do not come back together.
fn jittered(cooldown: Duration, roll: f64) -> Duration {
    let roll = if roll.is_nan() { 0.0 } else { roll.clamp(0.0, 1.0) };
    cooldown.saturating_add((cooldown / 10).mul_f64(roll))
}

/// `wait` after `now`, and for waits without end a century.
fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait.min(FOREVER)).unwrap_or(now)
}

#[cfg(test)]
mod tests;
