//! Programs that the daemon is tested with and that cargo does not bring: Prometheus and Alertmanager, a browser and what
//! drives it, a generator of requests, what checks systemd's units.
//!
//! What Debian packages comes from there; the rest goes into `target/tools`, so that nothing is left on the machine that
//! `cargo clean` does not remove. Where there is no Debian, everything that is on the `PATH` is used, and the message says
//! what is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The variable that tells tests where `target/tools` is, and that nothing may be missing.
const VARIABLE: &str = "EVERCANDLE_TOOLS";

/// A program, and the Debian package it comes in.
struct Program {
    name: &'static str,
    package: &'static str,
}

impl Program {
    /// Python comes without what its package is wanted for: Debian splits virtual environments off.
    fn is_there(&self) -> bool {
        is_there(self.name) && (self.name != "python3" || imports("venv, ensurepip"))
    }
}

const PROGRAMS: [Program; 8] = [
    Program {
        name: "prometheus",
        package: "prometheus",
    },
    Program {
        name: "promtool",
        package: "prometheus",
    },
    Program {
        name: "prometheus-alertmanager",
        package: "prometheus-alertmanager",
    },
    Program {
        name: "systemd-analyze",
        package: "systemd",
    },
    Program {
        name: "chromium",
        package: "chromium",
    },
    Program {
        name: "python3",
        package: "python3-venv",
    },
    Program {
        name: "node",
        package: "nodejs",
    },
    Program {
        name: "npm",
        package: "npm",
    },
];

/// From PyPI.
const PYTHON: [&str; 1] = ["schemathesis==4.32.5"];
/// From npm.
const NODE: [&str; 2] = ["playwright-core@1.65.1", "axe-core@4.14.1"];

/// Makes sure that everything is there, and tells the tests where.
pub(crate) fn ensure(tests: &mut Command) -> Result<()> {
    packages(&PROGRAMS)?;
    let folder = folder();
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    python(&folder.join("python"))?;
    node(&folder.join("node"))?;
    tests.env(VARIABLE, folder.canonicalize().context("target/tools")?);
    Ok(())
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools")
}

fn packages(programs: &[Program]) -> Result<()> {
    let mut wanted: Vec<&str> = programs.iter().filter(|p| !p.is_there()).map(|p| p.package).collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(());
    }
    let list = wanted.join(" ");
    let by_hand = format!(
        "install it by hand (on Debian: apt-get install {list}), or run `cargo xtask test --fast`, which does without"
    );
    if !is_there("apt-get") {
        bail!("not installed: {list}; {by_hand}");
    }
    println!("installing {list}: this takes about a minute, once");
    let install = || {
        apt(["install", "--yes", "--no-install-recommends"]
            .into_iter()
            .chain(wanted.iter().copied()))
    };
    // A fresh machine has no lists yet.
    let done = apt(["update"].into_iter()).is_ok() && install().is_ok();
    ensure!(
        done && programs.iter().all(Program::is_there),
        "{list} could not be installed; {by_hand}"
    );
    Ok(())
}

fn apt<'a>(arguments: impl Iterator<Item = &'a str>) -> Result<()> {
    // Whoever is not root may still be allowed to.
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout.starts_with(b"0"));
    let mut command = match root {
        true => Command::new("apt-get"),
        false => {
            let mut sudo = Command::new("sudo");
            sudo.args(["--non-interactive", "apt-get"]);
            sudo
        }
    };
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .arg("--quiet=2")
        .args(arguments);
    succeed(&mut command)
}

fn python(folder: &Path) -> Result<()> {
    if marked(folder, &PYTHON) {
        return Ok(());
    }
    println!("installing {} into {}", PYTHON.join(" "), folder.display());
    succeed(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let pip = folder.join("bin/pip");
    succeed(
        Command::new(pip)
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PYTHON),
    )?;
    mark(folder, &PYTHON)
}

fn node(folder: &Path) -> Result<()> {
    if marked(folder, &NODE) {
        return Ok(());
    }
    println!("installing {} into {}", NODE.join(" "), folder.display());
    let quiet = [
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
        "--prefix",
    ];
    succeed(Command::new("npm").args(quiet).arg(folder).args(NODE))?;
    mark(folder, &NODE)
}

/// Whether exactly this was installed there before.
pub(crate) fn marked(folder: &Path, what: &[&str]) -> bool {
    std::fs::read_to_string(folder.join("installed")).is_ok_and(|found| found == what.join("\n"))
}

pub(crate) fn mark(folder: &Path, what: &[&str]) -> Result<()> {
    let path = folder.join("installed");
    std::fs::write(&path, what.join("\n")).with_context(|| format!("{} cannot be written", path.display()))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn imports(modules: &str) -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", &format!("import {modules}")]);
    let output = python.stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // What they print on stdout is of no interest, what they complain about is.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("{name} cannot be started"))?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_installed_is_not_installed_again_unless_the_versions_change() {
        let folder = std::env::temp_dir().join(format!("evercandle-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(!marked(&folder, &["a@1", "b@2"]));
        mark(&folder, &["a@1", "b@2"]).unwrap();
        assert!(marked(&folder, &["a@1", "b@2"]));
        assert!(!marked(&folder, &["a@1", "b@3"]));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_program_is_looked_for_where_a_shell_would() {
        assert!(is_there("cargo") && !is_there("no-such-program"));
    }

    #[test]
    fn a_python_without_the_wanted_modules_is_not_enough() {
        assert!(!imports("no_such_module"));
    }
}
