//! What a URL asks of klines, read and bounded. Pure: the time is passed in.
//!
//! Times are read as the command line reads them. A range has one beginning, so what says it twice is refused. `limit`
//! counts slots back from the end, because the newest are what most callers want, and because slots are known without
//! asking anybody.

use std::str::FromStr;

use evercandle::{Forming, Grid, Interval, Priority, Series, Sources, TimeRange, Timestamp};
use evercandle_formats::style::{self, ColumnError};
use evercandle_formats::time::{self, Span, When};
use evercandle_formats::{DecimalFormat, Dialect, Query, Style, TimeFormat};

use crate::parameters::{Parameters, shortened, symbol};
use crate::problem::Problem;

/// What `/v1/klines` takes.
pub(crate) const NAMES: &[&str] = &[
    "symbol",
    "market",
    "interval",
    "start",
    "end",
    "last",
    "limit",
    "completeness",
    "forming",
    "time",
    "decimals",
    "columns",
    "format",
];

/// Slots when neither a range nor a number is given.
const LIMIT_USUAL: u64 = 100;
/// How a span back from now is written in a URL.
const LAST: &str = "last=";

/// What is asked for, whatever the format.
pub(crate) struct Question {
    pub(crate) query: Query,
    pub(crate) style: Style,
    pub(crate) completeness: Wanted,
    /// How many slots there are.
    pub(crate) slots: u64,
}

/// Whether an incomplete answer will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No.
    Whole,
    /// Yes: what can be had.
    Found,
}

impl Question {
    /// Reads a question asked at `now`; `rows_max`: slots that one answer may have.
    pub(crate) fn read(parameters: &Parameters, now: Timestamp, rows_max: u64) -> Result<Question, Problem> {
        let (market, symbol) = symbol(parameters.required("symbol", "BTCUSDT")?, parameters.market()?)?;
        let interval: Interval = match parameters.parsed("interval", time::interval)? {
            Some(interval) => interval,
            None => {
                return Err(parameters
                    .required("interval", "1m")
                    .err()
                    .unwrap_or_else(missing_interval));
            }
        };
        let series =
            Series::new(market, symbol, interval).map_err(|error| Problem::parameter("interval", error.to_string()))?;
        let forming = parameters.one_of("forming", &[("true", Forming::Include), ("false", Forming::Exclude)])?;
        let forming = forming.unwrap_or_default();
        let range = range(parameters, interval, forming, now, rows_max)?;
        let slots = Grid::new(interval, None).count(range);
        if rows_max < slots {
            let detail = format!(
                "{series} has {slots} slots in {range}, and one answer has at most {rows_max} (server.rows_max)"
            );
            return Err(Problem::too_much(detail)
                .hint("ask for a shorter range, a longer interval, or the newest ones with limit"));
        }
        let completeness = [("required", Wanted::Whole), ("best_effort", Wanted::Found)];
        Ok(Question {
            query: Query {
                series,
                range,
                sources: Sources::All,
                forming,
                priority: Priority::Interactive,
                deadline: None,
            },
            style: style(parameters)?,
            completeness: parameters
                .one_of("completeness", &completeness)?
                .unwrap_or(Wanted::Whole),
            slots,
        })
    }
}

fn missing_interval() -> Problem {
    Problem::parameter("interval", "is missing")
}

fn style(parameters: &Parameters) -> Result<Style, Problem> {
    let times = [
        ("rfc3339", TimeFormat::Rfc3339),
        ("ms", TimeFormat::Ms),
        ("us", TimeFormat::Us),
    ];
    let decimals = [("float", DecimalFormat::Float), ("exact", DecimalFormat::Exact)];
    let names = parameters
        .text("columns")
        .into_iter()
        .flat_map(|names| names.split(','));
    let columns = style::columns(names).map_err(|error| {
        let problem = Problem::parameter("columns", error.to_string());
        match error {
            ColumnError::Unknown { near: Some(near), .. } => problem.hint(format!("did you mean {near}?")),
            _ => problem,
        }
    })?;
    Ok(Style {
        time: parameters.one_of("time", &times)?.unwrap_or_default(),
        decimals: parameters.one_of("decimals", &decimals)?.unwrap_or_default(),
        columns,
        dialect: Dialect::Wire,
    })
}

