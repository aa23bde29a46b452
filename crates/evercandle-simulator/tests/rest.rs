//! The REST interfaces: validation, paging, weights and the kline in progress.
#![allow(clippy::unwrap_used)]

use evercandle_simulator::{
    Config, Delivery, Effect, ExchangeMarket, Fault, Interval, Quotas, Request, Response, Series, Simulator, TimeUnit,
    time,
};
use serde_json::Value;

fn noon() -> i64 {
    time::parse_instant("2024-06-01T12:00:30Z").unwrap()
}

fn simulator() -> Simulator {
    Simulator::new(Config::default().at(noon()))
}

fn ask(simulator: &Simulator, target: &str) -> Response {
    simulator
        .respond(&Request::get(target), simulator.clock().now())
        .response
}

fn rows(simulator: &Simulator, target: &str) -> Vec<Value> {
    let response = ask(simulator, target);
    assert_eq!(response.status, 200, "{target}: {}", response.text());
    serde_json::from_slice(&response.body).unwrap()
}

/// Open times of a page, in milliseconds.
fn opens(simulator: &Simulator, target: &str) -> Vec<i64> {
    rows(simulator, target)
        .iter()
        .map(|row| row[0].as_i64().unwrap())
        .collect()
}

fn ms(text: &str) -> i64 {
    time::parse_instant(text).unwrap() / 1000
}

#[test]
fn refusals_carry_the_codes_of_the_exchange() {
    let simulator = simulator();
    let cases = [
        ("api.binance.com/api/v3/klines", -1102),
        ("api.binance.com/api/v3/klines?symbol=BTCUSDT", -1102),
        ("api.binance.com/api/v3/klines?symbol=btcusdt&interval=1m", -1100),
        ("api.binance.com/api/v3/klines?symbol=BTC/USDT&interval=1m", -1100),
        ("api.binance.com/api/v3/klines?symbol=NOSUCH&interval=1m", -1121),
        ("api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1mo", -1120),
        ("api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1H", -1120),
        ("fapi.binance.com/fapi/v1/klines?symbol=BTCUSDT&interval=1s", -1120),
        (
            "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=0",
            -1130,
        ),
        (
            "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=-1",
            -1100,
        ),
        (
            "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=ten",
            -1100,
        ),
        (
            "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=99999999999999999999",
            -1108,
        ),
        (
            "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=",
            -1105,
        ),
        (
            "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&start=0",
            -1104,
        ),
        (
            "api.binance.com/api/v3/klines?symbol=BTCUSDT&symbol=BTCUSDT&interval=1m",
            -1101,
        ),
        (
            "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&timeZone=15",
            -1130,
        ),
        (
            "fapi.binance.com/fapi/v1/klines?symbol=BTCUSDT&interval=1m&timeZone=0",
            -1104,
        ),
        (
            "fapi.binance.com/fapi/v1/klines?symbol=BTCUSDT&interval=1m&startTime=2&endTime=1",
            -1023,
        ),
        (
            "dapi.binance.com/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1d&startTime=1600000000000&endTime=1700000000000",
            -1127,
        ),
        (
            "api.binance.com/api/v3/exchangeInfo?symbol=BTCUSDT&symbols=[\"ETHUSDT\"]",
            -1128,
        ),
        (
            "api.binance.com/api/v3/exchangeInfo?symbols=[\"ETHUSDT\",\"NOSUCH\"]",
            -1121,
        ),
    ];
    for (target, code) in cases {
        let response = ask(&simulator, target);
        assert_eq!(response.status, 400, "{target}: {}", response.text());
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["code"], code, "{target}: {body}");
    }
}

#[test]
fn unknown_paths_are_404_and_html_only_for_browsers() {
    let simulator = simulator();
    let request = Request::get("api.binance.com/api/v1/klines?symbol=BTCUSDT&interval=1m");
    let plain = simulator.respond(&request, noon()).response;
    assert_eq!((plain.status, plain.text().as_str()), (404, ""));
    let html = simulator
        .respond(&request.with_header("Accept", "text/html"), noon())
        .response;
    assert!(html.text().contains("<html>"));
}

