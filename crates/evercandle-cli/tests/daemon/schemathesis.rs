//! The OpenAPI document against the running daemon: schemathesis makes requests of it, good and bad ones, and holds every
//! answer against what is documented.

use std::process::Command;

use crate::support::World;
use crate::tools;

/// Opens the administration, so that it is tried too.
const TOKEN: &str = "schemathesis-opens-this";

/// Small answers, and patience with an exchange that shares the machine.
const CONFIG: &str = "
[server]
rows_max = 5000
symbols_max = 50
[http]
timeout_ms = 10000
[schedule]
enabled = false
";

/// 503 is documented, and the daemon may not know better. What is far too large a size still means all of it.
const RULES: &str = r#"
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[[operations]]
include-path = "/admin/cache/evict"
checks.negative_data_rejection.enabled = false
"#;

/// Goal: no 5xx but the documented 503, no answer that the document does not describe, and no bad question that is
/// answered. What is left out: streams without end, and that all good data be accepted, since the document cannot say
/// that `start` and `last` exclude each other, or which symbols there are.
#[test]
fn answers_are_as_documented_and_bad_questions_are_refused() {
    let Some(schemathesis) = tools::program("schemathesis") else {
        return;
    };
    let world = World::new();
    let daemon = world.serve(CONFIG, &[("EVERCANDLE_ADMIN_TOKEN", TOKEN)]);
    let rules = world.path("schemathesis.toml");
    std::fs::write(&rules, RULES).unwrap();
    let output = Command::new(schemathesis)
        .current_dir(world.dir.path())
        .arg("--config-file")
        .arg(&rules)
        .args(["run", &format!("{}/openapi.json", daemon.url), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--exclude-path", "/v1/stream"])
        .args([
            "--checks",
            "all",
            "--exclude-checks",
            "positive_data_acceptance,ignored_auth",
        ])
        .args([
            "--max-examples",
            "20",
            "--max-time",
            "60",
            "--workers",
            "2",
            "--seed",
            "1",
        ])
        .args(["--request-timeout", "20"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        daemon.said()
    );
    assert!(!daemon.said().contains("panicked"), "{}", daemon.said());
}
