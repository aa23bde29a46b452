//! The breaker a second time, written to be obviously right instead of fast.
//!
//! It keeps no state but a log of what happened. Every answer is looked up in the log from scratch: what was the last
//! opening, has anything succeeded since, was there ever a moment when nobody was out? It shares no code with the
//! breaker, counts in nanoseconds since the start and in fractions instead of floating point.

use super::super::{Lesson, PROBE_GRACE, Phase};

/// Nanoseconds, since the start or between two instants.
pub(super) type Nanos = u64;

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) failures: usize,
    pub(super) window: Nanos,
    /// As numerator and denominator.
    pub(super) failure_ratio: (usize, usize),
    pub(super) consecutive: u32,
    pub(super) cooldown: Nanos,
    pub(super) cooldown_max: Nanos,
    pub(super) permit_expires: Nanos,
}

/// A call that was given leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// In the order in which permits were given.
    pub(super) number: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of many.
    Shared,
    /// A caller's, alone.
    Trial,
    /// Ours, alone.
    Probe,
}

#[derive(Clone, Copy, Debug)]
enum Fact {
    Gave(Call),
    /// A result that counts.
    Learnt(Call, Lesson),
    Opened {
        until: Nanos,
        openings: u32,
        /// Since when it has not read as closed.
        since: Nanos,
    },
    Retry,
    ForcedOpen {
        openings: u32,
        since: Nanos,
    },
    ForcedClosed,
    Reset,
    /// Whoever listens knows since then whether it reads as closed.
    Told {
        closed: bool,
    },
}

/// What happened when.
type Entry = (Nanos, Fact);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Open(Nanos),
    Busy(Nanos),
    Forced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Until when, and the nominal cooldown; `None`: by hand.
    Opened(Option<(Nanos, Nanos)>),
    HalfOpened,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) phase: Phase,
    pub(super) forced: Option<Phase>,
    pub(super) failure_count: u32,
    pub(super) opened_at: Option<Nanos>,
    pub(super) cooldown: Option<Nanos>,
    pub(super) retry_at: Option<Nanos>,
    pub(super) on_probation: bool,
    pub(super) openings: u32,
}

/// What the log says about now.
#[derive(Clone, Copy, Debug)]
enum Standing {
    Closed { since: Option<Nanos> },
    Open { until: Nanos },
    Probation { proved: bool, idle: bool },
    Forced(Phase),
}

pub(super) struct Model {
    settings: Settings,
    log: Vec<Entry>,
    given: usize,
}

impl Model {
    pub(super) fn new(settings: Settings) -> Model {
        Model {
            settings,
            log: Vec::new(),
            given: 0,
        }
    }

    // --- questions ---

    pub(super) fn admits(&self, now: Nanos) -> Result<Kind, Refusal> {
        match (self.standing(now), self.out()) {
            (Standing::Forced(Phase::Open), _) => Err(Refusal::Forced),
            (Standing::Forced(_) | Standing::Closed { .. } | Standing::Probation { proved: true, .. }, _) => {
                Ok(Kind::Shared)
            }
            (_, Some(expires)) if now < expires => Err(Refusal::Busy(expires)),
            (Standing::Open { until }, None) if now < until => Err(Refusal::Open(until)),
            (Standing::Open { until }, None) if now < until + grace() => Err(Refusal::Open(until + grace())),
            _ => Ok(Kind::Trial),
        }
    }

    pub(super) fn admits_probe(&self, now: Nanos) -> Result<Kind, Refusal> {
        match (self.standing(now), self.out()) {
            (Standing::Forced(_), _) => Err(Refusal::Forced),
            (_, Some(expires)) if now < expires => Err(Refusal::Busy(expires)),
            (Standing::Open { until }, _) if now < until => Err(Refusal::Open(until)),
            (Standing::Open { .. }, _) => Ok(Kind::Probe),
            _ => Err(Refusal::Busy(now)),
        }
    }

