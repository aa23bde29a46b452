//! Recordings in the place of the market. The folder is written by the test.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;

use evercandle_simulator::{Config, Replay, Request, Response, Simulator, time};

const ROWS: &str = r#"[
  [1735689600000,"93576.00000000","94509.42000000","93489.03000000","94401.14000000","755.99010000",1735693199999,"71052353.23112000",151288,"420.10000000","39484131.10000000","0"],
  [1735693200000,"94401.13000000","94408.72000000","93578.77000000","93607.74000000","586.53456000",1735696799999,"55109314.90000000",118412,"250.20000000","23507451.00000000","0"]
]"#;
const CSV: &str = "1577836800000,7195.24000000,7196.25000000,7178.64000000,7186.68000000,642.81918000,1577840399999,4622377.81010000,6314,317.48710000,2282787.80700000,0\n";

fn simulator() -> Simulator {
    let folder = tempfile::tempdir().unwrap();
    let spot = folder.path().join("vision/spot");
    fs::create_dir_all(folder.path().join("rest-klines")).unwrap();
    fs::create_dir_all(&spot).unwrap();
    fs::write(folder.path().join("rest-klines/BTCUSDT_1h_2025-01-01.json"), ROWS).unwrap();
    fs::write(spot.join("BTCUSDT-1h-2020-01-01.csv"), CSV).unwrap();
    let replay = Replay::open(folder.path()).unwrap();
    assert_eq!(
        replay.archive_keys(),
        ["data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2020-01-01.zip"]
    );
    Simulator::new(
        Config::default()
            .at(time::parse_instant("2025-06-01").unwrap())
            .replay(replay),
    )
}

fn ask(simulator: &Simulator, target: &str) -> Response {
    simulator
        .respond(&Request::get(target), simulator.clock().now())
        .response
}

#[test]
fn rows_come_back_digit_for_digit() {
    let simulator = simulator();
    let base = "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1h";
    let page = ask(
        &simulator,
        &format!("{base}&startTime=1735689600000&endTime=1735693199999"),
    )
    .text();
    assert_eq!(
        page,
        format!("[{}]", ROWS.lines().nth(1).unwrap().trim().trim_end_matches(','))
    );
    let all: Vec<serde_json::Value> = serde_json::from_str(&ask(&simulator, base).text()).unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all[0][1], "7195.24000000");
}

#[test]
fn unpacked_files_are_packed_again_with_a_checksum() {
    let simulator = simulator();
    let target = "data.binance.vision/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2020-01-01.zip";
    let zip = ask(&simulator, target);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip.body.to_vec())).unwrap();
    let mut text = String::new();
    archive
        .by_name("BTCUSDT-1h-2020-01-01.csv")
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, CSV);
    assert_eq!(
        ask(&simulator, &format!("{target}.CHECKSUM")).body.len(),
        64 + 2 + "BTCUSDT-1h-2020-01-01.zip".len()
    );
}

#[test]
fn a_recording_speaks_alone_for_its_symbols_and_not_at_all_for_others() {
    let simulator = simulator();
    let other = "data.binance.vision/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2020-01-02.zip";
    assert_eq!(ask(&simulator, other).status, 404);
    assert_eq!(
        ask(&simulator, "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m").text(),
        "[]"
    );
    assert_eq!(ask(&simulator, &other.replace("BTCUSDT", "ETHUSDT")).status, 200);
}

/// Goal: every recording kept outside the tree can be read. Method: open the folder if it is there, count what it holds.
#[test]
fn the_shared_recordings_are_readable_where_they_are() {
    let folder = std::env::var("EVERCANDLE_RECORDED").unwrap_or_else(|_| "../../../shared/recorded".to_owned());
    if !std::path::Path::new(&folder).is_dir() {
        return;
    }
    let replay = Replay::open(&folder).unwrap();
    assert!(replay.series().len() >= 10, "{:?}", replay.series());
    assert!(replay.archive_keys().len() >= 20, "{:?}", replay.archive_keys());
}
