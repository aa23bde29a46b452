//! How everything is, as JSON, and the sentences that somebody woken at three in the morning reads first.
//!
//! Pure: a snapshot in, a document out.

use std::collections::BTreeMap;
use std::time::Duration;

use evercandle::{Health, Status, Timestamp, UpstreamHealth};
use serde::Serialize;
use utoipa::ToSchema;

use crate::notify::Standing;
use crate::wire::alert::AlertBody;
use crate::wire::schedule::Short;

/// How long a message that was given up counts as something wrong; in microseconds.
const GIVEN_UP_COUNTS: i64 = 3_600_000_000;

/// How everything is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// All of it in one word.
    pub(crate) status: Word,
    /// What is wrong, since when, and what happens next: one sentence each. Empty when nothing is.
    pub(crate) summary: Vec<String>,
    /// When this was true; UTC.
    pub(crate) at: String,
    /// The daemon's version.
    pub(crate) version: &'static str,
    /// How long it has been running.
    pub(crate) uptime_seconds: f64,
    /// Whether it was told to stop.
    pub(crate) draining: bool,
    /// Since when most upstreams fail together, which points at our own line.
    pub(crate) common_cause_since: Option<String>,
    /// The cache.
    pub(crate) cache: CacheBody,
    /// By name.
    pub(crate) providers: Providers,
    /// Alerts that are pending or firing, or ended a while ago.
    pub(crate) alerts: Vec<AlertBody>,
    /// Who is told of alerts, and how that goes.
    pub(crate) notifier: NotifierBody,
    /// The scheduler, in short.
    pub(crate) scheduler: Short,
}

/// Who is told of alerts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct NotifierBody {
    /// Whether alerts are evaluated here at all.
    pub(crate) enabled: bool,
    /// By name. Their addresses are secrets.
    pub(crate) webhooks: BTreeMap<String, WebhookBody>,
}

/// How a webhook took what it was told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct WebhookBody {
    /// `ok`, `failing`, or `idle`: nothing was to be told yet.
    pub(crate) status: &'static str,
    /// Messages that it has not taken yet.
    pub(crate) waiting: usize,
    /// When it last took one; UTC.
    pub(crate) last_success_at: Option<String>,
    /// The last failure.
    pub(crate) last_failure: Option<Event>,
    /// The first failure since it last took one; UTC.
    pub(crate) failing_since: Option<String>,
}

/// All in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// Nothing is wrong.
    Ok,
    /// Something is wrong, or was until a moment ago, so that an alert still fires; what can be served is served.
    Degraded,
    /// Nothing can be served.
    Down,
}

/// Whether anything can be served.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReadyBody {
    /// Whether.
    pub(crate) ready: bool,
    /// Whether it was told to stop.
    pub(crate) draining: bool,
    /// Why, or why not.
    pub(crate) why: Vec<String>,
}

/// The cache.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct CacheBody {
    /// Whether its folder lets itself be written; null until looked at.
    pub(crate) dir_writable: Option<bool>,
    /// Why it is not written, if it is not.
    pub(crate) readonly: Option<String>,
    /// Series with at least one file; null until counted.
    pub(crate) series: Option<usize>,
    /// Files.
    pub(crate) files: Option<usize>,
    /// Their bytes.
    pub(crate) bytes: Option<u64>,
    /// The most they may take, if that is limited.
    pub(crate) size_max: Option<u64>,
    /// Damaged files that were set aside.
    pub(crate) quarantined_files: Option<usize>,
    /// When the figures were taken; UTC.
    pub(crate) counted_at: Option<String>,
}

/// Upstreams by name, in the catalogue's order.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = std::collections::BTreeMap<String, ProviderBody>)]
pub(crate) struct Providers(pub(crate) Vec<(String, ProviderBody)>);

impl Serialize for Providers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, body)| (name, body)))
    }
}

