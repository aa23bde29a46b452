//! `config`: the settings in force.

use std::io::Write;

use evercandle::config::{KEY_VARIABLE_PREFIX, ProviderConfig};
use evercandle::provider::{CATALOG, coingecko};

use crate::args::{Config, ConfigAction, Global};
use crate::exit::{Exit, Failure};
use crate::session;

/// What is shown in place of a password.
const HIDDEN: &str = "***";
/// Upstreams for which a key does something.
const KEYED: [&str; 1] = [coingecko::NAME];

pub(crate) fn run(args: &Config, global: &Global) -> Result<Exit, Failure> {
    match args.action {
        ConfigAction::Show => {
            let config = session::config(global)?;
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "# cache folder: {}", config.cache_dir()?.display())?;
            stdout.write_all(whole(config)?.as_bytes())?;
            stdout.flush()?;
            Ok(Exit::Complete)
        }
    }
}

/// Everything in force as a document that can be read back: every upstream, and what is absent as a comment. What is
/// secret is left out: such a document ends in bug reports.
fn whole(mut config: evercandle::Config) -> Result<String, Failure> {
    let mut hidden = false;
    for entry in CATALOG {
        let settings = config.provider(entry.name);
        config.providers.insert(entry.name.to_owned(), settings);
    }
    let own = config.providers.values_mut().filter_map(|p| p.internet.as_mut());
    for url in config.internet.iter_mut().chain(own) {
        if url.password().is_some() {
            // Refused only where there can be no password.
            let _ = url.set_password(Some(HIDDEN));
            hidden = true;
        }
    }
    let mut text = String::new();
    if hidden {
        text += &format!("# {HIDDEN} stands for a password that is not shown\n");
    }
    if config.internet.is_none() {
        text += "# internet: absent, so the upstreams themselves are asked; http://host:port asks a relay\n";
    }
    for line in config.to_toml().lines() {
        text += line;
        text.push('\n');
        if line == "[cache]" {
            if config.cache.dir.is_none() {
                text += "# dir: absent, so the cache is in the user's cache folder, named above\n";
            }
            if config.cache.size_max.is_none() {
                text += "# size_max: absent, so the cache may grow until free_min is left of the disk\n";
            }
        }
        for (name, settings) in &config.providers {
            if line == format!("[providers.{name}]") {
                text += &absent(settings);
                text += &key(name)?;
            }
            let kept = |table: &str| line == format!("[providers.{name}.{table}]");
            if kept("hosts") && settings.hosts.is_empty() || kept("limits") && settings.limits.is_empty() {
                text += "# empty, so all are as the README of the provider lists them\n";
            }
        }
    }
    Ok(text)
}

/// What an upstream does not have of its own.
fn absent(settings: &ProviderConfig) -> String {
    let own = [
        ("internet", settings.internet.is_some()),
        ("timeout_ms", settings.timeout_ms.is_some()),
        ("attempts", settings.attempts.is_some()),
        ("breaker", settings.breaker.is_some()),
    ];
    let absent: Vec<&str> = own.iter().filter(|(_, set)| !set).map(|(name, _)| *name).collect();
    match absent.is_empty() {
        true => String::new(),
        false => format!("# {}: absent, so as for all\n", absent.join(", ")),
    }
}

/// Whether there is a key, and where it is from; never the key itself.
fn key(name: &str) -> Result<String, Failure> {
    let variable = format!("{KEY_VARIABLE_PREFIX}{}", name.to_uppercase().replace('-', "_"));
    Ok(match evercandle::Config::key_from_environment(name)? {
        Some(key) if key.paid => format!("# key: {variable}_PRO is set; it is not shown\n"),
        Some(_) => format!("# key: {variable} is set; it is not shown\n"),
        None if KEYED.contains(&name) => {
            format!("# key: none, so the public limits hold; {variable} sets one, or {variable}_PRO a paid one\n")
        }
        None => String::new(),
    })
}
