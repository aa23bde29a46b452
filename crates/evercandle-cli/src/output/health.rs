//! How every upstream is doing, for operators and for programs.

use evercandle::{CircuitState, Health, Probe, Status, Timestamp, UpstreamHealth};
use serde_json::{Value, json};

use super::list::{Column, left, right, table, tinted};
use crate::screen::{Ink, Screen, paint};
use crate::text;

const SHOWN: [Column; 10] = [
    left("upstream"),
    left("status"),
    left("serves").spare(),
    left("circuit"),
    right("failed").spare(),
    right("quota").spare(),
    right("p50").spare(),
    right("p99").spare(),
    left("asked again"),
    left("last error"),
];

/// Whether some upstream can serve something: it may be called, and its last word was no failure.
pub(crate) fn can_serve(health: &Health) -> bool {
    health.upstreams.iter().any(serves)
}

fn serves(upstream: &UpstreamHealth) -> bool {
    matches!(upstream.status, Status::Ok | Status::Degraded) && upstream.answered_last != Some(false)
}

/// The table and what has to be said below it.
pub(crate) fn shown(health: &Health, screen: &Screen) -> String {
    let rows: Vec<Vec<String>> = health.upstreams.iter().map(|u| row(u, health.at)).collect();
    let mut out = table(&SHOWN, &rows, screen.stdout_limit);
    if screen.stdout_color {
        out = tinted(&out, "status", |cell| match cell {
            "ok" => Some(Ink::Good),
            "degraded" => Some(Ink::Warning),
            "down" | "quarantined" => Some(Ink::Bad),
            "not asked" => Some(Ink::Faint),
            _ => None,
        });
    }
    let mut say = |ink: Ink, name: &str, what: String| {
        let what = text::foreign(&what);
        out += &format!("{} {what}\n", paint(screen.stdout_color, ink, name));
    };
    for upstream in &health.upstreams {
        if let Some(why) = &upstream.quarantine {
            let until = upstream.retry_at.map(|at| format!(" until {}", text::second(at)));
            let what = format!(
                "{} is left alone{}: {why}",
                upstream.provider,
                until.unwrap_or_default()
            );
            say(Ink::Bad, "quarantine:", what);
        }
    }
    if let Some(since) = health.common_cause_since {
        let what = format!(
            "most upstreams fail together since {}, so it is probably our own line",
            text::second(since)
        );
        say(Ink::Bad, "line:", what);
    }
    if let Some(why) = &health.cache_readonly {
        say(Ink::Warning, "cache:", format!("it is only read, not written: {why}"));
    }
    for kind in ["klines", "prices", "sentiment"] {
        if !health.upstreams.iter().any(|u| u.serves.contains(&kind) && serves(u)) {
            let what = format!("no upstream can serve {kind}; what is held or remembered still is");
            say(Ink::Bad, "outage:", what);
        }
    }
    out
}

fn row(upstream: &UpstreamHealth, now: Timestamp) -> Vec<String> {
    let none = || "–".to_owned();
    let circuit = match (upstream.state, upstream.opened_at) {
        (CircuitState::Closed, _) => "closed".to_owned(),
        (CircuitState::Open, Some(at)) => format!("open since {}", clock(at)),
        (CircuitState::Open, None) => "open".to_owned(),
        (CircuitState::HalfOpen, _) => "half open".to_owned(),
    };
    let by_hand = if upstream.forced { " (by hand)" } else { "" };
    let quota = upstream.quota.as_ref();
    let again = upstream.retry_at.map(|at| match at.since(now) {
        wait if wait > 0 => format!("in {}", text::span((wait + 999_999) / 1_000_000 * 1_000_000)),
        _ => "now".to_owned(),
    });
    vec![
        upstream.provider.to_string(),
        status(upstream).to_owned(),
        upstream.serves.join(" "),
        format!("{circuit}{by_hand}"),
        match upstream.failure_count {
            0 => none(),
            n => format!("{n} in a row"),
        },
        quota.map_or_else(none, |q| format!("{} of {} ({})", q.used, q.allowed, q.limit)),
        upstream.latency.map_or_else(none, |l| text::took(l.p50)),
        upstream.latency.map_or_else(none, |l| text::took(l.p99)),
        again.unwrap_or_else(none),
        error(upstream).map_or_else(none, |(at, why)| format!("{} {why}", clock(at))),
    ]
}

