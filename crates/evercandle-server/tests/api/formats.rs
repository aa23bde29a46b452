//! The same klines in every format: the exchange's own, to the digit.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use evercandle::model::batch::COLUMN_NAMES;

use crate::support::{Reply, World};

const RANGE: &str = "symbol=BTCUSDT&interval=1h&start=2024-01-01&end=2024-01-03";

/// Rows as texts, in the store's order of columns, times in microseconds.
type Rows = Vec<Vec<String>>;

fn truth(world: &World) -> Rows {
    let rows = world.truth("BTCUSDT", "1h", "2024-01-01", "2024-01-03");
    rows.into_values().map(|fields| fields[..11].to_vec()).collect()
}

/// Goal: the values are the exchange's. Doubles are compared as such, times to the millisecond.
#[track_caller]
fn check(found: &Rows, truth: &Rows, format: &str) {
    assert_eq!(found.len(), truth.len(), "{format}");
    for (found, truth) in found.iter().zip(truth) {
        assert_eq!(found.len(), COLUMN_NAMES.len(), "{format}");
        for (column, (found, truth)) in found.iter().zip(truth).enumerate() {
            match column {
                0 | 6 => {
                    let millis = |text: &str| text.parse::<i64>().unwrap() / 1_000;
                    assert_eq!(millis(found), millis(truth), "{format} column {column}");
                }
                8 => assert_eq!(found, truth, "{format} count"),
                _ => assert_eq!(
                    found.parse::<f64>().unwrap(),
                    truth.parse::<f64>().unwrap(),
                    "{format} column {column}"
                ),
            }
        }
    }
}

fn of_json(klines: &[serde_json::Value]) -> Rows {
    let cell = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let row = |kline: &serde_json::Value| COLUMN_NAMES.iter().map(|name| cell(&kline[name])).collect();
    klines.iter().map(row).collect()
}

fn of_csv(text: &str) -> Rows {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(COLUMN_NAMES.join(",").as_str()));
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

pub(crate) fn of_arrow(batches: &[RecordBatch]) -> Rows {
    let cell = |batch: &RecordBatch, row: usize, column: usize| {
        let array = batch.column(column);
        match column {
            0 | 6 => array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
            8 => array.as_primitive::<Int64Type>().value(row).to_string(),
            _ => array.as_primitive::<Float64Type>().value(row).to_string(),
        }
    };
    let rows = batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    rows.map(|(batch, row)| (0..COLUMN_NAMES.len()).map(|column| cell(batch, row, column)).collect())
        .collect()
}

pub(crate) fn arrow(reply: &Reply) -> (Vec<RecordBatch>, std::collections::HashMap<String, String>) {
    let reader = arrow_ipc::reader::StreamReader::try_new(&reply.body[..], None).unwrap();
    let told = reader.schema().metadata().clone();
    (reader.map(Result::unwrap).collect(), told.into_iter().collect())
}

pub(crate) fn parquet(reply: &Reply) -> Vec<RecordBatch> {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(reply.body.clone())).unwrap();
    let pairs = builder.metadata().file_metadata().key_value_metadata().unwrap();
    assert!(pairs.iter().any(|pair| pair.key == "evercandle.segments"));
    builder.build().unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn every_format_has_the_exchanges_own_values() {
    let world = World::new().await;
    let truth = truth(&world);

    let json = world.get(&format!("/v1/klines?{RANGE}&time=us")).await;
    assert_eq!(json.header("content-type"), "application/json");
    let body = json.json();
    check(&of_json(body["klines"].as_array().unwrap()), &truth, "json");
    assert_eq!(body["complete"], true);
    assert_eq!(body["series"]["symbol"], "BTCUSDT");
    assert_eq!(body["range"]["start"], "2024-01-01T00:00:00Z");
    assert_eq!(body["segments"][0]["provider"], "binance");

    let ndjson = world.get(&format!("/v1/klines?{RANGE}&time=us&format=ndjson")).await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    let lines: Vec<serde_json::Value> = ndjson
        .text()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    check(&of_json(&lines), &truth, "ndjson");

    let csv = world.get(&format!("/v1/klines?{RANGE}&time=us&format=csv")).await;
    assert!(csv.header("content-type").starts_with("text/csv"));
    check(&of_csv(csv.text()), &truth, "csv");

    let stream = world.get(&format!("/v1/klines?{RANGE}&format=arrow")).await;
    assert_eq!(stream.header("content-type"), "application/vnd.apache.arrow.stream");
    let (batches, told) = arrow(&stream);
    check(&of_arrow(&batches), &truth, "arrow");
    assert!(told["evercandle.segments"].contains("binance"));

    let file = world.get(&format!("/v1/klines?{RANGE}&format=parquet")).await;
    assert_eq!(file.header("content-type"), "application/vnd.apache.parquet");
    check(&of_arrow(&parquet(&file)), &truth, "parquet");

    for reply in [&json, &ndjson, &csv, &stream, &file] {
        assert_eq!(reply.header("evercandle-complete"), "?1");
        assert_eq!(reply.header("evercandle-rows"), "48");
        assert!(
            reply
                .header("evercandle-segments")
                .starts_with("binance;start=\"2024-01-01T00:00:00Z\"")
        );
        assert!(reply.headers("vary").contains("accept"), "{reply:?}");
    }
}

