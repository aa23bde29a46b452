//! A million random lives of a breaker, each lived twice: by the breaker and by the model of it.
//!
//! `EVERCANDLE_BREAKER_SEQUENCES` says how many in all, `EVERCANDLE_BREAKER_SEED` lives one again and prints it.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::super::*;
use super::model::{Call, Kind, Model, Nanos, News, Refusal, Settings, View};

/// Sequences over all settings: what reliability is worth in a test run, about a minute of one core.
const SEQUENCES: u64 = 1_000_000;
/// Events in a sequence.
const EVENTS: std::ops::Range<usize> = 20..50;

const SECOND: Nanos = 1_000_000_000;
const GRACE: Nanos = 5 * SECOND;

const USUAL: Settings = Settings {
    failures: 5,
    window: 60 * SECOND,
    failure_ratio: (1, 2),
    consecutive: 3,
    cooldown: 30 * SECOND,
    cooldown_max: 300 * SECOND,
    permit_expires: 30 * SECOND,
};

const SETTINGS: [Settings; 8] = [
    USUAL,
    Settings {
        consecutive: 1,
        ..USUAL
    },
    Settings {
        failures: 3,
        consecutive: 100,
        ..USUAL
    },
    Settings {
        failures: 4,
        consecutive: 100,
        failure_ratio: (0, 1),
        ..USUAL
    },
    Settings {
        failures: 1,
        consecutive: 4,
        failure_ratio: (1, 1),
        window: 0,
        ..USUAL
    },
    // The cooldown is at its longest at once, and shorter than a permit.
    Settings {
        failures: 2,
        failure_ratio: (3, 4),
        cooldown: 20 * SECOND,
        cooldown_max: 10 * SECOND,
        ..USUAL
    },
    Settings {
        failures: 2,
        consecutive: 2,
        cooldown: 2 * SECOND,
        cooldown_max: 20 * SECOND,
        permit_expires: 7 * SECOND,
        ..USUAL
    },
    Settings {
        consecutive: 2,
        cooldown: 20,
        cooldown_max: 200,
        permit_expires: 30,
        window: 10,
        ..USUAL
    },
];

#[test]
fn usual_settings() {
    live_all(0);
}

#[test]
fn every_failure_trips() {
    live_all(1);
}

#[test]
fn only_the_ratio_trips() {
    live_all(2);
}

#[test]
fn only_the_count_trips() {
    live_all(3);
}

#[test]
fn one_failure_among_the_calls_of_an_instant_trips() {
    live_all(4);
}

#[test]
fn a_cooldown_longer_than_the_longest() {
    live_all(5);
}

#[test]
fn everything_short() {
    live_all(6);
}

#[test]
fn everything_within_nanoseconds() {
    live_all(7);
}

fn live_all(settings: usize) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("EVERCANDLE_BREAKER_SEED") {
        Life::new(settings, seed, true).live();
        return;
    }
    let sequences = number("EVERCANDLE_BREAKER_SEQUENCES").unwrap_or(SEQUENCES);
    let mut met = Met::default();
    for seed in 0..sequences.div_ceil(SETTINGS.len() as u64) {
        let lived = std::panic::catch_unwind(|| Life::new(settings, seed, false).live());
        met.add(lived.unwrap_or_else(|_| {
            panic!(
                "the breaker and its model disagree; see how:\n  EVERCANDLE_BREAKER_SEED={seed} \
                 cargo nextest run -p evercandle --lib --no-capture -E 'test(breaker::tests::agreement)'\n  \
                 settings {settings}, seed {seed}"
            )
        }));
    }
    // A generator that never gets anywhere agrees with everything.
    assert!(met.openings_most >= 3, "{met:?}");
    let Met {
        opened,
        half_opened,
        closed,
        idle,
        busy,
        late,
        relapsed,
        ..
    } = met;
    for count in [opened, half_opened, closed, idle, busy, late, relapsed] {
        assert!(count * 20 > sequences / SETTINGS.len() as u64, "{met:?}");
    }
}

/// What was met on the way.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    opened: u64,
    half_opened: u64,
    closed: u64,
    idle: u64,
    busy: u64,
    /// Results that changed nothing.
    late: u64,
    /// Lives that end with more than one opening in a row.
    relapsed: u64,
    openings_most: u32,
}

impl Met {
    fn add(&mut self, other: Met) {
        self.opened += other.opened;
        self.half_opened += other.half_opened;
        self.closed += other.closed;
        self.idle += other.idle;
        self.busy += other.busy;
        self.late += other.late;
        self.relapsed += other.relapsed;
        self.openings_most = self.openings_most.max(other.openings_most);
    }
}

