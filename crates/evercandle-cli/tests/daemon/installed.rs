//! What `ops` has for whoever installs the daemon starts it as it says: systemd's units, and the container.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use super::supervised::handing_over;
use super::support::{Daemon, World};
use super::tools::program;

/// Where both expect it.
const PROGRAM: &str = "/usr/local/bin/evercandle";

/// `systemd-analyze security` counts from 0, nothing is open, to 10.
const EXPOSURE_IN_TENTHS: &str = "15";

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// What follows `start` in the lines that begin with it.
fn all<'a>(text: &'a str, start: &'a str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(start)).collect()
}

/// The same where the last one counts.
fn last<'a>(text: &'a str, start: &'a str) -> &'a str {
    all(text, start).pop().unwrap_or_else(|| panic!("no {start} in {text}"))
}

/// The service as systemd starts it, with `etc` and `cache` of this world for the system's folders.
fn service(world: &World, unit: &str) -> Command {
    let mut words = last(unit, "ExecStart=").split_whitespace();
    assert_eq!(words.next(), Some(PROGRAM));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = handing_over(socket, &words.collect::<Vec<_>>());
    command
        .env_clear()
        .env("EVERCANDLE_INTERNET", world.exchange.base_url());
    let folder = |name| world.path(name).into_os_string().into_string().unwrap();
    for variable in last(unit, "Environment=").split_whitespace() {
        let (name, value) = variable.split_once('=').unwrap();
        command.env(
            name,
            value.replace("%E", &folder("etc")).replace("%C", &folder("cache")),
        );
    }
    command
}

/// Goal: copying the units is enough; and the cache is in the one folder that the sandbox lets it write.
#[test]
fn the_service_serves_before_anybody_wrote_settings() {
    let world = World::new();
    let unit = read("ops/systemd/evercandle.service");
    let daemon = Daemon::spawn(service(&world, &unit));
    assert_eq!(daemon.get("/health/live").status, 200);
    let cache = world.path("cache").join(last(&unit, "CacheDirectory="));
    assert!(cache.join("CACHEDIR.TAG").is_file());
}

/// Goal: nobody is kept waiting by a daemon that is started again and again and cannot serve.
#[test]
fn the_service_is_not_started_again_with_settings_that_make_no_sense() {
    let world = World::new();
    let unit = read("ops/systemd/evercandle.service");
    let settings = world.path("etc/evercandle");
    std::fs::create_dir_all(&settings).unwrap();
    std::fs::write(settings.join("config.toml"), "serverr = 1\n").unwrap();
    let output = service(&world, &unit).output().unwrap();
    let code = output.status.code().map(|code| code.to_string());
    assert_eq!(
        code.as_deref(),
        Some(last(&unit, "RestartPreventExitStatus=")),
        "{output:?}"
    );
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units_and_little_exposed() {
    let Some(systemd) = program("systemd-analyze") else {
        return;
    };
    let world = World::new();
    let files = ["evercandle.service", "evercandle.socket"].map(|name| {
        let text = read(&format!("ops/systemd/{name}"));
        std::fs::write(
            world.path(name),
            text.replace(PROGRAM, env!("CARGO_BIN_EXE_evercandle")),
        )
        .unwrap();
        world.path(name)
    });
    let verify = Command::new(&systemd)
        .args(["verify", "--man=no"])
        .args(&files)
        .output()
        .unwrap();
    // It reads other units too, whose faults are not ours.
    let complaints = String::from_utf8(verify.stderr).unwrap();
    assert!(!complaints.contains("evercandle"), "{complaints}");
    let security = Command::new(&systemd)
        .args([
            "security",
            "--offline=true",
            "--no-pager",
            "--threshold",
            EXPOSURE_IN_TENTHS,
        ])
        .arg(&files[0])
        .output()
        .unwrap();
    assert!(
        security.status.success(),
        "{}",
        String::from_utf8_lossy(&security.stdout)
    );
}

/// Goal: what the container is told to run can be run, by nobody in particular, on the port that it names.
#[test]
fn the_container_runs_what_it_says() {
    let world = World::new();
    let dockerfile = read("ops/docker/Dockerfile");
    let words = |start| -> Vec<String> { serde_json::from_str(last(&dockerfile, start)).unwrap() };
    assert_eq!(words("ENTRYPOINT "), [PROGRAM]);
    assert!(last(&dockerfile, "COPY --from=build /out/evercandle ").ends_with(PROGRAM));
    assert_eq!(last(&dockerfile, "USER "), "nonroot");
    assert_eq!(
        last(&dockerfile, "ENV EVERCANDLE_CACHE_DIR="),
        last(&dockerfile, "VOLUME ")
    );
    let arguments = words("CMD ");
    let port = format!(":{}", last(&dockerfile, "EXPOSE "));
    assert!(arguments.iter().any(|word| word.ends_with(&port)), "{arguments:?}");
    let health = last(&dockerfile, "HEALTHCHECK ");
    let (_, probe) = health.split_once("CMD ").unwrap();
    let probe: Vec<String> = serde_json::from_str(probe).unwrap();
    assert_eq!(probe[0], PROGRAM);
    assert!(probe.iter().any(|word| word.ends_with(&port)), "{probe:?}");
    let check = Command::new(env!("CARGO_BIN_EXE_evercandle"))
        .env_clear()
        .env("EVERCANDLE_CACHE_DIR", world.path("cache"))
        .args(&arguments)
        .arg("--check")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(0), "{check:?}");
}

/// Goal: the container is built by the compiler that everything was tested with, which comes with the image.
#[test]
fn the_container_is_built_from_pinned_images_and_what_is_compiled() {
    let dockerfile = read("ops/docker/Dockerfile");
    for image in all(&dockerfile, "FROM ") {
        let tag = image.split_whitespace().next().and_then(|name| name.split_once(':'));
        assert!(tag.is_some_and(|(_, tag)| tag != "latest"), "{image}");
    }
    let toolchain = read("rust-toolchain.toml");
    let channel = last(&toolchain, "channel = ").trim_matches('"');
    let builder = all(&dockerfile, "FROM rust:")[0];
    let version = builder.split('-').next().unwrap();
    assert!(channel.starts_with(version), "{builder}, but {channel} was tested");
    let context = read("ops/docker/Dockerfile.dockerignore");
    let sent = all(&context, "!");
    assert!(
        ["Cargo.toml", "Cargo.lock", "crates"]
            .iter()
            .all(|name| sent.contains(name))
    );
    assert!(!sent.contains(&"rust-toolchain.toml"), "it has a compiler fetched");
    for name in sent {
        assert!(repository().join(name).exists(), "{name}");
    }
}
