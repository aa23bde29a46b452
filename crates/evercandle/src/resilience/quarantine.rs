//! "Do not call before T": an instruction from the upstream, apart from its failures.
//!
//! A throttled answer shows that the upstream works; counting it as a failure would open the breaker, and the breaker's
//! probe would then call during a ban and lengthen it. (Binance escalates bans from two minutes to three days for those
//! who keep calling.) So the two are separate, and this one is never shortened by success.
//!
//! In memory a ban ends at a monotonic instant, so that a wall clock that jumps neither ends nor lengthens it. It also
//! outlives the process, as a record in wall time. A record can only be trusted as far as the clock that reads it, so a
//! restored ban is never longer than it was.
//!
//! An upstream that names no time leaves us to guess, and the guess doubles with every ban in a row. Calls that were on
//! their way when the ban began come back with the same answer: they are the same strike.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::range::Timestamp;

/// The longest ban obeyed: the exchange's longest. More is a garbled header.
const LONGEST: Duration = Duration::from_secs(3 * 24 * 3_600);
/// The shortest: a zero would make us come back at once.
const SHORTEST: Duration = Duration::from_secs(1);
/// How far doubling takes a guess: whatever is wrong, somebody may have put it right by the next day.
const GUESS_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Until when an upstream wants to be left alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quarantine {
    ban: Option<Ban>,
    /// Bans of unnamed length in a row.
    strikes: u32,
}

#[derive(Clone, Debug)]
struct Ban {
    since: Instant,
    until: Instant,
    why: String,
}

/// A ban in wall time, to be kept on disk: microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuarantineRecord {
    pub(crate) since_us: i64,
    pub(crate) until_us: i64,
    /// Bans of unnamed length in a row.
    pub(crate) strikes: u32,
    pub(crate) why: String,
}

impl Quarantine {
    /// The upstream asked to be left alone. Was the time `told`, it is obeyed exactly, from a second to three days;
    /// otherwise `wait` is our guess, and doubled for every strike before this one, up to a day (or the guess itself, if
    /// longer). A later end is kept over an earlier one.
    pub(crate) fn extend(&mut self, wait: Duration, told: bool, why: &str, now: Instant) {
        let mut wait = wait.clamp(SHORTEST, LONGEST);
        if !told {
            if self.until(now).is_none() || self.strikes == 0 {
                self.strikes = self.strikes.saturating_add(1);
            }
            let factor = 1u32.checked_shl(self.strikes - 1).unwrap_or(u32::MAX);
            wait = wait.saturating_mul(factor).min(wait.max(GUESS_MAX));
        }
        self.keep_later(Ban {
            since: now,
            until: now + wait,
            why: why.to_owned(),
        });
    }

    /// Until when, and why, if that is still to come.
    pub(crate) fn until(&self, now: Instant) -> Option<(Instant, &str)> {
        let ban = self.ban.as_ref().filter(|ban| now < ban.until)?;
        Some((ban.until, &ban.why))
    }

    /// Since when, if it lasts.
    pub(crate) fn since(&self, now: Instant) -> Option<Instant> {
        let ban = self.ban.as_ref().filter(|ban| now < ban.until)?;
        Some(ban.since)
    }

    /// A real call succeeded: the next guess is the first again. A ban that runs is not shortened.
    pub(crate) fn recovered(&mut self) {
        self.strikes = 0;
    }

    /// Ended by hand, strikes and all.
    pub(crate) fn lift(&mut self) {
        *self = Quarantine::default();
    }

    /// The ban in force, for the disk. `wall` is the wall clock's reading at `now`.
    pub(crate) fn record(&self, now: Instant, wall: Timestamp) -> Option<QuarantineRecord> {
        let ban = self.ban.as_ref().filter(|ban| now < ban.until)?;
        // Rounded up: a ban must not end a microsecond early for having been written down.
        let left = ban.until - now + Duration::from_nanos(999);
        Some(QuarantineRecord {
            since_us: wall.as_micros() - micros(now.saturating_duration_since(ban.since)),
            until_us: wall.as_micros() + micros(left),
            strikes: self.strikes,
            why: ban.why.clone(),
        })
    }

    /// What a record says at `now`, when the wall clock reads `wall`. A ban that is over is none, though its strikes
    /// count: a process that is started again after each ban must not begin guessing anew. If the wall clock was set
    /// back meanwhile, the ban is as long as it was in all, and three days at the most.
    pub(crate) fn restore(record: &QuarantineRecord, now: Instant, wall: Timestamp) -> Quarantine {
        let left = record.until_us.saturating_sub(wall.as_micros());
        let whole = record.until_us.saturating_sub(record.since_us);
        let past = wall.as_micros().saturating_sub(record.since_us);
        let micros = |n: i64| Duration::from_micros(u64::try_from(n).unwrap_or(0));
        let (left, past) = (micros(left.min(whole)), micros(past));
        let ban = (!left.is_zero()).then(|| Ban {
            // A monotonic clock may know of no time before this machine was started.
            since: now.checked_sub(past).unwrap_or(now),
            until: now + left.min(LONGEST),
            why: record.why.clone(),
        });
        Quarantine {
            ban,
            strikes: record.strikes,
        }
    }

