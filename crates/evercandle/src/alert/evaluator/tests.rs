use proptest::prelude::*;

use super::*;

const EVERY: u64 = 15;
const MINUTE: u64 = 60;

/// What is so at a moment; every field has a quiet value.
#[derive(Clone, Debug, Default)]
struct Now {
    failures: u64,
    successes: u64,
    open: bool,
    /// As `open`, of a second upstream.
    other_open: bool,
    common_cause: bool,
    readonly: bool,
    fresh: u64,
    stale: u64,
    refused: u64,
    not_fresh: bool,
    quarantined: bool,
    silent: bool,
    without_prices: bool,
    runs: u64,
    /// Of prices, where they are refreshed.
    price_runs: Option<u64>,
}

/// The evaluator under test, with the clocks it is fed by.
struct Watch {
    evaluator: Evaluator,
    instant: Instant,
    seconds: u64,
    /// What the wall clock is ahead of the truth, in seconds.
    wall_ahead: i64,
    changes: Vec<(u64, String)>,
}

impl Watch {
    fn new() -> Watch {
        Watch::with(&AlertsConfig::default())
    }

    fn with(config: &AlertsConfig) -> Watch {
        Watch {
            evaluator: Evaluator::new(config),
            instant: Instant::now(),
            seconds: 0,
            wall_ahead: 0,
            changes: Vec::new(),
        }
    }

    /// Goes on until this second (exclusive), with what is so at each.
    fn until(&mut self, end: u64, now: impl Fn(u64) -> Now) -> &mut Watch {
        while self.seconds < end {
            let sample = self.sample(now(self.seconds));
            for change in self.evaluator.step(sample) {
                let (what, alert) = match &change {
                    Change::Fired(alert) => ("fires", alert),
                    Change::Resolved(alert) => ("resolved", alert),
                };
                let said = format!("{} {} {what}", alert.rule.as_str(), alert.subject);
                self.changes.push((self.seconds, said));
            }
            self.pass(EVERY);
        }
        self
    }

    /// Time during which nobody looks.
    fn pass(&mut self, seconds: u64) {
        self.seconds += seconds;
        self.instant += Duration::from_secs(seconds);
    }

    fn sample(&self, now: Now) -> Sample {
        let upstream = |name: &str, serves, failures, successes, circuit_open, quarantined| UpstreamSample {
            provider: ProviderName::new(name),
            serves: vec![serves],
            failures,
            successes,
            circuit_open,
            quarantined,
            answered_last: Some(!now.silent),
        };
        let latest = |cache_name, fresh_served, stale_served, stale_refused, not_fresh| LatestHealth {
            cache_name,
            fresh_served,
            stale_served,
            stale_refused,
            not_fresh,
        };
        Sample {
            instant: self.instant,
            at: Timestamp::EPOCH.plus((self.seconds as i64 + self.wall_ahead) * 1_000_000),
            upstreams: vec![
                upstream(
                    "binance",
                    "prices",
                    now.failures,
                    now.successes,
                    now.open,
                    now.quarantined,
                ),
                upstream("coingecko", "klines", 0, 0, now.other_open, false),
            ],
            common_cause: now.common_cause,
            cache_readonly: now.readonly,
            latest: vec![
                latest("prices", now.fresh, now.stale, now.refused, now.not_fresh),
                latest("sentiment", 0, 0, 0, false),
            ],
            jobs: [(JobKind::Klines, Some(now.runs)), (JobKind::Prices, now.price_runs)]
                .into_iter()
                .filter_map(|(kind, runs)| Some((kind, Duration::from_secs(180), runs?)))
                .collect(),
            without_prices: now.without_prices.then_some(Market::Um).into_iter().collect(),
        }
    }

    #[track_caller]
    fn said(&self, expected: &[(u64, &str)]) {
        let said: Vec<(u64, &str)> = self.changes.iter().map(|(s, what)| (*s, what.as_str())).collect();
        assert_eq!(said, expected);
    }
}

/// Everything is well, and refreshed every three minutes.
fn well(second: u64) -> Now {
    Now {
        successes: second / 10,
        runs: 1 + second / 180,
        ..Now::default()
    }
}

