//! `prices`: the newest prices of many instruments, of one market or of several.

use std::collections::HashMap;

use evercandle::{Error, Market, PriceRequest, Prices, Symbol};
use futures::future::join_all;

use super::price::{substitutes, warn};
use crate::args::{self, Global};
use crate::exit::{Exit, Failure};
use crate::output::{self, price};
use crate::screen::Screen;
use crate::session::Session;
use crate::text;

pub(crate) async fn run(args: &args::Prices, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let wanted = wanted(args)?;
    let format = output::latest_format(args.latest.format, screen);
    let session = Session::open(global, &args.latest.internet, screen)?;
    let request = |market: Market| PriceRequest {
        substitutes: substitutes(args.no_substitute),
        deadline: args.latest.deadline,
        ..PriceRequest::new(
            market,
            wanted.iter().filter(|w| w.0 == market).map(|w| w.1.clone()).collect(),
        )
    };
    let markets = Market::ALL.into_iter().filter(|m| wanted.iter().any(|w| w.0 == *m));
    let answers = join_all(markets.map(|market| session.client.prices(request(market)))).await;
    session.client.flush().await;
    let mut whole = Prices {
        prices: Vec::new(),
        missing: Vec::new(),
        trail: Vec::new(),
    };
    for answer in answers {
        let answer = answer?;
        whole.prices.extend(answer.prices);
        whole.missing.extend(answer.missing);
        whole.trail.extend(answer.trail);
    }
    let place: HashMap<(Market, &Symbol), usize> = wanted.iter().enumerate().map(|(i, w)| ((w.0, &w.1), i)).collect();
    whole.prices.sort_by_key(|p| place.get(&(p.market, &p.symbol)).copied());
    whole.trail.sort_by_key(|a| a.at);
    if args.latest.explain {
        screen.say(&crate::explain::latest(&whole.trail, screen));
    }
    for found in &whole.prices {
        warn(found, screen);
    }
    output::print(&price::many(&whole.prices, &whole.missing, format, screen))?;
    match whole.missing.is_empty() {
        true => Ok(Exit::Complete),
        false => Err(missing(&whole)),
    }
}

/// Symbols with their markets, in the order written, each once.
fn wanted(args: &args::Prices) -> Result<Vec<(Market, Symbol)>, Failure> {
    let mut words = args.symbols.clone();
    if let Some(path) = &args.file {
        words.extend(super::list(path)?.into_iter().flatten());
    }
    let mut wanted = Vec::new();
    for word in words.iter().filter(|w| !w.trim().is_empty()) {
        let one = Symbol::parse(word, args.market).map_err(Error::from)?;
        if !wanted.contains(&one) {
            wanted.push(one);
        }
    }
    match wanted.is_empty() {
        false => Ok(wanted),
        true => Err(Failure::bad_input("no symbol was given")
            .hint("name some, as in `evercandle prices BTCUSDT ETHUSDT`, or a list with --file")),
    }
}

fn missing(whole: &Prices) -> Failure {
    let count = text::count(whole.missing.len() as u64, "price");
    let exit = match whole.missing.iter().all(|m| m.unknown) {
        true => Exit::BadInput,
        false if whole.prices.is_empty() => Exit::Unavailable,
        false => Exit::Incomplete,
    };
    let mut failure = Failure::new(exit, format!("{count} could not be had:"));
    for one in &whole.missing {
        let unknown = if one.unknown {
            "the exchange does not know this symbol: "
        } else {
            ""
        };
        let told: Vec<String> = one.reasons.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        failure = failure.detail(format!("{}: {unknown}{}", one.symbol, told.join("; ")));
    }
    match exit {
        Exit::BadInput => failure.hint("`evercandle symbols` lists what there is"),
        _ => failure,
    }
}
