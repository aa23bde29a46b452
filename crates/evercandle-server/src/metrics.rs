//! What the daemon counts of itself, and how everything that is counted is shown to Prometheus.
//!
//! The library counts through the `metrics` facade, whose recorder is one per process: [`install_recorder`] installs
//! ours, once, before the first client is made. It writes Prometheus' text format only; OpenMetrics is translated from
//! that text, line by line, because the differences are few: the name of a counter's family, units, and the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::klines::negotiation;

const REQUESTS: &str = "qt_http_requests_total";
const DURATION: &str = "qt_http_request_duration_seconds";
const IN_FLIGHT: &str = "qt_http_requests_in_flight";
const SHED: &str = "qt_http_shed_total";
const CUT_OFF: &str = "qt_http_cut_off_total";
const CONNECTIONS: &str = "qt_http_connections";
const STREAMS: &str = "qt_http_streams";
const RESTARTS: &str = "qt_task_restarts_total";
const BUILD: &str = "qt_build_info";
const STARTED: &str = "process_start_time_seconds";
const RESIDENT: &str = "process_resident_memory_bytes";
const OPEN_FILES: &str = "process_open_fds";

/// From a read of the cache to an archive that trickles.
const SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// How often what was recorded is folded into buckets when nobody scrapes; else it piles up.
const UPKEEP: Duration = Duration::from_secs(5);

/// The process's recorder; `None` inside: another one was there first.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Makes this process count, for `/metrics` to show. Call it before the first [`Client`](evercandle::Client) is made,
/// which tells the recorder what its metrics mean; calling it again does nothing. Returns whether what is counted will
/// be shown: not if the program has installed another recorder.
pub fn install_recorder() -> bool {
    RECORDER.get_or_init(install).is_some()
}

fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .ok()?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder).ok()?;
    describe();
    Some(handle)
}

/// Folds what was recorded into buckets, for ever.
pub(crate) async fn upkeep() {
    loop {
        tokio::time::sleep(UPKEEP).await;
        if let Some(handle) = recorder() {
            handle.run_upkeep();
        }
    }
}

fn recorder() -> Option<&'static PrometheusHandle> {
    RECORDER.get()?.as_ref()
}

fn describe() {
    use ::metrics::{Unit, describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    counter!(
        REQUESTS,
        Unit::Count,
        "Requests that were answered, by method, route and status."
    );
    histogram!(
        DURATION,
        Unit::Seconds,
        "How long requests took until their answer began."
    );
    gauge!(IN_FLIGHT, Unit::Count, "Requests whose answer has not begun yet.");
    counter!(SHED, Unit::Count, "Requests and connections turned away, by reason.");
    counter!(
        CUT_OFF,
        Unit::Count,
        "Answers under way that were broken off, by reason."
    );
    gauge!(CONNECTIONS, Unit::Count, "Connections that are open.");
    gauge!(STREAMS, Unit::Count, "Event streams that are open.");
    counter!(
        RESTARTS,
        Unit::Count,
        "Tasks of the daemon that broke and began again, by task."
    );
    gauge!(BUILD, Unit::Count, "1, labelled with the version that runs.");
    gauge!(STARTED, Unit::Seconds, "When the process began, in Unix time.");
    gauge!(
        RESIDENT,
        Unit::Bytes,
        "Memory of the process that is in use by the machine."
    );
    gauge!(
        OPEN_FILES,
        Unit::Count,
        "Files and sockets that the process holds open."
    );
    // What has not happened yet is zero, which differs from not being counted.
    for gauge in [IN_FLIGHT, CONNECTIONS, STREAMS] {
        ::metrics::gauge!(gauge).set(0.0);
    }
    for reason in ["connections", "requests", "streams"] {
        ::metrics::counter!(SHED, "reason" => reason).absolute(0);
    }
    for reason in ["answer_timeout", "incomplete", "slow_reader", "stopping"] {
        ::metrics::counter!(CUT_OFF, "reason" => reason).absolute(0);
    }
    ::metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ::metrics::gauge!(STARTED).set(since_epoch.as_secs_f64().floor());
}

// --- what is counted -----------------------------------------------------------------------------------------------------

/// A layer: counts a request, whatever becomes of it.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        // What a caller invents must not become a label.
        None => "unmatched".to_owned(),
    };
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "OPTIONS" | "PUT" | "DELETE" | "PATCH") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let (began, in_flight) = (Instant::now(), Level::up(IN_FLIGHT));
    let response = next.run(request).await;
    drop(in_flight);
    let status = response.status().as_u16().to_string();
    let labels = [("method", method), ("route", route)];
    ::metrics::histogram!(DURATION, &labels).record(began.elapsed().as_secs_f64());
    let [method, route] = labels;
    ::metrics::counter!(REQUESTS, &[method, route, ("status", status)]).increment(1);
    response
}