fn range(
    parameters: &Parameters,
    interval: Interval,
    forming: Forming,
    now: Timestamp,
    rows_max: u64,
) -> Result<TimeRange, Problem> {
    let start = parameters.parsed("start", when)?;
    let end = parameters.parsed("end", when)?;
    let last = parameters.parsed("last", Span::from_str)?;
    let limit = parameters.number("limit", 1, rows_max)?;
    let grid = Grid::new(interval, None);
    // An end that was left open means "what has closed", and so does one in the future when slots are counted back from
    // it. A written end is taken at its word otherwise: its open slots are gaps that say so.
    let open = matches!(end, None | Some(When::Now));
    let end_at = end.map_or(now, |end| end.at(now));
    let counted = limit.is_some() && start.is_none() && now < end_at;
    let end_at = match (open || counted, forming) {
        (true, Forming::Exclude) => grid.floor(now),
        (true, Forming::Include) => now,
        (false, _) => end_at,
    };
    let start_at = match (start, last) {
        (Some(_), Some(_)) => {
            return Err(
                Problem::parameter("last", "start and last both say where the range begins")
                    .hint("keep one of them; last counts back from end, or from now"),
            );
        }
        (Some(start), None) => start.at(now),
        (None, Some(last)) => last.before(end.map_or(now, |end| end.at(now))),
        (None, None) => before(grid, interval, end_at, limit.unwrap_or(LIMIT_USUAL)),
    };
    if end_at <= start_at {
        let before = if open { "the newest slot that has closed" } else { "end" };
        return Err(Problem::parameter(
            "start",
            format!("the range is empty: it begins at {start_at} and ends at {end_at}"),
        )
        .hint(format!("the start must lie before {before}; ends are exclusive")));
    }
    // Whoever says where to begin pages forward from there, as with the exchange; who does not wants the newest.
    Ok(match (limit, start) {
        (Some(limit), Some(_)) => {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            TimeRange::clamped(start_at, grid.advance(grid.ceil(start_at), limit).min(end_at))
        }
        (Some(limit), None) => TimeRange::clamped(before(grid, interval, end_at, limit).max(start_at), end_at),
        (None, _) => TimeRange::clamped(start_at, end_at),
    })
}

/// Reads a time. A form makes spaces of the plus signs that were not encoded, and a time has none before its offset.
fn when(text: &str) -> Result<When, String> {
    let read = When::read(text, LAST).or_else(|error| match text.contains(' ') {
        true => When::read(&text.replace(' ', "+"), LAST).map_err(|_| error),
        false => Err(error),
    });
    // What is no time at all has no better explanation than what was written.
    read.map_err(|error| match error.starts_with("expected ") {
        true => format!("{:?} is not a time: {error}", shortened(text)),
        false => error,
    })
}

