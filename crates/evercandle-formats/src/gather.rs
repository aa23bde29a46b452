//! Asks for a range window by window, so that any length fits in memory.
//!
//! Each window is asked for with best effort, whatever the person wants, because whether the whole is complete can only
//! be judged at the end, and because every gap is to be listed and not only the first window's.

use std::time::Duration;

use evercandle::model::range::DAY;
use evercandle::{
    Answer, Batch, Client, Completeness, Error, Forming, Gap, GapReason, Grid, Interval, Priority, ProviderName,
    Request, Series, Sources, TimeRange, Timestamp,
};
use futures::{Stream, StreamExt};

use crate::story::Story;

/// Windows asked for ahead of the one being written.
const WINDOWS_AHEAD: usize = 2;

/// What is wanted, and from whom.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which klines.
    pub series: Series,
    /// Opening when.
    pub range: TimeRange,
    /// Who may be asked.
    pub sources: Sources,
    /// Whether the kline still open is wanted.
    pub forming: Forming,
    /// Who is waiting.
    pub priority: Priority,
    /// How long each window may take; absent: the configured default.
    pub deadline: Option<Duration>,
}

impl Query {
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
    pub fn answers(&self, client: &Client) -> impl Stream<Item = Result<Window, Error>> + Send + use<> {
        let (query, client) = (self.clone(), client.clone());
        let windows = windows(self.range, self.series.interval());
        let ask = move |window: TimeRange| {
            let (client, request, series) = (client.clone(), query.request(window), query.series.clone());
            async move { settle(client.get_data(request).await, &series, window) }
        };
        futures::stream::iter(windows).map(ask).buffered(WINDOWS_AHEAD)
    }
}

/// A window's answer, or that the exchange did not know the symbol.
pub struct Window {
    answer: Answer,
    unknown: Option<Error>,
}

impl From<Answer> for Window {
    fn from(answer: Answer) -> Window {
        Window { answer, unknown: None }
    }
}

impl Window {
    /// How many slots it is about.
    pub fn slots(&self) -> u64 {
        self.answer.grid.count(self.answer.range)
    }
}

/// The story of the windows so far.
pub struct Gathered {
    /// So far.
    pub story: Story,
    unknown: Option<Error>,
}

impl Gathered {
    /// Of nothing yet.
    pub fn new(query: &Query) -> Gathered {
        Gathered {
            story: Story::new(query.series.clone(), query.range),
            unknown: None,
        }
    }

    /// Takes the next window and gives its klines back.
    pub fn take(&mut self, window: Window) -> Vec<Batch> {
        self.unknown = window.unknown.or(self.unknown.take());
        self.story.add(window.answer)
    }

    /// The story of the whole. A symbol that was unknown in every window that asked is an error.
    pub fn finish(self) -> Result<Story, Error> {
        match self.unknown {
            Some(error) if self.story.rows == 0 => Err(error),
            _ => Ok(self.story),
        }
    }
}

fn settle(result: Result<Answer, Error>, series: &Series, window: TimeRange) -> Result<Window, Error> {
    match result {
        Ok(answer) => Ok(answer.into()),
        Err(Error::Incomplete(answer) | Error::Unavailable(answer)) => Ok((*answer).into()),
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
                resting: None,
                trail: Vec::new(),
                notices: Vec::new(),
            };
            Ok(Window {
                answer,
                unknown: Some(Error::UnknownSymbol { market, symbol, why }),
            })
        }
        Err(error) => Err(error),
    }
}

/// Cuts a range into the windows that are asked for one after the other, so that memory stays flat however long it is.
///
/// Cuts fall on the first of a month, where archives begin and end. A month of seconds is too much to hold, but asking
/// for less would forgo the monthly archive, so seconds are cut by days and the rest by months or years.
pub fn windows(range: TimeRange, interval: Interval) -> Vec<TimeRange> {
    let cut: fn(Timestamp) -> Timestamp = match interval {
        Interval::S1 => |t| t.floor_day().plus(DAY),
        i if i < Interval::M15 => |t| Grid::new(Interval::Mo1, None).next(t),
        i if i < Interval::D1 => |t| {
            let (year, _, _) = t.date();
            Timestamp::from_date(year + 1, 1, 1).unwrap_or(Timestamp::MAX)
        },
        _ => return vec![range],
    };
    let mut windows = Vec::new();
    let mut start = range.start();
    while start < range.end() {
        let end = cut(start).min(range.end());
        windows.push(TimeRange::clamped(start, end));
        if end <= start {
            break;
        }
        start = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i16, month: i8, day: i8, hour: i64) -> Timestamp {
        Timestamp::from_date(year, month, day)
            .unwrap()
            .plus(hour * evercandle::model::range::HOUR)
    }

    #[test]
    fn windows_follow_each_other_and_cut_where_archives_do() {
        let range = TimeRange::clamped(at(2023, 12, 30, 5), at(2024, 2, 2, 0));
        for (interval, count) in [
            (Interval::S1, 34),
            (Interval::M1, 3),
            (Interval::H1, 2),
            (Interval::D1, 1),
        ] {
            let windows = windows(range, interval);
            assert_eq!(windows.len(), count, "{interval}");
            assert!(windows.windows(2).all(|w| w[0].end() == w[1].start()));
            assert_eq!(
                (windows[0].start(), windows[count - 1].end()),
                (range.start(), range.end())
            );
        }
    }
}