#[test]
fn the_window_decides_which_rows_come() {
    let simulator = simulator();
    let base = "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1h";
    let (one, three) = (ms("2024-05-01T01:00:00Z"), ms("2024-05-01T03:00:00Z"));
    let hour = 3_600_000;
    assert_eq!(opens(&simulator, base).len(), 500);
    assert_eq!(opens(&simulator, &format!("{base}&limit=5000")).len(), 1000);
    assert_eq!(
        opens(&simulator, &format!("{base}&startTime={one}&endTime={three}")),
        [one, one + hour, three]
    );
    assert_eq!(
        opens(
            &simulator,
            &format!("{base}&startTime={}&endTime={}", one + 1, three - 1)
        ),
        [one + hour]
    );
    assert_eq!(
        opens(&simulator, &format!("{base}&startTime={one}&endTime={one}")),
        [one]
    );
    assert_eq!(
        opens(&simulator, &format!("{base}&startTime={one}&limit=2")),
        [one, one + hour]
    );
    assert_eq!(
        opens(&simulator, &format!("{base}&endTime={three}&limit=2")),
        [three - hour, three]
    );
    assert_eq!(opens(&simulator, &format!("{base}&startTime={one}000&limit=1")), [one]);
    assert!(opens(&simulator, &format!("{base}&startTime={three}&endTime={one}")).is_empty());
    assert!(opens(&simulator, &format!("{base}&startTime=4000000000000")).is_empty());
    assert_eq!(
        opens(&simulator, &format!("{base}&startTime=0&limit=1")),
        [ms("2017-08-17T04:00:00Z")]
    );
    assert!(opens(&simulator, &format!("{base}&startTime=0&endTime=1500000000000")).is_empty());
    assert_eq!(
        opens(&simulator, &format!("{base}&timeZone=05:45&startTime={one}&limit=1")),
        [one + 15 * 60_000]
    );
}

#[test]
fn a_long_halt_does_not_shorten_pages() {
    let simulator = simulator();
    let start = ms("2018-02-08T00:00:00Z");
    let target = format!("api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={start}&limit=1000");
    let page = opens(&simulator, &target);
    assert_eq!(page.len(), 1000);
    assert!(page.contains(&ms("2018-02-08T00:28:00Z")) && !page.contains(&ms("2018-02-08T00:29:00Z")));
}

#[test]
fn the_newest_row_is_in_progress_and_becomes_final() {
    let simulator = simulator();
    let target = "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1";
    let early = rows(&simulator, target);
    assert_eq!(early[0][0].as_i64().unwrap(), ms("2024-06-01T12:00:00Z"));
    assert!(early[0][6].as_i64().unwrap() > simulator.clock().now() / 1000);
    simulator.clock().advance(20 * time::SECOND);
    let later = rows(&simulator, target);
    assert_ne!(early, later);
    simulator.clock().advance(10 * time::SECOND);
    let end = format!("{target}&endTime={}", ms("2024-06-01T12:00:30Z"));
    let series = Series::new(ExchangeMarket::Spot, "BTCUSDT", Interval::M1);
    let truth = simulator
        .market()
        .kline(&series, time::parse_instant("2024-06-01T12:00:00Z").unwrap())
        .unwrap();
    let truth: Value = serde_json::from_str(&truth.rest_row(TimeUnit::Milliseconds)).unwrap();
    assert_eq!(rows(&simulator, &end)[0], truth);
}

#[test]
fn coin_margined_pages_hold_the_newest_rows_of_their_window() {
    let simulator = simulator();
    let base = "dapi.binance.com/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1d";
    let start = ms("2022-01-01");
    let day = 86_400_000;
    let from_start = opens(&simulator, &format!("{base}&startTime={start}&limit=3"));
    assert_eq!(from_start, [start + 198 * day, start + 199 * day, start + 200 * day]);
    let bounded = opens(
        &simulator,
        &format!("{base}&startTime={start}&endTime={}&limit=3", start + 3 * day - 1),
    );
    assert_eq!(bounded, [start, start + day, start + 2 * day]);
    assert_eq!(opens(&simulator, &format!("{base}&limit=1500")).len(), 200);
    assert_eq!(
        rows(&simulator, &format!("{base}&limit=1"))[0]
            .as_array()
            .unwrap()
            .len(),
        12
    );
}

#[test]
fn microseconds_are_spoken_on_request() {
    let simulator = simulator();
    let request =
        Request::get("api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1h&endTime=1717000000000&limit=1")
            .with_header("X-MBX-TIME-UNIT", "MICROSECOND");
    let row: Value = serde_json::from_slice(&simulator.respond(&request, noon()).response.body).unwrap();
    assert_eq!(row[0][6].as_i64().unwrap() % 1_000_000, 999_999);
    let bad = Request::get("api.binance.com/api/v3/time").with_header("x-mbx-time-unit", "FORTNIGHT");
    assert!(simulator.respond(&bad, noon()).response.text().contains("-1194"));
}