#[tokio::test]
async fn exact_decimals_are_what_the_exchange_printed() {
    let world = World::new().await;
    let truth = truth(&world);
    let reply = world
        .get(&format!("/v1/klines?{RANGE}&time=us&decimals=exact&format=csv"))
        .await;
    let decimals = |row: &[String]| [1, 2, 3, 4, 5, 7, 9, 10].map(|column: usize| row[column].clone());
    let found = of_csv(reply.text());
    assert_eq!(found.len(), truth.len());
    for (found, truth) in found.iter().zip(&truth) {
        assert_eq!(decimals(found), decimals(truth));
    }
    let json = world.get(&format!("/v1/klines?{RANGE}&decimals=exact")).await.json();
    assert_eq!(json["klines"][0]["open"], truth[0][1].as_str());
    let (batches, _) = arrow(
        &world
            .get(&format!("/v1/klines?{RANGE}&decimals=exact&format=arrow"))
            .await,
    );
    let open = batches[0]
        .column(1)
        .as_primitive::<arrow_array::types::Decimal128Type>();
    assert_eq!(
        open.value_as_string(0).parse::<f64>().unwrap(),
        truth[0][1].parse::<f64>().unwrap()
    );
}

#[tokio::test]
async fn columns_and_times_are_as_asked_for() {
    let world = World::new().await;
    let path = "/v1/klines?symbol=btc/usdt&interval=1h&start=1704067200&end=2024-01-01T02:00:00Z";
    let json = world
        .get(&format!("{path}&columns=close,open_time&time=ms"))
        .await
        .json();
    let kline = json["klines"][0].as_object().unwrap();
    assert_eq!(
        kline.keys().map(String::as_str).collect::<Vec<_>>(),
        ["close", "open_time"]
    );
    assert_eq!(kline["open_time"], 1_704_067_200_000_i64);
    let csv = world.get(&format!("{path}&columns=close,open_time&format=csv")).await;
    let mut lines = csv.text().lines();
    assert_eq!(lines.next(), Some("close,open_time"));
    assert!(lines.next().unwrap().ends_with(",2024-01-01T00:00:00Z"));
    assert_eq!(lines.count(), 1);
}

#[tokio::test]
async fn the_newest_are_counted_back_from_what_has_closed() {
    let world = World::new().await;
    let newest = world
        .get("/v1/klines?symbol=BTCUSDT&interval=1m&limit=2&columns=open_time")
        .await
        .json();
    let opens: Vec<&str> = newest["klines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k["open_time"].as_str().unwrap())
        .collect();
    assert_eq!(opens, ["2024-06-12T10:28:00Z", "2024-06-12T10:29:00Z"]);
    let forming = world
        .get("/v1/klines?symbol=BTCUSDT&interval=1m&limit=2&forming=true")
        .await
        .json();
    assert_eq!(forming["klines"][1]["open_time"], "2024-06-12T10:30:00Z");
    assert_eq!(forming["segments"][1]["verification"]["kind"], "unsettled");
    let usual = world.get("/v1/klines?symbol=BTCUSDT&interval=1m").await.json();
    assert_eq!(usual["klines"].as_array().unwrap().len(), 100);
    let within = world
        .get(&format!("/v1/klines?{RANGE}&limit=3&columns=open_time&format=csv"))
        .await;
    assert_eq!(
        within.text().lines().nth(1),
        Some("2024-01-01T00:00:00Z"),
        "from a start, forward"
    );
}

#[tokio::test]
async fn accept_chooses_the_format_unless_the_url_does() {
    let world = World::new().await;
    let ask = async |accept: &str, more: &str| {
        let path = format!("/v1/klines?{RANGE}{more}");
        world.ask("GET", &path, &[("Accept", accept)]).await
    };
    for (accept, expected) in [
        ("*/*", "application/json"),
        (
            "text/csv;q=0.9, application/json;q=0.5",
            "text/csv; charset=utf-8; header=present",
        ),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        (
            "text/html, application/vnd.apache.arrow.stream;q=0.1",
            "application/vnd.apache.arrow.stream",
        ),
    ] {
        assert_eq!(ask(accept, "").await.header("content-type"), expected, "{accept}");
    }
    assert_eq!(
        ask("application/json", "&format=ndjson").await.header("content-type"),
        "application/x-ndjson"
    );
    let refused = ask("image/png", "").await;
    assert_eq!(refused.status, 406);
    assert!(refused.problem()["detail"].as_str().unwrap().contains("text/csv (csv)"));
}

#[tokio::test]
async fn texts_are_compressed_and_what_is_small_or_compressed_already_is_not() {
    let world = World::new().await;
    let ask = async |path: &str, encodings: &str| world.ask("GET", path, &[("Accept-Encoding", encodings)]).await;
    let json = format!("/v1/klines?{RANGE}");
    let plain = world.get(&json).await;
    for (encoding, magic) in [("gzip", &[0x1f, 0x8b][..]), ("zstd", &[0x28, 0xb5, 0x2f, 0xfd])] {
        let packed = ask(&json, encoding).await;
        assert_eq!(packed.header("content-encoding"), encoding);
        assert!(
            packed.body.starts_with(magic) && packed.body.len() * 2 < plain.body.len(),
            "{encoding}"
        );
        assert!(packed.headers("vary").contains("accept-encoding"));
    }
    for path in [
        format!("/v1/klines?{RANGE}&format=parquet"),
        format!("/v1/klines?{RANGE}&format=arrow"),
        "/v1/klines?symbol=BTCUSDT&interval=1h&limit=1&columns=close&format=csv".to_owned(),
    ] {
        assert_eq!(ask(&path, "gzip, zstd").await.header("content-encoding"), "", "{path}");
    }
}
