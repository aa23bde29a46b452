//! The archive: zips that others can read, eras, publication, listings, and everything that can be wrong with a file.
#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Read};

use evercandle_simulator::{
    Config, Effect, ExchangeMarket, Fault, HeaderStyle, Interval, Request, Response, Series, Simulator, TimeUnit, time,
};
use sha2::{Digest, Sha256};

const DAY: &str = "data.binance.vision/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05-30.zip";
const MONTH: &str = "data.binance.vision/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-04.zip";

fn simulator() -> Simulator {
    Simulator::new(Config::default().at(time::parse_instant("2024-06-01T12:00:00Z").unwrap()))
}

fn at(instant: &str) -> Simulator {
    Simulator::new(Config::default().at(time::parse_instant(instant).unwrap()))
}

fn ask(simulator: &Simulator, target: &str) -> Response {
    simulator
        .respond(&Request::get(target), simulator.clock().now())
        .response
}

/// The only member of an archive: its name and its text.
fn unzip(response: &Response) -> (String, String) {
    assert_eq!(response.status, 200);
    let mut archive = zip::ZipArchive::new(Cursor::new(response.body.to_vec())).unwrap();
    assert_eq!(archive.len(), 1);
    let mut member = archive.by_index(0).unwrap();
    let mut text = String::new();
    member.read_to_string(&mut text).unwrap();
    (member.name().unwrap().into_owned(), text)
}

fn checksum_agrees(simulator: &Simulator, target: &str) -> bool {
    let zip = ask(simulator, target);
    let sidecar = ask(simulator, &format!("{target}.CHECKSUM")).text();
    let file = target.rsplit('/').next().unwrap();
    sidecar == format!("{}  {file}", hex::encode(Sha256::digest(&zip.body)))
}

#[test]
fn a_day_is_one_csv_of_true_rows_under_a_true_checksum() {
    let simulator = simulator();
    let (name, text) = unzip(&ask(&simulator, DAY));
    assert_eq!(name, "BTCUSDT-1m-2024-05-30.csv");
    let start = time::parse_instant("2024-05-30").unwrap();
    let series = Series::new(ExchangeMarket::Spot, "BTCUSDT", Interval::M1);
    let truth = simulator.market().klines(&series, start..start + time::DAY);
    let lines: Vec<String> = truth
        .iter()
        .map(|kline| kline.csv_line(TimeUnit::Milliseconds))
        .collect();
    assert!(text.lines().eq(lines));
    assert!(text.ends_with('\n'));
    assert!(checksum_agrees(&simulator, DAY));
}

#[test]
fn files_follow_the_conventions_of_their_era() {
    let simulator = at("2026-03-01");
    let cases = [
        ("spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-12-31.zip", false, 13),
        ("spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-01-01.zip", false, 16),
        (
            "futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2022-05-31.zip",
            false,
            13,
        ),
        ("futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-06-01.zip", true, 13),
        (
            "futures/cm/daily/klines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2020-12-31.zip",
            false,
            13,
        ),
        (
            "futures/cm/daily/klines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2021-01-01.zip",
            true,
            13,
        ),
        ("spot/monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2025-01.zip", false, 16),
    ];
    for (path, header, digits) in cases {
        let (_, text) = unzip(&ask(&simulator, &format!("data.binance.vision/data/{path}")));
        let mut lines = text.lines();
        if header {
            assert!(
                lines
                    .next()
                    .unwrap()
                    .starts_with("open_time,open,high,low,close,volume,close_time,quote_volume,count")
            );
        }
        let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
        assert_eq!(
            (columns.len(), columns[0].len(), columns[6].len()),
            (12, digits, digits),
            "{path}"
        );
    }
}

