//! What visitors of CoinGecko's page on Bitcoin say: the share of those who feel good about it.
//!
//! Slow, and biased to what is popular; a sentiment only when no other can be had, and labelled.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{FetchError, json};
use crate::model::range::Timestamp;
use crate::sentiment::{Measure, Reading};

/// The coin that stands for the market.
const COIN: &str = "bitcoin";
pub(super) const PATH: &str = "/api/v3/coins/bitcoin";
/// All the page has besides is switched off; what is left takes 10 kB.
pub(super) const QUERY: &[(&str, &str)] = &[
    ("localization", "false"),
    ("tickers", "false"),
    ("market_data", "false"),
    ("community_data", "false"),
    ("developer_data", "false"),
];

pub(super) fn measure() -> Measure {
    Measure::Votes { coin: COIN.to_owned() }
}

#[derive(Deserialize)]
struct Coin<'a> {
    id: Option<String>,
    #[serde(borrow)]
    sentiment_votes_up_percentage: Option<&'a RawValue>,
}

/// The reading as of `now`, the upstream's time as well as it is known: it says nothing of when votes were counted.
pub(super) fn parse(place: &str, body: &str, now: Timestamp) -> Result<Reading, FetchError> {
    let coin: Coin<'_> = json::read(place, body)?;
    if coin.id.as_deref() != Some(COIN) {
        let found: String = coin.id.unwrap_or_default().chars().take(50).collect();
        return Err(FetchError::Corrupt(format!(
            "{place}: about {found:?}: expected {COIN}"
        )));
    }
    let Some(raw) = coin.sentiment_votes_up_percentage else {
        return Err(FetchError::Absent(format!("{place}: nobody has voted on {COIN}")));
    };
    let value = json::number(Some(raw)).filter(|share| (0.0..=100.0).contains(share));
    let value = value.ok_or_else(|| {
        let shown = json::shown(Some(raw));
        FetchError::Corrupt(format!(
            "{place}: sentiment_votes_up_percentage = {shown}: expected a number from 0 to 100"
        ))
    })?;
    Ok(Reading {
        value,
        classification: None,
        at: now,
        valid_until: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_a_share_or_there_are_none() {
        let now = Timestamp::from_millis(1_745_360_377_000);
        let body = |value: &str| {
            format!(
                r#"{{"id":"bitcoin","symbol":"btc","sentiment_votes_up_percentage":{value},"sentiment_votes_down_percentage":1}}"#
            )
        };
        let read = |body: &str| parse("host/path", body, now);
        let reading = read(&body("82.35")).unwrap();
        assert_eq!((reading.value, reading.at, reading.valid_until), (82.35, now, None));
        assert_eq!(read(&body("100")).unwrap().value, 100.0);
        for (body, kind) in [
            (body("null"), "absent"),
            (r#"{"id":"bitcoin"}"#.to_owned(), "absent"),
            (body("101"), "corrupt"),
            (body("-1"), "corrupt"),
            (body("\"NaN\""), "corrupt"),
            (body("82.35").replace("bitcoin", "ethereum"), "corrupt"),
            ("{}".to_owned(), "corrupt"),
            ("[]".to_owned(), "corrupt"),
            (String::new(), "corrupt"),
        ] {
            let error = read(&body).unwrap_err();
            assert_eq!(error.policy().kind, kind, "{body}: {error:?}");
            assert!(error.to_string().starts_with("host/path: "), "{error}");
        }
    }
}
