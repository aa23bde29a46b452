//! The klines endpoints: which rows a set of parameters selects.
//!
//! Spot and USD-M agree: nothing given means the newest, a start means the oldest from there, an end alone means the
//! newest up to it. COIN-M differs: the window is at most 200 days and the *newest* rows of it are returned,
//! so paging forward by start alone skips data without a word.

use super::Dialect;
use super::error::ApiError;
use super::parameters::Parameters;
use crate::fault::{Effect, Page};
use crate::market::{Anchor, Interval, Series};
use crate::message::Request;
use crate::time::{DAY, HOUR, MINUTE, TimeUnit};
use crate::upstream::World;

/// Rows when `limit` is not given.
const LIMIT_DEFAULT: i64 = 500;
/// COIN-M refuses a longer window.
const COIN_M_WINDOW_MAX: i64 = 200 * DAY;
/// Time parameters at or above this are read as microseconds where those are accepted: as milliseconds it is the year 5138.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;

/// The year 9892: calendars end soon after, and any later parameter means "never" just the same.
const LATEST: i64 = 250_000_000_000_000_000;

/// One row as JSON cells.
pub(super) type Row = Vec<String>;

/// What a request asks for, once it has proved legal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Query {
    series: Series,
    /// Open times, both ends included, in microseconds.
    window: (i64, i64),
    anchor: Anchor,
    limit: usize,
    zone: i64,
}

/// The rows a request selects.
pub(super) fn rows(
    dialect: Dialect,
    world: &World,
    request: &Request,
    unit: TimeUnit,
    effects: &[Effect],
    now: i64,
) -> Result<Vec<Row>, ApiError> {
    let mut query = parse(dialect, request, now)?;
    let market = dialect.market();
    let known = world.market.symbol(market, &query.series.symbol).is_some();
    let replay = world.replays(market, &query.series.symbol);
    if !known && replay.is_none() {
        return Err(ApiError::InvalidSymbol);
    }
    for effect in effects {
        match effect {
            Effect::WrongSymbol { symbol } => query.series.symbol.clone_from(symbol),
            Effect::WrongInterval { interval } => {
                query.series.interval = Interval::from_rest(interval).unwrap_or(query.series.interval);
            }
            Effect::WrongRange { hours } => {
                let by = hours.saturating_mul(HOUR);
                query.window = (
                    query.window.0.saturating_add(by).min(LATEST),
                    query.window.1.saturating_add(by).min(LATEST),
                );
            }
            Effect::CapRows { rows } => query.limit = query.limit.min(*rows),
            _ => {}
        }
    }
    let open_times = query.window.0..query.window.1.saturating_add(1);
    let mut rows: Vec<Row> = match replay {
        Some(replay) => replay.page(
            &query.series,
            open_times.start..open_times.end.min(now + 1),
            query.limit,
            query.anchor,
            unit,
        ),
        None => world
            .market
            .page(&query.series, open_times, query.limit, query.anchor, query.zone, now)
            .iter()
            .map(|kline| kline.rest_cells(unit))
            .collect(),
    };
    let per_millisecond = if unit == TimeUnit::Microseconds { 1000 } else { 1 };
    let mut page = Page {
        rows: &mut rows,
        per_millisecond,
        now,
    };
    effects.iter().for_each(|effect| page.bend(effect));
    Ok(rows)
}

fn parse(dialect: Dialect, request: &Request, now: i64) -> Result<Query, ApiError> {
    let mut parameters = Parameters::of(request)?;
    let symbol = parameters.symbol()?;
    let interval = parameters.require("interval")?;
    let start = parameters.number("startTime")?.map(|value| dialect.instant(value));
    let end = parameters.number("endTime")?.map(|value| dialect.instant(value));
    let limit = parameters.number("limit")?.unwrap_or(LIMIT_DEFAULT);
    let zone = match dialect
        .is_spot()
        .then(|| parameters.take("timeZone"))
        .transpose()?
        .flatten()
    {
        Some(text) => zone_offset(&text).ok_or(ApiError::InvalidValue("timeZone"))?,
        None => 0,
    };
    parameters.finish()?;

    let interval = Interval::from_rest(&interval)
        .filter(|interval| dialect.is_spot() || *interval != Interval::S1)
        .ok_or(ApiError::InvalidInterval)?;
    if limit == 0 {
        return Err(ApiError::InvalidValue("limit"));
    }
    let limit = limit.min(dialect.rows_max()) as usize;
    if let (Some(start), Some(end)) = (start, end)
        && start > end
        && !dialect.is_spot()
    {
        return Err(ApiError::StartAfterEnd);
    }
    let (window, anchor) = match dialect {
        Dialect::CoinM => (coin_m_window(start, end, now)?, Anchor::Newest),
        _ => match start {
            Some(start) => ((start, end.unwrap_or(i64::MAX)), Anchor::Oldest),
            None => ((0, end.unwrap_or(now)), Anchor::Newest),
        },
    };
    Ok(Query {
        series: Series::new(dialect.market(), symbol, interval),
        window,
        anchor,
        limit,
        zone,
    })
}

fn coin_m_window(start: Option<i64>, end: Option<i64>, now: i64) -> Result<(i64, i64), ApiError> {
    match (start, end) {
        (Some(start), Some(end)) if end - start > COIN_M_WINDOW_MAX => Err(ApiError::LookupTooLong),
        (Some(start), Some(end)) => Ok((start, end)),
        (Some(start), None) => Ok((start, start.saturating_add(COIN_M_WINDOW_MAX).min(now))),
        (None, end) => {
            let end = end.unwrap_or(now);
            Ok((end.saturating_sub(COIN_M_WINDOW_MAX), end))
        }
    }
}

impl Dialect {
    /// A time parameter as an instant. Futures know milliseconds only: sixteen digits are a year far away.
    fn instant(self, value: i64) -> i64 {
        let instant = if self.is_spot() && value >= MICROSECONDS_FROM {
            value
        } else {
            value.saturating_mul(1000)
        };
        instant.min(LATEST)
    }

    /// Rows per page; asking for more is silently capped.
    fn rows_max(self) -> i64 {
        if self.is_spot() { 1000 } else { 1500 }
    }
}

/// `8`, `-1:00`, `05:45`: hours east of UTC, from -12:00 to +14:00.
fn zone_offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    let offset = sign * (hours * HOUR + minutes * MINUTE);
    (-12 * HOUR..=14 * HOUR).contains(&offset).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_in_all_three_forms() {
        let cases = [
            ("8", Some(8 * HOUR)),
            ("-1:00", Some(-HOUR)),
            ("05:45", Some(5 * HOUR + 45 * MINUTE)),
            ("0", Some(0)),
            ("-13", None),
            ("14:01", None),
            ("Berlin", None),
        ];
        for (text, expected) in cases {
            assert_eq!(zone_offset(text), expected, "{text}");
        }
    }

    #[test]
    fn the_coin_margined_window_is_at_most_two_hundred_days() {
        let now = 1000 * DAY;
        assert_eq!(coin_m_window(None, None, now), Ok((800 * DAY, now)));
        assert_eq!(coin_m_window(Some(DAY), None, now), Ok((DAY, 201 * DAY)));
        assert_eq!(coin_m_window(Some(900 * DAY), None, now), Ok((900 * DAY, now)));
        assert_eq!(coin_m_window(None, Some(500 * DAY), now), Ok((300 * DAY, 500 * DAY)));
        assert_eq!(
            coin_m_window(Some(0), Some(201 * DAY), now),
            Err(ApiError::LookupTooLong)
        );
    }
}
