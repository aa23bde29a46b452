//! The program as a process: exit codes, what goes to stdout and what to stderr, and the text of every help page.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

mod funding;
mod interrupted;
mod latest;

struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn command(cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evercandle"));
    command
        .env_clear()
        .env("EVERCANDLE_CACHE_DIR", cache)
        .env("HOME", cache)
        .env("TMPDIR", cache);
    command
}

fn finished(output: Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn run_in(cache: &Path, args: &[&str]) -> Run {
    finished(command(cache).args(args).output().unwrap())
}

fn run(args: &[&str]) -> Run {
    run_in(tempfile::tempdir().unwrap().path(), args)
}

#[test]
fn help_of_every_command() {
    for page in [
        "",
        "get",
        "funding",
        "download",
        "gaps",
        "chart",
        "price",
        "prices",
        "sentiment",
        "status",
        "cache",
        "cache ls",
        "cache evict",
        "symbols",
        "config",
        "serve",
        "simulate",
        "demo",
        "completions",
    ] {
        let args: Vec<&str> = page.split_whitespace().chain(["--help"]).collect();
        let got = run(&args);
        assert_eq!((got.code, got.stderr.as_str()), (Some(0), ""), "{page}");
        insta::assert_snapshot!(format!("help_{}", page.replace(' ', "_")), got.stdout);
    }
}

/// Goal: bad input is refused before anything is sent, with exit code 2, nothing on stdout and a way out on stderr.
#[test]
fn bad_input_is_refused_with_what_was_expected() {
    for (args, said) in [
        (
            "get BTCUSDT 1m --start 2024-01-02 --end 2024-01-01",
            "the range is empty",
        ),
        ("get BTCUSDT 1m --start 2999-01-01", "the range is empty"),
        ("get BTCUSDT 1m --start 2024-01-01 --last 1d", "--start and --last both"),
        ("get BTCUSDT 1m --last soon", "expected a number and a unit"),
        ("get BTCUSDT 60m --last 1d", "did you mean 1h?"),
        (
            "get BTCUSDT 1s --market um --last 1d",
            "1s klines are published for spot only",
        ),
        ("get ../../etc/passwd 1m --last 1d", "symbol"),
        ("get BTCUSD_PERP 1m --market spot --last 1d", "belongs to market cm"),
        ("get BTCUSDT 1m --market swap --last 1d", "expected spot, um"),
        ("get BTCUSDT 1m --last 1d --columns open,vloume", "did you mean volume?"),
        (
            "get BTCUSDT 1m --last 1d --out klines",
            "the ending does not say which format",
        ),
        (
            "get BTCUSDT 1m --last 1d --out /nowhere/at/all.csv",
            "there is no folder",
        ),
        (
            "get BTCUSDT 1m --last 1d --internet nonsense",
            "expected something like http://127.0.0.1:9000",
        ),
        (
            "get BTCUSDT 1m --last 1d --source binance --offline",
            "cannot be used with",
        ),
        (
            "get BTCUSDT 1m --last 1d --simulate --internet http://127.0.0.1:9000",
            "cannot be used with",
        ),
        (
            "get BTCUSDT 1m --start 2024-01-01T00:00+25:00",
            "14 hours away from UTC",
        ),
        (
            "get BTCUSDT 1h --market um --source binance --simulate",
            "has no klines of market um\n  hint: those that have are binance-vision (archives) and binance-futures (REST)",
        ),
        ("price BTCUSD_PERP --market spot", "belongs to market cm"),
        ("price BTC/USDT/X", "symbol"),
        ("price BTCUSDT --deadline soon", "expected a number and a unit"),
        ("prices", "no symbol was given"),
        ("prices --file /nowhere/list.txt", "cannot be read"),
        ("sentiment --days 0", "0 is not in 1..=10000"),
        ("sentiment --chart --format json", "cannot be used with"),
        ("status --watch 0", "0 is not in 1..=3600"),
        ("status --reset binanc --simulate", "did you mean binance?"),
        ("cache path --cache-dir=", "a value is required for '--cache-dir <DIR>'"),
        ("get BTCUSDT 1m --last 1d --log-level very=loud=x", "log level"),
        (
            "chart BTCUSDT 1m --last 1d --out chart.gif",
            "expected a file ending in .png, .svg or .html",
        ),
        (
            "chart BTCUSDT 1m --last 1d --out chart.svg --size 299x900",
            "a picture takes at least 300x200",
        ),
        ("gaps BTCUSDT 1m", "no range was given"),
        ("download --last 1d", "no symbol was given"),
        ("download BTCUSDT --last 1d", "no interval was given"),
        ("download BTCUSDT 60m --last 1d", "did you mean 1h?"),
        ("cache evict", "required"),
        ("config show --config /nowhere.toml", "cannot be read"),
        ("get BTCUSDT", "required"),
        ("gett BTCUSDT", "similar subcommand"),
    ] {
        let got = run(&args.split_whitespace().collect::<Vec<_>>());
        assert_eq!((got.code, got.stdout.as_str()), (Some(2), ""), "{args}: {}", got.stderr);
        assert!(got.stderr.contains(said), "{args}: {}", got.stderr);
    }
    let long = "A".repeat(60);
    let got = run(&["get", &long, "1m", "--last", "1d"]);
    assert!(got.code == Some(2) && got.stderr.contains("too long"), "{}", got.stderr);
}

#[test]
fn data_goes_to_stdout_and_words_to_stderr() {
    let got = run(&[
        "get",
        "BTC/USDT",
        "1h",
        "--start",
        "2024-05-01",
        "--end",
        "2024-05-03",
        "--simulate",
        "--explain",
    ]);
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    assert!(
        got.stdout
            .starts_with("open_time,open,high,low,close,volume,close_time,"),
        "{}",
        got.stdout
    );
    assert_eq!(got.stdout.lines().count(), 49);
    for said in [
        "none of this is market data",
        "asked",
        "came from  48 klines",
        "missing  nothing",
    ] {
        assert!(got.stderr.contains(said), "{said}: {}", got.stderr);
    }
    let quiet = run(&[
        "get",
        "BTCUSDT",
        "1h",
        "--last",
        "1d",
        "--simulate",
        "--quiet",
        "--format",
        "json",
    ]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
    let json: serde_json::Value = serde_json::from_str(&quiet.stdout).unwrap();
    assert!(json["klines"].as_array().unwrap().len() >= 22);
}

#[test]
fn nothing_held_offline_is_unavailable_and_a_part_held_is_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    let get = |start: &str, end: &str, more: &[&str]| {
        let args = ["get", "BTCUSDT", "1h", "--start", start, "--end", end, "--simulate"];
        run_in(dir.path(), &[&args[..], more].concat())
    };
    let nothing = get("2024-05-01", "2024-05-02", &["--offline"]);
    assert_eq!(
        (nothing.code, nothing.stdout.as_str()),
        (Some(4), ""),
        "{}",
        nothing.stderr
    );
    assert!(nothing.stderr.contains("nothing could be had"));
    assert_eq!(get("2024-05-01", "2024-05-02", &[]).code, Some(0));
    let held = get("2024-05-01", "2024-05-02", &["--offline"]);
    assert_eq!(
        (held.code, held.stdout.lines().count()),
        (Some(0), 25),
        "{}",
        held.stderr
    );
    // The archives hold whole months, and what came with the day that was asked for is held too.
    let part = get("2023-04-01", "2024-05-02", &["--offline"]);
    assert_eq!((part.code, part.stdout.as_str()), (Some(3), ""), "{}", part.stderr);
    assert!(
        part.stderr.contains("add --best-effort to print what was found"),
        "{}",
        part.stderr
    );
    let printed = get("2023-04-01", "2024-05-02", &["--offline", "--best-effort"]);
    assert_eq!(printed.code, Some(3));
    assert!(printed.stdout.lines().count() >= 25);
}

#[test]
fn a_failed_run_leaves_no_file_and_a_good_one_replaces_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("day.csv");
    std::fs::write(&out, "precious").unwrap();
    let path = out.to_str().unwrap();
    let args = [
        "get",
        "BTCUSDT",
        "1h",
        "--start",
        "2024-05-01",
        "--end",
        "2024-05-02",
        "--simulate",
        "--out",
        path,
    ];
    let failed = run_in(dir.path(), &[&args[..], &["--offline"]].concat());
    assert_eq!(failed.code, Some(4));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "precious");
    let good = run_in(dir.path(), &args);
    assert_eq!((good.code, good.stdout.as_str()), (Some(0), ""), "{}", good.stderr);
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 25);
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().starts_with(".evercandle-")),
        "{left:?}"
    );
}

