//! `prices`: the newest prices of many instruments, of one market or of several.

use std::collections::{HashMap, HashSet};

use evercandle::{Error, Market, MissingPrice, PriceRequest, Symbol};
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
    let of_market = |market: &Market| wanted.iter().any(|w| w.0 == *market);
    let markets: Vec<Market> = Market::ALL.into_iter().filter(of_market).collect();
    let answers = join_all(markets.iter().map(|market| session.client.prices(request(*market)))).await;
    session.client.flush().await;
    let (mut prices, mut missing, mut trail) = (Vec::new(), Vec::new(), Vec::new());
    for (market, answer) in markets.iter().zip(answers) {
        let answer = answer?;
        prices.extend(answer.prices);
        missing.extend(answer.missing.into_iter().map(|one| (*market, one)));
        trail.extend(answer.trail);
    }
    let place: HashMap<(Market, &Symbol), usize> = wanted.iter().enumerate().map(|(i, w)| ((w.0, &w.1), i)).collect();
    prices.sort_by_key(|p| place.get(&(p.market, &p.symbol)).copied());
    trail.sort_by_key(|a| a.at);
    if args.latest.explain {
        screen.say(&crate::explain::latest(&trail, screen));
    }
    for found in &prices {
        warn(found, screen);
    }
    output::print(&price::many(&prices, &missing, format, screen))?;
    match (missing.is_empty(), prices.is_empty()) {
        (true, _) => Ok(Exit::Complete),
        (false, true) => Err(failure(&missing, Exit::Unavailable, markets.len() > 1)),
        (false, false) => Err(failure(&missing, Exit::Incomplete, markets.len() > 1)),
    }
}

/// Symbols with their markets, in the order written, each once.
fn wanted(args: &args::Prices) -> Result<Vec<(Market, Symbol)>, Failure> {
    let mut words = args.symbols.clone();
    if let Some(path) = &args.file {
        words.extend(super::list(path)?.into_iter().flatten());
    }
    let (mut wanted, mut known) = (Vec::new(), HashSet::new());
    for word in words.iter().filter(|w| !w.trim().is_empty()) {
        let one = Symbol::parse(word, args.market).map_err(Error::from)?;
        if known.insert(one.clone()) {
            wanted.push(one);
        }
    }
    match wanted.is_empty() {
        false => Ok(wanted),
        true => Err(Failure::bad_input("no symbol was given")
            .hint("name some, as in `evercandle prices BTCUSDT ETHUSDT`, or a list with --file")),
    }
}

/// What is said of prices that are missing; `otherwise`: the code unless the exchange knows none of their symbols;
/// `with_market`: whether a symbol alone could be of several markets.
fn failure(missing: &[(Market, MissingPrice)], otherwise: Exit, with_market: bool) -> Failure {
    let count = text::count(missing.len() as u64, "price");
    let exit = match missing.iter().all(|(_, one)| one.unknown) {
        true => Exit::BadInput,
        false => otherwise,
    };
    let mut failure = Failure::new(exit, format!("{count} could not be had:"));
    for (market, one) in missing {
        let unknown = if one.unknown {
            "the exchange does not know this symbol: "
        } else {
            ""
        };
        let told: Vec<String> = one.reasons.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        let of = if with_market {
            format!("{market} ")
        } else {
            String::new()
        };
        failure = failure.detail(format!("{of}{}: {unknown}{}", one.symbol, told.join("; ")));
    }
    match exit {
        Exit::BadInput => failure.hint("`evercandle symbols` lists what there is"),
        _ => failure,
    }
}
