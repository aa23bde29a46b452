//! Whatever arrives, parsing ends: with klines that keep every promise of a batch, or with an error that has a kind.

use std::io::Write;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{checksum, exchange_info, funding, listing, ratios, rest, tickers, vision};
use crate::model::batch::Batch;
use crate::model::range::{DAY, TimeRange, Timestamp};
use crate::model::series::{Market, Series};
use crate::model::symbol::Symbol;
use crate::provider::FetchError;
use crate::provider::damage::{change, damaged};

const NAME: &str = "BTCUSDT-1h-2024-01-01.zip";
const START: i64 = 1_704_067_200_000;

fn asked() -> (Series, TimeRange) {
    let start = Timestamp::from_millis(START);
    let series = Series::parse("BTCUSDT", "1h".parse().unwrap(), None).unwrap();
    (series, TimeRange::clamped(start, start.plus(DAY)))
}

fn csv() -> Vec<u8> {
    let row = |n: i64| {
        let (open, close) = (START + n * 3_600_000, START + (n + 1) * 3_600_000 - 1);
        format!(
            "{open},42283.58000000,42554.57,42261.02000000,42475.23000000,1271.68108000,{close},53957248.97378900,47134,682.57581000,28957416.81964500,0\n"
        )
    };
    (0..24).map(row).collect::<String>().into_bytes()
}

fn json() -> Vec<u8> {
    let text = String::from_utf8(csv()).unwrap();
    let quoted = |line: &str| {
        let fields = line.split(',').enumerate();
        let fields: Vec<String> = fields
            .map(|(i, f)| {
                if [0, 6, 8].contains(&i) {
                    f.into()
                } else {
                    format!("\"{f}\"")
                }
            })
            .collect();
        format!("[{}]", fields.join(","))
    };
    format!("[{}]", text.lines().map(quoted).collect::<Vec<_>>().join(",")).into_bytes()
}

