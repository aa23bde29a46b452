//! `cache`: what is held, whether it is sound, and making room.

use std::io::Write;

use crate::args::{Cache, CacheAction, Global};
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use crate::session;

pub(crate) fn run(args: &Cache, global: &Global, _screen: &Screen) -> Result<Exit, Failure> {
    let config = session::config(global)?;
    match &args.action {
        CacheAction::Path => {
            writeln!(std::io::stdout(), "{}", config.cache_dir()?.display())?;
            Ok(Exit::Complete)
        }
        _ => Err(Failure::new(Exit::Unexpected, "not yet")),
    }
}