/// Goal: output that cannot be written names its file and leaves the old one.
/// Method: files limited to a few kilobytes, and the signal for that ignored, as a full disk would look.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["klines.csv", "klines.parquet", "chart.svg"] {
        let out = dir.path().join(name);
        std::fs::write(&out, "precious").unwrap();
        let what = if name == "chart.svg" { "chart" } else { "get" };
        let line = format!(
            "trap '' XFSZ; ulimit -f 4; exec {} {what} BTCUSDT 1m --start 2024-05-01 --end 2024-05-02 --simulate --out {}",
            env!("CARGO_BIN_EXE_evercandle"),
            out.display()
        );
        let got = finished(
            Command::new("/bin/sh")
                .args(["-c", &line])
                .env_clear()
                .env("EVERCANDLE_CACHE_DIR", dir.path())
                .output()
                .unwrap(),
        );
        assert_eq!(got.code, Some(1), "{name}: {}", got.stderr);
        let said = format!("{}: cannot be written: ", out.display());
        assert!(got.stderr.contains(&said), "{name}: {}", got.stderr);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "precious");
    }
}

#[test]
fn a_simulated_kline_never_lands_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        run_in(dir.path(), &["get", "BTCUSDT", "1h", "--last", "1d", "--simulate"]).code,
        Some(0)
    );
    let held = run_in(dir.path(), &["cache", "ls", "--format", "json"]);
    assert_eq!((held.code, held.stdout.as_str()), (Some(0), "[]\n"), "{}", held.stderr);
}

