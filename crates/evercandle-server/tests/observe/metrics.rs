//! `/metrics` in both formats, held against what the formats demand.

use std::collections::{BTreeMap, BTreeSet};

use super::support::{Daemon, World};

/// A daemon that has something to count of every family.
async fn busy() -> (World, Daemon) {
    let world = World::new().await;
    let daemon = world.serve().await;
    daemon.listen("symbols=BTCUSDT&interval=1m").await.event("price").await;
    let _ = daemon.get("/health").await;
    let _ = daemon.get("/there/is/nothing/here/BTCUSDT").await;
    (world, daemon)
}

const OPEN_METRICS: &str =
    "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3\r\n";

/// What a family's series are called, given its name and type.
fn names_of(family: &str, kind: &str, is_open_metrics: bool) -> Vec<String> {
    match kind {
        "counter" if is_open_metrics => vec![format!("{family}_total")],
        "histogram" => ["_bucket", "_sum", "_count"]
            .map(|suffix| format!("{family}{suffix}"))
            .to_vec(),
        _ => vec![family.to_owned()],
    }
}

/// Goal: every series belongs to a family whose type and meaning were told right before it, and is written well.
#[track_caller]
fn check(text: &str, is_open_metrics: bool) -> BTreeMap<String, BTreeSet<String>> {
    let (mut kinds, mut helps) = (BTreeMap::new(), BTreeMap::new());
    let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert!(
                kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name}: two types"
            );
            current = name.to_owned();
        } else if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(help.len() > 10, "{name}: {help}");
            helps.insert(name.to_owned(), help.to_owned());
        } else if let Some((name, unit)) = line.strip_prefix("# UNIT ").and_then(|rest| rest.split_once(' ')) {
            assert!(is_open_metrics && name.ends_with(&format!("_{unit}")), "{line}");
        } else if line == "# EOF" {
            assert!(is_open_metrics && text.ends_with("# EOF\n"));
        } else {
            let (left, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            let (name, labels) = left.split_once('{').unwrap_or((left, ""));
            let kind = kinds.get(&current).unwrap_or_else(|| panic!("{line}: of no type"));
            assert!(helps.contains_key(&current), "{line}: without help");
            assert!(
                names_of(&current, kind, is_open_metrics).contains(&name.to_owned()),
                "{line}: in family {current}"
            );
            assert!(seen.insert(left.to_owned()), "{left}: twice");
            series
                .entry(current.clone())
                .or_default()
                .insert(labels.trim_end_matches('}').to_owned());
        }
    }
    assert_eq!(kinds.keys().collect::<Vec<_>>(), helps.keys().collect::<Vec<_>>());
    series
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_gets_its_text_with_help_and_type_for_every_series() {
    let (_world, daemon) = busy().await;
    let reply = daemon.get("/metrics").await;
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let families = check(&reply.body, false);
    for family in [
        "qt_http_requests_total",
        "qt_http_request_duration_seconds",
        "qt_http_requests_in_flight",
        "qt_http_shed_total",
        "qt_http_cut_off_total",
        "qt_http_connections",
        "qt_http_streams",
        "qt_build_info",
        "process_start_time_seconds",
        "qt_provider_success_total",
        "qt_provider_failures_total",
        "qt_provider_circuit_open",
        "qt_provider_state",
        "qt_provider_latency_seconds",
        "qt_common_cause_suspected",
        "qt_cache_hits_total",
    ] {
        assert!(families.contains_key(family), "{family} is missing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_open_metrics_gets_it_with_the_same_series() {
    let (_world, daemon) = busy().await;
    let reply = daemon.get_with("/metrics", OPEN_METRICS).await;
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let open = check(&reply.body, true);
    assert!(!reply.body.contains("\n\n"), "no blank lines in this format");
    assert!(reply.body.contains("# UNIT qt_http_request_duration_seconds seconds\n"));
    assert!(reply.body.contains("# TYPE qt_http_requests counter\n"));
    assert!(reply.body.contains("le=\"1.0\"") && !reply.body.contains("le=\"1\""));
    let plain = check(&daemon.get("/metrics").await.body, false);
    let bare = |name: &String| name.trim_end_matches("_total").to_owned();
    assert_eq!(
        open.keys().cloned().collect::<BTreeSet<_>>(),
        plain.keys().map(bare).collect()
    );
}

/// Goal: the number of series does not depend on what callers ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_label_names_a_symbol_or_anything_else_that_a_caller_makes_up() {
    let (_world, daemon) = busy().await;
    let text = daemon.get("/metrics").await.body;
    assert!(!text.contains("BTCUSDT"), "{text}");
    assert!(!text.contains("symbol"), "{text}");
    assert!(
        text.contains(r#"qt_http_requests_total{method="GET",route="unmatched",status="404"}"#),
        "{text}"
    );
    for labels in check(&text, false).values().flatten() {
        assert!(!labels.contains("series=") && !labels.contains("path="), "{labels}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_counted_while_they_are_open() {
    let (_world, daemon) = busy().await;
    let mut listener = daemon.listen("").await;
    listener.event("snapshot").await;
    assert!(1.0 <= daemon.metric("qt_http_streams").await);
    assert!(1.0 <= daemon.metric("qt_http_connections").await);
}

/// Goal: Prometheus' own checker has nothing to say about names, types, help and units. Where the program is not
/// installed this says so; under `cargo xtask test`, which names its folder of tools, it must be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_nothing_to_complain_about() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let (_world, daemon) = busy().await;
    let text = daemon.get("/metrics").await.body;
    let mut command = Command::new("promtool");
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut checker) = command.spawn() else {
        assert!(
            std::env::var_os("EVERCANDLE_TOOLS").is_none(),
            "promtool is not installed"
        );
        println!("skipped: promtool is not installed; `cargo xtask test` installs it");
        return;
    };
    checker.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = checker.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}
