//! `demo`.

use crate::args::Demo;
use crate::exit::{Exit, Failure};
use crate::screen::Screen;

pub(crate) async fn run(_args: &Demo, _screen: &Screen) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Unexpected, "not yet"))
}
