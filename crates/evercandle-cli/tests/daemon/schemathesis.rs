//! The OpenAPI document against the running daemon: schemathesis makes requests of it, good and bad ones, and holds every
//! answer against what is documented.

use std::io::{Read, Write};
use std::net::TcpStream;
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
streams_max = 1
[http]
timeout_ms = 10000
[schedule]
enabled = false
";

/// 503 is documented, and the daemon may not know better. What is far too large a size still means all of it. The document
/// cannot say that `start` and `last` exclude each other, that one of two members is needed, or which symbols there are.
/// (Checks that are named on the command line run everywhere, whatever is said here; all of them run anyway.)
const RULES: &str = r#"
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[[operations]]
include-path = ["/v1/klines", "/v1/price/{symbol}", "/v1/prices", "/v1/stream"]
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path = "/admin/cache/evict"
checks.negative_data_rejection.enabled = false
checks.positive_data_acceptance.enabled = false
"#;

/// Goal: no 5xx but the documented 503, no answer that the document does not describe, no bad question that is answered,
/// and no good one that is refused. Method: a stream has no end to wait for, so the only one there may be is open already:
/// bad questions are refused as ever, and good ones with the documented 503.
#[test]
fn answers_are_as_documented_and_bad_questions_are_refused() {
    let Some(schemathesis) = tools::program("schemathesis") else {
        return;
    };
    let world = World::new();
    let daemon = world.serve(CONFIG, &[("EVERCANDLE_ADMIN_TOKEN", TOKEN)]);
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    write!(stream, "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let rules = world.path("schemathesis.toml");
    std::fs::write(&rules, RULES).unwrap();
    let output = Command::new(schemathesis)
        .current_dir(world.dir.path())
        .arg("--config-file")
        .arg(&rules)
        .args(["run", &format!("{}/openapi.json", daemon.url), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
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
        .args(["--request-timeout", "20", "--max-response-time", "20"])
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
