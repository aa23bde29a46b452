//! Alerts with the real thing: Prometheus scrapes the daemon through an outage, Alertmanager tells a webhook, and so does
//! the daemon itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evercandle_simulator::{Fault, Upstream};
use parking_lot::Mutex;
use serde_json::Value;

use super::support::{Daemon, Running, World};
use super::tools::program;

/// Ten minutes of a failing upstream are four seconds here, and fifteen with an open circuit are eight.
const SETTINGS: &str = r#"
[latest]
price_fresh_ms = 10

[breaker]
cooldown_ms = 500
cooldown_max_ms = 1000

[schedule]
prices_ms = 250
backoff_ms = 250
backoff_max_ms = 250
klines = []
sentiment = false
prices = [{ symbols = ["BTCUSDT"] }]

[alerts]
every_ms = 250
failure_window_ms = 4000
common_cause_ms = 2000
circuit_open_ms = 8000
stale_ms = 60000
readonly_ms = 60000
stuck_periods = 1000
repeat_ms = 600000
webhooks = [{ name = "ours", url_variable = "OURS_URL" }]
"#;

/// How long the outage goes on after it was escalated: several probes, during which nobody calls.
const QUIET: Duration = Duration::from_secs(8);
/// Beyond this, something will not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Goal: whoever is on call is told of an outage, whoever comes after when it goes on, and both when it ends, by
/// Alertmanager and by the daemon itself; and in between, while the breaker keeps everybody from calling, nothing says
/// that it is over.
#[test]
fn an_outage_is_told_escalated_and_resolved_by_both() {
    let (Some(prometheus), Some(alertmanager)) = (program("prometheus"), program("prometheus-alertmanager")) else {
        return;
    };
    let world = World::new();
    let (ours, theirs) = (Webhook::listening(), Webhook::listening());
    let daemon = world.serve(SETTINGS, &[("OURS_URL", &format!("{}/very-secret", ours.url))]);
    daemon.until("/metrics", "a price", |reply| {
        reply.body.contains("qt_provider_success_total{provider=\"binance\"}")
    });

    // The rules as the daemon's own configuration scales them.
    let rules = Command::new(env!("CARGO_BIN_EXE_evercandle"))
        .args(["alerts", "--format", "prometheus", "--config"])
        .arg(world.path("evercandle.toml"))
        .output()
        .unwrap();
    assert!(rules.status.success(), "{rules:?}");
    std::fs::write(world.path("evercandle.rules.yml"), rules.stdout).unwrap();
    std::fs::write(world.path("alertmanager.yml"), routes(&theirs.url)).unwrap();
    accepted("amtool", &["check-config"], &world.path("alertmanager.yml"));
    let (_manager, manager) = start(
        &alertmanager,
        &[
            format!("--config.file={}", world.path("alertmanager.yml").display()),
            format!("--storage.path={}", world.path("manager").display()),
            "--cluster.listen-address=".to_owned(),
        ],
        &world.path("alertmanager.log"),
    );
    std::fs::write(world.path("prometheus.yml"), scrapes(&daemon, &manager)).unwrap();
    accepted("promtool", &["check", "config"], &world.path("prometheus.yml"));
    accepted("promtool", &["check", "rules"], &world.path("evercandle.rules.yml"));
    let (_prometheus, watcher) = start(
        &prometheus,
        &[
            format!("--config.file={}", world.path("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", world.path("series").display()),
        ],
        &world.path("prometheus.log"),
    );
    let log = || {
        let read = |name: &str| std::fs::read_to_string(world.path(name)).unwrap_or_default();
        format!(
            "{}\n{}\n{}",
            read("prometheus.log"),
            read("alertmanager.log"),
            daemon.said()
        )
    };
    // It has seen the daemon for longer than the windows are.
    await_that("Prometheus scrapes the daemon", &log, || {
        let up = ask(&watcher, "/api/v1/query?query=count_over_time(up%5B60s%5D)%20%3E%2010").unwrap_or_default();
        up.contains("\"value\"")
    });

    for upstream in [Upstream::BinanceSpot, Upstream::BinanceMarketData] {
        world.exchange.inject(Fault::down(upstream));
    }
    let began = Instant::now();
    for (who, webhook) in [("Alertmanager", &theirs), ("the daemon", &ours)] {
        await_that(&format!("{who} tells of the outage"), &log, || {
            webhook.told(FAILING, true)
        });
        await_that(&format!("{who} escalates it"), &log, || webhook.told(OPEN, true));
    }
    println!("told and escalated by both after {:?}", began.elapsed());
    // The trap: calls were few and are none now.
    let calls = |daemon: &Daemon| {
        counted(
            &daemon.get("/metrics").body,
            "qt_provider_failures_total{provider=\"binance\"}",
        )
    };
    let before = calls(&daemon);
    let quiet = Instant::now();
    while quiet.elapsed() < QUIET {
        for (who, webhook) in [("Alertmanager", &theirs), ("the daemon", &ours)] {
            for alert in [FAILING, OPEN] {
                assert!(
                    !webhook.told(alert, false),
                    "{who} says that {alert} is over: {:#?}\n{}",
                    webhook.heard(),
                    log()
                );
            }
        }
        let firing = ask(
            &watcher,
            "/api/v1/query?query=ALERTS%7Balertstate%3D%22firing%22%2Cprovider%3D%22binance%22%7D",
        );
        let firing = firing.unwrap_or_default();
        assert!(firing.contains(FAILING) && firing.contains(OPEN), "{firing}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let during = calls(&daemon) - before;
    assert_eq!(during, 0.0, "somebody called: then this shows nothing");
    for webhook in [&theirs, &ours] {
        let told = |alert| {
            webhook
                .heard()
                .iter()
                .filter(|news| news.alert == alert && news.firing)
                .count()
        };
        assert_eq!((told(FAILING), told(OPEN)), (1, 1), "{:#?}", webhook.heard());
    }

    every_panel_shows_something(&watcher);

    world.exchange.faults().clear_all();
    let repaired = Instant::now();
    for (who, webhook) in [("Alertmanager", &theirs), ("the daemon", &ours)] {
        for alert in [FAILING, OPEN] {
            await_that(&format!("{who} says that {alert} is over"), &log, || {
                webhook.told(alert, false)
            });
        }
    }
    println!("resolved by both after {:?}", repaired.elapsed());
    let who = |alert: &str| {
        theirs
            .heard()
            .into_iter()
            .find(|news| news.alert == alert)
            .unwrap()
            .path
    };
    assert_eq!(
        (who(FAILING), who(OPEN)),
        ("/on-call".to_owned(), "/escalation".to_owned())
    );
    for text in [daemon.said(), daemon.get("/metrics").body, daemon.get("/health").body] {
        assert!(!text.contains("very-secret"));
    }
}

/// What does not happen here, and so has nothing to be drawn.
const SILENT: [&str; 1] = ["Damage"];

/// Asks Prometheus what Grafana would: every expression of the dashboard is understood, and every panel has something to
/// draw.
#[track_caller]
fn every_panel_shows_something(watcher: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops/grafana/evercandle.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut empty = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let Some(targets) = panel["targets"].as_array() else {
            continue;
        };
        let mut shown = 0;
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            let query = expression.replace("$instance", ".*").replace("$__rate_interval", "30s");
            let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let answer = ask(watcher, &format!("/api/v1/query?query={encoded}")).unwrap();
            assert!(answer.contains("\"status\":\"success\""), "{expression}: {answer}");
            shown += answer.matches("\"value\"").count();
        }
        let title = panel["title"].as_str().unwrap();
        if shown == 0 && !SILENT.contains(&title) {
            empty.push(title);
        }
    }
    assert_eq!(empty, Vec::<&str>::new());
}

const FAILING: &str = "ProviderFailing";
const OPEN: &str = "CircuitOpenLong";

/// Alertmanager's routes, as in `ops/`, without its patience.
fn routes(url: &str) -> String {
    format!(
        "route:\n  receiver: morning\n  group_by: [alertname, instance]\n  group_wait: 100ms\n  group_interval: 500ms\n  \
         repeat_interval: 1h\n  routes:\n    - matchers: [severity = \"escalate\"]\n      receiver: escalation\n    \
         - matchers: [severity = \"page\"]\n      receiver: on-call\n\
         receivers:\n  - name: on-call\n    webhook_configs: [{{url: '{url}/on-call', send_resolved: true}}]\n  \
         - name: escalation\n    webhook_configs: [{{url: '{url}/escalation', send_resolved: true}}]\n  \
         - name: morning\n    webhook_configs: [{{url: '{url}/morning', send_resolved: true}}]\n"
    )
}

fn scrapes(daemon: &Daemon, manager: &str) -> String {
    format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}\nrule_files: [evercandle.rules.yml]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{manager}']}}]}}]}}\n\
         scrape_configs:\n  - job_name: evercandle\n    static_configs: [{{targets: ['{}']}}]\n",
        daemon.address()
    )
}