#[test]
fn download_fills_the_cache_and_the_next_run_fetches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list.txt");
    std::fs::write(&list, "# two of them\nETHUSDT\nBTCUSDT, 1d\n").unwrap();
    let args = [
        "download",
        "SOLUSDT",
        "1h",
        "--file",
        list.to_str().unwrap(),
        "--start",
        "2024-04-01",
        "--end",
        "2024-05-01",
        "--simulate",
    ];
    let first = run_in(dir.path(), &args);
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    for series in ["spot/SOLUSDT/1h", "spot/ETHUSDT/1h", "spot/BTCUSDT/1d"] {
        assert!(
            first.stdout.contains(series) && first.stderr.contains(series),
            "{}",
            first.stdout
        );
    }
    assert!(
        first.stdout.contains("3 of 3 series complete, 1,470 klines"),
        "{}",
        first.stdout
    );
    let again = run_in(dir.path(), &[&args[..], &["--offline"]].concat());
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    let wrong = run_in(
        dir.path(),
        &[
            "download",
            "NOSUCHUSDT",
            "BTCUSDT",
            "1d",
            "--start",
            "2024-04-01",
            "--end",
            "2024-05-01",
            "--simulate",
        ],
    );
    assert_eq!(wrong.code, Some(2), "{}{}", wrong.stdout, wrong.stderr);
    assert!(wrong.stdout.contains("does not know this symbol"), "{}", wrong.stdout);
    assert!(
        wrong.stdout.contains("1 of 2 series complete, 1 failed, 30 klines"),
        "{}",
        wrong.stdout
    );
    for line in wrong.stdout.lines().chain(wrong.stderr.lines()) {
        assert!(line.matches("NOSUCHUSDT").count() <= 1, "{line}");
    }
}

#[test]
fn an_unknown_symbol_is_bad_input() {
    let got = run(&["get", "NOSUCHUSDT", "1h", "--last", "1d", "--simulate"]);
    assert_eq!((got.code, got.stdout.as_str()), (Some(2), ""), "{}", got.stderr);
    assert!(
        got.stderr.contains("does not know this symbol") && got.stderr.contains("evercandle symbols"),
        "{}",
        got.stderr
    );
    let symbols = run(&["symbols", "btc", "--simulate"]);
    assert_eq!(symbols.code, Some(0), "{}", symbols.stderr);
    assert!(
        symbols.stdout.starts_with("symbol,base,quote,status,listed_at\n")
            && symbols.stdout.contains("BTCUSDT,BTC,USDT,TRADING,")
    );
    let none = run(&["symbols", "BTCUSDX", "--simulate"]);
    assert!(
        none.code == Some(2) && none.stderr.contains("did you mean BTCUSDT?"),
        "{}",
        none.stderr
    );
}

#[test]
fn an_unusable_cache_is_cache_trouble_only_where_the_cache_is_the_point() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let got = run_in(&file, &["cache", "ls"]);
    assert_eq!((got.code, got.stdout.as_str()), (Some(5), ""), "{}", got.stderr);
    assert!(got.stderr.contains("--cache-dir"), "{}", got.stderr);
}