    pub(super) fn view(&self, now: Nanos) -> View {
        let standing = self.standing(now);
        let out = self.out().filter(|expires| now < *expires);
        let opening = self.last_opening();
        let phase = self.phase(standing, now);
        let cools = matches!(standing, Standing::Open { .. } | Standing::Probation { .. });
        View {
            phase,
            forced: match standing {
                Standing::Forced(phase) => Some(phase),
                _ => None,
            },
            failure_count: self.run(),
            opened_at: opening.filter(|_| phase != Phase::Closed).map(|(_, since)| since),
            cooldown: opening.filter(|_| cools).map(|(openings, _)| self.nominal(openings)),
            retry_at: match standing {
                Standing::Open { until } => Some(out.unwrap_or(until)),
                _ => out,
            },
            on_probation: matches!(standing, Standing::Probation { .. }),
            openings: self.openings(standing, now),
        }
    }

    // --- events ---

    pub(super) fn give(&mut self, kind: Kind, now: Nanos) -> Call {
        self.given += 1;
        let number = self.given;
        self.log.push((now, Fact::Gave(Call { number, kind })));
        Call { number, kind }
    }

    /// `halves` is the jitter's roll: 0, a half, 1.
    pub(super) fn settle(&mut self, call: Call, lesson: Lesson, halves: u64, common: bool, now: Nanos) -> Option<News> {
        let standing = self.standing(now);
        let (was, openings) = (self.phase(standing, now), self.openings(standing, now));
        if !self.counts(call) {
            return self.tell(None, now);
        }
        self.log.push((now, Fact::Learnt(call, lesson)));
        let lengthened = if common { openings.max(1) } else { openings + 1 };
        let reopens = match (standing, lesson) {
            (Standing::Closed { .. }, Lesson::Failure) => self.enough(now).then_some(lengthened),
            (Standing::Open { .. }, Lesson::Failure) => Some(openings),
            (Standing::Probation { .. }, Lesson::Failure) => Some(lengthened),
            _ => None,
        };
        let news = if let Some(openings) = reopens {
            let nominal = self.nominal(openings);
            let until = now + nominal + nominal * halves / 20;
            let since = self.since(was, now);
            self.log.push((now, Fact::Opened { until, openings, since }));
            Some(News::Opened(Some((until, nominal))))
        } else if let (Standing::Open { .. }, Lesson::Success) = (standing, lesson) {
            Some(News::HalfOpened)
        } else {
            None
        };
        self.tell(news, now)
    }

    pub(super) fn tick(&mut self, now: Nanos) -> Option<News> {
        self.tell(None, now)
    }

    pub(super) fn force_open(&mut self, now: Nanos) -> Option<News> {
        let was = self.phase(self.standing(now), now);
        let (openings, since) = (
            self.last_opening().map_or(0, |(openings, _)| openings),
            self.since(was, now),
        );
        self.log.push((now, Fact::ForcedOpen { openings, since }));
        self.tell((was != Phase::Open).then_some(News::Opened(None)), now)
    }

    pub(super) fn force_closed(&mut self, now: Nanos) -> Option<News> {
        self.log.push((now, Fact::ForcedClosed));
        self.tell(None, now)
    }

    pub(super) fn reset(&mut self, now: Nanos) -> Option<News> {
        self.log.push((now, Fact::Reset));
        self.tell(None, now)
    }

    pub(super) fn retry(&mut self, now: Nanos) {
        self.log.push((now, Fact::Retry));
    }

    fn tell(&mut self, news: Option<News>, now: Nanos) -> Option<News> {
        let knew = self.log.iter().rev().find_map(|(_, fact)| match fact {
            Fact::Told { closed } => Some(*closed),
            _ => None,
        });
        let (knew, closed) = (
            knew.unwrap_or(true),
            self.phase(self.standing(now), now) == Phase::Closed,
        );
        if closed != knew {
            self.log.push((now, Fact::Told { closed }));
        }
        news.or((closed && !knew).then_some(News::Closed))
    }

