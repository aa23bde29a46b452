//! The rules' two forms agree: the same outages, told to Prometheus as series and to the evaluator as samples, are the
//! same alerts at the same looks.
//!
//! Prometheus answers through `promtool test rules`: for each alert, at how many looks it fired, and the sum of their
//! times, which no shifted, split or missing interval leaves as it is. So the order of the rules, those that are held back
//! and every boundary are compared as well, in two questions instead of hundreds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use evercandle::alert::{AlertState, Evaluator, RuleName, Sample, Subject, UpstreamSample, prometheus_rules};
use evercandle::config::AlertsConfig;
use evercandle::schedule::JobKind;
use evercandle::{LatestHealth, Market, ProviderName, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::support::{content, program};

/// Seconds between two looks, and how many there are: two hours.
const EVERY: u64 = 15;
const LOOKS: u64 = 480;
const PERIOD: u64 = 180;
const UPSTREAMS: [&str; 2] = ["binance", "coingecko"];
const MINUTE: u64 = 60;

/// What is so at a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    /// Of both upstreams.
    open: [bool; 2],
    failures: u64,
    successes: u64,
    common_cause: bool,
    readonly: bool,
    stale: u64,
    refused: u64,
    not_fresh: bool,
    /// Of the first upstream.
    quarantined: bool,
    without_prices: bool,
    /// Runs that completed, and the second of the last.
    runs: (u64, u64),
}

/// What happens, look by look.
struct Script {
    name: String,
    looks: Vec<Now>,
}

impl Script {
    fn new(name: &str, at: impl Fn(u64) -> Now) -> Script {
        Script {
            name: name.to_owned(),
            looks: (0..LOOKS).map(|look| at(look * EVERY)).collect(),
        }
    }

    /// States that change at random, as outages do: seldom, and some of them together.
    fn random(seed: u64) -> Script {
        let mut random = StdRng::seed_from_u64(seed);
        let mut now = well(0);
        let looks = (0..LOOKS).map(|look| {
            let mut flips = |state: &mut bool| *state ^= random.random_bool(0.02);
            flips(&mut now.open[0]);
            flips(&mut now.open[1]);
            flips(&mut now.common_cause);
            flips(&mut now.readonly);
            flips(&mut now.not_fresh);
            flips(&mut now.quarantined);
            flips(&mut now.without_prices);
            // One look in which everything is the other way round.
            let mut seen = now;
            if random.random_bool(0.03) {
                seen.open = seen.open.map(|open| !open);
                seen.readonly = !seen.readonly;
            }
            now.stale += u64::from(now.common_cause && random.random_bool(0.1));
            now.refused += u64::from(now.not_fresh && random.random_bool(0.1));
            if random.random_bool(0.02) {
                now.runs = (now.runs.0 + 1, look * EVERY);
            }
            (seen.stale, seen.refused, seen.runs) = (now.stale, now.refused, now.runs);
            seen.successes = look;
            seen
        });
        Script {
            name: format!("seed {seed}"),
            looks: looks.collect(),
        }
    }
}

fn well(second: u64) -> Now {
    Now {
        successes: second / 5,
        runs: (second / PERIOD, second / PERIOD * PERIOD),
        ..Now::default()
    }
}

