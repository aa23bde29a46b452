//! What a person wants of klines, and from whom, as a question that is asked window by window.

use evercandle::provider::binance::{rest, vision};
use evercandle::provider::{alternative_me, coingecko};
use evercandle::{Forming, Market, Priority, ProviderName, Series, Sources, TimeRange};
pub(crate) use evercandle_formats::{Gathered, Query};

use crate::args::Upstreams;
use crate::exit::Failure;

/// Refuses sources of which none has klines of the series' market: the answer would be empty, and not say why.
pub(crate) fn query(series: Series, range: TimeRange, upstreams: &Upstreams) -> Result<Query, Failure> {
    let named = &upstreams.source;
    if !named.is_empty() && named.iter().all(|name| lacks(name, series.market())) {
        let rest = match series.market() {
            Market::Spot => rest::SPOT,
            Market::Um | Market::Cm => rest::FUTURES,
        };
        let (named, market) = (named.join(", "), series.market());
        return Err(
            Failure::bad_input(format!("{series}: source {named} has no klines of market {market}")).hint(format!(
                "those that have are {} (archives) and {rest} (REST)",
                vision::NAME
            )),
        );
    }
    let sources = match (upstreams.offline, upstreams.source.as_slice()) {
        (true, _) => Sources::CacheOnly,
        (false, []) => Sources::All,
        (false, names) => Sources::Named(names.iter().map(|name| ProviderName::new(name)).collect()),
    };
    Ok(Query {
        series,
        range,
        sources,
        forming: Forming::Exclude,
        priority: Priority::Interactive,
        deadline: upstreams.deadline,
    })
}

/// Whether an upstream is known to have no klines of a market. Of names that are not known, the engine says so.
fn lacks(name: &str, market: Market) -> bool {
    match name {
        rest::SPOT => market != Market::Spot,
        rest::FUTURES => market == Market::Spot,
        coingecko::NAME | alternative_me::NAME => true,
        _ => false,
    }
}
