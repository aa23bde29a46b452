//! The program and those it works with: readers that go away, other programs, and people who press Ctrl-C.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use super::{command, finished, run_in};

/// Goal: Ctrl-C during a download is prompt, keeps what is stored, and says how to go on.
/// Method: upstreams that never answer; interrupt; then the same command without the fault.
#[cfg(unix)]
#[test]
fn an_interrupted_download_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing listens on a port that was just free, and a listener that never answers is the harder case.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let args = [
        "download",
        "BTCUSDT",
        "1m",
        "--start",
        "2024-01-01",
        "--end",
        "2024-06-01",
        "--internet",
        &url,
    ];
    let child = command(dir.path())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = listener.accept().unwrap();
    let begun = std::time::Instant::now();
    signal(child.id(), "-INT");
    let got = finished(child.wait_with_output().unwrap());
    drop(asked);
    assert_eq!(got.code, Some(130), "{}", got.stderr);
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert!(got.stderr.contains("run the same command again"), "{}", got.stderr);
    assert!(got.stdout.contains("1 not finished"), "{}", got.stdout);
}

/// Goal: a download that waits for the end of an outage says so, what it waits for and until when, and hears Ctrl-C.
/// Method: nobody listens where everything is sent; interrupt once it says that it waits. Then the same without patience.
#[cfg(unix)]
#[test]
fn a_download_says_what_it_waits_for_and_can_be_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{nobody}");
    let args: Vec<&str> = "download BTCUSDT 1h --start 2024-01-01 --end 2024-02-01 --internet"
        .split(' ')
        .chain([url.as_str()])
        .collect();
    let mut child = command(dir.path())
        .args(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("waiting for ") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it does not wait: {said}");
    }
    for word in [" UTC, at most until ", "binance: ", "binance-vision: "] {
        assert!(said.contains(word), "{said}");
    }
    signal(child.id(), "-INT");
    stderr.read_to_string(&mut said).unwrap();
    let got = finished(child.wait_with_output().unwrap());
    assert_eq!(got.code, Some(130), "{said}");
    assert!(said.contains("error: interrupted while waiting for binance"), "{said}");
    assert!(said.contains("run the same command again"), "{said}");
    let got = run_in(dir.path(), &[&args[..], &["--patience", "0"]].concat());
    assert_eq!(got.code, Some(4), "{}", got.stderr);
    assert!(!got.stderr.contains("waiting"), "{}", got.stderr);
}

/// Goal: a FIFO that nobody reads does not make the program deaf to Ctrl-C.
/// Method: interrupt once the explanation is out, which comes just before the FIFO is opened.
#[cfg(unix)]
#[test]
fn waiting_for_a_reader_can_be_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo.csv");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut child = command(dir.path())
        .args(["get", "BTCUSDT", "1d", "--start", "2024-05-01", "--end", "2024-05-08"])
        .args(["--simulate", "--explain", "--out", fifo.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().starts_with("missing")));
    signal(child.id(), "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// Goal: a program whose reader does not read, or that reads what does not end, still stops when it is asked to.
/// Method: a pipe that is held open and not read to its end, which is far beyond what a pipe holds; a list on stdin that
/// nobody writes.
#[cfg(unix)]
#[test]
fn work_that_blocks_ends_when_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let days = "BTCUSDT 1m --start 2024-05-01 --end 2024-05-08 --simulate --format csv";
    let mut writing = command(dir.path())
        .args(["get"].into_iter().chain(days.split(' ')))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writing.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let mut reading = command(dir.path())
        .args("download 1m --last 1d --simulate --file - --log-level warn".split(' '))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // What a program listens to is in its status.
    while !listens_to_terminate(reading.id()) {
        std::thread::yield_now();
    }
    for child in [&mut writing, &mut reading] {
        signal(child.id(), "-TERM");
    }
    for child in [&mut writing, &mut reading] {
        let begun = std::time::Instant::now();
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if begun.elapsed() > std::time::Duration::from_secs(20) => {
                    child.kill().unwrap();
                    break None;
                }
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(ended, Some(130));
    }
}

/// Goal: a command that is told to stop leaves no temporary folder behind.
/// Method: tell it when its third file of klines is there, and the next ones are being written. One that was quicker than
/// we were has to be tidy too, and does not count.
#[cfg(unix)]
#[test]
fn an_interrupted_command_leaves_no_temporary_folder() {
    let dir = tempfile::tempdir().unwrap();
    for words in ["demo", "get BTCUSDT 1m --last 30d --simulate"] {
        let interrupted = std::iter::repeat_with(|| {
            let mut child = command(dir.path())
                .env_remove("EVERCANDLE_CACHE_DIR")
                .args(words.split(' '))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut has_ended = || child.try_wait().unwrap().is_some();
            while files_of_klines(dir.path()) < 3 && !has_ended() {
                std::thread::yield_now();
            }
            if !has_ended() {
                signal(child.id(), "-TERM");
            }
            let code = child.wait().unwrap().code();
            let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
            assert!(left.is_empty(), "{words}: {left:?}");
            assert!([Some(0), Some(130)].contains(&code), "{words}: {code:?}");
            code == Some(130)
        });
        assert_eq!(interrupted.take(20).filter(|was| *was).take(3).count(), 3, "{words}");
    }
}

/// Goal: the simulator is usable from another process, and Ctrl-C ends it well.
#[cfg(unix)]
#[test]
fn the_simulator_serves_another_process_until_it_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--now",
        "2024-06-01T12:00:00Z",
        "--quiet",
    ];
    let mut child = command(dir.path()).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    let url = url.trim();
    let got = run_in(
        dir.path(),
        &[
            "get",
            "BTCUSDT",
            "1d",
            "--start",
            "2024-05-01",
            "--end",
            "2024-05-08",
            "--internet",
            url,
        ],
    );
    assert_eq!((got.code, got.stdout.lines().count()), (Some(0), 8), "{}", got.stderr);
    signal(child.id(), "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Goal: `| head` is not an error. Method: close the pipe before the program writes.
#[test]
fn a_closed_pipe_is_quiet_success() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "get",
        "BTCUSDT",
        "1m",
        "--start",
        "2024-05-01",
        "--end",
        "2024-05-04",
        "--simulate",
        "--quiet",
    ];
    let mut child = command(dir.path())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let got = finished(child.wait_with_output().unwrap());
    assert_eq!((got.code, got.stderr.as_str()), (Some(0), ""));
}

#[cfg(unix)]
pub(super) fn signal(process: u32, signal: &str) {
    assert!(
        Command::new("kill")
            .args([signal, &process.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Whether SIGTERM does not end this process by itself any more.
#[cfg(unix)]
fn listens_to_terminate(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
}

/// How many files of klines are somewhere below.
#[cfg(unix)]
fn files_of_klines(dir: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let count = |path: std::path::PathBuf| match path.extension() {
        Some(extension) if extension == "arrow" => 1,
        _ => files_of_klines(&path),
    };
    entries.flatten().map(|entry| count(entry.path())).sum()
}
