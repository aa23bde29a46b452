//! Klines, prices, readings and health made up for tests, without engine or network.

use std::time::Duration;

use evercandle::model::builder::{BatchBuilder, Row};
use evercandle::model::decimals::Printed;
use evercandle::{
    Answer, Attempt, Batch, CircuitState, DayStatistics, Decimal, Gap, GapReason, Grid, Health, Interval, Latency,
    Market, Measure, Nature, Origin, Outcome, Price, PriceState, Probe, ProviderName, QuotaUse, Reading, Segment,
    Sentiment, SentimentState, Series, Status, Symbol, TimeRange, Timestamp, UpstreamHealth, Verification, Via,
};

use crate::args::Global;
use crate::screen::Screen;

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
        resting: None,
        trail: vec![
            attempt("binance-vision", whole, "day", 1, 38, Outcome::Rows(78)),
            attempt("binance", hour, "page", 1, 3000, failed),
            attempt("binance", parts[3], "page", 1, 21, Outcome::Rows(1)),
        ],
        notices: vec!["the cache could not be written: disk full".into()],
    }
}

/// Without colours; `limit`: the columns of a terminal, or none.
pub(crate) fn screen(limit: Option<usize>) -> Screen {
    Screen {
        stdout_limit: limit,
        stdout_color: false,
        stderr_color: false,
        ..Screen::detect(&Global::default())
    }
}

/// One of each kind: live, substitute, stale, halted, last known.
pub(crate) fn prices() -> Vec<Price> {
    let price = |symbol: &str, price: &str, nature, state, age: u64| Price {
        market: Market::Spot,
        symbol: Symbol::new(symbol).unwrap(),
        price: Decimal::positive(price).unwrap(),
        nature,
        state,
        as_of: Timestamp::from_micros(at("2024-01-06T12:00:00Z").as_micros() - age as i64 * 1_000_000),
        age: Duration::from_secs(age),
        day: Some(DayStatistics {
            volume: Some(47_512.25),
            quote_volume: Some(2_672_564_066.5),
            change_percent: Some(-0.826),
            high: Some(61_500.0),
            low: Some(60_100.5),
        }),
        provider: ProviderName::new("binance"),
        fetched_at: at("2024-01-06T12:00:00Z"),
        via: Via::Upstream,
    };
    let bitcoin = "bitcoin in usd, an index over venues; not BTCUSDT: usd stands for USDT";
    vec![
        price("ETHUSDT", "3100.10000000", Nature::Exchange, PriceState::Live, 1),
        Price {
            provider: ProviderName::new("coingecko"),
            day: None,
            ..price(
                "BTCUSDT",
                "61250.5",
                Nature::Substitute(bitcoin.to_owned()),
                PriceState::Substitute,
                45,
            )
        },
        price("XYZUSDT", "0.00001230", Nature::Exchange, PriceState::Stale, 3_900),
        price(
            "LUNAUSDT",
            "26.40",
            Nature::Exchange,
            PriceState::Halted("BREAK".to_owned()),
            90_000,
        ),
        Price {
            via: Via::Cache,
            ..price("SOLUSDT", "142.51000000", Nature::Exchange, PriceState::LastKnown, 312)
        },
    ]
}

/// Five days of the index, one of which was not published.
pub(crate) fn sentiment() -> Sentiment {
    let reading = |day: &str, value, class: &str, until: Option<&str>| Reading {
        value,
        classification: Some(class.to_owned()),
        at: at(day),
        valid_until: until.map(at),
    };
    Sentiment {
        measure: Measure::FearAndGreed,
        readings: vec![
            reading("2024-10-28", 72.0, "Greed", Some("2024-10-29")),
            reading("2024-10-27", 74.0, "Greed", None),
            reading("2024-10-25", 48.0, "Neutral", None),
            reading("2024-10-24", 19.0, "Extreme Fear", None),
        ],
        missing: vec![at("2024-10-26")],
        state: SentimentState::Current,
        age: Duration::from_secs(37_800),
        provider: ProviderName::new("alternative-me"),
        fetched_at: at("2024-10-28T10:30:00Z"),
        via: Via::Upstream,
    }
}

/// Another measure.
pub(crate) fn votes() -> Sentiment {
    Sentiment {
        measure: Measure::Votes {
            coin: "bitcoin".to_owned(),
        },
        readings: vec![Reading {
            value: 81.25,
            classification: None,
            at: at("2024-10-28T10:30:00Z"),
            valid_until: None,
        }],
        missing: Vec::new(),
        age: Duration::from_secs(2),
        provider: ProviderName::new("coingecko"),
        ..sentiment()
    }
}

/// One upstream well, one failed once, one down, one banned, one not asked; and the whole line doubted.
pub(crate) fn health() -> Health {
    let now = at("2024-01-06T12:00:00Z");
    let well = |name: &str, serves: Vec<&'static str>| UpstreamHealth {
        provider: ProviderName::new(name),
        serves,
        status: Status::Ok,
        status_since: now.plus(-3_600_000_000),
        state: CircuitState::Closed,
        circuit_open: false,
        forced: false,
        failure_count: 0,
        answered_last: Some(true),
        success_count: 0,
        failures_total: 0,
        skipped_total: 0,
        opened_at: None,
        cooldown: None,
        retry_at: None,
        quarantine: None,
        last_error: None,
        last_success_at: None,
        last_probe: None,
        latency: None,
        quota: None,
    };
    let ago = |seconds: i64| now.plus(-seconds * 1_000_000);
    let probe = |result| Probe { at: ago(2), result };
    Health {
        at: now,
        upstreams: vec![
            UpstreamHealth {
                success_count: 12,
                last_success_at: Some(ago(2)),
                last_probe: Some(probe(Ok(()))),
                last_error: Some((ago(600), "connection refused".to_owned())),
                latency: Some(Latency {
                    calls: 12,
                    p50: Duration::from_millis(38),
                    p90: Duration::from_millis(60),
                    p99: Duration::from_millis(1240),
                }),
                quota: Some(QuotaUse {
                    group: "binance-spot",
                    used: 120,
                    allowed: 4_800,
                    limit: 6_000,
                }),
                ..well("binance", vec!["klines", "prices"])
            },
            UpstreamHealth {
                status: Status::Degraded,
                failure_count: 1,
                answered_last: Some(false),
                last_probe: Some(probe(Err("no answer within 3000 ms".to_owned()))),
                ..well("binance-vision", vec!["klines"])
            },
            UpstreamHealth {
                status: Status::Down,
                state: CircuitState::Open,
                circuit_open: true,
                failure_count: 3,
                answered_last: Some(false),
                failures_total: 3,
                opened_at: Some(ago(20)),
                cooldown: Some(Duration::from_secs(30)),
                retry_at: Some(now.plus(9_500_000)),
                last_error: Some((ago(20), "connection refused".to_owned())),
                ..well("coingecko", vec!["prices", "sentiment"])
            },
            UpstreamHealth {
                status: Status::Quarantined,
                quarantine: Some("HTTP 418, asked again in 600 s".to_owned()),
                retry_at: Some(now.plus(600_000_000)),
                ..well("alternative-me", vec!["sentiment"])
            },
        ],
        common_cause_since: Some(ago(19)),
        cache_readonly: Some("the disk is full".to_owned()),
        latest: Vec::new(),
    }
}
