//! Positioning on the futures market: accounts that are long per account that is short.
//!
//! It says what people did, not how they feel, and it is not on the scale of any index. It is read where no index can be
//! had, and labelled. One reading a day; thirty days are kept.

use std::borrow::Cow;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{FetchError, SentimentProvider, json};
use super::instant;
use super::rest::Rest;
use crate::model::series::Market;
use crate::sentiment::{Measure, Reading};

const PATH: &str = "/futures/data/globalLongShortAccountRatio";
/// The contract that stands for the market.
const SYMBOL: &str = "BTCUSDT";
const PERIOD: &str = "1d";
/// Readings that can be asked for; fewer are kept.
const READINGS_MAX: u32 = 500;
/// 500 readings take 70 kB.
const BYTES_MAX: usize = 1 << 20;

#[async_trait]
impl SentimentProvider for Rest {
    fn measure(&self) -> Measure {
        Measure::LongShortRatio {
            symbol: SYMBOL.to_owned(),
        }
    }

    async fn readings(&self, count: u32) -> Result<Vec<Reading>, FetchError> {
        if count == 0 {
            return Err(FetchError::Rejected(format!("{PATH}: no reading was asked for")));
        }
        let limit = count.min(READINGS_MAX).to_string();
        let query = [("symbol", SYMBOL), ("period", PERIOD), ("limit", &limit)];
        let reply = self.ask(Market::Um, PATH, &query, BYTES_MAX).await?;
        let mut readings = parse(&reply.place, reply.text()?)?;
        readings.truncate(count as usize);
        Ok(readings)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ratio<'a> {
    #[serde(borrow)]
    symbol: Option<Cow<'a, str>>,
    #[serde(borrow)]
    long_short_ratio: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
}

/// Newest first.
pub(super) fn parse(place: &str, body: &str) -> Result<Vec<Reading>, FetchError> {
    let rows: Vec<Ratio<'_>> = json::read(place, body)?;
    let mut readings = Vec::with_capacity(rows.len());
    for row in rows {
        let wrong = |name: &str, raw, expected: &str| {
            FetchError::Corrupt(format!("{place}: {name} = {}: expected {expected}", json::shown(raw)))
        };
        if row.symbol.as_deref() != Some(SYMBOL) {
            let found: String = row.symbol.unwrap_or_default().chars().take(50).collect();
            return Err(FetchError::Corrupt(format!(
                "{place}: about {found:?}: expected {SYMBOL}"
            )));
        }
        readings.push(Reading {
            value: json::number(row.long_short_ratio)
                .filter(|ratio| *ratio > 0.0)
                .ok_or_else(|| wrong("longShortRatio", row.long_short_ratio, "a number above zero"))?,
            classification: None,
            at: json::integer(row.timestamp)
                .filter(|units| *units > 0)
                .map(instant)
                .ok_or_else(|| wrong("timestamp", row.timestamp, "milliseconds since 1970"))?,
            // Whether the time is the period's beginning or its end has changed once, so nothing follows from it.
            valid_until: None,
        });
    }
    if readings.is_empty() {
        return Err(FetchError::Absent(format!("{place}: no reading of {SYMBOL}")));
    }
    readings.sort_by_key(|reading| std::cmp::Reverse(reading.at));
    match readings.windows(2).find(|pair| pair[0].at == pair[1].at) {
        None => Ok(readings),
        Some(pair) => Err(FetchError::Corrupt(format!(
            "{place}: two readings of {}: expected one",
            pair[0].at
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::http::stub::{Act, Stub};
    use super::*;
    use crate::config::ProviderConfig;

    fn row(day: i64, ratio: &str) -> String {
        let at = 1_704_067_200_000 + day * 86_400_000;
        format!(
            r#"{{"symbol":"BTCUSDT","longAccount":"0.6442","longShortRatio":"{ratio}","shortAccount":"0.3558","timestamp":{at}}}"#
        )
    }

    #[tokio::test]
    async fn readings_are_asked_for_by_the_day_and_come_newest_first() {
        let body = format!("[{},{},{}]", row(0, "1.8105"), row(1, "2"), row(2, "0.5"));
        let stub = Stub::start(move |_| Act::ok(body.clone())).await;
        let rest = Rest::futures(&ProviderConfig::default(), &stub.http()).unwrap();
        let readings = rest.readings(2).await.unwrap();
        let read: Vec<_> = readings.iter().map(|r| (r.value, r.at.to_string())).collect();
        assert_eq!(
            read,
            [
                (0.5, "2024-01-03T00:00:00Z".to_owned()),
                (2.0, "2024-01-02T00:00:00Z".to_owned())
            ]
        );
        rest.readings(9_000).await.unwrap();
        let query = "/fapi.binance.com/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT&period=1d&limit";
        assert_eq!(stub.targets(), [format!("{query}=2"), format!("{query}=500")]);
        assert!(matches!(rest.readings(0).await, Err(FetchError::Rejected(_))));
        assert_eq!(rest.measure().as_str(), "long_short_ratio");
    }

    #[test]
    fn readings_of_something_else_or_of_nothing_are_refused() {
        for (body, kind) in [
            ("[]".to_owned(), "absent"),
            (format!("[{}]", row(0, "0")), "corrupt"),
            (format!("[{}]", row(0, "-1.5")), "corrupt"),
            (format!("[{}]", row(0, "inf")), "corrupt"),
            (format!("[{}]", row(0, "1.5").replace("BTCUSDT", "ETHUSDT")), "corrupt"),
            (
                format!("[{}]", row(0, "1.5").replace("1704067200000", "\"\"")),
                "corrupt",
            ),
            (format!("[{0},{0}]", row(0, "1.5")), "corrupt"),
            (row(0, "1.5"), "corrupt"),
            ("null".to_owned(), "corrupt"),
        ] {
            let error = parse("host/path", &body).unwrap_err();
            assert_eq!(error.policy().kind, kind, "{body}: {error:?}");
            assert!(error.to_string().starts_with("host/path: "), "{error}");
        }
    }
}
