//! When the spot exchange is known to have stood still.
//!
//! No kline of these spans exists anywhere, so their absence is not an upstream's failure and is not asked for again.
//! Compiled from scans of BTCUSDT (binance/binance-public-data#365 at one second up to 2018, one minute from 2019 on;
//! none since 2023-03). Single symbols have further gaps of their own. Futures: none known.

use std::sync::LazyLock;

use crate::model::range::{HOUR, MINUTE, SECOND, TimeRange, Timestamp};
use crate::model::series::Market;

/// Year, month, day, and hours, minutes, seconds since its midnight.
type At = (i16, i8, i8, [i64; 3]);

/// First missing instant; the one at which trading went on.
const SPOT_TO_2018: &[(At, At)] = &[
    ((2017, 9, 6, [16, 0, 0]), (2017, 9, 6, [23, 0, 0])),
    ((2017, 12, 4, [6, 0, 20]), (2017, 12, 4, [6, 49, 6])),
    ((2017, 12, 18, [10, 0, 42]), (2017, 12, 18, [10, 14, 47])),
    ((2017, 12, 18, [12, 29, 13]), (2017, 12, 18, [13, 34, 10])),
    ((2018, 1, 4, [3, 0, 14]), (2018, 1, 4, [5, 6, 13])),
    ((2018, 2, 8, [0, 28, 14]), (2018, 2, 9, [10, 0, 0])),
    ((2018, 2, 10, [6, 0, 0]), (2018, 2, 10, [6, 15, 0])),
    ((2018, 2, 11, [4, 0, 0]), (2018, 2, 11, [4, 35, 0])),
    ((2018, 6, 26, [2, 0, 0]), (2018, 6, 26, [12, 0, 0])),
    ((2018, 6, 27, [13, 0, 0]), (2018, 6, 27, [14, 45, 0])),
    ((2018, 7, 4, [0, 22, 25]), (2018, 7, 4, [8, 0, 0])),
    ((2018, 10, 19, [6, 0, 0]), (2018, 10, 19, [9, 30, 0])),
    ((2018, 11, 14, [2, 0, 0]), (2018, 11, 14, [9, 0, 0])),
];

type Day = (i16, i8, i8);

/// Day; first and last missing minute.
const SPOT_FROM_2019: &[(Day, [i64; 2], [i64; 2])] = &[
    ((2019, 3, 12), [2, 0], [7, 59]),
    ((2019, 5, 15), [3, 0], [12, 59]),
    ((2019, 6, 7), [21, 14], [22, 14]),
    ((2019, 8, 15), [2, 0], [9, 59]),
    ((2019, 11, 13), [2, 0], [4, 19]),
    ((2019, 11, 13), [5, 30], [5, 32]),
    ((2019, 11, 25), [2, 0], [3, 59]),
    ((2020, 2, 9), [2, 0], [2, 59]),
    ((2020, 2, 19), [11, 36], [17, 29]),
    ((2020, 3, 4), [9, 22], [11, 29]),
    ((2020, 4, 25), [2, 0], [4, 29]),
    ((2020, 6, 28), [2, 0], [5, 29]),
    ((2020, 11, 30), [6, 0], [6, 59]),
    ((2020, 12, 21), [13, 48], [17, 59]),
    ((2020, 12, 25), [2, 0], [2, 59]),
    ((2021, 2, 11), [3, 41], [4, 59]),
    ((2021, 3, 6), [2, 0], [3, 29]),
    ((2021, 4, 20), [2, 0], [4, 29]),
    ((2021, 4, 25), [4, 1], [8, 44]),
    ((2021, 8, 13), [2, 0], [6, 29]),
    ((2021, 9, 29), [7, 0], [8, 59]),
    ((2023, 3, 24), [12, 40], [13, 59]),
];

static SPOT: LazyLock<Vec<TimeRange>> = LazyLock::new(|| {
    let at = |(year, month, day, [h, m, s]): At| {
        let midnight = Timestamp::from_date(year, month, day).expect("the tables hold calendar days");
        midnight.plus(h * HOUR + m * MINUTE + s * SECOND)
    };
    let early = SPOT_TO_2018
        .iter()
        .map(|(from, to)| TimeRange::clamped(at(*from), at(*to)));
    let late = SPOT_FROM_2019.iter().map(|((year, month, day), [h, m], last)| {
        let first = at((*year, *month, *day, [*h, *m, 0]));
        let after = at((*year, *month, *day, [last[0], last[1], 0])).plus(MINUTE);
        TimeRange::clamped(first, after)
    });
    early.chain(late).collect()
});

/// The halts of a market, earliest first.
pub(super) fn known(market: Market) -> &'static [TimeRange] {
    match market {
        Market::Spot => &SPOT,
        Market::Um | Market::Cm => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halts_are_sorted_disjoint_and_span_the_minutes_that_are_missing() {
        let spot = known(Market::Spot);
        assert_eq!(spot.len(), 35);
        assert!(spot.windows(2).all(|w| w[0].end() < w[1].start()));
        assert!(spot.iter().all(|r| !r.is_empty()));
        assert_eq!(spot[34].to_string(), "[2023-03-24T12:40:00Z, 2023-03-24T14:00:00Z)");
        assert_eq!(spot[1].to_string(), "[2017-12-04T06:00:20Z, 2017-12-04T06:49:06Z)");
        assert!(known(Market::Um).is_empty() && known(Market::Cm).is_empty());
    }
}