/// One upstream.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ProviderBody {
    /// `ok`, `degraded`, `down`, `quarantined`.
    pub(crate) status: &'static str,
    /// `klines`, `prices`, `sentiment`.
    pub(crate) serves: Vec<&'static str>,
    /// `closed`, `open`, `half_open`.
    pub(crate) circuit: &'static str,
    /// Whether calls are kept back, or let through one by one.
    pub(crate) circuit_open: bool,
    /// Whether the circuit was set by hand.
    pub(crate) forced: bool,
    /// Failures since the last success.
    pub(crate) failure_count: u32,
    /// Calls that were answered, since the daemon started.
    pub(crate) success_count: u64,
    /// Calls that failed, since the daemon started.
    pub(crate) failures_total: u64,
    /// Calls not made, since the daemon started.
    pub(crate) skipped_total: u64,
    /// When the present status began; UTC.
    pub(crate) since: String,
    /// When the circuit opened; null while it is closed.
    pub(crate) opened_at: Option<String>,
    /// How long it stays open this time.
    pub(crate) cooldown_seconds: Option<f64>,
    /// When it is asked again.
    pub(crate) retry_at: Option<String>,
    /// Why it is left alone although it works.
    pub(crate) quarantine: Option<String>,
    /// The last failure.
    pub(crate) last_error: Option<Event>,
    /// When it last answered.
    pub(crate) last_success_at: Option<String>,
    /// The last probe, and what came of it.
    pub(crate) last_probe: Option<Event>,
    /// How long its last calls took.
    pub(crate) latency_seconds: Option<LatencyBody>,
    /// What was used of its limit in this minute.
    pub(crate) quota: Option<QuotaBody>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Event {
    /// When; UTC.
    pub(crate) at: String,
    /// What.
    pub(crate) what: String,
}

/// Quantiles of the last calls.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LatencyBody {
    /// How many.
    pub(crate) calls: usize,
    /// Half took no longer.
    pub(crate) p50: f64,
    /// 90 % took no longer.
    pub(crate) p90: f64,
    /// 99 % took no longer.
    pub(crate) p99: f64,
}

/// A limit's use in this minute.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct QuotaBody {
    /// Upstreams with the same group share it.
    pub(crate) group: &'static str,
    /// Used, by us and others behind our address.
    pub(crate) used: u32,
    /// What we allow ourselves.
    pub(crate) allowed: u32,
    /// What the upstream allows.
    pub(crate) limit: u32,
}

/// Every upstream.
pub(crate) fn providers(health: &Health) -> Providers {
    let named = |u: &UpstreamHealth| (u.provider.to_string(), provider(u));
    Providers(health.upstreams.iter().map(named).collect())
}

/// One upstream.
pub(crate) fn provider(upstream: &UpstreamHealth) -> ProviderBody {
    let event = |at: Timestamp, what: &str| Event {
        at: at.to_string(),
        what: what.to_owned(),
    };
    let text = |at: Timestamp| at.to_string();
    ProviderBody {
        status: upstream.status.as_str(),
        serves: upstream.serves.clone(),
        circuit: upstream.state.as_str(),
        circuit_open: upstream.circuit_open,
        forced: upstream.forced,
        failure_count: upstream.failure_count,
        success_count: upstream.success_count,
        failures_total: upstream.failures_total,
        skipped_total: upstream.skipped_total,
        since: since(upstream).to_string(),
        opened_at: upstream.opened_at.map(text),
        cooldown_seconds: upstream.cooldown.map(|d| d.as_secs_f64()),
        retry_at: upstream.retry_at.map(text),
        quarantine: upstream.quarantine.clone(),
        last_error: upstream.last_error.as_ref().map(|(at, what)| event(*at, what)),
        last_success_at: upstream.last_success_at.map(text),
        last_probe: upstream.last_probe.as_ref().map(|probe| event(probe.at, probe.what())),
        latency_seconds: upstream.latency.map(|l| LatencyBody {
            calls: l.calls,
            p50: l.p50.as_secs_f64(),
            p90: l.p90.as_secs_f64(),
            p99: l.p99.as_secs_f64(),
        }),
        quota: upstream.quota.as_ref().map(|q| QuotaBody {
            group: q.group,
            used: q.used,
            allowed: q.allowed,
            limit: q.limit,
        }),
    }
}

/// Who is told of alerts.
pub(crate) fn notifier(enabled: bool, webhooks: Vec<(String, Standing)>) -> NotifierBody {
    let body = |standing: Standing| WebhookBody {
        status: match (standing.failing_since, standing.last_success_at) {
            (Some(_), _) => "failing",
            (None, Some(_)) => "ok",
            (None, None) => "idle",
        },
        waiting: standing.waiting,
        last_success_at: standing.last_success_at.map(|at| at.to_string()),
        last_failure: standing.last_failure.map(|(at, what)| Event {
            at: at.to_string(),
            what,
        }),
        failing_since: standing.failing_since.map(|at| at.to_string()),
    };
    NotifierBody {
        enabled,
        webhooks: webhooks.into_iter().map(|(name, s)| (name, body(s))).collect(),
    }
}