    // --- what the log says ---

    /// What happened since it last opened, or was forced or reset, and which of these it was.
    fn chapter(&self) -> (Option<Entry>, &[Entry]) {
        let mut since = self.log.len();
        while since > 0 && !begins_chapter(&self.log[since - 1].1) {
            since -= 1;
        }
        (since.checked_sub(1).map(|begin| self.log[begin]), &self.log[since..])
    }

    fn standing(&self, now: Nanos) -> Standing {
        let (begin, chapter) = self.chapter();
        let (until, nominal) = match begin {
            None | Some((_, Fact::Reset)) => return Standing::Closed { since: None },
            Some((_, Fact::ForcedOpen { .. })) => return Standing::Forced(Phase::Open),
            Some((_, Fact::Opened { until, openings, .. })) => (until, self.nominal(openings)),
            Some(_) => return Standing::Forced(Phase::Closed),
        };
        let mut successes = chapter.iter().filter_map(|(at, fact)| match fact {
            Fact::Learnt(call, Lesson::Success) => Some((*at, call.kind)),
            _ => None,
        });
        let Some((passed, kind)) = successes.next() else {
            let retries = chapter.iter().filter(|(_, fact)| matches!(fact, Fact::Retry));
            let until = retries.map(|(at, _)| *at).fold(until, Nanos::min);
            return Standing::Open { until };
        };
        let proved = match kind {
            Kind::Probe => successes.next().map(|(at, _)| at),
            Kind::Trial | Kind::Shared => Some(passed),
        };
        if let Some(proved) = proved
            && proved + nominal <= now
        {
            let since = Some(proved + nominal);
            return Standing::Closed { since };
        }
        Standing::Probation {
            proved: proved.is_some(),
            idle: self.ever_idle(passed, passed + nominal, proved.unwrap_or(now)),
        }
    }

    /// Whether there was a moment in `from..=to` when no caller was out to find out.
    fn ever_idle(&self, passed: Nanos, from: Nanos, to: Nanos) -> bool {
        let (_, chapter) = self.chapter();
        let out = chapter.iter().filter_map(|(at, fact)| match fact {
            Fact::Gave(call) if *at >= passed && call.kind == Kind::Trial => Some((*at, self.gone_until(*call, *at))),
            _ => None,
        });
        let idle = |moment: Nanos| {
            let covered = out.clone().any(|(gone, back)| gone < moment && moment < back);
            from <= moment && moment <= to && !covered
        };
        idle(from) || out.clone().any(|(_, back)| idle(back))
    }

    /// When a trial was given up or expired.
    fn gone_until(&self, call: Call, gone: Nanos) -> Nanos {
        let expires = gone + self.settings.permit_expires;
        let given_up = self.log.iter().find_map(|(at, fact)| match fact {
            Fact::Learnt(learnt, Lesson::Ignored) if *learnt == call => Some(*at),
            _ => None,
        });
        given_up.map_or(expires, |at| at.min(expires))
    }

    fn phase(&self, standing: Standing, now: Nanos) -> Phase {
        match standing {
            Standing::Forced(phase) => phase,
            Standing::Closed { .. } | Standing::Probation { idle: true, .. } => Phase::Closed,
            Standing::Open { .. } if self.out().is_none_or(|expires| expires <= now) => Phase::Open,
            Standing::Open { .. } | Standing::Probation { .. } => Phase::HalfOpen,
        }
    }

    /// When the permit of the last call that went alone expires, if there was no result of it yet.
    fn out(&self) -> Option<Nanos> {
        let (_, chapter) = self.chapter();
        let alone = |(at, fact): &Entry| match fact {
            Fact::Gave(call) if call.kind != Kind::Shared => Some((*at, *call)),
            _ => None,
        };
        let (at, call) = chapter.iter().rev().find_map(alone)?;
        let back = chapter
            .iter()
            .any(|(_, fact)| matches!(fact, Fact::Learnt(learnt, _) if *learnt == call));
        (!back).then_some(at + self.settings.permit_expires)
    }

