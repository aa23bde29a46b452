//! Funding rates, from a simulated internet that fails on command.

use std::path::Path;

use evercandle_simulator::{Config, Effect, ExchangeMarket, Fault, Handle, Simulator};
use serde_json::Value;

use super::{Run, command, finished, run};

/// 2024-04-01 and a month later, in microseconds.
const APRIL: std::ops::Range<i64> = 1_711_929_600_000_000..1_714_521_600_000_000;

struct World {
    sim: Handle,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let now = "2024-06-12T10:30:20Z".parse::<jiff::Timestamp>().unwrap();
        World {
            sim: Simulator::start_blocking(Config::default().at(now.as_microsecond())).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn cache(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, line: &str) -> Run {
        let mut command = command(self.cache());
        command.args(line.split_whitespace());
        command.env("EVERCANDLE_INTERNET", self.sim.base_url());
        finished(command.output().unwrap())
    }

    fn april(&self, options: &str) -> Run {
        self.run(&format!("funding BTCUSDT --start 2024-04 --end 2024-05 {options}"))
    }
}

#[test]
fn a_month_is_printed_as_the_exchange_printed_it_and_then_comes_from_the_cache() {
    let world = World::new();
    let got = world.april("--format csv --decimals exact --time us");
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    let mut expected = "funding_time,funding_rate,mark_price,interval_hours\n".to_owned();
    let settled = world.sim.market().funding_rates(ExchangeMarket::UsdM, "BTCUSDT", APRIL);
    for rate in &settled {
        // Two pages are asked of REST before a month of archives is: REST knows the price and not the interval.
        let (time, text, price) = (rate.funding_time, rate.rate_text(), &rate.mark_price);
        expected += &format!("{time},{text},{price},\n");
    }
    assert_eq!(got.stdout, expected);
    world.sim.journal().clear();
    let again = world.april("--format csv --decimals exact --time us");
    assert_eq!((again.code, again.stdout), (Some(0), expected));
    assert_eq!(world.sim.journal().count(""), 0);
}

#[test]
fn every_format_holds_every_rate() {
    let world = World::new();
    let rates = world.sim.market().funding_rates(ExchangeMarket::UsdM, "BTCUSDT", APRIL);
    let json: Value = serde_json::from_str(&world.april("--format json").stdout).unwrap();
    let rows = json["funding_rates"].as_array().unwrap();
    assert_eq!((rows.len(), json["complete"].as_bool()), (rates.len(), Some(true)));
    assert_eq!(json["series"]["kind"], "funding_rates");
    assert_eq!(json["gaps"], serde_json::json!([]));
    let rate: f64 = rates[0].rate_text().parse().unwrap();
    assert_eq!(rows[0]["funding_rate"].as_f64(), Some(rate));
    assert_eq!(rows[0]["interval_hours"], Value::Null);

    let lines = world
        .april("--format ndjson --columns funding_time,funding_rate --decimals exact")
        .stdout;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["funding_rate"], rates[0].rate_text().as_str());
    assert_eq!(lines.lines().count(), rates.len());

    let table = world.april("--format table --all");
    assert!(
        table.stdout.contains("binance/um/BTCUSDT/fundingRate"),
        "{}",
        table.stdout
    );
    assert!(
        table.stdout.contains(&format!("{} funding rates", rates.len())),
        "{}",
        table.stdout
    );

    for format in ["arrow", "parquet"] {
        for decimals in ["float", "exact"] {
            let file = world.cache().join(format!("{decimals}.{format}"));
            let got = world.april(&format!("--decimals {decimals} --out {}", file.display()));
            assert_eq!(got.code, Some(0), "{format} {decimals}: {}", got.stderr);
            assert!(std::fs::metadata(file).unwrap().len() > 1_000);
        }
    }
}

#[test]
fn archives_that_are_gone_are_told_and_rates_that_are_missing_end_with_three() {
    let world = World::new();
    let got = world.run("funding BTC/USD:BTC --start 2023 --end 2024-06 --format csv --explain");
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    for said in ["binance-vision", "checksum", "funding rates", "month"] {
        assert!(got.stderr.contains(said), "{said}: {}", got.stderr);
    }
    // Archives know the interval.
    assert!(
        got.stdout.lines().nth(1).unwrap().ends_with(",8") || got.stdout.contains(",4\n"),
        "{}",
        got.stdout
    );
    let listed = world.run("cache ls --format csv");
    assert!(
        listed.stdout.contains("cm,BTCUSD_PERP,fundingRate,"),
        "{}",
        listed.stdout
    );

    // It is a series like any other to those who look after the cache.
    let filled = world.run("download ETHUSDT fundingRate --start 2024-01 --end 2024-06");
    assert_eq!(filled.code, Some(0), "{}", filled.stderr);
    let evicted = world.run("cache evict ETHUSDT fundingRate");
    assert!(evicted.stderr.contains("removed"), "{}", evicted.stderr);

    world.sim.inject(Fault::new(Effect::Refuse));
    let got = world.run("funding BTC/USD:BTC --start 2024-05-20 --end 2024-06-10 --format csv");
    assert_eq!((got.code, got.stdout.as_str()), (Some(3), ""), "{}", got.stderr);
    assert!(got.stderr.contains("funding rates found, missing:"), "{}", got.stderr);
    let got = world.run("funding BTC/USD:BTC --start 2024-05-20 --end 2024-06-10 --format csv --best-effort");
    assert_eq!(got.code, Some(3));
    assert!(got.stdout.lines().count() > 30, "{}", got.stdout);
    let got = world.april("--offline");
    assert_eq!((got.code, got.stdout.as_str()), (Some(4), ""), "{}", got.stderr);
}

#[test]
fn without_a_market_it_is_usd_m_and_without_a_range_a_month() {
    let got = run(&["funding", "ETHUSDT", "--format", "csv", "--simulate"]);
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    assert!(got.stdout.lines().count() > 85, "{}", got.stdout);
    let world = World::new();
    let quiet = world.run("funding BTCUSDT --start 2024-04-01T01:20 --end 2024-04-01T01:50");
    assert_eq!(quiet.code, Some(0), "{}", quiet.stderr);
    assert!(
        quiet.stderr.contains("no funding rates: none was due"),
        "{}",
        quiet.stderr
    );
    for (line, said) in [
        ("funding BTCUSDT --market spot --last 1d", "only perpetual futures have"),
        ("funding BTCUSDT_240628 --last 1d", "only perpetual futures have"),
        (
            "funding BTCUSDT --last 1d --columns open_time",
            "expected some of funding_time, funding_rate",
        ),
    ] {
        let args: Vec<&str> = line.split_whitespace().collect();
        let got = run(&args);
        assert_eq!(got.code, Some(2), "{line}: {}", got.stderr);
        assert!(got.stderr.contains(said), "{line}: {}", got.stderr);
    }
}