fn scripts() -> Vec<Script> {
    let between = |second: u64, start: u64, end: u64| start * MINUTE <= second && second < end * MINUTE;
    let mut scripts = vec![
        Script::new("all is well", well),
        Script::new("a long quiet outage", |s| Now {
            open: [between(s, 20, 80), false],
            failures: 3 * u64::from(20 * MINUTE <= s),
            successes: s.min(20 * MINUTE) / 5 + s.saturating_sub(80 * MINUTE) / 5,
            ..well(s)
        }),
        Script::new("an outage with a lucky answer every five minutes", |s| Now {
            open: [between(s, 20, 80) && s % 300 != 150, false],
            ..well(s)
        }),
        Script::new(
            "an outage after which it flaps, and then fails at half of its calls",
            |s| Now {
                open: [
                    between(s, 20, 40) || between(s, 40, 70) && 150 <= s % (12 * MINUTE),
                    false,
                ],
                failures: s.saturating_sub(70 * MINUTE).min(30 * MINUTE) / 5,
                ..well(s)
            },
        ),
        Script::new("failures behind a circuit that is held closed", |s| Now {
            failures: s.saturating_sub(20 * MINUTE).min(40 * MINUTE) / 5,
            successes: s.min(20 * MINUTE) / 5 + s.saturating_sub(60 * MINUTE) / 5,
            ..well(s)
        }),
        Script::new("one failed call of one", |s| Now {
            failures: u64::from(20 * MINUTE <= s),
            successes: 0,
            ..well(s)
        }),
        Script::new("our own line", |s| Now {
            open: [between(s, 20, 50), between(s, 20, 54)],
            common_cause: between(s, 20, 50),
            ..well(s)
        }),
        Script::new("our own line, which comes and goes, while one stays down", |s| {
            let down = between(s, 20, 80) && s % (10 * MINUTE) < 4 * MINUTE;
            Now {
                open: [between(s, 20, 110), down],
                common_cause: down,
                ..well(s)
            }
        }),
        Script::new("our own line while one was down already", |s| Now {
            open: [between(s, 5, 90), between(s, 40, 60)],
            common_cause: between(s, 40, 60),
            ..well(s)
        }),
        Script::new("a disk that is full, and a refresh that hangs", |s| Now {
            readonly: between(s, 10, 40),
            runs: well(s.min(30 * MINUTE)).runs,
            stale: s.saturating_sub(50 * MINUTE).min(20 * MINUTE) / 120,
            ..well(s)
        }),
        Script::new("values that are served, then too old, and asked for seldom", |s| Now {
            stale: s.clamp(20 * MINUTE, 50 * MINUTE) / 420,
            refused: s.clamp(50 * MINUTE, 90 * MINUTE) / 420,
            not_fresh: between(s, 20, 95),
            ..well(s)
        }),
        Script::new("a ban", |s| Now {
            quarantined: between(s, 20, 60),
            ..well(s)
        }),
        Script::new("a market without prices, but for a moment", |s| Now {
            without_prices: between(s, 20, 50) && !between(s, 30, 33),
            ..well(s)
        }),
        Script::new("a refresh that never completes", |s| Now {
            runs: (0, 0),
            ..well(s)
        }),
    ];
    scripts.extend((1..=4).map(Script::random));
    scripts
}

/// Alerts that fire, as Prometheus labels them.
type Firing = BTreeSet<String>;

/// What the evaluator says at each look.
fn evaluated(script: &Script, config: &AlertsConfig) -> Vec<Firing> {
    let (mut evaluator, start) = (Evaluator::new(config), Instant::now());
    let step = |(look, now): (u64, &Now)| {
        let upstream = |number: usize| UpstreamSample {
            provider: ProviderName::new(UPSTREAMS[number]),
            failures: if number == 0 { now.failures } else { 0 },
            successes: if number == 0 { now.successes } else { 0 },
            circuit_open: now.open[number],
            quarantined: number == 0 && now.quarantined,
            serves: vec!["prices"],
            answered_last: Some(true),
        };
        evaluator.step(Sample {
            instant: start + Duration::from_secs(look * EVERY),
            at: Timestamp::EPOCH.plus((look * EVERY * 1_000_000) as i64),
            upstreams: vec![upstream(0), upstream(1)],
            common_cause: now.common_cause,
            cache_readonly: now.readonly,
            latest: vec![LatestHealth {
                cache_name: "prices",
                fresh_served: 0,
                stale_served: now.stale,
                stale_refused: now.refused,
                not_fresh: now.not_fresh,
            }],
            jobs: vec![(JobKind::Klines, Duration::from_secs(PERIOD), now.runs.0)],
            without_prices: now.without_prices.then_some(Market::Um).into_iter().collect(),
        });
        let firing = evaluator
            .alerts()
            .into_iter()
            .filter(|alert| alert.state == AlertState::Firing);
        firing.map(|alert| labels(alert.rule, &alert.subject)).collect()
    };
    (0..).zip(&script.looks).map(step).collect()
}

fn labels(rule: RuleName, subject: &Subject) -> String {
    let subject = subject.label().map(|(label, value)| format!(", {label}=\"{value}\""));
    format!("{{alertname=\"{}\"{}}}", rule.as_str(), subject.unwrap_or_default())
}