/// What is wrong with a webhook, since when:
/// `webhook ops: not told since 03:12:09 (12 min): no connection; 2 messages wait`. What was given up is wrong for an hour:
/// the next message may be weeks away, and only that shows whether it is still so.
pub(crate) fn untold(name: &str, standing: &Standing, now: Timestamp) -> Option<String> {
    let (since, (failed_at, what)) = (standing.failing_since?, standing.last_failure.as_ref()?);
    if standing.waiting == 0 && GIVEN_UP_COUNTS <= now.since(*failed_at) {
        return None;
    }
    let (clock, span) = (clock(since, now), span(since, now));
    let waiting = match standing.waiting {
        0 => "; what was to be told is given up".to_owned(),
        1 => "; 1 message waits".to_owned(),
        n => format!("; {n} messages wait"),
    };
    Some(format!(
        "webhook {name}: not told since {clock} ({span}): {what}{waiting}"
    ))
}

/// Whether anything can be served, and why: klines are held, or some upstream answers or was not found wanting.
pub(crate) fn ready(health: &Health, held: Option<usize>, draining: bool) -> ReadyBody {
    if draining {
        return ReadyBody {
            ready: false,
            draining,
            why: vec!["told to stop: answers under way are ended, new ones belong elsewhere".to_owned()],
        };
    }
    let mut reasons = Vec::new();
    if let Some(series) = held.filter(|series| 0 < *series) {
        reasons.push(format!("the cache holds klines of {series} series"));
    }
    for upstream in &health.upstreams {
        match upstream.answered_last {
            Some(true) if can_be_asked(upstream) => reasons.push(format!("{} answers", upstream.provider)),
            None if can_be_asked(upstream) => reasons.push(format!("{} was not asked yet", upstream.provider)),
            _ => {}
        }
    }
    if !reasons.is_empty() {
        return ReadyBody {
            ready: true,
            draining,
            why: reasons,
        };
    }
    let mut why = vec![match held {
        Some(_) => "the cache holds nothing".to_owned(),
        None => "the cache has not been counted, which takes unusually long".to_owned(),
    }];
    why.extend(health.upstreams.iter().filter_map(|u| sentence(u, health.at)));
    ReadyBody {
        ready: false,
        draining,
        why,
    }
}

fn can_be_asked(upstream: &UpstreamHealth) -> bool {
    matches!(upstream.status, Status::Ok | Status::Degraded)
}

/// Since when an upstream is how it is. A probe that fails does not begin another outage: while the circuit is not closed,
/// it is since it opened.
fn since(upstream: &UpstreamHealth) -> Timestamp {
    match upstream.opened_at {
        Some(opened_at) => opened_at.min(upstream.status_since),
        None => upstream.status_since,
    }
}

/// What is wrong with an upstream, since when, and what happens next:
/// `binance: down since 03:12:09 (12 min): connection refused; next probe 03:24:30`.
pub(crate) fn sentence(upstream: &UpstreamHealth, now: Timestamp) -> Option<String> {
    if upstream.status == Status::Ok {
        return None;
    }
    let (word, since) = (upstream.status.as_str(), since(upstream));
    let mut text = format!(
        "{}: {word} since {} ({})",
        upstream.provider,
        clock(since, now),
        span(since, now)
    );
    let error = upstream.last_error.as_ref().map(|(_, what)| what.as_str());
    if let Some(why) = upstream.quarantine.as_deref().or(error) {
        text += &format!(": {why}");
    }
    let next = match upstream.status {
        Status::Quarantined => "asked again",
        _ => "next probe",
    };
    match upstream.retry_at {
        Some(at) if now < at => text += &format!("; {next} {}", clock(at, now)),
        Some(_) => text += &format!("; {next} any moment"),
        None if upstream.forced => text += "; set by hand, until it is reset by hand",
        None => {}
    }
    Some(text)
}

/// The time of day, with its date if that is not today's.
pub(crate) fn clock(at: Timestamp, now: Timestamp) -> String {
    let seconds = Timestamp::from_micros(at.as_micros().div_euclid(1_000_000) * 1_000_000);
    let text = seconds.to_string();
    let (date, time) = text.split_once('T').unwrap_or(("", &text));
    let time = time.trim_end_matches('Z');
    match at.date() == now.date() {
        true => time.to_owned(),
        false => format!("{date} {time}"),
    }
}

/// How long ago, as one would say it.
pub(crate) fn span(since: Timestamp, now: Timestamp) -> String {
    let micros = now.since(since).max(0).unsigned_abs();
    words(Duration::from_micros(micros))
}