/// A connection is open until this goes.
pub(crate) fn connection() -> Level {
    Level::up(CONNECTIONS)
}

/// An event stream is open until this goes.
pub(crate) fn stream() -> Level {
    Level::up(STREAMS)
}

/// A request or connection was turned away.
pub(crate) fn shed(reason: &'static str) {
    ::metrics::counter!(SHED, "reason" => reason).increment(1);
}

/// An answer was broken off while its connection was well.
pub(crate) fn cut_off(reason: &'static str) {
    ::metrics::counter!(CUT_OFF, "reason" => reason).increment(1);
}

/// A task is watched; it has not broken yet.
pub(crate) fn supervised(task: &'static str) {
    ::metrics::counter!(RESTARTS, "task" => task).increment(0);
}

/// A task broke and begins again.
pub(crate) fn task_restarted(task: &'static str) {
    ::metrics::counter!(RESTARTS, "task" => task).increment(1);
}

/// One more of something, until it goes.
#[must_use]
pub(crate) struct Level(&'static str);

impl Level {
    fn up(gauge: &'static str) -> Level {
        ::metrics::gauge!(gauge).increment(1.0);
        Level(gauge)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        ::metrics::gauge!(self.0).decrement(1.0);
    }
}

/// Looks at the process itself, where there is a `/proc` to look at.
fn look_at_the_process() {
    if let Some(bytes) = std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|s| resident(&s))
    {
        ::metrics::gauge!(RESIDENT).set(bytes);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        ::metrics::gauge!(OPEN_FILES).set(files.count() as f64);
    }
}

/// `VmRSS:     5224 kB` → bytes.
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024.0)
}

// --- how it is shown -----------------------------------------------------------------------------------------------------

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposition {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// Which one a caller's `Accept` headers prefer; Prometheus' own where they leave it open.
    pub(crate) fn wanted<'a>(accept: impl Iterator<Item = &'a str>) -> Exposition {
        let (mut open, mut plain) = (0, 0);
        for (range, quality) in accept.flat_map(|value| value.split(',')).filter_map(negotiation::range) {
            match range.to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => open = open.max(quality),
                "text/plain" | "text/*" | "*/*" => plain = plain.max(quality),
                _ => {}
            }
        }
        match plain < open {
            true => Exposition::OpenMetrics,
            false => Exposition::Prometheus,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Exposition::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Everything that was counted; `None` if nobody counts here.
pub(crate) fn render(form: Exposition) -> Option<String> {
    let handle = recorder()?;
    look_at_the_process();
    let families = Families::read(&handle.render());
    Some(match form {
        Exposition::Prometheus => families.prometheus(),
        Exposition::OpenMetrics => families.open_metrics(),
    })
}

/// The text of the recorder, taken apart. In alphabetical order, so that two looks can be compared.
struct Families(BTreeMap<String, Family>);

#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    samples: Vec<String>,
}

