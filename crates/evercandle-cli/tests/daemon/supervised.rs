//! Under a supervisor: it is told, it hands over a socket, it asks for an explanation first.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use evercandle_simulator::{Effect, Fault};

use super::support::{Daemon, World};

fn check(world: &World, config: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    check_at(world, "127.0.0.1:0", config, variables)
}

fn check_at(world: &World, listen: &str, config: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let path = world.path("check.toml");
    std::fs::write(&path, config).unwrap();
    let output: Output = Command::new(env!("CARGO_BIN_EXE_evercandle"))
        .env_clear()
        .env("EVERCANDLE_CACHE_DIR", world.path("cache"))
        .env("EVERCANDLE_INTERNET", world.exchange.base_url())
        .env("HOME", world.dir.path())
        .envs(variables.iter().copied())
        .args(["serve", "--check", "--listen", listen, "--config"])
        .arg(&path)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Goal: a supervisor that waits to be told learns when callers are answered, and when the end has begun.
#[test]
fn a_supervisor_is_told_when_it_serves_and_when_it_stops() {
    let world = World::new();
    let place = world.path("notify");
    let supervisor = UnixDatagram::bind(&place).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let heard = || {
        let mut bytes = [0; 128];
        let read = supervisor.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    };
    let daemon = world.serve("", &[("NOTIFY_SOCKET", place.to_str().unwrap())]);
    assert!(heard().starts_with("READY=1\n"));
    assert_eq!(daemon.get("/health/live").status, 200);
    assert_eq!(daemon.terminate().code(), Some(0));
    assert!(heard().starts_with("STOPPING=1\n"));
}

/// The daemon as a supervisor starts it that listens already.
pub(crate) fn handing_over(socket: TcpListener, arguments: &[&str]) -> Command {
    // The protocol counts from descriptor 3 and names the process, which the shell becomes.
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_evercandle")])
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(socket)));
    command
}

/// Goal: who connected before the daemon was there is answered by it.
#[test]
fn a_socket_that_is_handed_over_is_served() {
    let world = World::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut early = TcpStream::connect(address).unwrap();
    early
        .write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut command = handing_over(socket, &["serve"]);
    command
        .env("EVERCANDLE_CACHE_DIR", world.path("cache"))
        .env("EVERCANDLE_INTERNET", world.exchange.base_url())
        .env("HOME", world.dir.path());
    let daemon = Daemon::spawn(command);
    assert_eq!(daemon.address(), address.to_string());
    early.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"),
        "{answer}"
    );
}

#[test]
fn a_check_explains_what_a_configuration_means() {
    let world = World::new();
    let config =
        "[server]\nhosts = [\"data.example\"]\n[[alerts.webhooks]]\nname = \"pager\"\nurl_variable = \"PAGER\"\n";
    let secret = "https://pager.example/T0/secret-part";
    let key = "0123456789abcdef-key";
    let (code, text) = check(&world, config, &[("PAGER", secret), ("EVERCANDLE_API_KEY", key)]);
    assert_eq!(code, Some(0), "{text}");
    for words in [
        "this machine only",
        "data.example",
        "told to pager",
        "binance-spot",
        "every 3 min",
        "it can serve",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(
        !text.contains("secret-part") && !text.contains(key),
        "a secret is shown: {text}"
    );
}

/// Goal: a new configuration is looked at beside the daemon that it is for.
#[test]
fn a_check_beside_a_running_daemon_warns_of_its_port_and_passes() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let (code, text) = check_at(&world, &listen, "", &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(&format!("warning: server.listen: {listen} is in use")),
        "{text}"
    );
}

/// Goal: what refreshing takes is what the exchange counts: prices of twenty instruments at a time, with 4 each.
#[test]
fn a_check_weighs_as_the_exchange_does() {
    let world = World::new();
    let symbols: Vec<String> = (0..45).map(|n| format!("\"A{n}USDT\"")).collect();
    let config = format!(
        "[schedule]\nklines = []\nprices_ms = 60000\n[[schedule.prices]]\nsymbols = [{}]\n",
        symbols.join(", ")
    );
    let (code, text) = check(&world, &config, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("binance-spot: at most about 12 per refresh, 12 a minute"),
        "{text}"
    );
}

