//! Funding rates as archives and REST print them.
//!
//! An archive's file has three columns: when a rate was settled, the hours between settlements, the rate. REST has
//! objects, with the mark price for newer rates (an empty text for older ones) and, since July 2026, the kind of rate: only
//! regular ones belong to the series.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::FetchError;
use super::super::json;
use super::instant;
use crate::model::batch::Batch;
use crate::model::builder::Repairs;
use crate::model::funding::{FundingBuilder, Row};
use crate::model::range::TimeRange;
use crate::model::series::Series;

/// What an archive's header says.
const HEADER: &str = "calc_time,funding_interval_hours,last_funding_rate";
const REGULAR: &str = "Regular";

/// Rates of an archive's file; every one must lie in `range`.
pub(super) fn csv(series: &Series, range: TimeRange, text: &[u8]) -> Result<(Batch, Repairs), String> {
    let text = std::str::from_utf8(text).map_err(|_| "not text".to_owned())?;
    let mut builder = FundingBuilder::new(series.clone());
    for (number, line) in text.lines().enumerate() {
        let at = |why: String| format!("line {}: {why}", number + 1);
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            if number + 1 < text.lines().count() {
                return Err(at("empty, but not the last".to_owned()));
            }
            break;
        }
        if line.starts_with(HEADER) {
            continue;
        }
        let fields: Vec<&str> = line.split(',').collect();
        let &[time, hours, rate, ..] = fields.as_slice() else {
            return Err(at(format!("{} fields instead of those of {HEADER}", fields.len())));
        };
        let number = |name: &str, text: &str| text.parse::<i64>().map_err(|_| at(format!("{name} = {text:?}")));
        let row = Row {
            funding_time: instant(number("calc_time", time)?).as_micros(),
            rate,
            mark_price: None,
            interval_hours: Some(number("funding_interval_hours", hours)?),
        };
        builder.push(&row).map_err(at)?;
    }
    builder.finish(range)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    funding_time: &'a RawValue,
    #[serde(borrow)]
    funding_rate: &'a RawValue,
    #[serde(borrow, default)]
    mark_price: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rate_type: Option<Cow<'a, str>>,
}