fn open(second: u64) -> Now {
    Now {
        open: true,
        ..well(second)
    }
}

#[test]
fn nothing_is_said_while_everything_is_well() {
    let mut watch = Watch::new();
    watch.until(3 * 60 * MINUTE, well).said(&[]);
    assert_eq!(watch.evaluator.alerts(), []);
}

#[test]
fn an_upstream_that_is_never_asked_is_nobodys_concern() {
    let mut watch = Watch::new();
    let idle = |second| Now {
        successes: 0,
        ..well(second)
    };
    watch.until(60 * MINUTE, idle).said(&[]);
}

/// Goal: the trap. Once the breaker is open nobody calls, and a failure rate alone would resolve itself.
/// Method: three failures, an open circuit and an hour of silence; then an answer.
#[test]
fn an_outage_during_which_nobody_calls_fires_until_it_ends() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    watch.until(80 * MINUTE, |second| Now {
        failures: 3,
        successes: 120,
        ..open(second)
    });
    watch.until(95 * MINUTE, |second| Now {
        failures: 3,
        successes: 120 + (second - 80 * MINUTE) / 10,
        ..well(second)
    });
    watch.said(&[
        (30 * MINUTE, "ProviderFailing binance fires"),
        (35 * MINUTE, "CircuitOpenLong binance fires"),
        (90 * MINUTE, "ProviderFailing binance resolved"),
        (90 * MINUTE, "CircuitOpenLong binance resolved"),
    ]);
}

#[test]
fn probes_and_lucky_answers_reset_nothing() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    // Every five minutes one answer closes the circuit for a moment.
    watch.until(80 * MINUTE, |second| Now {
        open: second % 300 != 150,
        ..well(second)
    });
    let fired: Vec<&str> = watch.changes.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(
        fired,
        ["ProviderFailing binance fires", "CircuitOpenLong binance fires"]
    );
    assert!(watch.changes[1].0 <= 36 * MINUTE, "{:?}", watch.changes);
}

/// Goal: an upstream that flaps is one alert, from the first outage until it is really well.
/// Method: a long outage; then for an hour it answers for two and a half minutes of every twelve, and for another it fails at half
/// of its calls behind a circuit that stays closed.
#[test]
fn an_upstream_that_flaps_is_one_alert_until_it_is_really_well() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    watch.until(60 * MINUTE, open);
    watch.until(120 * MINUTE, |second| Now {
        open: 150 <= second % (12 * MINUTE),
        ..well(second)
    });
    watch.until(180 * MINUTE, |second| Now {
        failures: (second - 120 * MINUTE) / 10,
        ..well(second)
    });
    watch.until(240 * MINUTE, |second| Now {
        failures: 360,
        ..well(second)
    });
    let failing: Vec<_> = watch
        .changes
        .iter()
        .filter(|(_, what)| what.starts_with("ProviderFailing"))
        .collect();
    let [fires, resolved] = failing[..] else {
        panic!("{:?}", watch.changes)
    };
    assert_eq!(*fires, (30 * MINUTE, "ProviderFailing binance fires".to_owned()));
    assert!(180 * MINUTE < resolved.0 && resolved.0 <= 190 * MINUTE, "{resolved:?}");
}

#[test]
fn a_circuit_that_opens_now_and_then_is_no_outage() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    watch.until(120 * MINUTE, |second| Now {
        open: second % 600 < 300,
        ..well(second)
    });
    watch.said(&[]);
}

#[test]
fn one_failed_call_of_one_says_nothing_and_many_of_many_do() {
    let failing = |most: u64| {
        move |second: u64| Now {
            failures: ((second.saturating_sub(20 * MINUTE)) / 30).min(most),
            successes: 0,
            ..well(second)
        }
    };
    // The circuit stays closed: forced, or configured to be patient.
    for few in [1, 9] {
        let mut watch = Watch::new();
        watch.until(60 * MINUTE, failing(few)).said(&[]);
    }
    let mut watch = Watch::new();
    watch.until(40 * MINUTE, failing(1_000));
    // The tenth failure is at 25:00, and two minutes say that it is no burst.
    watch.said(&[(27 * MINUTE, "ProviderFailing binance fires")]);
}