fn zipped(content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .start_file("BTCUSDT-1h-2024-01-01.csv", zip::write::SimpleFileOptions::default())
        .unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

/// A batch keeps its promises, an error has a kind and words.
fn check(result: Result<Batch, FetchError>) {
    let (_, range) = asked();
    match result {
        Ok(batch) => {
            assert!(batch.open_times().windows(2).all(|w| w[0] < w[1]));
            assert!(
                batch
                    .open_times()
                    .iter()
                    .all(|t| range.contains(Timestamp::from_micros(*t)))
            );
            for row in 0..batch.len() {
                for column in crate::model::batch::DECIMAL_COLUMNS {
                    let value = batch.floats(column)[row];
                    assert!(value >= 0.0 && value.is_finite());
                    assert_eq!(batch.print(row, column).unwrap().parse::<f64>().unwrap(), value);
                }
            }
        }
        Err(error) => assert!(
            matches!(&error, FetchError::Corrupt(why) if !why.is_empty()),
            "{error:?}"
        ),
    }
}

fn decode(zip: &[u8]) -> Result<Batch, FetchError> {
    let (series, range) = asked();
    let digest: [u8; 32] = Sha256::digest(zip).into();
    vision::decode(&series, range, NAME, zip, &digest).map(|(batch, _)| batch)
}

#[test]
fn the_undamaged_samples_are_read() {
    let (series, range) = asked();
    let archive = decode(&zipped(&csv())).unwrap();
    let (page, _) = rest::decode(&series, range, std::str::from_utf8(&json()).unwrap()).unwrap();
    assert_eq!(archive.len(), 24);
    assert!(archive.same_klines(&page));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_rows_of_an_archive(changes in prop::collection::vec(change(), 1..6)) {
        check(decode(&zipped(&damaged(csv(), &changes))));
    }

    #[test]
    fn a_damaged_archive(changes in prop::collection::vec(change(), 1..4)) {
        check(decode(&damaged(zipped(&csv()), &changes)));
    }

    #[test]
    fn a_damaged_page(changes in prop::collection::vec(change(), 1..6)) {
        let (series, range) = asked();
        let text = String::from_utf8_lossy(&damaged(json(), &changes)).into_owned();
        check(rest::decode(&series, range, &text).map(|(batch, _)| batch));
    }

    #[test]
    fn damaged_tickers(changes in prop::collection::vec(change(), 1..6)) {
        let ticker = |symbol: &str| {
            format!(r#"{{"symbol":"{symbol}","priceChangePercent":"-95.960","lastPrice":"4.00000200","highPrice":"100.0","lowPrice":"0.1","volume":"8913.3","quoteVolume":"15.3","closeTime":1499869899040}}"#)
        };
        let body = format!("[{},{}]", ticker("BTCUSDT"), ticker("ETHUSDT"));
        let asked = ["BTCUSDT", "ETHUSDT"].map(|name| Symbol::new(name).unwrap());
        match tickers::parse("body", &String::from_utf8_lossy(&damaged(body.into_bytes(), &changes)), &asked) {
            Ok(read) => {
                let quotes = read.complete("missing");
                assert_eq!(quotes.quotes.len() + quotes.refused.len(), asked.len());
                assert!(quotes.quotes.iter().all(|quote| quote.price.value() > 0.0 && quote.as_of > Timestamp::EPOCH));
            }
            Err(error) => assert!(matches!(error, FetchError::Corrupt(_)), "{error:?}"),
        }
    }

    #[test]
    fn damaged_funding_rates(changes in prop::collection::vec(change(), 1..6)) {
        let (_, range) = asked();
        let series = Series::funding_rates(Market::Um, Symbol::new("BTCUSDT").unwrap()).unwrap();
        let csv = b"calc_time,funding_interval_hours,last_funding_rate\n1704067200003,8,0.00010000\n1704096000000,8,-0.00037409\n";
        let page = br#"[{"symbol":"BTCUSDT","fundingTime":1704067200003,"fundingRate":"-0.00010000","markPrice":"42500.10000000"},{"symbol":"BTCUSDT","fundingTime":1704096000000,"fundingRate":"0.00010000","markPrice":""}]"#;
        let of_csv = funding::csv(&series, range, &damaged(csv.to_vec(), &changes));
        let text = String::from_utf8_lossy(&damaged(page.to_vec(), &changes)).into_owned();
        let of_page = funding::page(&series, range, "body", &text);
        for batch in [of_csv.map(|(batch, _)| batch).ok(), of_page.map(|(batch, _)| batch).ok()].into_iter().flatten() {
            let hours: Vec<i64> = batch.open_times().iter().map(|t| t.div_euclid(3_600_000_000)).collect();
            assert!(hours.windows(2).all(|w| w[0] < w[1]));
            for row in 0..batch.len() {
                let rate = batch.floats(1)[row];
                assert!(rate.is_finite() && batch.print(row, 1).unwrap().parse::<f64>().unwrap() == rate);
                assert_eq!(batch.print(row, 2).is_none(), batch.is_null(row, 2));
            }
        }
    }

    #[test]
    fn damaged_ratios(changes in prop::collection::vec(change(), 1..6)) {
        let body = br#"[{"symbol":"BTCUSDT","longShortRatio":"1.8105","timestamp":1704067200000},{"symbol":"BTCUSDT","longShortRatio":"1.5","timestamp":1704153600000}]"#;
        match ratios::parse("body", &String::from_utf8_lossy(&damaged(body.to_vec(), &changes))) {
            Ok(readings) => assert!(readings.windows(2).all(|pair| pair[0].at > pair[1].at)),
            Err(error) => assert!(matches!(error, FetchError::Corrupt(_) | FetchError::Absent(_)), "{error:?}"),
        }
    }

    #[test]
    fn damaged_small_texts(changes in prop::collection::vec(change(), 0..6)) {
        let sidecar = format!("{}  {NAME}", "0123456789abcdef".repeat(4));
        let _ = checksum::parse(&damaged(sidecar.into_bytes(), &changes), NAME);
        let page = b"<?xml version=\"1.0\"?><ListBucketResult><Contents><Key>a-2020-01-01.zip</Key></Contents></ListBucketResult>";
        let page = damaged(page.to_vec(), &changes);
        for key in listing::keys(&String::from_utf8_lossy(&page)).unwrap_or_default() {
            let _ = listing::period_start(&key, "a-");
        }
        let list = br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","onboardDate":1569398400000}]}"#;
        let _ = exchange_info::parse("body", &String::from_utf8_lossy(&damaged(list.to_vec(), &changes)));
    }
}
