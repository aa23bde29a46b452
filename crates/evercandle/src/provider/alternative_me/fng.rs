//! A body of readings: every value a string, newest first, days missing now and then.
//!
//! An index is only comparable with itself, so a body that does not name this one is refused as a whole, and so is a
//! value outside 0 to 100. The word for a value is passed on as it is: the published tables differ by a point or two.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{FetchError, json};
use crate::model::range::{DAY, HOUR, Timestamp};
use crate::sentiment::Reading;

/// Two others are called nearly the same.
const INDEX: &str = "Fear and Greed Index";
const SECOND: i64 = 1_000_000;
/// How long after midnight a reading may come without being missing.
const LATE_MAX: i64 = 3 * HOUR;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Vec<Row<'a>>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    value_classification: Option<String>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    /// Seconds; on the newest row alone.
    #[serde(borrow)]
    time_until_update: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Readings, newest first, never none; `now` is the upstream's time, if it says so. Ours may be wrong.
pub(super) fn parse(place: &str, body: &str, now: Option<Timestamp>) -> Result<Vec<Reading>, FetchError> {
    let corrupt = |why: String| FetchError::Corrupt(format!("{place}: {why}"));
    let body: Body<'_> = json::read(place, body)?;
    if let Some(error) = body.metadata.and_then(|m| m.error) {
        let why = format!("{place}: it says that it failed: {}", json::shown(Some(error)));
        return Err(FetchError::Unreachable { why, retry: false });
    }
    if body.name.as_deref() != Some(INDEX) {
        let name: String = body.name.unwrap_or_default().chars().take(50).collect();
        return Err(corrupt(format!("the index is called {name:?}: expected {INDEX:?}")));
    }
    let rows = body.data.unwrap_or_default();
    let read: Result<Vec<Reading>, String> = rows.iter().map(|row| row.reading(now)).collect();
    let mut readings = read.map_err(corrupt)?;
    readings.sort_by_key(|reading| Reverse(reading.at));
    if let Some(pair) = readings.windows(2).find(|pair| pair[0].at == pair[1].at) {
        return Err(corrupt(format!("two readings of {}: expected one a day", pair[0].at)));
    }
    let Some(newest) = readings.first_mut() else {
        return Err(corrupt("no reading at all: expected the newest".to_owned()));
    };
    // Past midnight the countdown may already be to the next midnight but one, while the reading of the day that has
    // begun is merely late. A countdown is believed as far as a reading may reasonably be late.
    let next_day = newest.at.plus(DAY);
    let believed = newest.valid_until.filter(|until| *until <= next_day.plus(LATE_MAX));
    newest.valid_until = Some(believed.unwrap_or(next_day));
    for older in &mut readings[1..] {
        older.valid_until = None;
    }
    Ok(readings)
}