fn words(took: Duration) -> String {
    match took.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use evercandle::{CircuitState, ProviderName};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000); // 2023-11-14T22:13:20Z

    fn ago(seconds: i64) -> Timestamp {
        NOW.plus(-seconds * 1_000_000)
    }

    fn upstream(name: &str, status: Status) -> UpstreamHealth {
        UpstreamHealth {
            provider: ProviderName::new(name),
            serves: vec!["klines"],
            status,
            status_since: ago(720),
            state: CircuitState::Closed,
            circuit_open: false,
            forced: false,
            failure_count: 0,
            success_count: 0,
            failures_total: 0,
            skipped_total: 0,
            opened_at: None,
            cooldown: None,
            retry_at: None,
            quarantine: None,
            answered_last: None,
            last_error: None,
            last_success_at: None,
            last_probe: None,
            latency: None,
            quota: None,
        }
    }

    fn health(upstreams: Vec<UpstreamHealth>) -> Health {
        Health {
            at: NOW,
            upstreams,
            common_cause_since: None,
            cache_readonly: None,
            latest: Vec::new(),
        }
    }

    #[test]
    fn a_sentence_says_what_since_when_why_and_what_is_next() {
        let down = UpstreamHealth {
            last_error: Some((ago(1), "connection refused".to_owned())),
            retry_at: Some(ago(-681)),
            ..upstream("binance", Status::Down)
        };
        assert_eq!(
            sentence(&down, NOW).unwrap(),
            "binance: down since 22:01:20 (12 min): connection refused; next probe 22:24:41"
        );
        let banned = UpstreamHealth {
            status_since: ago(3 * 86_400),
            quarantine: Some("418: banned".to_owned()),
            retry_at: Some(ago(-60)),
            ..upstream("binance", Status::Quarantined)
        };
        assert_eq!(
            sentence(&banned, NOW).unwrap(),
            "binance: quarantined since 2023-11-11 22:13:20 (3 days): 418: banned; asked again 22:14:20"
        );
        let by_hand = UpstreamHealth {
            forced: true,
            ..upstream("coingecko", Status::Down)
        };
        let said = sentence(&by_hand, NOW).unwrap();
        assert!(said.ends_with("set by hand, until it is reset by hand"), "{said}");
        assert_eq!(sentence(&upstream("binance", Status::Ok), NOW), None);
    }

    #[test]
    fn a_webhook_that_fails_is_told_since_when_and_how_many_messages_wait() {
        let standing = Standing {
            waiting: 2,
            last_success_at: Some(ago(3_600)),
            last_failure: Some((ago(1), "no connection".to_owned())),
            failing_since: Some(ago(720)),
        };
        assert_eq!(
            untold("ops", &standing, NOW).unwrap(),
            "webhook ops: not told since 22:01:20 (12 min): no connection; 2 messages wait"
        );
        let given_up = |seconds| Standing {
            waiting: 0,
            last_failure: Some((ago(seconds), "it refuses: 404".to_owned())),
            ..standing.clone()
        };
        let said = untold("ops", &given_up(3_599), NOW).unwrap();
        assert!(said.ends_with("what was to be told is given up"), "{said}");
        assert_eq!(untold("ops", &given_up(3_600), NOW), None);
        let well = Standing {
            failing_since: None,
            ..standing
        };
        assert_eq!(untold("ops", &well, NOW), None);
    }

    #[test]
    fn spans_are_said_as_one_would_say_them() {
        for (seconds, said) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(ago(seconds), NOW), said);
        }
    }

    /// Goal: ready means that something can be served, from anywhere, and nothing else.
    #[test]
    fn ready_is_who_holds_something_or_knows_somebody_who_answers() {
        let answers = |answered| UpstreamHealth {
            answered_last: answered,
            ..upstream("binance", Status::Ok)
        };
        let down = || upstream("binance", Status::Down);
        let failing = || UpstreamHealth {
            answered_last: Some(false),
            ..upstream("binance", Status::Degraded)
        };
        let banned = || UpstreamHealth {
            answered_last: Some(true),
            ..upstream("binance", Status::Quarantined)
        };
        for (upstreams, held, is_ready) in [
            (vec![answers(Some(true))], Some(0), true),
            (vec![answers(None)], Some(0), true),
            (vec![answers(None)], None, true),
            (vec![down()], Some(3), true),
            (vec![down(), answers(Some(true))], Some(0), true),
            (vec![down(), failing(), banned()], Some(0), false),
            (vec![down()], None, false),
        ] {
            let body = ready(&health(upstreams.clone()), held, false);
            assert_eq!(body.ready, is_ready, "{upstreams:?} {held:?}");
            assert!(!body.why.is_empty());
            assert!(!ready(&health(upstreams), held, true).ready, "not while it drains");
        }
    }

    #[test]
    fn upstreams_are_written_in_the_order_they_are_asked() {
        let all = health(vec![upstream("zebra", Status::Ok), upstream("ant", Status::Down)]);
        let text = serde_json::to_string(&providers(&all)).unwrap();
        assert!(text.find("zebra").unwrap() < text.find("ant").unwrap());
    }
}