/// A breaker and its model, and the permits that are out.
struct Life {
    settings: Settings,
    breaker: Breaker,
    model: Model,
    start: Instant,
    now: Nanos,
    /// The latest the breaker was told.
    seen: Nanos,
    out: Vec<(Call, Permit)>,
    rng: Xoshiro256PlusPlus,
    met: Met,
    tells: bool,
}

impl Life {
    fn new(settings: usize, seed: u64, tells: bool) -> Life {
        let settings = SETTINGS[settings];
        let (numerator, denominator) = settings.failure_ratio;
        let config = BreakerConfig {
            failures: u32::try_from(settings.failures).unwrap(),
            window: Duration::from_nanos(settings.window),
            failure_ratio: numerator as f64 / denominator as f64,
            consecutive: settings.consecutive,
            cooldown: Duration::from_nanos(settings.cooldown),
            cooldown_max: Duration::from_nanos(settings.cooldown_max),
            permit_expires: Duration::from_nanos(settings.permit_expires),
        };
        Life {
            settings,
            breaker: Breaker::new(config),
            model: Model::new(settings),
            start: Instant::now(),
            now: 0,
            seen: 0,
            out: Vec::new(),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            met: Met::default(),
            tells,
        }
    }

    fn live(mut self) -> Met {
        let mut view = self.compare();
        for _ in 0..self.rng.random_range(EVENTS) {
            self.event(view);
            view = self.compare();
        }
        self.met.relapsed += u64::from(view.openings > 1);
        self.met
    }

    fn event(&mut self, view: View) {
        // Chance alone seldom gets far: every other event is what an engine would do next.
        if self.chance(50) {
            return self.sensible_event(view);
        }
        match self.rng.random_range(0..100) {
            0..25 => self.pass_time(view),
            25..45 => self.admit(),
            45..55 => self.begin_probe(),
            55..88 => self.settle(),
            88..90 => self.lose(),
            90..95 => self.tick(),
            95..97 => {
                self.say(format_args!("retry now"));
                let now = self.arrive();
                self.breaker.retry_now(now);
                self.model.retry(self.now);
            }
            _ if self.chance(50) => {}
            97 => {
                self.say(format_args!("force open"));
                let now = self.arrive();
                let news = self.breaker.force_open(now);
                let expected = self.model.force_open(self.now);
                self.check_news(news, expected);
            }
            98 => {
                self.say(format_args!("force closed"));
                let now = self.arrive();
                let news = self.breaker.force_closed(now);
                let expected = self.model.force_closed(self.now);
                self.check_news(news, expected);
            }
            _ => self.reset(),
        }
    }

    fn sensible_event(&mut self, view: View) {
        match (view.phase, view.forced, view.retry_at) {
            (_, Some(_), _) => self.reset(),
            (Phase::Open, _, Some(at)) if self.now < at => self.pass(at - self.now),
            (Phase::Open, ..) => self.begin_probe(),
            (Phase::HalfOpen, ..) | (Phase::Closed, ..) if self.out.is_empty() => self.admit(),
            (Phase::HalfOpen, ..) | (Phase::Closed, ..) => self.settle(),
        }
    }

    /// By a little, by much, or to where something is due, a nanosecond early, on time or late.
    fn pass_time(&mut self, view: View) {
        let Settings {
            window,
            cooldown,
            cooldown_max,
            permit_expires,
            ..
        } = self.settings;
        let to_retry = view.retry_at.map_or(0, |at| at.saturating_sub(self.now));
        let nominal = view.cooldown.unwrap_or(cooldown);
        let steps = [
            0,
            1,
            window / 4,
            window,
            cooldown,
            nominal,
            nominal,
            cooldown_max,
            7 * cooldown_max,
            permit_expires,
            to_retry,
            to_retry,
            to_retry,
            to_retry + GRACE,
            GRACE,
        ];
        let step = steps[self.rng.random_range(0..steps.len())];
        self.pass(step);
    }

    fn pass(&mut self, step: Nanos) {
        let step = match self.rng.random_range(0..6) {
            0 => step.saturating_sub(1),
            1 => step + 1,
            _ => step,
        };
        self.now += step;
        self.say(format_args!("{step} ns pass"));
    }

    fn admit(&mut self) {
        self.say(format_args!("admit"));
        let expected = self.model.admits(self.now);
        let would = self.breaker.would_admit(self.instant());
        assert_eq!(self.refusal(would), expected.map(|_| ()));
        let now = self.arrive();
        let given = self.breaker.admit(now);
        self.keep(given, expected);
    }

    fn begin_probe(&mut self) {
        self.say(format_args!("begin probe"));
        let expected = self.model.admits_probe(self.now);
        let now = self.arrive();
        let given = self.breaker.begin_probe(now);
        self.keep(given, expected);
    }

