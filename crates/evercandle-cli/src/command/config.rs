//! `config`: the settings in force.

use std::io::Write;

use evercandle::provider::CATALOG;

use crate::args::{Config, ConfigAction, Global};
use crate::exit::{Exit, Failure};
use crate::session;

pub(crate) fn run(args: &Config, global: &Global) -> Result<Exit, Failure> {
    match args.action {
        ConfigAction::Show => {
            let config = session::config(global)?;
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "# cache folder: {}", config.cache_dir()?.display())?;
            stdout.write_all(whole(config).as_bytes())?;
            stdout.flush()?;
            Ok(Exit::Complete)
        }
    }
}

/// Everything in force as a document that can be read back: every upstream, and what is absent as a comment.
fn whole(mut config: evercandle::Config) -> String {
    for entry in CATALOG {
        let settings = config.provider(entry.name);
        config.providers.insert(entry.name.to_owned(), settings);
    }
    let mut text = String::new();
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
            let kept = |table: &str| line == format!("[providers.{name}.{table}]");
            if kept("hosts") && settings.hosts.is_empty() || kept("limits") && settings.limits.is_empty() {
                text += "# empty, so all are as the README of the provider lists them\n";
            }
        }
    }
    text
}