fn status(upstream: &UpstreamHealth) -> &'static str {
    let known = upstream.success_count + upstream.failures_total > 0 || upstream.last_probe.is_some();
    match upstream.status {
        Status::Ok if !known => "not asked",
        status => status.as_str(),
    }
}

/// The newest thing that went wrong, in a call or in a probe: a failed probe is in no other column, a good one no error.
fn error(upstream: &UpstreamHealth) -> Option<(Timestamp, &str)> {
    let failed = |probe: &&Probe| !serves(upstream) && !probe.is_answered();
    let probe = upstream.last_probe.as_ref().filter(failed);
    let probe = probe.map(|probe| (probe.at, probe.what()));
    let call = upstream.last_error.as_ref().map(|(at, what)| (*at, what.as_str()));
    match (call, probe) {
        (Some(call), Some(probe)) if call.0 > probe.0 => Some(call),
        (call, probe) => probe.or(call),
    }
}

fn clock(at: Timestamp) -> String {
    text::second(at).chars().skip(11).collect()
}

/// Everything, for programs.
pub(crate) fn object(health: &Health) -> Value {
    json!({
        "at": health.at.to_string(),
        "can_serve": can_serve(health),
        "common_cause_since": health.common_cause_since.map(|t| t.to_string()),
        "cache_readonly": health.cache_readonly,
        "upstreams": health.upstreams.iter().map(upstream).collect::<Vec<_>>(),
    })
}

fn upstream(one: &UpstreamHealth) -> Value {
    let time = |at: Option<Timestamp>| at.map(|t| t.to_string());
    let told = |at: Timestamp, what: &str| json!({"at": at.to_string(), "what": what});
    json!({
        "name": one.provider.as_str(),
        "serves": one.serves,
        "status": one.status.as_str(),
        "circuit": one.state.as_str(),
        "forced": one.forced,
        "failure_count": one.failure_count,
        "success_count": one.success_count,
        "failures_total": one.failures_total,
        "skipped_total": one.skipped_total,
        "opened_at": time(one.opened_at),
        "cooldown_seconds": one.cooldown.map(super::seconds),
        "retry_at": time(one.retry_at),
        "quarantine": one.quarantine,
        "last_error": one.last_error.as_ref().map(|(at, what)| told(*at, what)),
        "last_success_at": time(one.last_success_at),
        "last_probe": one.last_probe.as_ref().map(|probe| told(probe.at, probe.what())),
        "latency_seconds": one.latency.map(|l| json!({
            "calls": l.calls,
            "p50": l.p50.as_secs_f64(),
            "p90": l.p90.as_secs_f64(),
            "p99": l.p99.as_secs_f64(),
        })),
        "quota": one.quota.as_ref().map(|q| json!({
            "group": q.group,
            "used": q.used,
            "allowed": q.allowed,
            "limit": q.limit,
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn whatever_is_wrong_is_in_the_table_or_below_it() {
        insta::assert_snapshot!("health", shown(&fixture::health(), &fixture::screen(Some(150))));
        insta::assert_snapshot!("health_narrow", shown(&fixture::health(), &fixture::screen(Some(80))));
    }

    #[test]
    fn programs_get_every_field() {
        let mut health = fixture::health();
        health.upstreams.truncate(1);
        insta::assert_snapshot!("health_json", format!("{:#}", object(&health)));
    }

    #[test]
    fn a_probe_that_was_answered_is_no_error() {
        let mut health = fixture::health();
        let (at, upstream) = (health.at, &mut health.upstreams[1]);
        upstream.last_probe = Some(Probe { at, result: Ok(()) });
        assert_eq!(error(upstream), None);
        let before = at.plus(-9_000_000);
        upstream.last_error = Some((before, "connection refused".to_owned()));
        assert_eq!(error(upstream), Some((before, "connection refused")));
    }

    #[test]
    fn an_upstream_whose_last_word_was_a_failure_serves_nothing() {
        let mut health = fixture::health();
        assert!(can_serve(&health));
        health.upstreams.remove(0);
        assert!(!can_serve(&health), "{health:?}");
    }
}