#[test]
fn four_of_five_is_the_limit() {
    let mut watch = Watch::new();
    let calls = |second: u64| second / EVERY;
    // Exactly 80 %: not more.
    watch.until(60 * MINUTE, |second| Now {
        failures: calls(second) * 4,
        successes: calls(second),
        ..well(second)
    });
    watch.said(&[]);
}

#[test]
fn a_common_cause_is_one_alert_and_not_one_for_each() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    let all_down = |common_cause: bool| {
        move |second| Now {
            open: true,
            other_open: true,
            common_cause,
            ..well(second)
        }
    };
    watch.until(50 * MINUTE, all_down(true));
    // One of them answers: the line works. The others are probed a few minutes later.
    watch.until(54 * MINUTE, all_down(false));
    watch.until(90 * MINUTE, well);
    watch.said(&[
        (22 * MINUTE, "CommonCause evercandle fires"),
        (35 * MINUTE, "CommonCauseLong evercandle fires"),
        (60 * MINUTE, "CommonCause evercandle resolved"),
        (60 * MINUTE, "CommonCauseLong evercandle resolved"),
    ]);
}

/// Goal: a line that comes and goes is one alert, until it has held.
/// Method: for an hour it is down for four minutes of every ten.
#[test]
fn a_line_that_comes_and_goes_is_one_alert_until_it_has_held() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    watch.until(80 * MINUTE, |second| {
        let down = second % (10 * MINUTE) < 4 * MINUTE;
        Now {
            open: down,
            other_open: down,
            common_cause: down,
            ..well(second)
        }
    });
    watch.until(120 * MINUTE, well);
    watch.said(&[
        (22 * MINUTE, "CommonCause evercandle fires"),
        (84 * MINUTE, "CommonCause evercandle resolved"),
    ]);
}

#[test]
fn who_stays_down_after_a_common_cause_is_told_apart() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    watch.until(30 * MINUTE, |second| Now {
        open: true,
        other_open: true,
        common_cause: true,
        ..well(second)
    });
    watch.until(60 * MINUTE, open);
    watch.said(&[
        (22 * MINUTE, "CommonCause evercandle fires"),
        (40 * MINUTE, "CommonCause evercandle resolved"),
        // And the time to hold.
        (41 * MINUTE + 30, "CircuitOpenLong binance fires"),
        (42 * MINUTE, "ProviderFailing binance fires"),
    ]);
}

#[test]
fn a_common_cause_does_not_end_an_alert_that_was_there_before() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    watch.until(40 * MINUTE, open);
    watch.until(50 * MINUTE, |second| Now {
        other_open: true,
        common_cause: true,
        ..open(second)
    });
    watch.said(&[
        (30 * MINUTE, "ProviderFailing binance fires"),
        (35 * MINUTE, "CircuitOpenLong binance fires"),
        (42 * MINUTE, "CommonCause evercandle fires"),
    ]);
}

#[test]
fn stale_values_are_told_when_they_go_on() {
    let served = |until: u64| {
        move |second: u64| Now {
            stale: second.min(until).saturating_sub(20 * MINUTE) / 180,
            ..well(second)
        }
    };
    let mut watch = Watch::new();
    watch.until(60 * MINUTE, served(24 * MINUTE)).said(&[]);
    let mut watch = Watch::new();
    watch.until(90 * MINUTE, served(60 * MINUTE));
    watch.said(&[
        (28 * MINUTE, "ServingStale prices fires"),
        (64 * MINUTE, "ServingStale prices resolved"),
    ]);
}

/// Goal: what gets worse has not ended. Method: last known prices for half an hour, then none that may be served, each
/// asked for every seven minutes; then an answer.
#[test]
fn stale_values_that_become_too_old_and_are_asked_for_seldom_go_on_until_somebody_answers() {
    let asked = |second: u64, start: u64, end: u64| second.clamp(start * MINUTE, end * MINUTE).div_ceil(7 * MINUTE);
    let mut watch = Watch::new();
    watch.until(120 * MINUTE, |second| Now {
        stale: asked(second, 20, 50),
        refused: asked(second, 50, 98),
        not_fresh: (21 * MINUTE..101 * MINUTE).contains(&second),
        ..well(second)
    });
    watch.said(&[
        (28 * MINUTE + 15, "ServingStale prices fires"),
        (101 * MINUTE, "ServingStale prices resolved"),
    ]);
}

