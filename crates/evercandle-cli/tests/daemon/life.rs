//! From the first line to the last, and on from there.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use evercandle_simulator::{Effect, Fault};

use super::support::{Reply, World, ended, terminate};

/// Goal: one command runs everything, says where, and a supervisor can stop it.
#[test]
fn it_says_where_it_serves_and_stops_when_told() {
    let world = World::new();
    let daemon = world.serve("", &[]);
    assert_eq!(daemon.get("/health/live").status, 200);
    let status = daemon.terminate();
    assert_eq!(status.code(), Some(0), "{status:?}");
}

/// Goal: a supervisor may be quick: told to stop before the start is over, it stops.
/// Method: it cannot go on after it has said where it serves, since nobody reads its stderr; meanwhile SIGTERM comes.
#[test]
fn told_to_stop_while_it_starts_it_stops() {
    let world = World::new();
    let (mut unread, stderr) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&stderr, true).unwrap();
    let mut full = stderr.try_clone().unwrap();
    while full.write(&[b'.'; 1_024]).is_ok() {}
    rustix::io::ioctl_fionbio(&stderr, false).unwrap();
    drop(full);
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_evercandle"))
        .env_clear()
        .env("EVERCANDLE_CACHE_DIR", world.path("cache"))
        .env("EVERCANDLE_INTERNET", world.exchange.base_url())
        .env("HOME", world.dir.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(daemon.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    assert!(address.starts_with("http://"), "{address}");
    terminate(&daemon);
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        unread.read_to_string(&mut said).unwrap();
        said
    });
    let status = ended(&mut daemon);
    let _ = daemon.kill();
    let said = said.join().unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{said}");
}

/// Goal: killed in the middle of a ban, it is the same daemon when it comes back: it serves what it holds, and leaves the
/// exchange alone.
/// Method: warm caches, 418, SIGKILL, another process over the same folder; the exchange's journal says who called.
#[test]
fn killed_in_a_ban_it_comes_back_with_its_cache_and_without_a_call() {
    let world = World::new();
    let warm = |reply: &Reply| {
        let run = reply.json()["last_run"].take();
        run["status"] == "ok" && run["runs"].as_array().is_some_and(|runs| runs.len() == 3)
    };
    // Well within what is warmed, whatever hour it becomes meanwhile.
    let end = (jiff::Timestamp::now().as_second() / 3_600 - 2) * 3_600;
    let daemon = world.serve("", &[]);
    daemon.until("/health/scheduler", "a first run", warm);
    for host in ["api.binance.com", "data-api.binance.vision"] {
        world
            .exchange
            .inject(Fault::new(Effect::Banned { retry_after: 600 }).on(host));
    }
    let banned = daemon.until("/v1/prices?symbols=BTCUSDT", "the ban", |_| {
        daemon.json("/health/scheduler")["providers"]["binance"]["status"] == "quarantined"
    });
    assert_eq!(banned.status, 200, "something stands in: {banned:?}");
    drop(daemon);

    let calls = || world.exchange.journal().count("binance.com") + world.exchange.journal().count("data-api.binance");
    let before = calls();
    let daemon = world.serve("", &[]);
    let health = daemon.until("/health/scheduler", "runs", |reply| {
        reply.json()["last_run"]["runs"]
            .as_array()
            .is_some_and(|runs| runs.len() == 3)
    });
    assert_eq!(
        health.json()["providers"]["binance"]["status"],
        "quarantined",
        "{health:?}"
    );
    let start = end - 100 * 3_600;
    let held = daemon.get(&format!(
        "/v1/klines?symbol=BTCUSDT&interval=1h&start={start}&end={end}"
    ));
    assert_eq!(
        (held.status, held.json()["klines"].as_array().unwrap().len()),
        (200, 100),
        "{held:?}"
    );
    assert_eq!(held.header("cache-status"), Some("evercandle; hit"));
    assert_eq!(daemon.get("/health/ready").status, 200);
    assert_eq!(
        calls(),
        before,
        "{:#?}",
        world.exchange.journal().matching("binance.com").last()
    );
}

/// Goal: a supervisor that can only run commands learns whether the daemon can serve.
/// Method: `--probe` while it serves, and once it has ended.
#[test]
fn a_probe_tells_whether_it_can_serve() {
    let world = World::new();
    let daemon = world.serve("", &[]);
    let address = daemon.address().to_owned();
    let probe = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evercandle"));
        command.env_clear().args(["serve", "--probe", "--listen", &address]);
        command.output().unwrap()
    };
    let ready = probe();
    assert_eq!(ready.status.code(), Some(0), "{ready:?}");
    assert!(daemon.terminate().success());
    let gone = probe();
    assert_eq!(gone.status.code(), Some(4), "{gone:?}");
    assert!(
        String::from_utf8_lossy(&gone.stderr).contains("does not answer"),
        "{gone:?}"
    );
}
