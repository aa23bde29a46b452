//! Whatever arrives, parsing ends: with klines that keep every promise of a batch, or with an error that has a kind.

use std::io::Write;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{checksum, exchange_info, listing, rest, vision};
use crate::model::batch::Batch;
use crate::model::range::{DAY, TimeRange, Timestamp};
use crate::model::series::Series;
use crate::provider::FetchError;

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

/// One change to some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<prop::sample::Index>();
    // Half of the bytes written are ones that mean something to some parser.
    let byte = || {
        prop_oneof![
            any::<u8>(),
            prop::sample::select(b"0919,.\n\r-+eE\"[]{}<>&PK\x00\xff ".to_vec())
        ]
    };
    prop_oneof![
        (at(), byte()).prop_map(|(i, b)| Change::Set(i, b)),
        (at(), 0u8..8).prop_map(|(i, bit)| Change::Flip(i, bit)),
        (at(), 1usize..200).prop_map(|(i, n)| Change::Remove(i, n)),
        (at(), prop::collection::vec(byte(), 1..30)).prop_map(|(i, b)| Change::Insert(i, b)),
        (at(), 1usize..300).prop_map(|(i, n)| Change::Repeat(i, n)),
        at().prop_map(Change::Cut),
    ]
}

fn damaged(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match change {
            Change::Set(at, byte) => bytes[at.index(len)] = *byte,
            Change::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Change::Remove(at, n) => drop(bytes.drain(at.index(len)..(at.index(len) + n).min(len))),
            Change::Insert(at, new) => drop(bytes.splice(at.index(len)..at.index(len), new.clone())),
            Change::Repeat(at, n) => {
                let part = bytes[at.index(len)..(at.index(len) + n).min(len)].to_vec();
                bytes.splice(at.index(len)..at.index(len), part);
            }
            Change::Cut(at) => bytes.truncate(at.index(len)),
        }
    }
    bytes
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