#[test]
fn values_that_were_never_known_and_are_refused_are_told_as_well() {
    let mut watch = Watch::new();
    watch.until(40 * MINUTE, |second| Now {
        refused: second / 180,
        not_fresh: true,
        ..well(second)
    });
    watch.said(&[(8 * MINUTE, "ServingStale prices fires")]);
}

#[test]
fn an_upstream_that_sent_us_away_is_told_and_escalated() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    watch.until(60 * MINUTE, |second| Now {
        quarantined: true,
        ..well(second)
    });
    watch.until(80 * MINUTE, well);
    watch.said(&[
        (30 * MINUTE, "Quarantined binance fires"),
        (35 * MINUTE, "QuarantinedLong binance fires"),
        (70 * MINUTE, "Quarantined binance resolved"),
        (70 * MINUTE, "QuarantinedLong binance resolved"),
    ]);
}

#[test]
fn a_cache_that_is_tried_now_and_then_is_still_read_only() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    watch.until(40 * MINUTE, |second| Now {
        readonly: second % 300 != 150,
        ..well(second)
    });
    watch.until(60 * MINUTE, well);
    watch.said(&[
        (25 * MINUTE + 15, "CacheReadOnly evercandle fires"),
        (45 * MINUTE, "CacheReadOnly evercandle resolved"),
    ]);
}

/// Goal: a market whose prices nobody has is told, though everything else is well; one run that brings nothing is not.
#[test]
fn a_watched_market_without_prices_is_told_until_they_come_for_a_while() {
    let mut watch = Watch::new();
    watch.until(80 * MINUTE, |second| Now {
        without_prices: match second / MINUTE {
            10..13 => true,
            20..50 => second % (20 * MINUTE) < 17 * MINUTE,
            _ => false,
        },
        ..well(second)
    });
    watch.said(&[
        (25 * MINUTE, "NoPrices um fires"),
        (55 * MINUTE, "NoPrices um resolved"),
    ]);
}

#[test]
fn a_scheduler_that_completes_nothing_is_told_by_its_own_period() {
    let mut watch = Watch::new();
    watch.until(60 * MINUTE, |second| well(second.min(20 * MINUTE)));
    // The last run was seen complete at 18:00.
    watch.said(&[(39 * MINUTE + 45, "SchedulerStuck klines fires")]);
    let mut watch = Watch::new();
    watch.until(30 * MINUTE, |_| Now::default());
    watch.said(&[(21 * MINUTE + 30, "SchedulerStuck klines fires")]);
}

#[test]
fn clocks_that_jump_and_a_process_that_was_stopped_change_nothing() {
    let mut watch = Watch::new();
    watch.until(20 * MINUTE, well);
    for ahead in [86_400, -86_400, 0] {
        watch.wall_ahead = ahead;
        let end = watch.seconds + 20 * MINUTE;
        watch.until(end, well);
    }
    let runs = well(watch.seconds).runs;
    // Stopped for an hour; the next run takes four minutes to complete.
    watch.pass(3_600);
    let resumed = watch.seconds;
    watch.until(resumed + 240, |second| Now { runs, ..well(second) });
    watch.until(resumed + 3_600, well);
    watch.said(&[]);
}

/// One that was told of by an earlier process.
fn resumed(rule: &str, label: Option<(&str, &str)>) -> Watch {
    let (mut watch, subject) = (Watch::new(), Subject::of_label(label).unwrap());
    let (since, began) = (Timestamp::EPOCH.plus(9), Timestamp::EPOCH.plus(5));
    let alert = watch.evaluator.recalled(rule, subject, since, began).unwrap();
    watch.evaluator.resume(alert);
    watch
}

