//! What operators install is what Prometheus, Alertmanager and Grafana accept, and names what the daemon has.

use std::collections::BTreeSet;

use serde_json::Value;

use super::support::{Daemon, content, ops, program};

#[test]
fn prometheus_accepts_its_configuration_and_the_rules_do_what_they_should() {
    let Some(mut promtool) = program("promtool") else {
        return;
    };
    let folder = ops("prometheus");
    content(
        promtool
            .current_dir(&folder)
            .args(["check", "config", "prometheus.yml"]),
    );
    for arguments in [
        ["check", "rules", "evercandle.rules.yml"],
        ["test", "rules", "evercandle.test.yml"],
    ] {
        content(program("promtool").unwrap().current_dir(&folder).args(arguments));
    }
}

#[test]
fn alertmanager_accepts_its_configuration() {
    let Some(mut amtool) = program("amtool") else { return };
    content(amtool.arg("check-config").arg(ops("alertmanager/alertmanager.yml")));
}

/// Goal: no panel is empty because a name is wrong.
/// Method: every metric and every label by which the dashboard selects or groups is one that a running daemon shows, or
/// one that the sources name because it appears with its first event.
#[tokio::test]
async fn the_dashboard_names_only_what_the_daemon_has() {
    let text = std::fs::read_to_string(ops("grafana/evercandle.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let expressions: Vec<&str> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(30 < expressions.len(), "{}", expressions.len());
    let named: BTreeSet<&str> = expressions.iter().flat_map(|e| metrics(e)).collect();

    let daemon = Daemon::telling(&[]).await;
    daemon.until("/metrics", "qt_alerts_firing").await;
    let shown = daemon.get("/metrics").await;
    let sources = sources();
    let unknown: Vec<&&str> = named
        .iter()
        .filter(|name| {
            let family = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|s| name.strip_suffix(s))
                .unwrap_or(name);
            !shown.contains(&format!("# TYPE {family} ")) && !sources.contains(&format!("\"{family}\""))
        })
        .collect();
    assert_eq!(unknown, Vec::<&&str>::new());
    let labels: BTreeSet<&str> = expressions.iter().flat_map(|e| labels(e)).collect();
    // These are Prometheus' own.
    let is_known = |label: &str| ["job", "instance", "le"].contains(&label) || shown.contains(&format!("{label}=\""));
    let is_written = |label: &str| sources.contains(&format!("\"{label}\" =>"));
    let unknown: Vec<&&str> = labels.iter().filter(|l| !is_known(l) && !is_written(l)).collect();
    assert!(8 <= labels.len() && unknown.is_empty(), "{unknown:?} of {labels:?}");
    // Every data source is the one that is chosen above the dashboard; the one more is the dashboard's own name.
    let compact = dashboard.to_string();
    let chosen = compact.matches("\"uid\":\"${datasource}\"").count();
    assert_eq!(compact.matches("\"uid\":").count(), chosen + 1);
}

/// Goal: Grafana shows it as it was drawn, though no Grafana is at hand: what it needs is there, and no panel hides another.
#[test]
fn the_dashboard_is_laid_out_as_grafana_wants_it() {
    let text = std::fs::read_to_string(ops("grafana/evercandle.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&dashboard["uid"], &dashboard["id"]),
        (&"evercandle".into(), &Value::Null)
    );
    assert!(36 <= dashboard["schemaVersion"].as_u64().unwrap());
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let chooses = |name: &str, kind: &str| variables.iter().any(|v| v["name"] == name && v["type"] == kind);
    assert!(chooses("datasource", "datasource") && chooses("instance", "query"));
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let number = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "twice: {}", panel["id"]);
        assert!(number("x") + number("w") <= 24, "{}", panel["title"]);
        for (x, y) in (number("x")..number("x") + number("w"))
            .flat_map(|x| (number("y")..number("y") + number("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert((x, y)), "{} lies on another", panel["title"]);
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        let targets = panel["targets"].as_array().unwrap();
        let names: BTreeSet<&str> = targets.iter().map(|t| t["refId"].as_str().unwrap()).collect();
        assert!(
            !targets.is_empty() && names.len() == targets.len(),
            "{}",
            panel["title"]
        );
    }
}

#[test]
fn the_rules_name_only_what_the_daemon_has() {
    let rules = evercandle::alert::prometheus_rules(&evercandle::config::AlertsConfig::default());
    let sources = sources();
    let lines = rules
        .lines()
        .filter(|line| !line.contains("runbook") && !line.contains("summary"));
    let named: BTreeSet<String> = lines.flat_map(metrics).map(str::to_owned).collect();
    assert!(8 <= named.len(), "{named:?}");
    let unknown: Vec<&String> = named
        .iter()
        .filter(|name| !sources.contains(&format!("\"{name}\"")))
        .collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

/// Words that are names of ours.
fn metrics(expression: &str) -> Vec<&str> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("qt_") || word.starts_with("process_"))
        .collect()
}

/// Labels by which an expression selects or groups.
fn labels(expression: &str) -> Vec<&str> {
    let lists = |open: &'static str, close: char| {
        let lists = expression
            .split(open)
            .skip(1)
            .filter_map(move |rest| rest.split(close).next());
        lists.flat_map(|list| list.split(','))
    };
    let selected = lists("{", '}').filter_map(|one| one.split(['=', '!']).next());
    let labels = selected.chain(lists("by (", ')')).map(str::trim);
    labels.filter(|label| !label.is_empty()).collect()
}

/// Where metrics get their names.
fn sources() -> String {
    let root = ops("../crates");
    [
        "evercandle/src/telemetry.rs",
        "evercandle-server/src/metrics.rs",
        "evercandle-server/src/notify/mod.rs",
        "evercandle-server/src/notify/queue.rs",
        "evercandle-server/src/notify/webhook.rs",
    ]
    .map(|file| std::fs::read_to_string(root.join(file)).unwrap())
    .concat()
}
