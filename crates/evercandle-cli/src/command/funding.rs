//! `funding`: the funding rates of one perpetual future.

use evercandle::model::funding::PUBLISHED_AFTER;
use evercandle::{Interval, Kind, Market, Series, Symbol};

use super::get::{How, print};
use crate::args::{Funding, Global};
use crate::exit::{Exit, Failure};
use crate::gather::query;
use crate::screen::Screen;
use crate::session::Session;

/// Eight-hourly settlements shown when no range is given: a month.
const SETTLEMENTS_DEFAULT: u32 = 90;

pub(crate) async fn run(args: &Funding, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let series = series(&args.symbol, args.market)?;
    let how = How::of(&args.printing, Kind::FundingRates, screen)?;
    let session = Session::open(global, &args.upstreams.internet, screen)?;
    // An end that was left open means "what is known": a rate of this minute may not be published yet.
    let known = session.now().plus(-PUBLISHED_AFTER);
    let range = args.range.resolve(known, Some((Interval::H8, SETTLEMENTS_DEFAULT)))?;
    print(&query(series, range, &args.upstreams)?, how, &session, screen).await
}

/// Whether a word in the place of an interval means funding rates.
pub(super) fn is_meant(word: &str) -> bool {
    word.eq_ignore_ascii_case("fundingRate")
}

/// A symbol that does not say its market is taken for a USD-M one: spot has no rates.
pub(super) fn series(symbol: &str, market: Option<Market>) -> Result<Series, Failure> {
    let symbol_error = |e| Failure::from(evercandle::Error::from(evercandle::model::series::SeriesError::from(e)));
    let (found, parsed) = Symbol::parse(symbol, market).map_err(symbol_error)?;
    let market = match (market, found) {
        (None, Market::Spot) => Market::Um,
        (_, found) => found,
    };
    Series::funding_rates(market, parsed).map_err(|e| evercandle::Error::from(e).into())
}