#[test]
fn what_was_pending_begins_anew_after_a_restart() {
    let mut watch = Watch::new();
    watch.until(9 * MINUTE, open).said(&[]);
    let mut restarted = Watch::new();
    restarted.until(9 * MINUTE, open).said(&[]);
}

/// Goal: a process that has just begun has seen no failure, which is no recovery.
#[test]
fn what_an_earlier_process_told_goes_on_and_ends_once_enough_was_seen() {
    let binance = Some(("provider", "binance"));
    // It goes on: nothing new is said of it, and it began when it began.
    let mut watch = resumed("ProviderFailing", binance);
    watch.until(
        12 * MINUTE,
        |second| if second < MINUTE { well(second) } else { open(second) },
    );
    watch.said(&[]);
    let alert = &watch.evaluator.alerts()[0];
    assert_eq!((alert.since.as_micros(), alert.began_at.as_micros()), (9, 5));
    watch.until(40 * MINUTE, well);
    assert_eq!(watch.changes.last().unwrap().1, "ProviderFailing binance resolved");
    // It ended meanwhile.
    for (rule, label, end) in [
        ("ProviderFailing", binance, 10),
        ("CircuitOpenLong", binance, 10),
        ("QuarantinedLong", binance, 10),
        ("CacheReadOnly", None, 5),
        ("NoPrices", Some(("market", "um")), 5),
        ("CommonCause", None, 10),
        ("ServingStale", Some(("cache_name", "prices")), 10),
    ] {
        let said = format!("{rule} {} resolved", label.map_or("evercandle", |(_, value)| value));
        resumed(rule, label)
            .until(60 * MINUTE, well)
            .said(&[(end * MINUTE, &said)]);
    }
    // A run says that runs end.
    let mut watch = resumed("SchedulerStuck", Some(("kind", "klines")));
    watch.until(60 * MINUTE, |second| Now {
        runs: second.saturating_sub(4 * MINUTE) / 180,
        ..well(second)
    });
    watch.said(&[(7 * MINUTE, "SchedulerStuck klines resolved")]);
    // Nobody knows of prices before they were refreshed.
    let mut watch = resumed("NoPrices", Some(("market", "um")));
    watch.until(60 * MINUTE, |second| Now {
        price_runs: Some((second + 60) / (8 * MINUTE)),
        ..well(second)
    });
    watch.said(&[(7 * MINUTE, "NoPrices um resolved")]);
}

#[test]
fn an_upstream_that_does_not_answer_a_probe_either_has_not_recovered() {
    for (rule, end) in [("ProviderFailing", 30), ("Quarantined", 10)] {
        let mut watch = resumed(rule, Some(("provider", "binance")));
        watch.until(40 * MINUTE, |second| Now {
            successes: 0,
            silent: second < 30 * MINUTE,
            ..well(second)
        });
        watch.said(&[(end * MINUTE, &format!("{rule} binance resolved"))]);
    }
}

/// Goal: an outage that nobody asks about does not end because time passes. Method: everybody is silent for half an hour.
#[test]
fn what_an_earlier_process_told_of_the_line_or_of_values_ends_once_it_is_answered() {
    let prices = Some(("cache_name", "prices"));
    for (rule, label, end) in [
        // The line has to hold for ten minutes.
        ("CommonCause", None, 40 * MINUTE),
        ("CommonCauseLong", None, 40 * MINUTE),
        ("ServingStale", prices, 30 * MINUTE),
    ] {
        let said = format!("{rule} {} resolved", label.map_or("evercandle", |(_, value)| value));
        let mut watch = resumed(rule, label);
        watch.until(60 * MINUTE, |second| Now {
            silent: second < 30 * MINUTE,
            ..well(second)
        });
        watch.said(&[(end, &said)]);
    }
    // Somebody else asked for them, and a caller was served what they were told.
    let mut watch = resumed("ServingStale", prices);
    watch.until(60 * MINUTE, |second| Now {
        silent: true,
        fresh: second / (20 * MINUTE),
        ..well(second)
    });
    watch.said(&[(20 * MINUTE, "ServingStale prices resolved")]);
    // Whoever sent us away answered nothing.
    let mut watch = resumed("ServingStale", prices);
    watch.until(60 * MINUTE, |second| Now {
        quarantined: second < 8 * MINUTE || (9 * MINUTE..30 * MINUTE).contains(&second),
        ..well(second)
    });
    let stale = watch
        .changes
        .iter()
        .filter(|(_, what)| what.starts_with("ServingStale"));
    assert_eq!(
        stale.collect::<Vec<_>>(),
        [&(30 * MINUTE, "ServingStale prices resolved".to_owned())]
    );
    // Nobody serves it any more.
    let sentiment = Some(("cache_name", "sentiment"));
    let mut watch = resumed("ServingStale", sentiment);
    watch.until(60 * MINUTE, |second| Now {
        silent: true,
        ..well(second)
    });
    watch.said(&[(10 * MINUTE, "ServingStale sentiment resolved")]);
}

