use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use bytes_of::Shared;

use evercandle::model::batch::COLUMN_NAMES;
use evercandle_formats::{Head, Story};

use super::table::Shown;
use super::*;
use crate::fixture;

mod bytes_of {
    use super::*;

    #[derive(Clone, Default)]
    pub(super) struct Shared(pub(super) Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

fn style(time: TimeFormat, decimals: DecimalFormat, names: &[&str]) -> Style {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    super::style(evercandle::Kind::Klines, time, decimals, &names).unwrap()
}

/// The fixture's answer as bytes, its story known beforehand or only at the end.
fn written(format: Format, style: Style, known: bool) -> Vec<u8> {
    written_within(None, format, style, known)
}

fn written_within(limit: Option<usize>, format: Format, style: Style, known: bool) -> Vec<u8> {
    let answer = fixture::answer();
    let mut story = Story::new(answer.series.clone(), answer.range);
    let batches = story.add(answer);
    let bytes = Shared::default();
    let mut sink = sink(
        format,
        style,
        Box::new(bytes.clone()),
        Shown {
            limit,
            ..Shown::default()
        },
    );
    let scales = evercandle_formats::sink::scales(&batches);
    let head = Head {
        series: &story.series,
        range: story.range,
        story: known.then_some(&story),
        scales,
    };
    sink.begin(&head).unwrap();
    for batch in &batches {
        sink.batch(batch).unwrap();
    }
    sink.end(&story).unwrap();
    drop(sink);
    let bytes = bytes.0.lock().unwrap();
    bytes.clone()
}

fn text(format: Format, style: Style) -> String {
    String::from_utf8(written(format, style, true)).unwrap()
}

const SOME: [&str; 4] = ["open_time", "open", "quote_volume", "count"];

#[test]
fn csv_gives_doubles_back_and_exact_text_on_request() {
    let csv = text(Format::Csv, style(TimeFormat::Rfc3339, DecimalFormat::Float, &SOME));
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("open_time,open,quote_volume,count"));
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("2024-01-01T00:00:00Z,") && first.contains(",17928899123.624844,"),
        "{first}"
    );
    assert_eq!(csv.lines().count(), 114);
    let batch = &fixture::answer().batches[0];
    for (row, line) in csv.lines().skip(1).take(batch.len()).enumerate() {
        assert_eq!(
            line.split(',').nth(1).unwrap().parse::<f64>().unwrap(),
            batch.floats(1)[row]
        );
    }
    let exact = text(Format::Csv, style(TimeFormat::Ms, DecimalFormat::Exact, &SOME));
    let first = exact.lines().nth(1).unwrap();
    assert!(
        first.starts_with("1704067200000,") && first.contains(",17928899123.62484339,"),
        "{first}"
    );
    let micros = text(
        Format::Csv,
        style(TimeFormat::Us, DecimalFormat::Float, &["close_time"]),
    );
    assert_eq!(micros.lines().nth(1), Some("1704070799999000"));
}

#[test]
fn json_is_one_object_with_its_story() {
    let json: serde_json::Value = serde_json::from_str(&text(
        Format::Json,
        style(TimeFormat::Rfc3339, DecimalFormat::Float, &[]),
    ))
    .unwrap();
    assert_eq!(json["series"]["symbol"], "BTCUSDT");
    assert_eq!(json["range"]["end"], "2024-01-06T00:00:00Z");
    assert_eq!(json["klines"].as_array().unwrap().len(), 113);
    assert_eq!(json["klines"][0]["quote_volume"], 17_928_899_123.624_844);
    assert_eq!(json["gaps"][0]["reason"], "venue_halt");
    assert_eq!(json["gaps"][0]["slots"], 6);
    assert_eq!(json["gaps"][1]["tried"][0]["why"], "connection refused");
    assert_eq!(json["segments"][0]["verification"]["kind"], "checksum");
    assert_eq!(json["segments"][3]["verification"]["kind"], "unsettled");
    assert_eq!(json["complete"], false);
    let exact: serde_json::Value =
        serde_json::from_str(&text(Format::Json, style(TimeFormat::Us, DecimalFormat::Exact, &SOME))).unwrap();
    assert_eq!(exact["klines"][0]["quote_volume"], "17928899123.62484339");
    assert_eq!(exact["klines"][0]["open_time"], 1_704_067_200_000_000_i64);
}

#[test]
fn ndjson_is_one_kline_a_line() {
    let lines = text(Format::Ndjson, style(TimeFormat::Rfc3339, DecimalFormat::Float, &SOME));
    assert_eq!(lines.lines().count(), 113);
    for line in lines.lines() {
        let kline: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(kline.as_object().unwrap().len(), 4);
    }
}

fn check_columns(batches: &[RecordBatch]) {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 113);
    let first = &batches[0];
    assert_eq!(
        first.column(0).as_primitive::<TimestampMicrosecondType>().value(0),
        1_704_067_200_000_000
    );
    assert_eq!(
        first.schema().field(5).metadata().get("unit").map(String::as_str),
        Some("base")
    );
    let stored = &fixture::answer().batches[0];
    for column in [1, 2, 5, 7] {
        let values = first.column(column).as_primitive::<Float64Type>().values();
        assert_eq!(values[..stored.len()], stored.floats(column)[..]);
    }
}

