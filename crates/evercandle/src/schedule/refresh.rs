//! One question about what is watched, asked as a user would ask it, and what it came to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::answer::{Answer, Attempt, GapReason, ProviderName, Via};
use crate::client::Client;
use crate::error::Error;
use crate::model::interval::Grid;
use crate::model::range::{TimeRange, Timestamp};
use crate::model::series::{Market, Series};
use crate::model::symbol::Symbol;
use crate::price::{MissingPrice, Nature, Price, PriceRequest, PriceState, Prices};
use crate::request::{Completeness, Priority, Request};
use crate::schedule::rest::Fault;
use crate::schedule::tally::{Came, Reply, error, unanswering};
use crate::schedule::watch::{Watch, Watches};
use crate::sentiment::{Sentiment, SentimentAnswer, SentimentRequest, SentimentState};

/// Prices asked for at once; the client takes no more.
const PRICES_MAX: usize = 5_000;

/// What is asked at once.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// The newest so many klines of a series.
    Klines(Series, u32),
    /// Prices of one market.
    Prices(Market, Vec<Symbol>),
    Sentiment,
}

impl Question {
    /// The fewest questions that cover some watches.
    pub(super) fn of(due: Vec<Watch>, watches: &Watches) -> Vec<Question> {
        let mut questions = Vec::new();
        let mut markets: BTreeMap<Market, Vec<Symbol>> = BTreeMap::new();
        for watch in due {
            match watch {
                Watch::Klines(series) => {
                    let rows = watches.rows(&series);
                    questions.push(Question::Klines(series, rows));
                }
                Watch::Price(market, symbol) => markets.entry(market).or_default().push(symbol),
                Watch::Sentiment => questions.push(Question::Sentiment),
            }
        }
        let chunks = |(market, symbols): (Market, Vec<Symbol>)| {
            let chunks: Vec<Vec<Symbol>> = symbols.chunks(PRICES_MAX).map(<[Symbol]>::to_vec).collect();
            chunks.into_iter().map(move |symbols| Question::Prices(market, symbols))
        };
        questions.extend(markets.into_iter().flat_map(chunks));
        questions
    }

    /// What it is about.
    pub(super) fn watches(&self) -> Vec<Watch> {
        match self {
            Question::Klines(series, _) => vec![Watch::Klines(series.clone())],
            Question::Prices(market, symbols) => {
                let watch = |symbol: &Symbol| Watch::Price(*market, symbol.clone());
                symbols.iter().map(watch).collect()
            }
            Question::Sentiment => vec![Watch::Sentiment],
        }
    }

    pub(super) async fn ask(self, client: &Client) -> Reply {
        match self {
            Question::Klines(series, rows) => klines(client, &series, rows).await,
            Question::Prices(market, symbols) => prices(client, market, symbols).await,
            Question::Sentiment => sentiment(client).await,
        }
    }
}

/// The newest klines of a series: so many slots, up to the last one whose values are final. One that closed a moment ago
/// would not be stored, and whoever wants it that soon asks for it anyway.
async fn klines(client: &Client, series: &Series, rows: u32) -> Reply {
    let settle = Duration::from_millis(client.config().engine.settle_ms);
    let range = newest(series, rows, client.clock().now(), settle);
    let request = Request {
        completeness: Completeness::BestEffort,
        priority: Priority::Refresh,
        ..Request::new(series.clone(), range)
    };
    let watch = Watch::Klines(series.clone());
    match client.get_data(request).await {
        Ok(answer) => answered(watch, &answer),
        Err(Error::Unavailable(answer) | Error::Incomplete(answer)) => answered(watch, &answer),
        Err(other) => {
            let fault = match &other {
                Error::UnknownSymbol { .. } | Error::BadRequest(_) => Fault::Watch,
                _ => Fault::Upstreams,
            };
            let error = error(&watch, other.to_string(), Vec::new());
            Reply::of(watch, Came::Failed(fault, error))
        }
    }
}

/// The newest slots that have settled.
fn newest(series: &Series, rows: u32, now: Timestamp, settle: Duration) -> TimeRange {
    let grid = Grid::new(series.interval(), None);
    let settled = now.plus(-i64::try_from(settle.as_micros()).unwrap_or(0));
    let end = grid.floor(settled);
    let back = series.interval().nominal_micros().saturating_mul(i64::from(rows));
    TimeRange::clamped(grid.floor(end.plus(-back)).max(Timestamp::EPOCH), end)
}