/// Rates of a page; every one must be the series' own and lie in `range`.
pub(super) fn page(series: &Series, range: TimeRange, place: &str, body: &str) -> Result<(Batch, Repairs), FetchError> {
    let corrupt = |why: String| FetchError::Corrupt(format!("{place}: not a page of funding rates: {why}"));
    let printed: Vec<Printed<'_>> = json::read(place, body)?;
    let mut builder = FundingBuilder::new(series.clone());
    for row in &printed {
        if row.symbol != series.symbol().as_str() {
            return Err(corrupt(format!("a rate of {:?}", row.symbol)));
        }
        if row.rate_type.as_ref().is_some_and(|kind| kind != REGULAR) {
            builder.leave_out();
            continue;
        }
        let time = json::integer(Some(row.funding_time))
            .ok_or_else(|| corrupt(format!("fundingTime = {}", json::shown(Some(row.funding_time)))))?;
        let mark_price = row.mark_price.map(json::printed);
        let rate = Row {
            funding_time: instant(time).as_micros(),
            rate: json::printed(row.funding_rate),
            mark_price: mark_price.filter(|text| !text.is_empty() && *text != "null"),
            interval_hours: None,
        };
        builder.push(&rate).map_err(corrupt)?;
    }
    builder.finish(range).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::funding::interval_hours;
    use crate::model::range::Timestamp;
    use crate::model::series::Market;
    use crate::model::symbol::Symbol;

    fn asked() -> (Series, TimeRange) {
        let series = Series::funding_rates(Market::Um, Symbol::new("BTCUSDT").unwrap()).unwrap();
        let day = |d| Timestamp::from_date(2024, 1, d).unwrap();
        (series, TimeRange::clamped(day(1), day(31)))
    }

    fn of_csv(text: &str) -> Result<Batch, String> {
        let (series, range) = asked();
        csv(&series, range, text.as_bytes()).map(|(batch, _)| batch)
    }

    fn of_page(body: &str) -> Result<(Batch, Repairs), FetchError> {
        let (series, range) = asked();
        page(&series, range, "body", body)
    }

    #[test]
    fn an_archive_s_rates_carry_their_interval_and_no_price() {
        let rows = "1704067200005,8,0.00037409\n1704096000000,4,-0.00010000\n";
        for text in [
            rows.to_owned(),
            format!("{HEADER}\n{rows}"),
            format!("{HEADER}\r\n{}", rows.replace('\n', "\r\n")),
        ] {
            let batch = of_csv(&text).unwrap();
            assert_eq!(batch.open_times(), [1_704_067_200_005_000, 1_704_096_000_000_000]);
            assert_eq!(batch.print(1, 1).as_deref(), Some("-0.00010000"));
            assert_eq!(
                (interval_hours(&batch, 0), interval_hours(&batch, 1)),
                (Some(8), Some(4))
            );
            assert!(batch.is_null(0, 2));
        }
    }

    #[test]
    fn what_is_not_such_a_file_is_refused_by_line_and_name() {
        for (text, named) in [
            ("1704067200000,8", "line 1: 2 fields"),
            ("1704067200000,8,x", "line 1: funding_rate = \"x\""),
            ("1704067200000,0,0.1", "line 1: interval_hours"),
            ("time,8,0.1", "line 1: calc_time = \"time\""),
            ("1704067200000,8,0.1\n\n1704096000000,8,0.1", "line 2: empty"),
            ("1704067200000,8,0.1\n1706745600000,8,0.1", "outside the range"),
            ("1704067200000,8,0.1\n1704067200003,8,0.2", "two different rates"),
        ] {
            let error = of_csv(text).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        assert!(of_csv("").unwrap().is_empty());
    }

    #[test]
    fn a_page_s_rates_carry_the_price_where_there_is_one() {
        let body = r#"[
            {"symbol":"BTCUSDT","fundingTime":1704067200005,"fundingRate":"0.00037409","markPrice":""},
            {"symbol":"BTCUSDT","fundingTime":1704096000000,"fundingRate":"-0.00010000","markPrice":"42500.10000000","rateType":"Regular"},
            {"symbol":"BTCUSDT","fundingTime":1704096000000,"fundingRate":"0.5","markPrice":"1","rateType":"Special"},
            {"fundingTime":1704124800000,"symbol":"BTCUSDT","fundingRate":"0.0001"}
        ]"#;
        let (batch, repairs) = of_page(body).unwrap();
        assert_eq!((batch.len(), repairs.foreign), (3, 1));
        let printed: Vec<_> = (0..3).map(|row| batch.print(row, 2)).collect();
        assert_eq!(printed, [None, Some("42500.10000000".to_owned()), None]);
        assert_eq!(interval_hours(&batch, 0), None);
    }

    #[test]
    fn what_is_not_such_a_page_is_corrupt() {
        for body in [
            "{}",
            "[1]",
            "[[1704067200000]]",
            r#"[{"symbol":"ETHUSDT","fundingTime":1704067200000,"fundingRate":"0.1"}]"#,
            r#"[{"symbol":"BTCUSDT","fundingTime":"x","fundingRate":"0.1"}]"#,
            r#"[{"symbol":"BTCUSDT","fundingTime":1704067200000,"fundingRate":"NaN"}]"#,
            r#"[{"symbol":"BTCUSDT","fundingTime":1704067200000}]"#,
            r#"[{"symbol":"BTCUSDT","fundingTime":1604067200000,"fundingRate":"0.1"}]"#,
        ] {
            assert!(matches!(of_page(body), Err(FetchError::Corrupt(_))), "{body}");
        }
        assert!(of_page("[]").unwrap().0.is_empty());
    }
}
