//! Cargo's companions that are not part of the toolchain: found, or installed at the version known to work.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::step::cargo;

/// A cargo subcommand that has to be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    /// The subcommand.
    name: &'static str,
    /// The crate it comes in.
    package: &'static str,
    /// What is installed. Anything at least as new that is there already is used as it is.
    version: (u32, u32, u32),
    /// What installing takes on two cores, for whoever waits.
    takes: &'static str,
}

/// Runs the tests.
pub(crate) const NEXTEST: Tool = Tool {
    name: "nextest",
    package: "cargo-nextest",
    version: (0, 9, 143),
    takes: "about four minutes",
};

/// Checks licences, bans and sources of dependencies.
pub(crate) const DENY: Tool = Tool {
    name: "deny",
    package: "cargo-deny",
    version: (0, 20, 2),
    takes: "about three minutes",
};

impl Tool {
    /// Makes sure that it is there.
    pub(crate) fn ensure(&self) -> Result<()> {
        let (major, minor, patch) = self.version;
        let wanted = format!("{major}.{minor}.{patch}");
        match self.installed() {
            Some(found) if found >= self.version => return Ok(()),
            Some((a, b, c)) => println!("{} {a}.{b}.{c} is too old: {wanted} or newer is needed", self.package),
            None => println!("{} is not installed", self.package),
        }
        println!("installing {} {wanted}: this takes {}, once", self.package, self.takes);
        let status = cargo(["install", "--locked", "--force", "--version", &wanted, self.package])
            .status()
            .context("cargo cannot be started")?;
        ensure!(status.success(), "{} could not be installed", self.package);
        Ok(())
    }

    fn installed(&self) -> Option<(u32, u32, u32)> {
        let mut ask: Command = cargo([self.name, "--version"]);
        let output = ask.stderr(Stdio::null()).output().ok()?;
        parse_version(std::str::from_utf8(&output.stdout).ok()?)
    }
}

/// The first `1.2.3` in a text like `cargo-nextest 0.9.143 (60fa45f63 2026-08-04)`.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.split('.').map(|n| n.parse().ok());
        match (numbers.next()??, numbers.next()??, numbers.next()??) {
            version if numbers.next().is_none() => Some(version),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_print() {
        let nextest = "cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143\n";
        assert_eq!(parse_version(nextest), Some((0, 9, 143)));
        assert_eq!(parse_version("cargo-deny 0.20.2"), Some((0, 20, 2)));
        assert_eq!(parse_version("error: no such command"), None);
        assert_eq!(parse_version("1.2.3.4 v1.2"), None);
    }
}