#[test]
fn archives_appear_with_their_delay_and_only_where_something_traded() {
    let status = |now: &str, path: &str| ask(&at(now), &format!("data.binance.vision/data/spot/{path}")).status;
    let day = "daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-05-31.zip";
    assert_eq!(status("2024-06-01T03:59:00Z", day), 404);
    assert_eq!(status("2024-06-01T04:00:00Z", day), 200);
    let month = "monthly/klines/BTCUSDT/1d/BTCUSDT-1d-2024-05.zip";
    assert_eq!(status("2024-06-03T03:59:00Z", month), 404);
    assert_eq!(status("2024-06-03T04:00:00Z", month), 200);
    assert_eq!(
        status("2024-06-03", "daily/klines/BTCUSDT/1h/BTCUSDT-1h-2017-08-16.zip"),
        404
    );
    assert_eq!(
        status("2024-06-03", "daily/klines/LUNAUSDT/1h/LUNAUSDT-1h-2022-05-14.zip"),
        404
    );
    assert_eq!(
        status("2024-06-03", "daily/klines/NOSUCH/1h/NOSUCH-1h-2022-05-14.zip"),
        404
    );
    let missing = ask(&at("2024-06-03"), "data.binance.vision/data/spot/nothing.zip");
    assert!(missing.text().contains("<Code>NoSuchKey</Code>"));
}

#[test]
fn the_first_day_of_a_listing_is_short() {
    let (_, text) = unzip(&ask(
        &simulator(),
        "data.binance.vision/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2017-08-17.zip",
    ));
    assert_eq!(text.lines().count(), 20);
}

#[test]
fn validators_save_the_transfer() {
    let simulator = simulator();
    let first = ask(&simulator, DAY);
    assert_eq!(first.header("last-modified"), Some("Fri, 31 May 2024 04:00:00 GMT"));
    let etag = first.header("ETag").unwrap();
    let again = simulator
        .respond(
            &Request::get(DAY).with_header("If-None-Match", etag),
            simulator.clock().now(),
        )
        .response;
    assert_eq!((again.status, again.body.len()), (304, 0));
    simulator.inject(Fault::new(Effect::Revised));
    let revised = simulator
        .respond(
            &Request::get(DAY).with_header("If-None-Match", etag),
            simulator.clock().now(),
        )
        .response;
    assert_eq!(revised.status, 200);
    assert_ne!(revised.header("ETag"), Some(etag));
    assert!(checksum_agrees(&simulator, DAY));
    simulator.faults().clear_all();
    simulator.inject(Fault::new(Effect::ChangedEtag));
    let relabelled = ask(&simulator, DAY);
    assert_eq!(relabelled.body, first.body);
    assert_ne!(relabelled.header("ETag"), Some(etag));
}

#[test]
fn a_spoilt_file_still_agrees_with_its_checksum() {
    let simulator = simulator();
    let healthy = unzip(&ask(&simulator, DAY)).1;
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let whole = lines(&healthy);
    let spoilt = |effect: Effect| {
        simulator.faults().clear_all();
        simulator.inject(Fault::new(effect.clone()).on("binance-vision").path("2024-05-30"));
        assert!(checksum_agrees(&simulator, DAY), "{effect:?}");
        lines(&unzip(&ask(&simulator, DAY)).1)
    };
    assert_eq!(spoilt(Effect::TruncatedDay { hour: 18 }), whole[..18 * 60]);
    assert_eq!(spoilt(Effect::DuplicateRows).len(), 1440 + 120);
    let turned = spoilt(Effect::UnorderedRows);
    assert_eq!((&turned[..720], &turned[720..]), (&whole[720..], &whole[..720]));
    assert_eq!(
        spoilt(Effect::Header {
            style: HeaderStyle::Present
        })
        .len(),
        1441
    );
    let repeated = spoilt(Effect::Header {
        style: HeaderStyle::Repeated,
    });
    assert_eq!(repeated.iter().filter(|line| line.starts_with("open_time")).count(), 2);
    assert_eq!(
        spoilt(Effect::Unit {
            unit: TimeUnit::Microseconds
        })[0]
            .find(','),
        Some(16)
    );
    let mixed = spoilt(Effect::MixedUnits);
    assert_eq!((mixed[0].find(','), mixed[1439].find(',')), (Some(13), Some(16)));
    assert!(spoilt(Effect::OffGrid)[0].starts_with("1717028894789,"));
    assert_ne!(spoilt(Effect::Revised), whole);
}