#[test]
fn a_check_names_every_mistake_and_ends_with_2() {
    let world = World::new();
    let config = "[[schedule.klines]]\nsymbols = [\"BTC!USDT\"]\nintervals = [\"1m\"]\n\
                  [[alerts.webhooks]]\nname = \"pager\"\nurl_variable = \"PAGER\"\n";
    let (code, text) = check(&world, config, &[("EVERCANDLE_ADMIN_TOKEN", "short")]);
    assert_eq!(code, Some(2), "{text}");
    for words in [
        "schedule.klines[0].symbols",
        "variable PAGER is not set",
        "EVERCANDLE_ADMIN_TOKEN has 5",
        "it cannot serve",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let (code, text) = check(&world, "[server]\nhost = [\"x\"]\n", &[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("host"), "{text}");
}

/// Goal: what would only be noticed when it hurts is said before.
/// Method: no upstream, a cache bigger than any disk, a webhook whose secret travels in the clear, and one on this machine.
#[test]
fn a_check_warns_of_what_will_hurt_later() {
    let world = World::new();
    let disabled = [
        "binance-vision",
        "binance",
        "binance-futures",
        "coingecko",
        "alternative-me",
    ]
    .map(|name| format!("[providers.{name}]\nenabled = false\n"))
    .concat();
    let config = format!(
        "{disabled}[cache]\nsize_max = 1000000000000000000\n\
         [[alerts.webhooks]]\nname = \"pager\"\nurl_variable = \"PAGER\"\n\
         [[alerts.webhooks]]\nname = \"relay\"\nurl_variable = \"RELAY\"\n"
    );
    let addresses = [
        ("PAGER", "http://hooks.example.com/secret"),
        ("RELAY", "http://127.0.0.1:9000/secret"),
    ];
    let (code, text) = check(&world, &config, &addresses);
    assert_eq!(code, Some(0), "{text}");
    for words in [
        "warning: every upstream is disabled",
        "warning: cache.size_max = ",
        "warning: alerts.webhooks: pager: its address begins with http://",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(
        !text.contains("relay: its address") && !text.contains("secret"),
        "{text}"
    );
    let three =
        ["binance", "binance-futures", "coingecko"].map(|name| format!("[providers.{name}]\nenabled = false\n"));
    let (_, text) = check(&world, &three.concat(), &[]);
    assert!(
        text.contains("warning: every upstream that serves prices is disabled"),
        "{text}"
    );
}

/// Goal: a check and the daemon agree about the cache: where nothing can be kept, it serves all the same, and that is said.
/// Method: a folder that cannot be made, because its parent is a file; and more to be left free than there is.
#[test]
fn a_check_warns_of_a_cache_that_will_keep_nothing() {
    let world = World::new();
    std::fs::write(world.path("file"), "").unwrap();
    for (config, dir, words) in [
        ("", world.path("file/cache"), "cannot be written: cannot create folder"),
        (
            "[cache]\nfree_min = 1000000000000000000\n",
            world.path("cache"),
            "warning: cache.free_min = ",
        ),
    ] {
        let dir = dir.to_str().unwrap();
        let (code, text) = check(&world, config, &[("EVERCANDLE_CACHE_DIR", dir)]);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            text.contains(words) && text.contains("it can serve"),
            "no {words:?} in {text}"
        );
    }
}

/// Goal: a watch that can never be refreshed, or of which nobody could ever be answered in whole, is seen before it runs.
#[test]
fn a_check_warns_of_watches_that_cannot_work() {
    let world = World::new();
    let config = "[server]\nrows_max = 400\n[providers.binance]\nenabled = false\n\
                  [providers.binance-vision]\nenabled = false\n";
    let (code, text) = check(&world, config, &[]);
    assert_eq!(code, Some(0), "{text}");
    for words in [
        "warning: every upstream that serves klines of market spot is disabled",
        "warning: schedule.klines[0].rows = 500: more than one answer may have (server.rows_max = 400)",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!text.contains("market um is disabled"), "{text}");
}

#[test]
fn an_address_without_an_ip_is_refused_with_what_was_expected() {
    let world = World::new();
    let (code, text) = check(&world, "[server]\nlisten = \"localhost:8080\"\n", &[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("\"localhost:8080\": expected an IP address and a port, such as 127.0.0.1:8080"),
        "{text}"
    );
}

/// Goal: a restart costs nobody an answer. While callers wait for a slow exchange, SIGTERM comes; each gets a whole answer,
/// whoever comes later is not let in, and the daemon ends with 0 well before a supervisor would kill it.
#[test]
fn answers_under_way_survive_sigterm_and_the_end_comes_in_time() {
    let world = World::new();
    let daemon = world.serve("[schedule]\nenabled = false\n", &[]);
    world
        .exchange
        .inject(Fault::new(Effect::Latency { milliseconds: 1_500 }));
    let address = daemon.address().to_owned();
    let callers: Vec<_> = (0..24)
        .map(|caller| {
            let address = address.clone();
            let (symbol, interval) = (["BTCUSDT", "ETHUSDT"][caller % 2], ["1m", "5m", "1h"][caller % 3]);
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                let path = format!("/v1/klines?symbol={symbol}&interval={interval}&limit=50");
                write!(
                    stream,
                    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
                .unwrap();
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                String::from_utf8_lossy(&bytes).into_owned()
            })
        })
        .collect();
    daemon.until("/metrics", "24 who wait, and this question", |reply| {
        let waiting = reply
            .body
            .lines()
            .find_map(|line| line.strip_prefix("qt_http_requests_in_flight "));
        waiting.is_some_and(|count| count.parse::<f64>().is_ok_and(|count| 25.0 <= count))
    });
    let told = Instant::now();
    assert_eq!(daemon.terminate().code(), Some(0));
    let took = told.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(TcpStream::connect(&address).is_err(), "somebody still listens");
    for caller in callers {
        let answer = caller.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.trim_end().ends_with('}') || answer.ends_with("0\r\n\r\n"),
            "half an answer: {answer}"
        );
    }
}
