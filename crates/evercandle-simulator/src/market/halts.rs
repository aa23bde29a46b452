//! When the whole venue stood still.
//!
//! During a halt no rows exist, in any interval that fits inside it. The last kline before one may be cut short:
//! its `close_time` is the instant of the last tick rather than the end of the grid slot. And before some halts the
//! venue printed flat klines without trades: present, zero volume, same price. All three are in the record of 2023-03-24.

use serde::{Deserialize, Serialize};

use super::symbols::ExchangeMarket;
use crate::time::parse_instant;

/// What a stretch of standstill looks like in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltKind {
    /// Rows are absent; the kline before keeps its grid close time.
    Absent,
    /// Rows are absent; the kline before closes where trading stopped.
    Truncating,
    /// Rows are present, flat and empty.
    Silent,
}

/// A stretch without trading on a whole market, `start` included, `end` excluded, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Which market stood still.
    pub market: ExchangeMarket,
    /// First instant without trading.
    pub start: i64,
    /// First instant of trading again.
    pub end: i64,
    /// What it looks like.
    pub kind: HaltKind,
}

impl Halt {
    /// Whether rows are missing, rather than flat.
    pub(crate) fn removes_rows(&self) -> bool {
        self.kind != HaltKind::Silent
    }
}

/// Spot halts on record, each with its first instant without and first instant with trading again.
const SPOT_HALTS: [(&str, &str, HaltKind); 36] = {
    use HaltKind::{Absent, Silent, Truncating};
    [
        ("2017-09-06T16:00:00Z", "2017-09-06T23:00:00Z", Absent),
        ("2017-12-04T06:00:20Z", "2017-12-04T06:49:06Z", Absent),
        ("2017-12-18T10:00:42Z", "2017-12-18T10:14:47Z", Absent),
        ("2017-12-18T12:29:13Z", "2017-12-18T13:34:10Z", Absent),
        ("2018-01-04T03:00:14Z", "2018-01-04T05:06:13Z", Truncating),
        ("2018-02-08T00:28:14Z", "2018-02-09T10:00:00Z", Truncating),
        ("2018-02-10T06:00:00Z", "2018-02-10T06:15:00Z", Absent),
        ("2018-02-11T04:00:00Z", "2018-02-11T04:35:00Z", Absent),
        ("2018-06-26T02:00:00Z", "2018-06-26T12:00:00Z", Absent),
        ("2018-06-27T13:00:00Z", "2018-06-27T14:45:00Z", Absent),
        ("2018-07-04T00:22:25Z", "2018-07-04T08:00:00Z", Truncating),
        ("2018-10-19T06:00:00Z", "2018-10-19T09:30:00Z", Absent),
        ("2018-11-14T02:00:00Z", "2018-11-14T09:00:00Z", Absent),
        ("2019-03-12T02:00:00Z", "2019-03-12T08:00:00Z", Absent),
        ("2019-05-15T03:00:00Z", "2019-05-15T13:00:00Z", Absent),
        ("2019-06-07T21:14:00Z", "2019-06-07T22:15:00Z", Absent),
        ("2019-08-15T02:00:00Z", "2019-08-15T10:00:00Z", Absent),
        ("2019-11-13T02:00:00Z", "2019-11-13T04:20:00Z", Absent),
        ("2019-11-13T05:30:00Z", "2019-11-13T05:33:00Z", Absent),
        ("2019-11-25T02:00:00Z", "2019-11-25T04:00:00Z", Absent),
        ("2020-02-09T02:00:00Z", "2020-02-09T03:00:00Z", Absent),
        ("2020-02-19T11:36:00Z", "2020-02-19T17:30:00Z", Absent),
        ("2020-03-04T09:22:00Z", "2020-03-04T11:30:00Z", Absent),
        ("2020-04-25T02:00:00Z", "2020-04-25T04:30:00Z", Absent),
        ("2020-06-28T02:00:00Z", "2020-06-28T05:30:00Z", Absent),
        ("2020-11-30T06:00:00Z", "2020-11-30T07:00:00Z", Absent),
        ("2020-12-21T13:48:00Z", "2020-12-21T18:00:00Z", Absent),
        ("2020-12-25T02:00:00Z", "2020-12-25T03:00:00Z", Absent),
        ("2021-02-11T03:41:00Z", "2021-02-11T05:00:00Z", Absent),
        ("2021-03-06T02:00:00Z", "2021-03-06T03:30:00Z", Absent),
        ("2021-04-20T02:00:00Z", "2021-04-20T04:30:00Z", Absent),
        ("2021-04-25T04:01:00Z", "2021-04-25T08:45:00Z", Absent),
        ("2021-08-13T02:00:00Z", "2021-08-13T06:30:00Z", Absent),
        ("2021-09-29T07:00:00Z", "2021-09-29T09:00:00Z", Absent),
        ("2023-03-24T11:30:00Z", "2023-03-24T12:40:00Z", Silent),
        ("2023-03-24T12:40:00Z", "2023-03-24T14:00:00Z", Truncating),
    ]
};

/// The halts every simulated market starts with.
pub fn known_halts() -> Vec<Halt> {
    let halt = |(start, end, kind): (&str, &str, HaltKind)| Halt {
        market: ExchangeMarket::Spot,
        start: parse_instant(start).unwrap_or_default(),
        end: parse_instant(end).unwrap_or_default(),
        kind,
    };
    SPOT_HALTS.into_iter().map(halt).collect()
}