#[test]
fn a_spoilt_month_lacks_days_or_disagrees_with_them() {
    let simulator = simulator();
    let whole = unzip(&ask(&simulator, MONTH)).1;
    let rows = |effect| {
        simulator.faults().clear_all();
        simulator.inject(Fault::new(effect));
        assert!(checksum_agrees(&simulator, MONTH));
        unzip(&ask(&simulator, MONTH)).1
    };
    assert_eq!(whole.lines().count(), 720);
    assert_eq!(rows(Effect::ShortMonth { days: 7 }).lines().count(), 168);
    assert_eq!(rows(Effect::MissingDay { day: 16 }).lines().count(), 696);
    let differing = rows(Effect::MonthlyDiffers);
    assert_eq!(differing.lines().count(), 720);
    assert_ne!(differing, whole);
}

#[test]
fn checksums_can_be_wrong_stale_missing_or_half_replaced() {
    let simulator = simulator();
    for effect in [Effect::WrongChecksum, Effect::StaleChecksum, Effect::TornPair] {
        simulator.faults().clear_all();
        simulator.inject(Fault::new(effect.clone()));
        assert!(!checksum_agrees(&simulator, DAY), "{effect:?}");
        assert_eq!(unzip(&ask(&simulator, DAY)).1.lines().count(), 1440);
    }
    simulator.faults().clear_all();
    simulator.inject(Fault::new(Effect::MissingChecksum));
    assert_eq!(ask(&simulator, &format!("{DAY}.CHECKSUM")).status, 404);
    assert_eq!(ask(&simulator, DAY).status, 200);
}

#[test]
fn a_corrupt_zip_passes_its_checksum_and_nothing_else() {
    let simulator = simulator();
    simulator.inject(Fault::new(Effect::CorruptZip));
    assert!(checksum_agrees(&simulator, DAY));
    assert!(zip::ZipArchive::new(Cursor::new(ask(&simulator, DAY).body.to_vec())).is_err());
}

#[test]
fn hostile_archives_are_well_formed() {
    let simulator = simulator();
    let open = |effect| {
        simulator.faults().clear_all();
        simulator.inject(Fault::new(effect));
        zip::ZipArchive::new(Cursor::new(ask(&simulator, DAY).body.to_vec())).unwrap()
    };
    assert_eq!(open(Effect::TwoMembers).len(), 2);
    assert_eq!(
        open(Effect::EvilMemberName).by_index(0).unwrap().name().unwrap(),
        "../../evil.csv"
    );
    let mut bomb = open(Effect::ZipBomb { mebibytes: 64 });
    let member = bomb.by_index(0).unwrap();
    assert_eq!(member.size(), 64 * 1024 * 1024);
    assert!(member.compressed_size() < 1024 * 1024);
}

#[test]
fn absence_comes_in_kinds() {
    let simulator = simulator();
    simulator.inject(Fault::new(Effect::NotFound).path("2024-05-29"));
    simulator.inject(Fault::new(Effect::Delayed { hours: 48 }).path("BTCUSDT-1m-2024-05-30"));
    assert_eq!(ask(&simulator, &DAY.replace("05-30", "05-29")).status, 404);
    assert_eq!(ask(&simulator, DAY).status, 404);
    assert_eq!(ask(&simulator, &format!("{DAY}.CHECKSUM")).status, 404);
    simulator.clock().advance(48 * time::HOUR);
    assert_eq!(ask(&simulator, DAY).status, 200);
    simulator.inject(Fault::new(Effect::Forbidden));
    assert!(ask(&simulator, DAY).text().contains("AccessDenied"));
}

#[test]
fn the_same_archive_has_the_same_bytes_in_every_process() {
    assert_eq!(ask(&simulator(), DAY).body, ask(&simulator(), DAY).body);
}

const BUCKET: &str = "s3-ap-northeast-1.amazonaws.com/data.binance.vision";

