//! The dashboard in a real browser: what an operator sees, does and is told.
//!
//! Every test is a script in `browser/`, run by node, which drives Chromium against the real daemon with an exchange
//! under control behind it. The script switches the exchange's faults itself, over HTTP; what only the process's owner
//! can do, it asks for in a line on its standard output.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::support::{Daemon, World};
use super::tools;

/// Longer than any script takes; each step inside has a limit of its own.
const PATIENCE: Duration = Duration::from_secs(100);

/// Refreshes every second and gives up on upstreams quickly, so that an outage and its end are seen within seconds.
const QUICK: &str = r#"
[cache]
free_min = 0
[http]
timeout_ms = 2000
[engine]
attempts = 1
[breaker]
cooldown_ms = 1500
cooldown_max_ms = 1500
[latest]
price_fresh_ms = 200
substitute_fresh_ms = 3000
[schedule]
klines_ms = 1000
prices_ms = 1000
sentiment_ms = 1000
backoff_ms = 500
backoff_max_ms = 500
[server]
stream_prices_ms = 500
"#;

#[test]
fn it_loads_cleanly_and_shows_what_the_api_says() {
    Stage::new(QUICK, &[]).play("loads");
}

#[test]
fn what_is_shown_is_decided_by_the_book() {
    Stage::new(QUICK, &[]).play("parts");
}

#[test]
fn an_outage_is_shown_within_seconds_and_its_end_too() {
    Stage::new(QUICK, &[]).play("outage");
}

#[test]
fn a_daemon_that_is_gone_is_missed_at_once_and_found_again() {
    Stage::new(QUICK, &[]).play("restart");
}

#[test]
fn it_fits_a_phone_and_the_dark() {
    Stage::new(QUICK, &[]).play("phone");
}

#[test]
fn everything_can_be_done_by_keyboard() {
    Stage::new(QUICK, &[]).play("keyboard");
}

#[test]
fn a_gap_is_seen_with_its_reason() {
    Stage::new(QUICK, &[]).play("gaps");
}

#[test]
fn a_daemon_with_a_key_asks_for_it_and_the_tab_keeps_it() {
    Stage::new(QUICK, &[("EVERCANDLE_API_KEY", "a-key-of-this-test")]).play("key");
}

/// A daemon, its exchange, and what the script may ask for.
struct Stage {
    world: World,
    config: &'static str,
    variables: Vec<(&'static str, &'static str)>,
}

impl Stage {
    fn new(config: &'static str, variables: &[(&'static str, &'static str)]) -> Stage {
        Stage {
            world: World::new(),
            config,
            variables: variables.to_vec(),
        }
    }

    /// Runs a script to its end; what it saw is in the panic if it did not like it.
    fn play(self, script: &str) {
        let programs = (
            tools::program("chromium"),
            tools::program("node"),
            tools::node_modules(),
        );
        let (Some(chromium), Some(node), Some(modules)) = programs else {
            return;
        };
        let mut daemon = Some(self.world.serve(self.config, &self.variables));
        let address = daemon.as_ref().map(|d| d.address().to_owned()).unwrap_or_default();
        let log = self.world.path("script.log");
        let mut child = Command::new(node)
            .arg(scripts().join(format!("{script}.mjs")))
            .env("DAEMON", format!("http://{address}"))
            .env("EXCHANGE", self.world.exchange.base_url())
            .env("CHROMIUM", chromium)
            .env("MODULES", modules.canonicalize().unwrap())
            .env("TMPDIR", self.world.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut answers = child.stdin.take().unwrap();
        let (tell, told) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let began = Instant::now();
        while let Ok(line) = told.recv_timeout(PATIENCE.saturating_sub(began.elapsed())) {
            match line.as_str() {
                "kill" => daemon = None,
                "start" => daemon = Some(self.world.serve_at(&address, self.config, &self.variables)),
                other => panic!("{script}: asks for {other:?}"),
            }
            writeln!(answers, "done").unwrap();
        }
        drop(answers);
        let status = match child.try_wait().unwrap() {
            Some(status) => status,
            None if began.elapsed() < PATIENCE => child.wait().unwrap(),
            None => {
                child.kill().unwrap();
                child.wait().unwrap()
            }
        };
        let log = std::fs::read_to_string(log).unwrap();
        let said = daemon.as_ref().map(Daemon::said).unwrap_or_default();
        assert!(status.success(), "{script}: {status}\n{log}\nthe daemon: {said}");
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/browser")
}
