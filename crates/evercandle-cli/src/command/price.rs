//! `price`: the newest price of one instrument, and how far it can be trusted.

use evercandle::{Error, PriceRequest, Substitutes, Symbol};

use crate::args::{Global, Price};
use crate::exit::{Exit, Failure};
use crate::output::{self, price};
use crate::screen::{Ink, Screen};
use crate::session::Session;

pub(crate) async fn run(args: &Price, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let (market, symbol) = Symbol::parse(&args.symbol, args.market).map_err(Error::from)?;
    let format = output::latest_format(args.latest.format, screen);
    let session = Session::open(global, &args.latest.internet, screen)?;
    let request = PriceRequest {
        substitutes: substitutes(args.no_substitute),
        deadline: args.latest.deadline,
        ..PriceRequest::new(market, vec![symbol])
    };
    let answer = session.client.prices(request).await?;
    session.client.flush().await;
    if args.latest.explain {
        screen.say(&crate::explain::latest(&answer.trail, screen));
    }
    for found in &answer.prices {
        warn(found, screen);
        output::print(&price::one(found, format, screen))?;
    }
    match answer.missing.into_iter().next() {
        None => Ok(Exit::Complete),
        Some(missing) => Err(missing.into_error(market).into()),
    }
}

pub(super) fn substitutes(refused: bool) -> Substitutes {
    match refused {
        true => Substitutes::Refuse,
        false => Substitutes::Allow,
    }
}

/// Says what must not be overlooked about a price.
pub(super) fn warn(found: &evercandle::Price, screen: &Screen) {
    if let Some(warning) = price::warning(found) {
        screen.say(&format!("{} {warning}", screen.ink(Ink::Warning, "warning:")));
    }
}