/// The texts of an element.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .map(|part| part.split(&close).next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_bucket_lists_a_thousand_keys_a_page_in_order() {
    let simulator = simulator();
    let prefix = "data/spot/daily/klines/BTCUSDT/1m/";
    let mut marker = String::new();
    let mut keys: Vec<String> = Vec::new();
    loop {
        let xml = ask(
            &simulator,
            &format!("{BUCKET}?delimiter=/&prefix={prefix}&marker={marker}"),
        )
        .text();
        assert!(xml.contains("<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"));
        let page = elements(&xml, "Key");
        keys.extend(page.clone());
        match elements(&xml, "NextMarker").first() {
            Some(next) => {
                assert_eq!(page.len(), 1000);
                marker.clone_from(next);
            }
            None => break,
        }
    }
    assert!(keys.is_sorted());
    assert_eq!(keys[0], format!("{prefix}BTCUSDT-1m-2017-08-17.zip"));
    assert_eq!(keys[1], format!("{prefix}BTCUSDT-1m-2017-08-17.zip.CHECKSUM"));
    assert_eq!(
        keys.last().unwrap(),
        &format!("{prefix}BTCUSDT-1m-2024-05-31.zip.CHECKSUM")
    );
    let days = (time::parse_instant("2024-06-01").unwrap() - time::parse_instant("2017-08-17").unwrap()) / time::DAY;
    assert_eq!(keys.len() as i64, 2 * days);
}

#[test]
fn folders_are_listed_with_a_delimiter_and_unknown_prefixes_are_empty() {
    let simulator = simulator();
    let list = |query: &str| ask(&simulator, &format!("{BUCKET}?{query}")).text();
    let folders = |prefix: &str| elements(&list(&format!("delimiter=/&prefix={prefix}")), "CommonPrefixes");
    assert_eq!(
        folders("data/"),
        ["<Prefix>data/futures/</Prefix>", "<Prefix>data/spot/</Prefix>"]
    );
    assert_eq!(
        folders("data/spot/"),
        [
            "<Prefix>data/spot/daily/</Prefix>",
            "<Prefix>data/spot/monthly/</Prefix>"
        ]
    );
    assert!(
        folders("data/spot/daily/klines/").contains(&"<Prefix>data/spot/daily/klines/BTCUSDT/</Prefix>".to_owned())
    );
    assert_eq!(folders("data/spot/monthly/klines/BTCUSDT/").len(), 16);
    assert_eq!(folders("data/spot/daily/klines/BTCUSDT/").len(), 13);
    let unknown = list("delimiter=/&prefix=data/spot/daily/klines/NOSUCH/1m/");
    assert!(elements(&unknown, "Key").is_empty() && unknown.contains("<IsTruncated>false<"));
    let two = list("list-type=2&prefix=data/futures/um/monthly/klines/BTCUSDT/1d/&max-keys=3");
    assert_eq!(elements(&two, "KeyCount"), ["3"]);
    let token = elements(&two, "NextContinuationToken").remove(0);
    let next = list(&format!(
        "list-type=2&prefix=data/futures/um/monthly/klines/BTCUSDT/1d/&continuation-token={token}"
    ));
    assert!(elements(&next, "Key")[0] > token);
    let version_one = list("prefix=data/spot/daily/klines/BTCUSDT/1m/");
    assert!(elements(&version_one, "NextMarker").is_empty() && version_one.contains("<IsTruncated>true<"));
}

#[test]
fn the_archive_itself_answers_a_listing_with_a_page_for_browsers() {
    let page = ask(
        &simulator(),
        "data.binance.vision/?delimiter=/&prefix=data/spot/daily/klines/BTCUSDT/1m/",
    );
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
}