    /// A result counts unless something decisive happened since the permit was given, or another went alone.
    fn counts(&self, call: Call) -> bool {
        for (_, fact) in self.log.iter().rev() {
            match fact {
                Fact::Gave(given) if *given == call => return true,
                Fact::Gave(given) if given.kind != Kind::Shared => return false,
                fact if begins_chapter(fact) => return false,
                _ => {}
            }
        }
        false
    }

    /// Failures in a row, up to the last success of a real call.
    fn run(&self) -> u32 {
        let mut failures = 0;
        for (_, fact) in self.log.iter().rev() {
            match fact {
                Fact::Reset => break,
                Fact::Learnt(call, Lesson::Success) if call.kind != Kind::Probe => break,
                Fact::Learnt(_, Lesson::Failure) => failures += 1,
                _ => {}
            }
        }
        failures
    }

    /// Whether the failures since it closed are enough to open.
    fn enough(&self, now: Nanos) -> bool {
        let Settings {
            failures,
            window,
            failure_ratio: (numerator, denominator),
            consecutive,
            ..
        } = self.settings;
        let (_, chapter) = self.chapter();
        let failed = |fact: &Fact| matches!(fact, Fact::Learnt(_, Lesson::Failure));
        let all = chapter.iter().filter(|(_, fact)| failed(fact)).count();
        let oldest = chapter.iter().enumerate().filter(|(_, (_, fact))| failed(fact));
        let crowded = all
            .checked_sub(failures)
            .and_then(|skipped| oldest.clone().nth(skipped));
        let by_ratio = crowded.is_some_and(|(position, (at, _))| {
            let later = chapter[position..].iter();
            let succeeded = later.filter(|(_, fact)| matches!(fact, Fact::Learnt(_, Lesson::Success)));
            let calls = failures + succeeded.count();
            now - at <= window && failures * denominator >= numerator * calls
        });
        by_ratio || self.run() >= consecutive
    }

    /// How many openings in a row it was at the last one since the last reset, and since when it has not been closed.
    fn last_opening(&self) -> Option<(u32, Nanos)> {
        for (_, fact) in self.log.iter().rev() {
            match fact {
                Fact::Opened { openings, since, .. } | Fact::ForcedOpen { openings, since } => {
                    return Some((*openings, *since));
                }
                Fact::Reset => return None,
                _ => {}
            }
        }
        None
    }

    fn openings(&self, standing: Standing, now: Nanos) -> u32 {
        let openings = self.last_opening().map_or(0, |(openings, _)| openings);
        let Standing::Closed { since: Some(since) } = standing else {
            return openings;
        };
        let forgiven = (now - since) / self.settings.cooldown_max;
        openings - u32::try_from(forgiven).unwrap_or(u32::MAX).min(openings)
    }

    /// Since when it has not been closed, if it opens now.
    fn since(&self, was: Phase, now: Nanos) -> Nanos {
        let earlier = self.last_opening().filter(|_| was != Phase::Closed);
        earlier.map_or(now, |(_, since)| since)
    }

    fn nominal(&self, openings: u32) -> Nanos {
        let mut cooldown = self.settings.cooldown;
        for _ in 1..openings {
            cooldown = (2 * cooldown).min(self.settings.cooldown_max);
        }
        cooldown.min(self.settings.cooldown_max)
    }
}

fn begins_chapter(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Opened { .. } | Fact::ForcedOpen { .. } | Fact::ForcedClosed | Fact::Reset
    )
}

fn grace() -> Nanos {
    Nanos::try_from(PROBE_GRACE.as_nanos()).expect("seconds")
}