/// Where the last `slots` slots before `end` begin.
fn before(grid: Grid, interval: Interval, end: Timestamp, slots: u64) -> Timestamp {
    let end = grid.ceil(end);
    let back = interval
        .nominal_micros()
        .saturating_mul(i64::try_from(slots).unwrap_or(i64::MAX));
    let mut start = grid.floor(end.plus(-back));
    let count = |start: Timestamp| grid.count(TimeRange::clamped(start, end));
    // Months are not all as long as the nominal one, so the first guess may be off by a few. Slots of a provisional grid
    // are days standing in for three, and are not counted.
    if !grid.is_provisional() {
        while slots < count(start) {
            start = grid.next(start);
        }
        while count(start) < slots && Timestamp::EPOCH < start {
            start = grid.floor(start.plus(-1));
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        when(text).unwrap().at(Timestamp::EPOCH)
    }

    fn asked(query: &str) -> Result<Question, Problem> {
        let parameters = Parameters::read(Some(query), NAMES)?;
        Question::read(&parameters, at("2024-06-15T12:07:30"), 10_000)
    }

    #[test]
    fn ranges_are_read_as_they_are_meant() {
        for (query, start, end) in [
            ("interval=1m", "2024-06-15T10:27", "2024-06-15T12:07"),
            ("interval=1m&limit=3", "2024-06-15T12:04", "2024-06-15T12:07"),
            (
                "interval=1m&limit=3&forming=true",
                "2024-06-15T12:05",
                "2024-06-15T12:07:30",
            ),
            ("interval=1h&last=1d", "2024-06-14T12:07:30", "2024-06-15T12:00"),
            (
                "interval=1h&start=2024-01-01&end=2024-01-02",
                "2024-01-01",
                "2024-01-02",
            ),
            (
                "interval=1h&start=1704067200&end=1704153600000",
                "2024-01-01",
                "2024-01-02",
            ),
            (
                "interval=1h&start=2024-01-01T02:00:00+02:00&end=2024-01-02",
                "2024-01-01",
                "2024-01-02",
            ),
            (
                "interval=1h&start=2024-01-01&end=2024-01-02&limit=5",
                "2024-01-01",
                "2024-01-01T05:00",
            ),
            (
                "interval=1m&start=2024-01-01T00:00:30Z&limit=2",
                "2024-01-01T00:00:30",
                "2024-01-01T00:03",
            ),
            (
                "interval=1h&last=1d&end=2024-01-02&limit=5",
                "2024-01-01T19:00",
                "2024-01-02",
            ),
            (
                "interval=1h&start=2024-01-01T22:00&end=2024-01-02&limit=5",
                "2024-01-01T22:00",
                "2024-01-02",
            ),
            ("interval=1h&end=2030&limit=2", "2024-06-15T10:00", "2024-06-15T12:00"),
            (
                "interval=1h&start=2024-06-15&end=2024-06-16",
                "2024-06-15",
                "2024-06-16",
            ),
            // As many slots as one answer may have.
            (
                "interval=1m&start=2024-01-01&end=2024-01-07T22:40",
                "2024-01-01",
                "2024-01-07T22:40",
            ),
            ("interval=1M&limit=30", "2021-12-01", "2024-06-01"),
            ("interval=1w&limit=1", "2024-06-03", "2024-06-10"),
            ("interval=1M&limit=9999", "1970-01-01", "2024-06-01"),
        ] {
            let question = asked(&format!("symbol=btc/usdt&{query}"));
            let range = question.unwrap_or_else(|e| panic!("{query}: {e:?}")).query.range;
            assert_eq!((range.start(), range.end()), (at(start), at(end)), "{query}");
        }
    }

    #[test]
    fn what_contradicts_itself_or_is_too_much_is_refused() {
        for (query, named) in [
            ("interval=1m", "symbol: is missing"),
            ("symbol=BTCUSDT", "interval: is missing"),
            ("symbol=BTCUSDT&interval=60m", "did you mean 1h?"),
            (
                "symbol=BTCUSDT&interval=1m&start=2024&last=7d",
                "both say where the range begins",
            ),
            ("symbol=BTCUSDT&interval=1m&start=7d", "did you mean last=7d?"),
            (
                "symbol=BTCUSDT&interval=1m&start=2024-01-02&end=2024-01-01",
                "the range is empty",
            ),
            ("symbol=BTCUSDT&interval=1m&start=2030", "the range is empty"),
            ("symbol=BTCUSDT&interval=1m&last=1y", "server.rows_max"),
            (
                "symbol=BTCUSDT&interval=1m&start=2024-01-01&end=2024-01-07T22:41",
                "server.rows_max",
            ),
            ("symbol=BTCUSDT&interval=1m&limit=10001", "from 1 to 10000"),
            ("symbol=BTCUSDT&interval=1m&limit=0", "from 1 to 10000"),
            ("symbol=BTCUSDT&interval=1m&limit=-1", "from 1 to 10000"),
            ("symbol=BTCUSDT&interval=1m&forming=yes", "not one of true, false"),
            ("symbol=BTCUSDT&interval=1m&columns=open_tme", "did you mean open_time?"),
            ("symbol=BTCUSDT&interval=1m&market=sopt", "did you mean market=spot?"),
            ("symbol=BTCUSD_PERP&interval=1m&market=spot", "belongs to market cm"),
            ("symbol=..%2F..%2Fetc&interval=1m", "symbol"),
            ("symbol=BTC%00&interval=1m", "symbol"),
            ("symbol=BTCUSDT&interval=1s&market=um", "spot only"),
        ] {
            match asked(query) {
                Ok(_) => panic!("{query} was accepted"),
                Err(problem) => assert!(format!("{problem:?}").contains(named), "{query}: {problem:?}"),
            }
        }
    }
}