fn accepted(tool: &str, arguments: &[&str], file: &Path) {
    let Some(tool) = program(tool) else { return };
    let output = Command::new(tool).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Starts a program that does not say which port it took, and says where it listens: at a port that was free a moment
/// ago, or at another one if somebody took that meanwhile.
#[track_caller]
fn start(program: &Path, arguments: &[String], log: &Path) -> (Running, String) {
    for _ in 0..2 {
        let address = free_address();
        let mut command = Command::new(program);
        command.args(arguments).arg(format!("--web.listen-address={address}"));
        let mut running = Running::start(&mut command, log);
        let began = Instant::now();
        while running.0.try_wait().unwrap().is_none() && began.elapsed() < PATIENCE {
            if ask(&address, "/-/healthy").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return (running, address);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("{program:?} does not listen: {:?}", std::fs::read_to_string(log));
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

fn ask(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn counted(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series}: {metrics}"))
        .trim()
        .parse()
        .unwrap()
}

#[track_caller]
fn await_that(what: &str, log: &dyn Fn() -> String, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Somebody who is told, in Alertmanager's words or the daemon's.
struct Webhook {
    url: String,
    heard: Arc<Mutex<Vec<News>>>,
}

#[derive(Clone, Debug)]
struct News {
    path: String,
    alert: String,
    firing: bool,
}

impl Webhook {
    fn listening() -> Webhook {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<News>>> = Arc::default();
        let ears = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let ears = ears.clone();
                std::thread::spawn(move || listen(stream, &ears));
            }
        });
        Webhook { url, heard }
    }

    fn heard(&self) -> Vec<News> {
        self.heard.lock().clone()
    }

    fn told(&self, alert: &str, firing: bool) -> bool {
        self.heard
            .lock()
            .iter()
            .any(|news| news.alert == alert && news.firing == firing)
    }
}

/// One message a connection; every alert in it is news.
fn listen(stream: TcpStream, ears: &Mutex<Vec<News>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    for alert in body["alerts"].as_array()? {
        // Alertmanager has labels and a status; the daemon a name and a state.
        let name = alert["labels"]["alertname"].as_str().or(alert["name"].as_str())?;
        let state = alert["status"].as_str().or(alert["state"].as_str())?;
        ears.lock().push(News {
            path: path.clone(),
            alert: name.to_owned(),
            firing: state == "firing",
        });
    }
    let mut stream = reader.into_inner();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .ok()
}