fn answered(watch: Watch, answer: &Answer) -> Reply {
    let fetched = answer.segments.iter().filter(|s| s.via == Via::Upstream);
    let mut suppliers: Vec<ProviderName> = fetched.map(|s| s.origin.provider.clone()).collect();
    suppliers.sort();
    suppliers.dedup();
    let open: Vec<_> = answer.gaps.iter().filter(|gap| !gap.reason.is_final()).collect();
    let missed = unanswering(&answer.trail);
    let came = match open.last() {
        None => Came::Refreshed,
        Some(newest) => {
            let slots: u64 = open.iter().map(|gap| answer.grid.count(gap.range)).sum();
            let reasons = match &newest.reason {
                GapReason::NoUpstreamLeft(tried) => tried.clone(),
                _ => Vec::new(),
            };
            let error = error(&watch, format!("{slots} klines are missing"), reasons);
            // That all who were asked have nothing is about the symbol; anything else is about them.
            let fault = if missed.is_empty() {
                Fault::Watch
            } else {
                Fault::Upstreams
            };
            match suppliers.is_empty() {
                true => Came::Failed(fault, error),
                false => Came::Partly(error),
            }
        }
    };
    Reply {
        came: vec![(watch, came)],
        suppliers,
        cached: u64::from(nobody_was_asked(&answer.trail) && open.is_empty()),
        missed,
    }
}

fn nobody_was_asked(trail: &[Attempt]) -> bool {
    trail.iter().all(|attempt| attempt.number == 0)
}

/// The newest prices of one market, in as few calls as possible.
async fn prices(client: &Client, market: Market, symbols: Vec<Symbol>) -> Reply {
    match client.prices(PriceRequest::new(market, symbols.clone())).await {
        Ok(prices) => priced(client, market, &symbols, prices),
        Err(wrong) => {
            let failed = |symbol| {
                let watch = Watch::Price(market, symbol);
                let error = error(&watch, wrong.to_string(), Vec::new());
                (watch, Came::Failed(Fault::Upstreams, error))
            };
            Reply {
                came: symbols.into_iter().map(failed).collect(),
                ..Reply::default()
            }
        }
    }
}

fn priced(client: &Client, market: Market, symbols: &[Symbol], prices: Prices) -> Reply {
    let mut reply = Reply::default();
    let missed = unanswering(&prices.trail);
    let found: HashMap<&Symbol, &Price> = prices.prices.iter().map(|p| (&p.symbol, p)).collect();
    let missing: HashMap<&Symbol, &MissingPrice> = prices.missing.iter().map(|m| (&m.symbol, m)).collect();
    for symbol in symbols {
        let watch = Watch::Price(market, symbol.clone());
        let came = match (found.get(symbol), missing.get(symbol)) {
            (Some(price), _) => {
                let remembered = is_remembered(client, price);
                if price.via == Via::Upstream {
                    reply.suppliers.push(price.provider.clone());
                }
                reply.cached += u64::from(price.via == Via::Cache && !remembered);
                worth(&watch, price, remembered, &missed)
            }
            (None, Some(none)) => {
                let fault = if none.unknown { Fault::Watch } else { Fault::Upstreams };
                let what = if none.unknown {
                    "the exchange does not know it"
                } else {
                    "no price"
                };
                Came::Failed(fault, error(&watch, what.to_owned(), none.reasons.clone()))
            }
            (None, None) => {
                let what = "internal fault: neither a price nor a reason".to_owned();
                Came::Failed(Fault::Upstreams, error(&watch, what, missed.clone()))
            }
        };
        reply.came.push((watch, came));
    }
    reply.missed = missed;
    reply
}

