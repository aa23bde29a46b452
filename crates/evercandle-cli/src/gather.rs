//! Asks for a range window by window, so that any length fits in memory.
//!
//! Each window is asked for with best effort, whatever the person wants, because whether the whole is complete can only
//! be judged at the end, and because every gap is to be listed and not only the first window's.

use std::time::Duration;

use evercandle::provider::binance::{rest, vision};
use evercandle::provider::{alternative_me, coingecko};
use evercandle::{
    Answer, Client, Completeness, Error, Forming, Gap, GapReason, Grid, Market, Priority, ProviderName, Request,
    Series, Sources, TimeRange,
};
use futures::{Stream, StreamExt};

use crate::args::Upstreams;
use crate::exit::Failure;
use crate::range;
use crate::story::Story;

/// Windows asked for ahead of the one being written.
const WINDOWS_AHEAD: usize = 2;

/// What is wanted, and from whom.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) series: Series,
    pub(crate) range: TimeRange,
    pub(crate) sources: Sources,
    pub(crate) forming: Forming,
    pub(crate) priority: Priority,
    pub(crate) deadline: Option<Duration>,
}

impl Query {
    /// Refuses sources of which none has klines of the series' market: the answer would be empty, and not say why.
    pub(crate) fn new(series: Series, range: TimeRange, upstreams: &Upstreams) -> Result<Query, Failure> {
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

    fn request(&self, window: TimeRange) -> Request {
        Request {
            completeness: Completeness::BestEffort,
            sources: self.sources.clone(),
            forming: self.forming,
            deadline: self.deadline,
            priority: self.priority,
            ..Request::new(self.series.clone(), window)
        }
    }

    /// The answers, in time order.
    pub(crate) fn answers(&self, client: &Client) -> impl Stream<Item = Result<Window, Failure>> + Send + use<> {
        let (query, client) = (self.clone(), client.clone());
        let windows = range::windows(self.range, self.series.interval());
        let ask = move |window: TimeRange| {
            let (client, request, series) = (client.clone(), query.request(window), query.series.clone());
            async move { settle(client.get_data(request).await, &series, window) }
        };
        futures::stream::iter(windows).map(ask).buffered(WINDOWS_AHEAD)
    }
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

/// A window's answer, or that the exchange did not know the symbol.
pub(crate) struct Window {
    answer: Answer,
    unknown: Option<Error>,
}

impl Window {
    /// How many slots it is about.
    pub(crate) fn slots(&self) -> u64 {
        self.answer.grid.count(self.answer.range)
    }
}

/// The story of the windows so far.
pub(crate) struct Gathered {
    pub(crate) story: Story,
    unknown: Option<Error>,
}

impl Gathered {
    pub(crate) fn new(query: &Query) -> Gathered {
        Gathered {
            story: Story::new(query.series.clone(), query.range),
            unknown: None,
        }
    }

    pub(crate) fn take(&mut self, window: Window) -> Vec<evercandle::Batch> {
        self.unknown = window.unknown.or(self.unknown.take());
        self.story.add(window.answer)
    }

    /// The story of the whole. A symbol that was unknown in every window that asked is an error.
    pub(crate) fn finish(self) -> Result<Story, Failure> {
        match self.unknown {
            Some(error) if self.story.rows == 0 => Err(error.into()),
            _ => Ok(self.story),
        }
    }
}

fn settle(result: Result<Answer, Error>, series: &Series, window: TimeRange) -> Result<Window, Failure> {
    match result {
        Ok(answer) => Ok(Window { answer, unknown: None }),
        Err(Error::Incomplete(answer) | Error::Unavailable(answer)) => Ok(Window {
            answer: *answer,
            unknown: None,
        }),
        // A delisted symbol is known to the archives only: the windows they lack must not hide those they have.
        Err(Error::UnknownSymbol { market, symbol, why }) => {
            let grid = Grid::new(series.interval(), None);
            let range = grid.align(window);
            let exchange = ProviderName::new(series.exchange().as_str());
            let answer = Answer {
                series: series.clone(),
                range,
                grid,
                batches: Vec::new(),
                segments: Vec::new(),
                gaps: vec![Gap {
                    range,
                    reason: GapReason::NoUpstreamLeft(vec![(exchange, why.clone())]),
                }],
                trail: Vec::new(),
                notices: Vec::new(),
            };
            Ok(Window {
                answer,
                unknown: Some(Error::UnknownSymbol { market, symbol, why }),
            })
        }
        Err(error) => Err(error.into()),
    }
}
