//! Klines made up for tests, without engine or network.

use evercandle::model::builder::{BatchBuilder, Row};
use evercandle::model::decimals::Printed;
use evercandle::{
    Answer, Attempt, Batch, Gap, GapReason, Grid, Interval, Origin, Outcome, ProviderName, Segment, Series, TimeRange,
    Timestamp, Verification, Via,
};

pub(crate) fn at(text: &str) -> Timestamp {
    let text = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

pub(crate) fn range(start: &str, end: &str) -> TimeRange {
    TimeRange::new(at(start), at(end)).unwrap()
}

pub(crate) fn hours() -> Series {
    Series::parse("BTCUSDT", Interval::H1, None).unwrap()
}

/// Klines of every slot in `range`: a wave, so that some rise and some fall.
pub(crate) fn batch(series: &Series, range: TimeRange) -> Batch {
    let grid = Grid::new(series.interval(), None);
    let mut builder = BatchBuilder::new(series.clone(), 0);
    for slot in grid.slots(range) {
        let n = slot.as_micros() / series.interval().nominal_micros();
        let price = |n: i64| 42_000.0 + 900.0 * (n as f64 / 17.0).sin() + 150.0 * (n as f64 * 1.7).sin();
        let (open, close) = (price(n), price(n + 1));
        let (high, low) = (
            open.max(close) + (n % 7) as f64 * 9.0,
            open.min(close) - (n % 5) as f64 * 11.0,
        );
        let texts = [open, high, low, close].map(|p| format!("{p:.2}"));
        let volume = format!("{:.5}", 10.0 + (n % 24) as f64 * 3.25 + (close - open).abs() / 4.0);
        let texts: Vec<String> = texts
            .into_iter()
            .chain([
                volume,
                "17928899123.62484339".into(),
                "5.10000".into(),
                "214200.50000000".into(),
            ])
            .collect();
        builder.push(&Row {
            open_time: slot.as_micros(),
            close_time: grid.next(slot).as_micros() - 1_000,
            count: 100 + n % 13,
            values: std::array::from_fn(|i| Printed::parse(texts[i].as_bytes()).unwrap()),
        });
    }
    builder.finish(range).unwrap().0
}

/// Hours of five days with a halt of six hours, one hour that could not be had, and the last still unsettled.
pub(crate) fn answer() -> Answer {
    let series = hours();
    let parts = [
        range("2024-01-01", "2024-01-02T10:00:00Z"),
        range("2024-01-02T16:00:00Z", "2024-01-04"),
        range("2024-01-04T01:00:00Z", "2024-01-05T23:00:00Z"),
        range("2024-01-05T23:00:00Z", "2024-01-06"),
    ];
    let origin = |provider: &str, verification| Origin {
        provider: ProviderName::new(provider),
        fetched_at: at("2024-01-06T00:00:02Z"),
        verification,
    };
    let checksum = Verification::Checksum {
        sha256: "ab".repeat(32),
        etag: Some("\"e\"".into()),
    };
    let segment = |range, origin, via| Segment { range, origin, via };
    let vision = origin("binance-vision", checksum);
    let failed = Outcome::Failed {
        kind: "unreachable",
        why: "connection refused".into(),
    };
    let attempt = |provider: &str, range, form, number, millis, outcome| Attempt {
        provider: ProviderName::new(provider),
        range: Some(range),
        form,
        number,
        at: at("2024-01-06T00:00:01Z"),
        took: std::time::Duration::from_millis(millis),
        outcome,
    };
    let whole = range("2024-01-01", "2024-01-06");
    let hour = range("2024-01-04", "2024-01-04T01:00:00Z");
    Answer {
        series: series.clone(),
        range: whole,
        grid: Grid::new(Interval::H1, None),
        batches: parts.iter().map(|r| batch(&series, *r)).collect(),
        segments: vec![
            segment(parts[0], vision.clone(), Via::Cache),
            segment(parts[1], vision, Via::Upstream),
            segment(parts[2], origin("binance", Verification::Structural), Via::Upstream),
            segment(parts[3], origin("binance", Verification::Unsettled), Via::Upstream),
        ],
        gaps: vec![
            Gap {
                range: range("2024-01-02T10:00:00Z", "2024-01-02T16:00:00Z"),
                reason: GapReason::VenueHalt,
            },
            Gap {
                range: hour,
                reason: GapReason::NoUpstreamLeft(vec![(ProviderName::new("binance"), "connection refused".into())]),
            },
        ],
        trail: vec![
            attempt("binance-vision", whole, "day", 1, 38, Outcome::Rows(78)),
            attempt("binance", hour, "page", 1, 3000, failed),
            attempt("binance", parts[3], "page", 1, 21, Outcome::Rows(1)),
        ],
        notices: vec!["the cache could not be written: disk full".into()],
    }
}