/// Whether a price is what was known before, because nobody answered; one that was asked for a moment ago is not.
fn is_remembered(client: &Client, price: &Price) -> bool {
    let latest = &client.config().latest;
    let fresh_ms = match price.nature {
        Nature::Exchange => latest.price_fresh_ms,
        Nature::Substitute(_) => latest.substitute_fresh_ms,
    };
    let fresh = i64::try_from(fresh_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
    let since = client.clock().now().since(price.fetched_at);
    price.state == PriceState::LastKnown || (price.via == Via::Cache && since > fresh)
}

fn worth(watch: &Watch, price: &Price, remembered: bool, missed: &[(ProviderName, String)]) -> Came {
    let age = price.age.as_secs();
    match &price.nature {
        _ if remembered => {
            let what = format!("nobody answered; the last known price is {age} s old");
            Came::Failed(Fault::Upstreams, error(watch, what, missed.to_vec()))
        }
        Nature::Exchange => Came::Refreshed,
        Nature::Substitute(of) => {
            let what = format!("not the exchange's price but a substitute: {of}");
            Came::Partly(error(watch, what, missed.to_vec()))
        }
    }
}

/// How the market feels.
async fn sentiment(client: &Client) -> Reply {
    let watch = Watch::Sentiment;
    match client.sentiment(SentimentRequest::default()).await {
        Ok(answer) => {
            let cached = u64::from(is_told(client, &answer.sentiment) && nobody_was_asked(&answer.trail));
            let missed = unanswering(&answer.trail);
            let supplier = (answer.sentiment.via == Via::Upstream).then(|| answer.sentiment.provider.clone());
            Reply {
                came: vec![(watch, felt(client, &answer, &missed))],
                suppliers: supplier.into_iter().collect(),
                cached,
                missed,
            }
        }
        Err(wrong) => {
            let what = "no sentiment".to_owned();
            let error = match wrong {
                Error::NoUpstream { reasons, .. } => error(&watch, what, reasons),
                other => error(&watch, other.to_string(), Vec::new()),
            };
            Reply::of(watch, Came::Failed(Fault::Upstreams, error))
        }
    }
}

/// Whether somebody told it, now or a moment ago.
fn is_told(client: &Client, sentiment: &Sentiment) -> bool {
    let fresh_ms = client.config().latest.sentiment_fresh_ms;
    let fresh = i64::try_from(fresh_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
    sentiment.via == Via::Upstream || client.clock().now().since(sentiment.fetched_at) <= fresh
}

fn felt(client: &Client, answer: &SentimentAnswer, missed: &[(ProviderName, String)]) -> Came {
    let (watch, sentiment) = (&Watch::Sentiment, &answer.sentiment);
    let hours = sentiment.age.as_secs() / 3_600;
    if !is_told(client, sentiment) {
        let what = match sentiment.state {
            SentimentState::Current => "nobody answered; the reading remembered is still the current one".to_owned(),
            _ => format!("nobody answered; the last known reading is {hours} h old"),
        };
        return Came::Failed(Fault::Upstreams, error(watch, what, missed.to_vec()));
    }
    if !sentiment.measure.is_primary() {
        let what = format!("only another measure could be had: {}", sentiment.measure.describe());
        return Came::Partly(error(watch, what, missed.to_vec()));
    }
    match sentiment.state {
        SentimentState::Current => Came::Refreshed,
        _ => {
            let what = format!("the newest reading there is is {hours} h old, and a newer one was due");
            Came::Partly(error(watch, what, missed.to_vec()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_micros(at.as_microsecond())
    }

    #[test]
    fn the_newest_slots_end_with_the_last_one_whose_values_are_final() {
        for (interval, now, rows, expected) in [
            (
                "1m",
                "2024-06-12T10:30:05Z",
                2,
                ["2024-06-12T10:28:00Z", "2024-06-12T10:30:00Z"],
            ),
            // Closed, but not settled.
            (
                "1m",
                "2024-06-12T10:30:04Z",
                2,
                ["2024-06-12T10:27:00Z", "2024-06-12T10:29:00Z"],
            ),
            (
                "1h",
                "2024-06-12T10:30:20Z",
                3,
                ["2024-06-12T07:00:00Z", "2024-06-12T10:00:00Z"],
            ),
            (
                "1w",
                "2024-06-12T10:30:20Z",
                1,
                ["2024-06-03T00:00:00Z", "2024-06-10T00:00:00Z"],
            ),
            (
                "1M",
                "2024-06-12T10:30:20Z",
                2,
                ["2024-04-01T00:00:00Z", "2024-06-01T00:00:00Z"],
            ),
            (
                "1d",
                "1970-01-03T00:00:05Z",
                500,
                ["1970-01-01T00:00:00Z", "1970-01-03T00:00:00Z"],
            ),
        ] {
            let series = Series::parse("BTCUSDT", interval.parse().unwrap(), None).unwrap();
            let range = newest(&series, rows, at(now), Duration::from_secs(5));
            assert_eq!([range.start(), range.end()], expected.map(at), "{interval} at {now}");
        }
    }

    #[test]
    fn prices_of_a_market_are_one_question_as_long_as_the_client_takes_it() {
        let symbol = |n: usize| Symbol::new(&format!("S{n}USDT")).unwrap();
        let mut due: Vec<Watch> = (0..PRICES_MAX + 1)
            .map(|n| Watch::Price(Market::Spot, symbol(n)))
            .collect();
        due.insert(7, Watch::Price(Market::Um, symbol(0)));
        due.push(Watch::Sentiment);
        let questions = Question::of(due, &Watches::default());
        let sizes: Vec<usize> = questions.iter().map(|q| q.watches().len()).collect();
        assert_eq!(sizes, [1, PRICES_MAX, 1, 1]);
    }
}