    /// Another process was sent away: its ban is ours too, if it ends later than ours. To be called once for a record;
    /// one that is over changes nothing.
    pub(crate) fn adopt(&mut self, record: &QuarantineRecord, now: Instant, wall: Timestamp) {
        let theirs = Quarantine::restore(record, now, wall);
        if let Some(ban) = theirs.ban {
            self.strikes = self.strikes.max(theirs.strikes);
            self.keep_later(ban);
        }
    }

    fn keep_later(&mut self, ban: Ban) {
        if self.ban.as_ref().is_none_or(|kept| kept.until < ban.until) {
            self.ban = Some(ban);
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn left(quarantine: &Quarantine, now: Instant) -> Duration {
        quarantine.until(now).map_or(Duration::ZERO, |(until, _)| until - now)
    }

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
    }

    fn banned(wait: Duration, now: Instant) -> Quarantine {
        let mut quarantine = Quarantine::default();
        quarantine.extend(wait, true, "429", now);
        quarantine
    }

    #[test]
    fn a_time_that_was_told_is_obeyed_exactly_within_reason() {
        let now = Instant::now();
        for (told, obeyed) in [
            (Duration::ZERO, SECOND),
            (SECOND, SECOND),
            (61 * SECOND, 61 * SECOND),
            (72 * HOUR, 72 * HOUR),
            (73 * HOUR, 72 * HOUR),
            (Duration::MAX, 72 * HOUR),
        ] {
            let mut quarantine = Quarantine::default();
            for _ in 0..3 {
                quarantine.extend(told, true, "418", now);
            }
            assert_eq!(quarantine.until(now), Some((now + obeyed, "418")), "{told:?}");
            assert_eq!(left(&quarantine, now + obeyed), Duration::ZERO);
        }
    }

    #[test]
    fn a_later_end_is_kept_over_an_earlier_one() {
        let now = Instant::now();
        let mut quarantine = banned(MINUTE, now);
        for wait in [5 * SECOND, MINUTE] {
            quarantine.extend(wait, true, "429 again", now);
        }
        assert_eq!(quarantine.until(now), Some((now + MINUTE, "429")));
        quarantine.extend(2 * MINUTE, true, "418", now);
        assert_eq!(quarantine.until(now), Some((now + 2 * MINUTE, "418")));
    }

    /// Goal: an upstream that names no time is asked ever more rarely, and like at first once it has served us.
    #[test]
    fn guesses_double_with_every_strike_up_to_a_day() {
        let mut now = Instant::now();
        let mut quarantine = Quarantine::default();
        let mut strike = |quarantine: &mut Quarantine, guess: Duration| {
            quarantine.extend(guess, false, "403", now);
            let wait = left(quarantine, now);
            now += wait;
            wait
        };
        for expected in [2, 4, 8, 16] {
            assert_eq!(strike(&mut quarantine, 2 * HOUR), expected * HOUR);
        }
        for _ in 0..40 {
            assert_eq!(strike(&mut quarantine, 2 * HOUR), 24 * HOUR);
        }
        assert_eq!(
            strike(&mut quarantine, 30 * HOUR),
            30 * HOUR,
            "longer than a day itself"
        );
        assert_eq!(strike(&mut quarantine, 90 * HOUR), 72 * HOUR);
        quarantine.strikes = u32::MAX;
        assert_eq!(strike(&mut quarantine, HOUR), 24 * HOUR);
        quarantine.recovered();
        assert_eq!(strike(&mut quarantine, 2 * HOUR), 2 * HOUR);
        quarantine.lift();
        assert_eq!(strike(&mut quarantine, Duration::ZERO), SECOND);
    }

    /// Goal: eight calls that were on their way when the ban began do not make it 2^8 times as long.
    #[test]
    fn answers_during_a_ban_are_the_same_strike() {
        let now = Instant::now();
        let mut quarantine = Quarantine::default();
        for _ in 0..8 {
            quarantine.extend(MINUTE, false, "403", now);
        }
        assert_eq!(left(&quarantine, now), MINUTE);
        quarantine.extend(MINUTE, false, "403", now + MINUTE);
        assert_eq!(left(&quarantine, now + MINUTE), 2 * MINUTE);
    }

    /// Goal: a named time is no guess, so it does not lengthen later ones; a guess during a told ban is the first strike.
    #[test]
    fn times_that_were_told_are_no_strikes() {
        let now = Instant::now();
        let mut quarantine = banned(SECOND, now);
        quarantine.extend(MINUTE, false, "403", now);
        assert_eq!((left(&quarantine, now), quarantine.strikes), (MINUTE, 1));
        quarantine.extend(2 * MINUTE, true, "429", now);
        assert_eq!(quarantine.strikes, 1);
    }

    #[test]
    fn success_forgets_strikes_but_only_a_hand_ends_a_ban() {
        let now = Instant::now();
        let mut quarantine = banned(MINUTE, now);
        quarantine.recovered();
        assert_eq!(left(&quarantine, now), MINUTE);
        quarantine.lift();
        assert_eq!(quarantine.until(now), None);
    }

    #[test]
    fn a_record_brings_the_ban_back_with_what_is_left_of_it() {
        let (now, later) = (Instant::now(), Instant::now() + HOUR);
        let mut quarantine = banned(MINUTE, now);
        quarantine.strikes = 3;
        let record = quarantine.record(now + 20 * SECOND, wall(20)).unwrap();
        let expected = QuarantineRecord {
            since_us: wall(0).as_micros(),
            until_us: wall(60).as_micros(),
            strikes: 3,
            why: "429".to_owned(),
        };
        assert_eq!(record, expected);
        for (seconds, expected) in [(20, 40), (59, 1), (60, 0), (1_000_000, 0), (0, 60), (-1_000_000, 60)] {
            let restored = Quarantine::restore(&record, later, wall(seconds));
            assert_eq!(left(&restored, later), expected * SECOND, "read at {seconds} s");
            assert_eq!(restored.strikes, 3);
        }
        let restored = Quarantine::restore(&record, later, wall(20));
        assert_eq!(
            restored.record(later, wall(20)),
            Some(record),
            "and it began when it did"
        );
        assert_eq!(quarantine.record(now + MINUTE, wall(60)), None);
        assert_eq!(Quarantine::default().record(now, wall(0)), None);
    }

    /// Goal: a clock that is set back between every two restarts does not make a ban eternal.
    #[test]
    fn a_ban_restored_again_and_again_never_grows() {
        let now = Instant::now();
        let mut quarantine = banned(MINUTE, now);
        for step in 0..10 {
            let at = now + step * SECOND;
            let record = quarantine.record(at, wall(1_000)).unwrap();
            quarantine = Quarantine::restore(&record, at, wall(-1_000));
            assert!(left(&quarantine, at) <= MINUTE, "restart {step}");
        }
    }

    #[test]
    fn a_record_is_rounded_up_to_the_microsecond() {
        let now = Instant::now();
        let quarantine = banned(MINUTE, now);
        for nanos in [0, 1, 999, 1_000] {
            let at = now + Duration::from_nanos(nanos);
            let record = quarantine.record(at, wall(0)).unwrap();
            let restored = Quarantine::restore(&record, at, wall(0));
            let gained = left(&restored, now).saturating_sub(MINUTE);
            assert!(left(&restored, now) >= MINUTE && gained < Duration::from_micros(1));
        }
    }

    #[test]
    fn garbled_records_ban_for_three_days_at_the_most() {
        let now = Instant::now();
        for (since_us, until_us, expected) in [
            (i64::MIN, i64::MAX, 72 * HOUR),
            (0, i64::MAX, 72 * HOUR),
            (i64::MAX, i64::MIN, Duration::ZERO),
            (wall(60).as_micros(), wall(50).as_micros(), Duration::ZERO),
        ] {
            let record = QuarantineRecord {
                since_us,
                until_us,
                strikes: u32::MAX,
                why: String::new(),
            };
            assert_eq!(left(&Quarantine::restore(&record, now, wall(0)), now), expected);
        }
    }

    #[test]
    fn another_process_s_ban_extends_ours_and_never_shortens_it() {
        let now = Instant::now();
        let mut theirs = banned(MINUTE, now);
        theirs.strikes = 2;
        let record = theirs.record(now, wall(0)).unwrap();
        for (ours, expected) in [(10, 60), (90, 90)] {
            let mut quarantine = banned(ours * SECOND, now);
            quarantine.adopt(&record, now, wall(0));
            assert_eq!(left(&quarantine, now), expected * SECOND);
            assert_eq!(quarantine.strikes, 2);
        }
        let mut quarantine = Quarantine::default();
        quarantine.adopt(&record, now, wall(60));
        assert_eq!((quarantine.until(now), quarantine.strikes), (None, 0), "it is over");
    }
}