impl Row<'_> {
    fn reading(&self, now: Option<Timestamp>) -> Result<Reading, String> {
        let wrong = |name: &str, raw, expected: &str| format!("{name} = {}: expected {expected}", json::shown(raw));
        let value = json::integer(self.value)
            .and_then(|value| u8::try_from(value).ok())
            .filter(|value| *value <= 100)
            .ok_or_else(|| wrong("value", self.value, "a whole number from 0 to 100"))?;
        let at = json::integer(self.timestamp)
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Timestamp::from_micros(seconds.saturating_mul(SECOND)).floor_day())
            .filter(|at| now.is_none_or(|now| now.since(*at) > -DAY))
            .ok_or_else(|| {
                wrong(
                    "timestamp",
                    self.timestamp,
                    "seconds since 1970, of a day that has begun",
                )
            })?;
        let until_update = json::integer(self.time_until_update).filter(|seconds| *seconds >= 0);
        Ok(Reading {
            value: f64::from(value),
            classification: self.value_classification.clone().filter(|word| !word.is_empty()),
            at,
            valid_until: now
                .zip(until_update)
                .map(|(now, seconds)| now.plus(seconds.saturating_mul(SECOND))),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::damage::{change, damaged};
    use super::*;

    /// 2025-04-22, 22:19:37.
    const NOW: Timestamp = Timestamp::from_millis(1_745_360_377_000);
    const BODY: &str = r#"{"name":"Fear and Greed Index","data":[{"value":"47","value_classification":"Neutral","timestamp":"1745280000","time_until_update":"6023"},{"value":"39","value_classification":"Fear","timestamp":"1745193600"},{"value":"37","value_classification":"Fear","timestamp":"1745020800"}],"metadata":{"error":null}}"#;

    fn read(body: &str) -> Result<Vec<Reading>, FetchError> {
        parse("host/path", body, Some(NOW))
    }

    #[test]
    fn a_reading_is_the_value_of_a_day_in_the_providers_words() {
        let readings = read(BODY).unwrap();
        let said: Vec<_> = readings
            .iter()
            .map(|r| (r.value, r.classification.as_deref().unwrap()))
            .collect();
        assert_eq!(said, [(47.0, "Neutral"), (39.0, "Fear"), (37.0, "Fear")]);
        let days: Vec<_> = readings.iter().map(|r| r.at.date()).collect();
        assert_eq!(
            days,
            [(2025, 4, 22), (2025, 4, 21), (2025, 4, 19)],
            "a missing day is left out"
        );
        let until: Vec<_> = readings.iter().map(|r| r.valid_until.map(|t| t.to_string())).collect();
        assert_eq!(until, [Some("2025-04-23T00:00:00Z".to_owned()), None, None]);
    }

    #[test]
    fn the_order_and_the_quotes_do_not_matter_and_the_words_are_passed_on() {
        let expected = read(BODY).unwrap();
        let swapped = BODY
            .replace("1745280000", "?")
            .replace("1745193600", "1745280000")
            .replace('?', "1745193600");
        assert_eq!(read(&swapped).unwrap()[0].value, 39.0);
        assert_eq!(
            read(&BODY.replace("\"47\"", "47").replace("\"1745280000\"", "1745280000")).unwrap(),
            expected
        );
        assert_eq!(
            read(&BODY.replace(",\"metadata\":{\"error\":null}", "")).unwrap(),
            expected
        );
        let odd = read(&BODY.replace("Neutral", "Meh")).unwrap();
        assert_eq!(odd[0].classification.as_deref(), Some("Meh"));
    }

    #[test]
    fn a_reading_is_current_until_the_next_is_due() {
        let until = |text: &str| {
            let readings = read(&BODY.replace(r#","time_until_update":"6023""#, text)).unwrap();
            readings[0].valid_until.unwrap().to_string()
        };
        for (text, expected) in [
            ("", "2025-04-23T00:00:00Z"),
            (r#","time_until_update":"23""#, "2025-04-22T22:20:00Z"),
            (r#","time_until_update":"6623""#, "2025-04-23T00:10:00Z"),
            (r#","time_until_update":"86400""#, "2025-04-23T00:00:00Z"),
            (r#","time_until_update":"-5""#, "2025-04-23T00:00:00Z"),
            (r#","time_until_update":"soon""#, "2025-04-23T00:00:00Z"),
            (r#","time_until_update":"9223372036854775807""#, "2025-04-23T00:00:00Z"),
        ] {
            assert_eq!(until(text), expected, "{text}");
        }
        let undated = parse("host/path", BODY, None).unwrap();
        assert_eq!(undated[0].valid_until.unwrap().to_string(), "2025-04-23T00:00:00Z");
    }

    #[test]
    fn what_is_not_this_index_or_not_a_reading_is_refused() {
        for (body, kind, why) in [
            (BODY.replace("Fear and Greed Index", "CMC Crypto Fear and Greed Index"), "corrupt", "CMC"),
            (BODY.replace("\"name\"", "\"title\""), "corrupt", "called \"\""),
            (BODY.replace("\"47\"", "\"101\""), "corrupt", "value = \"101\": expected a whole number"),
            (BODY.replace("\"47\"", "\"-1\""), "corrupt", "value"),
            (BODY.replace("\"47\"", "\"47.5\""), "corrupt", "value"),
            (BODY.replace("\"47\"", "\"\""), "corrupt", "value"),
            (BODY.replace("\"47\"", "null"), "corrupt", "value = nothing"),
            (BODY.replace("1745280000", "04-22-2025"), "corrupt", "timestamp"),
            (BODY.replace("1745280000", "1745193600"), "corrupt", "two readings of 2025-04-21"),
            (BODY.replace("1745280000", "1745539200"), "corrupt", "of a day that has begun"),
            (BODY.replace("1745280000", "0"), "corrupt", "timestamp"),
            (BODY.replace("\"error\":null", "\"error\":\"maintenance\""), "unreachable", "maintenance"),
            (r#"{"name":"Fear and Greed Index","data":[],"metadata":{"error":null}}"#.into(), "corrupt", "no reading"),
            (r#"{"name":"Fear and Greed Index"}"#.into(), "corrupt", "no reading"),
            (String::new(), "corrupt", "JSON"),
            ("[]".into(), "corrupt", "JSON"),
            ("null".into(), "corrupt", "JSON"),
            ("<html>".into(), "corrupt", "JSON"),
            // `format=csv` is a table inside an envelope, neither of both.
            ("{\n\"name\": \"Fear and Greed Index\",\n\"data\": [\nfng_value,fng_classification,date\n01-05-2024,54,Neutral\n],\n\"metadata\": {\"error\": null}}".into(), "corrupt", "JSON"),
        ] {
            let error = read(&body).unwrap_err();
            assert_eq!(error.policy().kind, kind, "{body}: {error:?}");
            assert!(error.to_string().starts_with("host/path: ") && error.to_string().contains(why), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn damaged_readings_are_readings_or_an_error(changes in prop::collection::vec(change(), 1..6)) {
            let text = String::from_utf8_lossy(&damaged(BODY.into(), &changes)).into_owned();
            match read(&text) {
                Ok(readings) => {
                    assert!(!readings.is_empty());
                    assert!(readings.windows(2).all(|pair| pair[0].at > pair[1].at));
                    assert!(readings.iter().all(|r| (0.0..=100.0).contains(&r.value)));
                }
                Err(error) => assert!(matches!(error.policy().kind, "corrupt" | "unreachable"), "{error:?}"),
            }
        }
    }
}