/// Goal: a cache whose folder is not there yet, and is named from where one stands, is made and used.
#[test]
fn a_relative_cache_folder_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let args = "download BTCUSDT 1d --start 2024-04-01 --end 2024-05-01 --simulate";
    let mut download = command(Path::new("a-cache"));
    download.current_dir(dir.path()).args(args.split(' '));
    let got = finished(download.env("TMPDIR", dir.path()).output().unwrap());
    assert_eq!(got.code, Some(0), "{}{}", got.stdout, got.stderr);
    assert!(dir.path().join("a-cache").exists(), "{}", got.stderr);
}

/// Goal: a download that stored nothing is no success. Method: the cache's folder would have to be inside a file.
#[test]
fn a_download_that_cannot_be_stored_is_cache_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let range = ["--start", "2024-04-01", "--end", "2024-05-01", "--simulate"];
    let got = run_in(&file, &[&["download", "BTCUSDT", "1d"][..], &range].concat());
    assert_eq!(got.code, Some(5), "{}{}", got.stdout, got.stderr);
    assert!(
        got.stderr.contains("could be stored: ") && got.stderr.contains("--cache-dir"),
        "{}",
        got.stderr
    );
    assert!(
        got.stdout.contains("0 of 1 series complete, 1 not stored, 30 klines"),
        "{}",
        got.stdout
    );
}

#[test]
fn an_empty_variable_is_as_good_as_none_and_simulate_overrules_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = finished(
        command(dir.path())
            .env("EVERCANDLE_CACHE_DIR", "")
            .env("EVERCANDLE_CONFIG", "")
            .env("EVERCANDLE_INTERNET", "")
            .args(["cache", "path"])
            .output()
            .unwrap(),
    );
    assert_eq!(path.code, Some(0), "{}", path.stderr);
    assert!(path.stdout.trim().ends_with(".cache/evercandle"), "{}", path.stdout);
    let file = dir.path().join("config.toml");
    let relays =
        ["binance", "binance-vision"].map(|name| format!("[providers.{name}]\ninternet = 'http://127.0.0.1:9'\n"));
    std::fs::write(&file, relays.concat()).unwrap();
    let simulated = finished(
        command(dir.path())
            .env("EVERCANDLE_INTERNET", "http://127.0.0.1:9")
            .args(["get", "BTCUSDT", "1d", "--last", "3d", "--simulate", "--config"])
            .arg(&file)
            .output()
            .unwrap(),
    );
    assert_eq!(simulated.code, Some(0), "{}", simulated.stderr);
}

/// Goal: someone who makes room and gets none is told why. Method: evict what was fetched a moment ago.
#[test]
fn what_eviction_spares_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let get = [
        "get",
        "BTCUSDT",
        "1h",
        "--start",
        "2024-05-01",
        "--end",
        "2024-05-02",
        "--simulate",
    ];
    assert_eq!(run_in(dir.path(), &get).code, Some(0));
    let cache = dir.path().join("simulated-1");
    let evict = |to: &str| run_in(&cache, &["cache", "evict", "--to", to]);
    let spared = evict("0");
    assert_eq!(spared.code, Some(0), "{}", spared.stderr);
    assert!(
        spared.stderr.contains("removed 0 files") && spared.stderr.contains("in the last minute are spared"),
        "{}",
        spared.stderr
    );
    assert!(!evict("1G").stderr.contains("spared"));
}

#[test]
fn gaps_names_the_reason() {
    let got = run(&[
        "gaps",
        "BTCUSDT",
        "1h",
        "--start",
        "2017-08-01",
        "--end",
        "2017-09-10",
        "--simulate",
        "--format",
        "json",
    ]);
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    let gaps: serde_json::Value = serde_json::from_str(&got.stdout).unwrap();
    assert_eq!(
        (&gaps[0]["start"], &gaps[0]["end"]),
        (&"2017-08-01T00:00:00Z".into(), &"2017-08-17T04:00:00Z".into())
    );
    assert_eq!(gaps[0]["final"], true, "{gaps}");
    assert!(
        gaps.as_array()
            .unwrap()
            .iter()
            .any(|g| g["reason"] == "venue_halt" || g["reason"] == "absent_upstream"),
        "{gaps}"
    );
}