#[test]
fn what_an_earlier_process_told_of_somebody_who_is_gone_ends_at_once() {
    let mut watch = resumed("ProviderFailing", Some(("provider", "binanse")));
    watch
        .until(MINUTE, well)
        .said(&[(0, "ProviderFailing binanse resolved")]);
    assert_eq!(Subject::of_label(Some(("provinder", "binance"))), None);
    assert_eq!(Subject::of_label(Some(("cache_name", "weather"))), None);
}

#[test]
fn what_ended_is_shown_for_a_while() {
    let mut watch = Watch::new();
    watch.until(12 * MINUTE, open);
    watch.until(24 * MINUTE, well);
    let shown = watch.evaluator.alerts();
    let states: Vec<_> = shown.iter().map(|a| (a.rule, a.state)).collect();
    assert_eq!(states, [(RuleName::ProviderFailing, AlertState::Resolved)]);
    assert_eq!(shown[0].since, Timestamp::EPOCH.plus(22 * 60_000_000));
    watch.until(40 * MINUTE, well);
    assert_eq!(watch.evaluator.alerts(), []);
}

proptest! {
    /// Whatever happens: who fires had not been firing, who resolves had; and what is remembered is bounded.
    #[test]
    fn every_resolution_has_its_alert_and_memory_is_bounded(
        seconds in prop::collection::vec((0_u64..40, any::<bool>(), any::<bool>(), 0_u64..3, 0_u64..3, any::<bool>()), 1..400),
    ) {
        let config = AlertsConfig {
            failure_window_ms: 60_000,
            circuit_open_ms: 90_000,
            common_cause_ms: 30_000,
            stale_ms: 30_000,
            readonly_ms: 30_000,
            ..AlertsConfig::default()
        };
        let mut watch = Watch::with(&config);
        let mut now = Now::default();
        let mut firing = std::collections::BTreeSet::new();
        for (pass, open, other_open, failures, successes, odd) in seconds {
            now = Now {
                failures: now.failures + failures,
                successes: now.successes + successes,
                open,
                other_open,
                common_cause: open && other_open,
                readonly: odd,
                fresh: now.fresh + u64::from(!odd),
                stale: now.stale + u64::from(odd),
                refused: now.refused + u64::from(open),
                not_fresh: odd,
                quarantined: other_open,
                silent: odd,
                without_prices: open,
                runs: now.runs + u64::from(!odd),
                price_runs: None,
            };
            let sample = watch.sample(now.clone());
            for change in watch.evaluator.step(sample) {
                match change {
                    Change::Fired(alert) => prop_assert!(firing.insert((alert.rule, alert.subject))),
                    Change::Resolved(alert) => prop_assert!(firing.remove(&(alert.rule, alert.subject))),
                }
            }
            let shown: std::collections::BTreeSet<_> = watch.evaluator.alerts().into_iter()
                .filter(|a| a.state == AlertState::Firing).map(|a| (a.rule, a.subject)).collect();
            prop_assert_eq!(&shown, &firing);
            watch.pass(pass);
        }
        let zero_steps = watch.evaluator.samples.iter().zip(watch.evaluator.samples.iter().skip(1)).filter(|(a, b)| a.0 == b.0).count();
        prop_assert!(watch.evaluator.samples.len() - zero_steps <= 102);
    }
}