/// The script as series, and what the evaluator said as what is expected.
fn unit_test(script: &Script, expected: &[Firing]) -> String {
    let mut yaml = format!("  - name: {}\n    interval: {EVERY}s\n    input_series:\n", script.name);
    let mut series = |name: &str, labels: &str, value: &dyn Fn(&Now) -> u64| {
        let values: Vec<String> = script.looks.iter().map(|now| value(now).to_string()).collect();
        let _ = writeln!(
            yaml,
            "      - series: '{name}{{job=\"evercandle\", instance=\"a\"{labels}}}'\n        values: '{}'",
            values.join(" ")
        );
    };
    series("up", "", &|_| 1);
    for (number, name) in UPSTREAMS.into_iter().enumerate() {
        let label = format!(", provider=\"{name}\"");
        series("qt_provider_circuit_open", &label, &|now| u64::from(now.open[number]));
        series("qt_provider_quarantined", &label, &|now| {
            u64::from(number == 0 && now.quarantined)
        });
        series("qt_provider_failures_total", &label, &|now| {
            if number == 0 { now.failures } else { 0 }
        });
        series("qt_provider_success_total", &label, &|now| {
            if number == 0 { now.successes } else { 0 }
        });
    }
    series("qt_common_cause_suspected", "", &|now| u64::from(now.common_cause));
    series("qt_cache_readonly", "", &|now| u64::from(now.readonly));
    series("qt_stale_served_total", ", cache_name=\"prices\"", &|now| now.stale);
    series("qt_stale_refused_total", ", cache_name=\"prices\"", &|now| now.refused);
    series("qt_latest_not_fresh", ", cache_name=\"prices\"", &|now| {
        u64::from(now.not_fresh)
    });
    series("qt_scheduler_without_prices", ", market=\"um\"", &|now| {
        u64::from(now.without_prices)
    });
    series("qt_scheduler_begun_timestamp_seconds", ", kind=\"klines\"", &|_| 0);
    series("qt_scheduler_period_seconds", ", kind=\"klines\"", &|_| PERIOD);
    series(
        "qt_scheduler_last_completed_timestamp_seconds",
        ", kind=\"klines\"",
        &|now| now.runs.1,
    );
    let mut sums: BTreeMap<&String, (u64, u64)> = BTreeMap::new();
    for (look, firing) in (0_u64..).zip(expected) {
        for labels in firing {
            let (count, times) = sums.entry(labels).or_default();
            *count += 1;
            *times += look * EVERY;
        }
    }
    yaml += "    promql_expr_test:\n";
    let firing = "count by (alertname, provider, cache_name, market, kind) (ALERTS{alertstate=\"firing\"})";
    let (all, last) = (LOOKS * EVERY, (LOOKS - 1) * EVERY);
    for (expression, which) in [
        (format!("sum_over_time(({firing})[{all}s:{EVERY}s])"), 0),
        (format!("sum_over_time((time() * {firing})[{all}s:{EVERY}s])"), 1),
    ] {
        let _ = writeln!(
            yaml,
            "      - expr: {expression}\n        eval_time: {last}s\n        exp_samples:"
        );
        for (labels, (count, times)) in &sums {
            let value = if which == 0 { count } else { times };
            let _ = writeln!(yaml, "          - {{labels: '{labels}', value: {value}}}");
        }
    }
    yaml
}

#[test]
fn both_forms_fire_at_the_same_looks() {
    let config = AlertsConfig::default();
    let scripts = scripts();
    let mut tests = format!("rule_files: [rules.yml]\nevaluation_interval: {EVERY}s\ntests:\n");
    let mut seen = BTreeSet::new();
    for script in &scripts {
        let expected = evaluated(script, &config);
        seen.extend(expected.iter().flatten().cloned());
        tests += &unit_test(script, &expected);
    }
    // The scripts are worth something: every rule fires in one of them.
    for rule in RuleName::EVALUATED {
        assert!(
            seen.iter()
                .any(|labels| labels.contains(&format!("\"{}\"", rule.as_str()))),
            "{rule:?}"
        );
    }
    let Some(mut promtool) = program("promtool") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), prometheus_rules(&config)).unwrap();
    std::fs::write(folder.path().join("tests.yml"), tests).unwrap();
    content(promtool.current_dir(folder.path()).args(["test", "rules", "tests.yml"]));
}