#[test]
fn pictures_are_written_by_their_ending() {
    let dir = tempfile::tempdir().unwrap();
    for (name, begins) in [
        ("c.png", &b"\x89PNG"[..]),
        ("c.svg", b"<svg"),
        ("c.html", b"<!doctype html>"),
    ] {
        let out = dir.path().join(name);
        let args = [
            "chart",
            "ETHUSDT",
            "4h",
            "--start",
            "2024-03-01",
            "--end",
            "2024-04-01",
            "--simulate",
            "--out",
            out.to_str().unwrap(),
        ];
        let got = run_in(dir.path(), &args);
        assert_eq!((got.code, got.stdout.as_str()), (Some(0), ""), "{}", got.stderr);
        assert!(std::fs::read(&out).unwrap().starts_with(begins), "{name}");
    }
    let drawn = run_in(
        dir.path(),
        &[
            "chart",
            "ETHUSDT",
            "4h",
            "--start",
            "2024-03-01",
            "--end",
            "2024-04-01",
            "--simulate",
        ],
    );
    assert!(
        drawn.code == Some(0) && drawn.stdout.contains('┃') && !drawn.stdout.contains('\x1b'),
        "{}",
        drawn.stdout
    );
    let coloured = run_in(
        dir.path(),
        &[
            "chart",
            "ETHUSDT",
            "4h",
            "--last",
            "7d",
            "--simulate",
            "--color",
            "always",
        ],
    );
    assert!(coloured.stdout.contains("\x1b[3"), "{}", coloured.stdout);
}

/// Goal: the demo needs nothing, leaves nothing, and tells the same story each time, but for addresses and timings.
#[test]
fn the_demo() {
    let dir = tempfile::tempdir().unwrap();
    let got = run_in(dir.path(), &["demo"]);
    assert_eq!((got.code, got.stderr.as_str()), (Some(0), ""), "{}", got.stdout);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "something was left behind"
    );
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT");
    settings.add_filter(r" *\b\d+(\.\d+)? (ms|s)\b", " TIME");
    settings.add_filter(r"\d+ pages", "N pages");
    settings.add_filter(r"klines +took", "klines took");
    settings.add_filter(r"\(\d+ calls?\)", "(N calls)");
    settings.bind(|| insta::assert_snapshot!("demo", got.stdout));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let got = run(&["completions", shell]);
        assert!(
            got.code == Some(0) && got.stdout.contains("evercandle") && got.stderr.is_empty(),
            "{shell}"
        );
    }
}

#[test]
fn the_configuration_shown_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let shown = run_in(dir.path(), &["config", "show"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for said in [
        "[providers.binance]",
        "[providers.binance-vision]",
        "slots = 8",
        "# internet: absent",
        "# size_max: absent",
    ] {
        assert!(shown.stdout.contains(said), "{said}: {}", shown.stdout);
    }
    let bare = finished(
        command(dir.path())
            .env_remove("EVERCANDLE_CACHE_DIR")
            .args(["config", "show"])
            .output()
            .unwrap(),
    );
    assert!(bare.stdout.contains("# dir: absent"), "{}", bare.stdout);
    let file = dir.path().join("config.toml");
    std::fs::write(&file, &shown.stdout).unwrap();
    let again = run_in(dir.path(), &["config", "show", "--config", file.to_str().unwrap()]);
    assert_eq!((again.code, again.stdout), (Some(0), shown.stdout), "{}", again.stderr);
    let path = run_in(dir.path(), &["cache", "path"]);
    assert_eq!(path.stdout.trim(), dir.path().to_str().unwrap());
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let relay = "internet = \"http://user:hunter2@relay:8080/\"";
    std::fs::write(&file, format!("{relay}\n[providers.binance]\n{relay}\n")).unwrap();
    let shown = run_in(dir.path(), &["config", "show", "--config", file.to_str().unwrap()]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(!shown.stdout.contains("hunter2"), "{}", shown.stdout);
    assert_eq!(
        shown.stdout.matches("http://user:***@relay:8080/").count(),
        2,
        "{}",
        shown.stdout
    );
}

/// Goal: a key never leaves the environment, whatever is printed and however much is logged.
#[test]
fn a_key_is_said_to_be_set_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let with = |variable: &str, args: &[&str]| {
        let mut command = command(dir.path());
        finished(command.env(variable, "CG-secret-123").args(args).output().unwrap())
    };
    let none = run_in(dir.path(), &["config", "show"]);
    assert!(none.stdout.contains("# key: none, "), "{}", none.stdout);
    for variable in ["EVERCANDLE_KEY_COINGECKO", "EVERCANDLE_KEY_COINGECKO_PRO"] {
        let shown = with(variable, &["config", "show"]);
        assert!(
            shown.stdout.contains(&format!("# key: {variable} is set")),
            "{}",
            shown.stdout
        );
        let asked = with(variable, &["status", "--simulate", "--log-level", "trace"]);
        for text in [&shown.stdout, &shown.stderr, &asked.stdout, &asked.stderr] {
            assert!(!text.contains("secret"), "{variable}: {text}");
        }
    }
}