impl Families {
    fn read(text: &str) -> Families {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                help.clone_into(&mut families.entry(name.to_owned()).or_default().help);
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
                name.clone_into(&mut current);
            } else if !line.starts_with('#') {
                // The recorder writes a family's samples right below its type.
                families
                    .entry(current.clone())
                    .or_default()
                    .samples
                    .push(line.to_owned());
            }
        }
        Families(families)
    }

    fn prometheus(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.0 {
            let Family { kind, help, samples } = family;
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for sample in samples {
                text.push_str(sample);
                text.push('\n');
            }
        }
        text
    }

    fn open_metrics(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.0 {
            // A counter's family is named without the suffix that its samples must have.
            let is_counter = family.kind == "counter";
            let bare = match is_counter {
                true => name.strip_suffix("_total").unwrap_or(name),
                false => name,
            };
            let _ = writeln!(text, "# TYPE {bare} {}", family.kind);
            if let Some(unit) = ["seconds", "bytes"].into_iter().find(|unit| has_unit(bare, unit)) {
                let _ = writeln!(text, "# UNIT {bare} {unit}");
            }
            // Unlike Prometheus' own format, this one escapes quotes here too.
            let _ = writeln!(text, "# HELP {bare} {}", family.help.replace('"', "\\\""));
            for sample in &family.samples {
                match is_counter && bare == name {
                    true => text.push_str(&sample.replacen(name.as_str(), &format!("{name}_total"), 1)),
                    false => text.push_str(&with_decimal_bound(sample)),
                }
                text.push('\n');
            }
        }
        text.push_str("# EOF\n");
        text
    }
}

fn has_unit(family: &str, unit: &str) -> bool {
    family.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}

/// `le="1"` → `le="1.0"`: bounds are written as floating-point numbers, always the same way.
fn with_decimal_bound(sample: &str) -> String {
    let Some((before, rest)) = sample.split_once("le=\"") else {
        return sample.to_owned();
    };
    match rest.split_once('"') {
        Some((bound, after)) if !bound.is_empty() && bound.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{before}le=\"{bound}.0\"{after}")
        }
        _ => sample.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_preferred() {
        let wanted = |accept: &[&'static str]| Exposition::wanted(accept.iter().copied());
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, form) in [
            (&[prometheus][..], Exposition::OpenMetrics),
            (&["application/openmetrics-text"], Exposition::OpenMetrics),
            (
                &["text/plain;q=0.1", "Application/OpenMetrics-Text; q=0.2"],
                Exposition::OpenMetrics,
            ),
            (&["application/openmetrics-text;q=0"], Exposition::Prometheus),
            (&["text/plain"], Exposition::Prometheus),
            (&["*/*"], Exposition::Prometheus),
            (&["text/html"], Exposition::Prometheus),
            (&[], Exposition::Prometheus),
        ] {
            assert_eq!(wanted(accept), form, "{accept:?}");
        }
    }

    #[test]
    fn open_metrics_differs_in_names_units_bounds_and_the_end() {
        let text = "# HELP qt_calls_total Says \"no\".\n# TYPE qt_calls_total counter\nqt_calls_total{to=\"x\"} 2\n\n\
            # HELP odd Counted.\n# TYPE odd counter\nodd 1\n\n\
            # HELP took_seconds Long.\n# TYPE took_seconds histogram\n\
            took_seconds_bucket{le=\"1\"} 3\ntook_seconds_bucket{le=\"+Inf\"} 3\ntook_seconds_sum 1.5\ntook_seconds_count 3\n";
        let expected = "# TYPE odd counter\n# HELP odd Counted.\nodd_total 1\n\
            # TYPE qt_calls counter\n# HELP qt_calls Says \\\"no\\\".\nqt_calls_total{to=\"x\"} 2\n\
            # TYPE took_seconds histogram\n# UNIT took_seconds seconds\n# HELP took_seconds Long.\n\
            took_seconds_bucket{le=\"1.0\"} 3\ntook_seconds_bucket{le=\"+Inf\"} 3\ntook_seconds_sum 1.5\ntook_seconds_count 3\n\
            # EOF\n";
        assert_eq!(Families::read(text).open_metrics(), expected);
    }

    #[test]
    fn memory_is_read_as_the_machine_writes_it() {
        assert_eq!(
            resident("Name:\tx\nVmRSS:\t    5224 kB\nThreads:\t2\n"),
            Some(5_349_376.0)
        );
        assert_eq!(resident("Name:\tx\n"), None);
    }
}