#[test]
fn weights_are_counted_per_pool() {
    let simulator = simulator();
    let used = |target: &str| -> u32 {
        ask(&simulator, target)
            .header("X-MBX-USED-WEIGHT-1M")
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!(
        used("api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1"),
        2
    );
    assert_eq!(used("api3.binance.com/api/v3/ping"), 3);
    assert_eq!(used("api-gcp.binance.com/api/v3/exchangeInfo"), 23);
    assert_eq!(used("data-api.binance.vision/api/v3/ping"), 1);
    let futures = "fapi.binance.com/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=";
    assert_eq!(used(&format!("{futures}99")), 1);
    assert_eq!(used(&format!("{futures}499")), 3);
    assert_eq!(used(&format!("{futures}1000")), 8);
    assert_eq!(
        used("dapi.binance.com/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1m&limit=1500"),
        18
    );
    assert_eq!(used("fapi.binance.com/fapi/v1/klines?symbol=BTCUSDT&interval=1m"), 23);
}

#[test]
fn past_the_limit_comes_429_then_418_then_403() {
    let quotas = Quotas {
        spot: 2,
        ..Quotas::default()
    };
    let simulator = Simulator::new(Config {
        quotas,
        ..Config::default().at(noon())
    });
    let mut seen = Vec::new();
    for _ in 0..60 {
        let response = ask(&simulator, "api.binance.com/api/v3/ping");
        if response.status == 418 {
            assert!(
                response.text().contains("IP banned until 1717243350000"),
                "{}",
                response.text()
            );
        }
        if seen.last() != Some(&response.status) {
            seen.push(response.status);
        }
    }
    assert_eq!(seen, [200, 429, 418, 403]);
    simulator.clock().advance(2 * time::MINUTE);
    assert_eq!(ask(&simulator, "api1.binance.com/api/v3/ping").status, 200);
}

#[test]
fn exchange_info_tells_what_trades() {
    let simulator = simulator();
    let spot: Value = serde_json::from_slice(&ask(&simulator, "api.binance.com/api/v3/exchangeInfo").body).unwrap();
    let status = |name: &str| {
        let symbols = spot["symbols"].as_array().unwrap();
        symbols
            .iter()
            .find(|row| row["symbol"] == name)
            .map(|row| row["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(status("BTCUSDT").as_deref(), Some("TRADING"));
    assert_eq!(status("LUNAUSDT").as_deref(), Some("BREAK"));
    assert_eq!(status("CANDLEUSDT"), None);
    assert_eq!(spot["rateLimits"][0]["limit"], 6000);
    let coin: Value = serde_json::from_slice(&ask(&simulator, "dapi.binance.com/dapi/v1/exchangeInfo").body).unwrap();
    assert_eq!(coin["symbols"][0]["contractStatus"], "TRADING");
    assert_eq!(coin["symbols"][0]["deliveryDate"], 4_133_404_800_000i64);
    assert_eq!(coin["symbols"][0]["contractSize"], 100);
}

#[test]
fn names_outside_ascii_travel_percent_encoded() {
    let now = time::parse_instant("2026-02-01").unwrap();
    let simulator = Simulator::new(Config::default().at(now));
    let symbol = "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT";
    assert_eq!(
        rows(
            &simulator,
            &format!("api.binance.com/api/v3/klines?symbol={symbol}&interval=1d&limit=3")
        )
        .len(),
        3
    );
    let path = format!("data.binance.vision/data/spot/daily/klines/{symbol}/1h/{symbol}-1h-2026-01-20.zip");
    assert_eq!(ask(&simulator, &path).status, 200);
}

#[test]
fn faults_take_the_place_of_answers() {
    let klines = "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=10";
    let cases = [
        (Effect::RateLimited { retry_after: 7 }, 429, "-1003"),
        (Effect::Banned { retry_after: 60 }, 418, "IP banned until 1717243290000"),
        (Effect::Forbidden, 403, "<html>"),
        (Effect::RestrictedLocation, 451, "restricted location"),
        (Effect::ApiError { code: -1007 }, 408, "-1007"),
        (Effect::ApiError { code: -1008 }, 503, "-1008"),
        (
            Effect::Status {
                status: 502,
                body: "bad gateway".into(),
            },
            502,
            "bad gateway",
        ),
        (Effect::Html, 200, "<!DOCTYPE html>"),
        (Effect::EmptyArray, 200, "[]"),
        (Effect::EmptyObject, 200, "{}"),
        (Effect::ExtraFields, 200, "\"extra\""),
        (Effect::QuotedNumbers, 200, "[[\"17"),
    ];
    for (effect, status, text) in cases {
        let simulator = simulator();
        simulator.inject(Fault::new(effect.clone()).on("binance-spot").times(1));
        let struck = ask(&simulator, klines);
        assert_eq!(struck.status, status, "{effect:?}");
        assert!(struck.text().contains(text), "{effect:?}: {}", struck.text());
        assert_eq!(ask(&simulator, klines).status, 200);
        let journal = simulator.journal().matching("/klines");
        assert_eq!(journal[0].faults, [effect]);
        assert!(journal[1].faults.is_empty());
    }
}

#[test]
fn faults_bend_the_rows() {
    let klines = "api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=10";
    let healthy = simulator();
    let truth = rows(&healthy, klines);

    let simulator = simulator();
    let bent = |effect| {
        simulator.faults().clear_all();
        simulator.inject(Fault::new(effect));
        rows(&simulator, klines)
    };
    assert_eq!(bent(Effect::CapRows { rows: 4 }), truth[6..]);
    assert_eq!(bent(Effect::MissingRow).len(), 9);
    assert_eq!(bent(Effect::PageRepeatsRows).len(), 30);
    assert_eq!(bent(Effect::PageOutOfOrder)[..5], truth[5..]);
    assert_eq!(bent(Effect::NotANumber)[5][4], "NaN");
    assert_eq!(
        bent(Effect::FutureRow)[10][0].as_i64(),
        truth[9][0].as_i64().map(|open| open + 2 * 86_400_000)
    );
    assert_ne!(bent(Effect::ImpossibleRow)[5][3], truth[5][3]);
    assert_eq!(
        bent(Effect::WrongInterval { interval: "1h".into() })[9][0]
            .as_i64()
            .unwrap()
            % 3_600_000,
        0
    );
    assert_eq!(bent(Effect::DuplicateRows), truth, "that one is for archives");
    let other = bent(Effect::WrongSymbol {
        symbol: "DOGEUSDT".into(),
    });
    assert!(other[0][1].as_str().unwrap().starts_with("0."));
    let unsettled = bent(Effect::UnsettledRows { milliseconds: 90_000 });
    assert_eq!(unsettled[..8], truth[..8]);
    assert_ne!(unsettled[8], truth[8]);

    simulator.faults().clear_all();
    simulator.inject(Fault::new(Effect::ClockSkew { milliseconds: -5000 }));
    assert_eq!(
        ask(&simulator, "api.binance.com/api/v3/time").text(),
        "{\"serverTime\":1717243225000}"
    );
    simulator.inject(Fault::new(Effect::TruncatedBody));
    assert!(serde_json::from_slice::<Value>(&ask(&simulator, klines).body).is_err());
    simulator.inject(Fault::new(Effect::BlackHole));
    assert_eq!(
        simulator.respond(&Request::get(klines), noon()).delivery,
        Delivery::Silence
    );
}

#[test]
fn answers_come_packed_to_those_who_accept_it() {
    let simulator = simulator();
    let plain = Request::get("api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m");
    let packed = simulator
        .respond(&plain.clone().with_header("Accept-Encoding", "gzip, br"), noon())
        .response;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let plain = simulator.respond(&plain, noon()).response;
    let mut unpacked = vec![0; plain.body.len()];
    libdeflater::Decompressor::new()
        .gzip_decompress(&packed.body, &mut unpacked)
        .unwrap();
    assert_eq!(unpacked, plain.body);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn interval() -> impl Strategy<Value = Interval> {
        proptest::sample::select(Interval::ALL.to_vec())
    }

    fn base(market: ExchangeMarket) -> (&'static str, &'static str) {
        match market {
            ExchangeMarket::Spot => ("api.binance.com/api/v3", "BTCUSDT"),
            ExchangeMarket::UsdM => ("fapi.binance.com/fapi/v1", "BTCUSDT"),
            ExchangeMarket::CoinM => ("dapi.binance.com/dapi/v1", "BTCUSD_PERP"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        /// A bounded page is what filtering the truth by the documented rule gives.
        #[test]
        fn pages_are_the_truth_filtered(
            market in proptest::sample::select(vec![ExchangeMarket::Spot, ExchangeMarket::UsdM, ExchangeMarket::CoinM]),
            interval in interval(),
            back in 0i64..200 * 86_400_000,
            slots in 0i64..40,
            limit in 1usize..30,
        ) {
            prop_assume!(interval != Interval::S1 || market == ExchangeMarket::Spot);
            let simulator = simulator();
            let (prefix, symbol) = base(market);
            let series = Series::new(market, symbol, interval);
            let step = interval.length().unwrap_or(30 * time::DAY) / 1000;
            let now = noon() / 1000;
            let start = now - back;
            let end = (start + slots * step).min(start + 200 * 86_400_000);
            let target = format!(
                "{prefix}/klines?symbol={symbol}&interval={interval}&startTime={start}&endTime={end}&limit={limit}"
            );
            let truth = simulator.market().klines_as_of(&series, start * 1000..(end * 1000 + 1).min(noon() + 1), noon());
            let skipped = match market {
                ExchangeMarket::CoinM => truth.len().saturating_sub(limit),
                _ => 0,
            };
            let expected: Vec<i64> = truth.iter().skip(skipped).take(limit).map(|kline| kline.open_time / 1000).collect();
            prop_assert_eq!(opens(&simulator, &target), expected);
        }

        /// Whatever is asked, there is an answer: no query makes the simulator fall over.
        #[test]
        fn no_query_is_too_strange(
            path in "(api|fapi|dapi)\\.binance\\.com/(api/v3|fapi/v1|dapi/v1)/(klines|exchangeInfo|time)",
            symbol in "(BTCUSDT|BTCUSD_PERP|\\PC{0,9})",
            interval in interval(),
            start in proptest::option::of(any::<i64>()),
            end in proptest::option::of(any::<u64>()),
            limit in proptest::option::of("[0-9]{1,20}|\\PC{0,3}"),
            zone in proptest::option::of("-?[0-9]{1,2}(:[0-9]{2})?"),
        ) {
            let mut target = format!("{path}?symbol={symbol}&interval={interval}");
            for (name, value) in [
                ("startTime", start.map(|value| value.to_string())),
                ("endTime", end.map(|value| value.to_string())),
                ("limit", limit),
                ("timeZone", zone),
            ] {
                if let Some(value) = value {
                    target.push_str(&format!("&{name}={value}"));
                }
            }
            let status = ask(&simulator(), &target).status;
            prop_assert!([200, 400, 404].contains(&status), "{}", status);
        }
    }
}

#[test]
fn funding_rates_are_paged_from_a_start_and_counted_by_themselves_on_usd_m() {
    let simulator = simulator();
    let (start, end) = (ms("2024-04-01"), ms("2024-05-01"));
    for (host, symbol, market) in [
        ("fapi.binance.com/fapi/v1", "BTCUSDT", ExchangeMarket::UsdM),
        ("dapi.binance.com/dapi/v1", "BTCUSD_PERP", ExchangeMarket::CoinM),
    ] {
        let truth = simulator
            .market()
            .funding_rates(market, symbol, start * 1000..end * 1000);
        let times: Vec<i64> = truth.iter().map(|rate| rate.funding_time / 1000).collect();
        let page = |query: &str| {
            let rows = rows(&simulator, &format!("{host}/fundingRate?symbol={symbol}{query}"));
            rows.iter()
                .map(|row| row["fundingTime"].as_i64().unwrap())
                .collect::<Vec<_>>()
        };
        let all = page(&format!("&startTime={start}&endTime={}&limit=1000", end - 1));
        assert_eq!(all, times);
        // Both ends are included, and a full page holds the oldest.
        assert_eq!(
            page(&format!("&startTime={}&endTime={}", times[1], times[3])),
            times[1..=3]
        );
        assert_eq!(page(&format!("&startTime={start}&limit=2")), times[..2]);
        assert_eq!(page(&format!("&startTime={start}")).len(), 100);
        let newest = page("");
        assert_eq!(newest.len(), if market == ExchangeMarket::UsdM { 200 } else { 100 });
        assert!(newest.iter().all(|time| *time <= noon() / 1000) && newest.is_sorted());
    }
    let weight = |target: &str| {
        let reply = ask(&simulator, target);
        reply.header("x-mbx-used-weight-1m").map(str::to_owned)
    };
    assert_eq!(
        weight("fapi.binance.com/fapi/v1/fundingRate?symbol=BTCUSDT&limit=1"),
        None
    );
    assert!(weight("dapi.binance.com/dapi/v1/fundingRate?symbol=BTCUSD_PERP&limit=1").is_some());
    let peaks = simulator.peak_weights();
    assert!(
        peaks.iter().any(|peak| peak.pool == "binance-futures-funding"),
        "{peaks:?}"
    );
    let error: Value =
        serde_json::from_slice(&ask(&simulator, "fapi.binance.com/fapi/v1/fundingRate?symbol=NOSUCHUSDT").body)
            .unwrap();
    assert_eq!(error["code"], -1121);
    assert_eq!(
        ask(&simulator, "api.binance.com/api/v3/fundingRate?symbol=BTCUSDT").status,
        404
    );
}
