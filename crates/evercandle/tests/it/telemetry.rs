//! What the metrics are called, and what they count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evercandle::{Market, Request, SentimentRequest, Symbol};
use evercandle_simulator::{Effect, Fault};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use crate::support::{World, range, series};

/// Every metric there is with its labels; whoever changes this changes somebody's dashboards and alerts.
const METRICS: &[(&str, &[&str])] = &[
    ("qt_cache_hits_total", &["cache_name", "result"]),
    ("qt_cache_read_seconds", &["cache_name"]),
    ("qt_cache_readonly", &[]),
    ("qt_common_cause_suspected", &[]),
    ("qt_latest_not_fresh", &["cache_name"]),
    ("qt_provider_circuit_open", &["provider"]),
    ("qt_provider_failures_total", &["provider"]),
    ("qt_provider_latency_seconds", &["outcome", "provider"]),
    ("qt_provider_probe_total", &["provider", "result"]),
    ("qt_provider_quota_used_ratio", &["group"]),
    ("qt_provider_quarantined", &["provider"]),
    ("qt_provider_skipped_total", &["provider", "reason"]),
    ("qt_provider_state", &["provider", "state"]),
    ("qt_provider_success_total", &["provider"]),
    ("qt_provider_throttled_total", &["provider"]),
    ("qt_stale_refused_total", &["cache_name"]),
    ("qt_stale_served_total", &["cache_name"]),
    ("qt_substitutes_served_total", &["provider"]),
];

/// Metric and labels (`name{a=b,c=d}`) → value; histograms count their samples.
fn read(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let all = snapshotter.snapshot().into_vec();
    let line = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
        let mut labels: Vec<String> = key
            .key()
            .labels()
            .map(|l| format!("{}={}", l.key(), l.value()))
            .collect();
        labels.sort();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(samples) => samples.len() as f64,
        };
        (format!("{}{{{}}}", key.key().name(), labels.join(",")), value)
    };
    all.into_iter().map(line).collect()
}

/// Goal: an outage, told by numbers alone. Method: an hour in the life of an upstream, and the numbers after each part.
/// The recorder forgets what was read, so that each reading is what has happened since the last.
#[tokio::test]
async fn an_outage_is_told_by_numbers_alone_and_no_label_carries_a_symbol() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let world = World::new().await;
    let client = world.client();
    let zero = read(&snapshotter);
    for provider in [
        "binance-vision",
        "binance",
        "binance-futures",
        "coingecko",
        "alternative-me",
    ] {
        assert_eq!(zero[&format!("qt_provider_circuit_open{{provider={provider}}}")], 0.0);
        assert_eq!(zero[&format!("qt_provider_failures_total{{provider={provider}}}")], 0.0);
    }
    let mut names = BTreeSet::new();
    let mut take = || {
        let now = read(&snapshotter);
        names.extend(now.keys().cloned());
        now
    };

    let day = |day: u8| {
        let (start, end) = (format!("2024-05-{day:02}"), format!("2024-05-{:02}", day + 1));
        Request::new(series("BTCUSDT", "1h", Market::Spot), range(&start, &end))
    };
    client.get_data(day(1)).await.unwrap();
    client.get_data(day(1)).await.unwrap();
    let well = take();
    assert!(well["qt_provider_success_total{provider=binance}"] >= 1.0, "{well:#?}");
    assert_eq!(well["qt_cache_hits_total{cache_name=klines,result=miss}"], 1.0);
    assert_eq!(well["qt_cache_hits_total{cache_name=klines,result=hit}"], 1.0);

    for host in ["binance-spot", "binance-market-data"] {
        world.down(host);
    }
    for n in 2..6 {
        client.get_data(day(n)).await.unwrap();
    }
    let down = take();
    assert_eq!(down["qt_provider_circuit_open{provider=binance}"], 1.0, "{down:#?}");
    assert_eq!(down["qt_provider_state{provider=binance,state=open}"], 1.0);
    let failures = down["qt_provider_failures_total{provider=binance}"];
    let timed: f64 = down
        .iter()
        .filter(|(key, _)| key.starts_with("qt_provider_latency_seconds") && key.contains("provider=binance}"))
        .map(|(_, samples)| samples)
        .sum();
    assert!(
        failures >= 3.0 && timed >= failures,
        "every attempt is timed, failed ones too: {down:#?}"
    );
    assert!(down["qt_provider_skipped_total{provider=binance,reason=circuit_open}"] >= 1.0);

    // The substitute, then nobody; the gauge stays up while the probe fails.
    let btc = Symbol::new("BTCUSDT").unwrap();
    client.price(Market::Spot, &btc).await.unwrap();
    world.clock.advance(Duration::from_secs(40));
    let mut probed: BTreeMap<String, f64> = BTreeMap::new();
    for _ in 0..200 {
        let now = take();
        now.into_iter()
            .for_each(|(key, value)| *probed.entry(key).or_insert(0.0) += value);
        let probes = probed.get("qt_provider_probe_total{provider=binance,result=unreachable}");
        if probes.is_some_and(|count| *count > 0.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        probed["qt_provider_probe_total{provider=binance,result=unreachable}"], 1.0,
        "{probed:#?}"
    );
    assert_eq!(probed["qt_substitutes_served_total{provider=coingecko}"], 1.0);

    client.sentiment(SentimentRequest::default()).await.unwrap();
    let limited = Fault::new(Effect::RateLimited { retry_after: 600 });
    world.sim.inject(limited.on("binance-usdm"));
    let _ = client.price(Market::Um, &btc).await;
    world.down("");
    world.clock.advance(Duration::from_secs(60));
    let _ = client.price(Market::Spot, &btc).await;
    take();

    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in &names {
        assert!(
            !line.contains("BTC") && !line.contains("USDT"),
            "a label carries a symbol: {line}"
        );
        let (name, labels) = line.trim_end_matches('}').split_once('{').unwrap();
        let keys = labels
            .split(',')
            .filter_map(|l| l.split_once('='))
            .map(|(key, _)| key.to_owned());
        found.entry(name.to_owned()).or_default().extend(keys);
    }
    let expected: BTreeMap<String, BTreeSet<String>> = METRICS
        .iter()
        .map(|(name, labels)| (name.to_string(), labels.iter().map(|l| l.to_string()).collect()))
        .collect();
    assert_eq!(found, expected);
    let readme = include_str!("../../../../README.md");
    for name in expected.keys() {
        assert!(
            readme.contains(&format!("| `{name}` |")),
            "the README does not list {name}"
        );
    }
}