fn check_exact(first: &RecordBatch) {
    let quote = first.column(2).as_primitive::<Decimal128Type>();
    assert_eq!((quote.scale(), quote.value(0)), (8, 1_792_889_912_362_484_339));
    assert_eq!(quote.null_count(), 0);
}

fn arrow_read(bytes: Vec<u8>) -> (Vec<RecordBatch>, arrow_ipc::reader::FileReader<io::Cursor<Vec<u8>>>) {
    let mut reader = arrow_ipc::reader::FileReader::try_new(io::Cursor::new(bytes), None).unwrap();
    let batches = reader.by_ref().map(Result::unwrap).collect();
    (batches, reader)
}

#[test]
fn arrow_is_read_back_with_units_and_story() {
    for known in [true, false] {
        let (batches, reader) = arrow_read(written(
            Format::Arrow,
            style(TimeFormat::Rfc3339, DecimalFormat::Float, &[]),
            known,
        ));
        check_columns(&batches);
        let footer = reader.custom_metadata();
        assert!(footer["evercandle.gaps"].contains("venue_halt") && footer["evercandle.segments"].contains("checksum"));
        let schema = reader.schema();
        assert_eq!(schema.metadata()["evercandle.series"], "binance/spot/BTCUSDT/1h");
        assert_eq!(schema.metadata().contains_key("evercandle.gaps"), known);
        let exact = written(
            Format::Arrow,
            style(TimeFormat::Rfc3339, DecimalFormat::Exact, &SOME),
            known,
        );
        check_exact(&arrow_read(exact).0[0]);
    }
}

#[test]
fn parquet_is_read_back_with_units_and_story() {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    for known in [true, false] {
        let bytes = written(
            Format::Parquet,
            style(TimeFormat::Rfc3339, DecimalFormat::Float, &[]),
            known,
        );
        let file = tempfile_with(&bytes);
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        let gaps: Vec<_> = pairs.iter().filter(|p| p.key == "evercandle.gaps").collect();
        assert!(!gaps.is_empty() && gaps.iter().all(|p| p.value.as_ref().unwrap().contains("venue_halt")));
        check_columns(&reader.build().unwrap().map(Result::unwrap).collect::<Vec<_>>());
        let exact = written(
            Format::Parquet,
            style(TimeFormat::Rfc3339, DecimalFormat::Exact, &SOME),
            known,
        );
        let reader = ParquetRecordBatchReaderBuilder::try_new(tempfile_with(&exact)).unwrap();
        check_exact(&reader.build().unwrap().next().unwrap().unwrap());
    }
}

fn tempfile_with(bytes: &[u8]) -> std::fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn a_table_shows_head_and_tail() {
    let table = text(Format::Table, style(TimeFormat::Rfc3339, DecimalFormat::Float, &[]));
    insta::assert_snapshot!("table", table);
}

#[test]
fn unknown_columns_are_refused_with_the_one_that_was_meant() {
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        super::style(
            evercandle::Kind::Klines,
            TimeFormat::Rfc3339,
            DecimalFormat::Float,
            &names,
        )
    };
    let error = named(&["open_tme"]).unwrap_err().to_string();
    assert!(error.contains("did you mean open_time?"), "{error}");
    assert!(named(&["open", "open"]).is_err());
}

#[test]
fn a_closed_pipe_is_recognised_through_the_columnar_writers() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let story = Story::new(fixture::hours(), fixture::range("2024-01-01", "2024-01-02"));
    let batch = fixture::batch(&story.series, story.range);
    for format in [
        Format::Csv,
        Format::Json,
        Format::Ndjson,
        Format::Arrow,
        Format::Parquet,
        Format::Table,
    ] {
        let style = style(TimeFormat::Rfc3339, DecimalFormat::Float, &[]);
        let mut sink = sink(format, style, Box::new(Closed), Shown::default());
        let head = Head {
            series: &story.series,
            range: story.range,
            story: None,
            scales: [2; COLUMN_NAMES.len()],
        };
        let result = sink
            .begin(&head)
            .and_then(|()| sink.batch(&batch))
            .and_then(|()| sink.end(&story));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe, "{format:?}");
    }
}

#[test]
fn a_table_is_no_wider_than_its_terminal() {
    for limit in [200, 100, 80, 60, 40, 30] {
        let style = style(TimeFormat::Rfc3339, DecimalFormat::Float, &[]);
        let table = String::from_utf8(written_within(Some(limit), Format::Table, style, true)).unwrap();
        // What follows the rows is prose.
        let rows = table
            .lines()
            .filter(|l| l.starts_with("2024-") || l.starts_with("open_time"));
        assert!(rows.clone().count() > 20);
        assert!(rows.clone().all(|l| l.chars().count() <= limit), "{limit}: {table}");
        if limit >= 80 {
            assert!(rows.clone().all(|l| l.split("  ").count() >= 6), "{limit}: {table}");
        }
    }
}