    fn keep(&mut self, given: Result<Permit, Rejection>, expected: Result<Kind, Refusal>) {
        match (given, expected) {
            (Ok(permit), Ok(kind)) => {
                let call = self.model.give(kind, self.now);
                self.out.push((call, permit));
            }
            (given, expected) => {
                self.met.busy += u64::from(matches!(expected, Err(Refusal::Busy(_))));
                assert_eq!(self.refusal(given.map(|_| ())), expected.map(|_| ()));
            }
        }
    }

    /// Mostly the newest, but any may come back late.
    fn settle(&mut self) {
        let Some(newest) = self.out.len().checked_sub(1) else {
            return;
        };
        let which = if self.chance(60) {
            newest
        } else {
            self.rng.random_range(0..=newest)
        };
        let (call, permit) = self.out.remove(which);
        let lesson = match self.rng.random_range(0..20) {
            0..10 => Lesson::Failure,
            10..17 => Lesson::Success,
            _ => Lesson::Ignored,
        };
        let (halves, common_cause) = (self.rng.random_range(0..3u32), self.chance(15));
        self.say(format_args!(
            "{lesson:?} of call {}, common cause: {common_cause}",
            call.number
        ));
        let roll = f64::from(halves) / 2.0;
        let before = self.breaker.snapshot(self.instant());
        let now = self.arrive();
        let news = self.breaker.settle(permit, lesson, now, roll, common_cause);
        self.met.late += u64::from(lesson != Lesson::Ignored && before == self.breaker.snapshot(self.instant()));
        let expected = self
            .model
            .settle(call, lesson, u64::from(halves), common_cause, self.now);
        self.check_news(news, expected);
    }

    fn lose(&mut self) {
        if let Some((call, _)) = self.out.pop() {
            self.say(format_args!("call {} is lost", call.number));
        }
    }

    fn tick(&mut self) {
        self.say(format_args!("tick"));
        let now = self.arrive();
        let news = self.breaker.tick(now);
        let expected = self.model.tick(self.now);
        self.check_news(news, expected);
    }

    fn reset(&mut self) {
        self.say(format_args!("reset"));
        let now = self.arrive();
        let news = self.breaker.reset(now);
        let expected = self.model.reset(self.now);
        self.check_news(news, expected);
    }

    fn compare(&mut self) -> View {
        let snapshot = self.breaker.snapshot(self.instant());
        let expected = self.model.view(self.now);
        assert_eq!(self.view(snapshot), expected);
        self.met.idle += u64::from(expected.phase == Phase::Closed && expected.on_probation);
        self.met.openings_most = self.met.openings_most.max(expected.openings);
        expected
    }

    fn check_news(&mut self, news: Option<Change>, expected: Option<News>) {
        let news = news.map(|change| match change {
            Change::Opened { cooldown: FOREVER, .. } => News::Opened(None),
            Change::Opened { until, cooldown } => News::Opened(Some((self.nanos(until), nanos(cooldown)))),
            Change::HalfOpened => News::HalfOpened,
            Change::Closed => News::Closed,
        });
        match news {
            Some(News::Opened(_)) => self.met.opened += 1,
            Some(News::HalfOpened) => self.met.half_opened += 1,
            Some(News::Closed) => self.met.closed += 1,
            None => {}
        }
        if let Some(news) = news {
            self.say(format_args!("  {news:?}"));
        }
        assert_eq!(news, expected);
    }

    fn refusal(&self, result: Result<(), Rejection>) -> Result<(), Refusal> {
        result.map_err(|rejection| match rejection {
            Rejection::Open { retry_at } => Refusal::Open(self.nanos(retry_at)),
            Rejection::Busy { until } => Refusal::Busy(self.nanos(until)),
            Rejection::Forced => Refusal::Forced,
        })
    }

    fn view(&self, snapshot: Snapshot) -> View {
        View {
            phase: snapshot.phase,
            forced: snapshot.forced,
            failure_count: snapshot.failure_count,
            opened_at: snapshot.opened_at.map(|at| self.nanos(at)),
            cooldown: snapshot.cooldown.map(nanos),
            retry_at: snapshot.retry_at.map(|at| self.nanos(at)),
            on_probation: snapshot.on_probation,
            openings: snapshot.openings,
        }
    }

    /// True so many times in a hundred.
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_nanos(self.now)
    }

    /// Now; sometimes earlier, once the breaker has seen now.
    fn arrive(&mut self) -> Instant {
        if self.seen == self.now && self.chance(10) {
            return self.start + Duration::from_nanos(self.rng.random_range(0..=self.now));
        }
        self.seen = self.now;
        self.instant()
    }

    fn nanos(&self, at: Instant) -> Nanos {
        nanos(at - self.start)
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.tells {
            println!("{:>20} {what}", self.now);
        }
    }
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap()
}
