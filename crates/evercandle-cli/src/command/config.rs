//! `config`: the settings in force.

use std::io::Write;

use crate::args::{Config, ConfigAction, Global};
use crate::exit::{Exit, Failure};
use crate::session;

pub(crate) fn run(args: &Config, global: &Global) -> Result<Exit, Failure> {
    match args.action {
        ConfigAction::Show => {
            let config = session::config(global)?;
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "# cache folder: {}", config.cache_dir()?.display())?;
            stdout.write_all(config.to_toml().as_bytes())?;
            stdout.flush()?;
            Ok(Exit::Complete)
        }
    }
}