#[test]
fn rows_can_conflict_stray_and_be_impossible() {
    let simulator = simulator();
    let spoilt = |effect: Effect| {
        simulator.faults().clear_all();
        simulator.inject(Fault::new(effect));
        assert!(checksum_agrees(&simulator, DAY));
        unzip(&ask(&simulator, DAY)).1
    };
    assert_eq!(spoilt(Effect::ConflictingRows).lines().count(), 1500);
    assert!(
        spoilt(Effect::StrayRow)
            .lines()
            .last()
            .unwrap()
            .starts_with("1717200000000,")
    );
    assert!(spoilt(Effect::NotANumber).lines().nth(720).unwrap().contains(",NaN,"));
    let text = spoilt(Effect::ImpossibleRow);
    let columns: Vec<f64> = text
        .lines()
        .nth(720)
        .unwrap()
        .split(',')
        .map(|column| column.parse().unwrap())
        .collect();
    assert!(columns[3] > columns[2]);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn effect() -> impl Strategy<Value = Effect> {
        proptest::sample::select(vec![
            Effect::NotFound,
            Effect::Delayed { hours: i64::MAX },
            Effect::TruncatedDay { hour: 255 },
            Effect::ShortMonth { days: 0 },
            Effect::MissingDay { day: 255 },
            Effect::MonthlyDiffers,
            Effect::Revised,
            Effect::DuplicateRows,
            Effect::ConflictingRows,
            Effect::UnorderedRows,
            Effect::ImpossibleRow,
            Effect::NotANumber,
            Effect::StrayRow,
            Effect::OffGrid,
            Effect::MixedUnits,
            Effect::CorruptZip,
            Effect::TwoMembers,
            Effect::TornPair,
            Effect::WrongChecksum,
            Effect::TruncatedBody,
            Effect::ResetMidBody { after: usize::MAX },
            Effect::ShortBody { missing: usize::MAX },
            Effect::CapRows { rows: 0 },
            Effect::MissingRow,
            Effect::FutureRow,
            Effect::PageRepeatsRows,
            Effect::PageOutOfOrder,
            Effect::WrongRange { hours: i64::MIN },
            Effect::WrongInterval { interval: "1M".into() },
            Effect::WrongSymbol {
                symbol: "NOSUCH".into(),
            },
            Effect::UnsettledRows { milliseconds: i64::MAX },
            Effect::QuotedNumbers,
            Effect::Latency { milliseconds: u64::MAX },
            Effect::ClockSkew { milliseconds: i64::MIN },
            Effect::Banned { retry_after: i64::MAX },
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        /// Faults combine: no pile of them makes the simulator itself fall over.
        #[test]
        fn no_pile_of_faults_is_too_high(effects in proptest::collection::vec(effect(), 0..5)) {
            // Shared, because adding up years for one effect is slow and the sums are the same for all.
            static SIMULATOR: std::sync::LazyLock<Simulator> = std::sync::LazyLock::new(simulator);
            let simulator = &*SIMULATOR;
            simulator.faults().clear_all();
            simulator.journal().clear();
            effects.into_iter().for_each(|effect| { simulator.inject(Fault::new(effect).times(9)); });
            for target in [
                DAY.replace("1m", "1h"),
                MONTH.to_owned(),
                format!("{MONTH}.CHECKSUM"),
                "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1h".to_owned(),
                "dapi.binance.com/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1d".to_owned(),
                "fapi.binance.com/fapi/v1/time".to_owned(),
            ] {
                ask(simulator, &target);
            }
            prop_assert_eq!(simulator.journal().len(), 6);
        }
    }
}

#[test]
fn a_month_of_funding_rates_is_one_csv_of_true_rates_and_can_be_listed() {
    let simulator = simulator();
    let month = "data.binance.vision/data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-04.zip";
    let (name, text) = unzip(&ask(&simulator, month));
    assert_eq!(name, "BTCUSDT-fundingRate-2024-04.csv");
    let instant = |text| time::parse_instant(text).unwrap();
    let truth = simulator.market().funding_rates(
        ExchangeMarket::UsdM,
        "BTCUSDT",
        instant("2024-04-01")..instant("2024-05-01"),
    );
    let rows = truth.iter().map(|rate| {
        let (time, hours) = (rate.funding_time / 1000, rate.interval_hours);
        format!("{time},{hours},{}", rate.rate_text())
    });
    let lines: Vec<String> = std::iter::once("calc_time,funding_interval_hours,last_funding_rate".to_owned())
        .chain(rows)
        .collect();
    assert!(text.lines().eq(lines), "{text}");
    assert!(checksum_agrees(&simulator, month));
    let absent = [
        "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-06.zip",
        "data/futures/um/daily/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-04-01.zip",
        "data/spot/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-04.zip",
    ];
    for key in absent {
        assert_eq!(
            ask(&simulator, &format!("data.binance.vision/{key}")).status,
            404,
            "{key}"
        );
    }
    let prefix = "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-";
    let listing = format!("s3-ap-northeast-1.amazonaws.com/data.binance.vision?prefix={prefix}&max-keys=3");
    let first = ask(&simulator, &listing).text();
    assert!(first.contains(prefix) && first.contains("<IsTruncated>true"), "{first}");

    simulator.inject(Fault::new(Effect::ShortMonth { days: 2 }));
    let (_, short) = unzip(&ask(&simulator, month));
    assert!(short.lines().count() < 60 && checksum_agrees(&simulator, month));
}
