//! Tickers, ratios, index prices and sentiment: what every price route says, and what it leaves out.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use evercandle_simulator::{
    CoinGeckoRules, Config, Effect, ErrorShape, ExchangeMarket, Fault, Quotas, Request, Response, Simulator,
    SymbolStatus, Throttling, coins, decimal, time,
};
use serde_json::{Value, json};

const SPOT: &str = "api.binance.com/api/v3/";
const GECKO: &str = "api.coingecko.com/api/v3/";
const FNG: &str = "api.alternative.me/fng/";

fn noon() -> i64 {
    time::parse_instant("2026-11-20T12:00:30Z").unwrap()
}

fn simulator() -> Simulator {
    Simulator::new(Config::default().at(noon()))
}

fn ask(simulator: &Simulator, target: &str) -> Response {
    simulator
        .respond(&Request::get(target), simulator.clock().now())
        .response
}

fn json_of(simulator: &Simulator, target: &str) -> Value {
    let response = ask(simulator, target);
    assert_eq!(response.status, 200, "{target}: {}", response.text());
    serde_json::from_slice(&response.body).unwrap()
}

fn code(simulator: &Simulator, target: &str) -> i64 {
    let response = ask(simulator, target);
    assert_eq!(response.status, 400, "{target}: {}", response.text());
    serde_json::from_slice::<Value>(&response.body).unwrap()["code"]
        .as_i64()
        .unwrap()
}

fn used(simulator: &Simulator, target: &str) -> u32 {
    let response = ask(simulator, target);
    response.header("X-MBX-USED-WEIGHT-1M").unwrap().parse().unwrap()
}

// --- tickers --------------------------------------------------------------------------------------------------------

#[test]
fn tickers_agree_with_the_market() {
    let simulator = simulator();
    let truth = simulator
        .market()
        .ticker(ExchangeMarket::Spot, "BTCUSDT", noon())
        .unwrap();
    let price = json_of(&simulator, &format!("{SPOT}ticker/price?symbol=BTCUSDT"));
    assert_eq!(price, json!({ "symbol": "BTCUSDT", "price": truth.last_price_text() }));
    let day = json_of(&simulator, &format!("{SPOT}ticker/24hr?symbol=BTCUSDT"));
    assert_eq!(day["lastPrice"], truth.last_price_text());
    assert_eq!(day["volume"], decimal(truth.volume, truth.scales.quantity));
    assert_eq!(day["quoteVolume"], decimal(truth.quote_volume, truth.scales.quote));
    assert_eq!(day["priceChangePercent"], truth.change_percent_text());
    assert_eq!(day["closeTime"], truth.close_time / 1000);
    assert_eq!(day["count"], truth.trades);
    assert_eq!(day.as_object().unwrap().len(), 21);
    let mini = json_of(&simulator, &format!("{SPOT}ticker/24hr?symbol=BTCUSDT&type=MINI"));
    assert_eq!(mini.as_object().unwrap().len(), 12);
    assert!(mini.get("priceChange").is_none() && mini.get("bidPrice").is_none());
}

#[test]
fn lists_are_strict_about_names_and_lax_about_status() {
    let simulator = simulator();
    let cases = [
        ("ticker/price?symbols=[\"BTCUSDT\",\"BTCUSDT\"]", -1151),
        ("ticker/price?symbols=[\"BTCUSDT\",\"NOSUCH\"]", -1121),
        ("ticker/price?symbols=[\"BTCUSDT\",%20\"ETHUSDT\"]", -1100),
        ("ticker/price?symbols=BTCUSDT", -1100),
        ("ticker/price?symbol=BTCUSDT&symbols=[\"ETHUSDT\"]", -1128),
        ("ticker/price?symbol=NOSUCH", -1121),
        ("ticker/price?symbol=NANOUSDT&symbolStatus=TRADING", -1220),
        ("ticker/price?symbolStatus=ASLEEP", -1122),
        ("ticker/24hr?symbol=BTCUSDT&type=TINY", -1139),
        ("ticker/price?symbol=BTCUSDT&type=MINI", -1104),
        ("exchangeInfo?symbols=[\"BTCUSDT\"]&symbolStatus=TRADING", -1128),
    ];
    for (route, expected) in cases {
        assert_eq!(code(&simulator, &format!("{SPOT}{route}")), expected, "{route}");
    }
    let both = json_of(
        &simulator,
        &format!("{SPOT}ticker/price?symbols=%5B%22BTCUSDT%22,%22NANOUSDT%22%5D"),
    );
    assert_eq!(both.as_array().unwrap().len(), 2);
    let trading = "ticker/price?symbols=[\"BTCUSDT\",\"NANOUSDT\"]&symbolStatus=TRADING";
    assert_eq!(
        json_of(&simulator, &format!("{SPOT}{trading}"))
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn weights_follow_the_number_of_symbols() {
    let simulator = simulator();
    let mut total = 0;
    for (route, weight) in [
        ("ticker/price?symbol=BTCUSDT", 2),
        ("ticker/price", 4),
        ("ticker/price?symbols=[\"BTCUSDT\"]", 4),
        ("ticker/24hr?symbol=BTCUSDT", 2),
        ("ticker/24hr?symbols=[\"BTCUSDT\",\"ETHUSDT\"]", 2),
        ("ticker/24hr", 80),
    ] {
        total += weight;
        assert_eq!(used(&simulator, &format!("{SPOT}{route}")), total, "{route}");
    }
    let mut total = 0;
    for (route, weight) in [
        ("fapi.binance.com/fapi/v1/ticker/24hr", 40),
        ("fapi.binance.com/fapi/v1/ticker/24hr?symbol=BTCUSDT", 1),
        ("fapi.binance.com/fapi/v2/ticker/price", 2),
        ("fapi.binance.com/fapi/v1/ticker/price?symbol=BTCUSDT", 1),
        ("dapi.binance.com/dapi/v1/ticker/price?symbol=BTCUSD_PERP", 1),
    ] {
        total += weight;
        assert_eq!(used(&simulator, route), total, "{route}");
    }
    let peaks = simulator.peak_weights();
    let futures = peaks.iter().find(|peak| peak.pool == "binance-futures").unwrap();
    assert_eq!(
        (futures.used, futures.limit, futures.minute),
        (total, 2400, noon() - 30 * time::SECOND)
    );
}

#[test]
fn coin_margined_tickers_are_arrays_with_base_volume() {
    let simulator = simulator();
    let day = json_of(&simulator, "dapi.binance.com/dapi/v1/ticker/24hr?symbol=BTCUSD_PERP");
    assert!(day[0].get("baseVolume").is_some() && day[0].get("quoteVolume").is_none() && day[0]["pair"] == "BTCUSD");
    let pair = json_of(&simulator, "dapi.binance.com/dapi/v1/ticker/price?pair=BTCUSD");
    assert_eq!(pair.as_array().unwrap().len(), 2);
    assert_eq!(pair[0]["ps"], "BTCUSD");
    let um = json_of(&simulator, "fapi.binance.com/fapi/v1/ticker/24hr?symbol=BTCUSDT");
    assert!(um.get("quoteVolume").is_some() && um.get("bidPrice").is_none() && um.get("prevClosePrice").is_none());
}

#[test]
fn a_halted_symbol_answers_with_the_price_it_stopped_at() {
    let simulator = simulator();
    assert!(simulator.set_status(ExchangeMarket::Spot, "ETHUSDT", SymbolStatus::Halt));
    assert!(!simulator.set_status(ExchangeMarket::Spot, "NOSUCH", SymbolStatus::Halt));
    let ticker = |simulator: &Simulator| json_of(simulator, &format!("{SPOT}ticker/24hr?symbol=ETHUSDT"));
    let before = ticker(&simulator);
    simulator.clock().advance(3 * time::HOUR);
    assert_eq!(ticker(&simulator), before);
    let halted = json_of(&simulator, &format!("{SPOT}exchangeInfo?symbolStatus=HALT"));
    assert_eq!(halted["symbols"][0]["symbol"], "ETHUSDT");
    assert_eq!(halted["rateLimits"][0]["limit"], 6000);
    let rows = json_of(&simulator, &format!("{SPOT}klines?symbol=ETHUSDT&interval=1m&limit=3"));
    assert_eq!(rows[2][0], (noon() - 30 * time::SECOND) / 1000);
    assert_eq!(rows[2][4], before["lastPrice"]);
}

#[test]
fn heads_are_answered_unless_a_fault_says_otherwise() {
    let simulator = simulator();
    simulator.inject(Fault::new(Effect::HeadNotServed { status: 405 }).on("binance-spot"));
    let status = |method: &str, target: &str| simulator.respond(&Request::new(method, target), noon()).response.status;
    assert_eq!(status("HEAD", &format!("{SPOT}ping")), 405);
    assert_eq!(status("GET", &format!("{SPOT}ping")), 200);
    assert_eq!(status("HEAD", "fapi.binance.com/fapi/v1/ping"), 200);
    assert_eq!(status("HEAD", FNG), 200);
}

#[test]
fn ratios_cover_thirty_days_on_a_quota_of_their_own() {
    let simulator = simulator();
    for name in [
        "globalLongShortAccountRatio",
        "topLongShortAccountRatio",
        "topLongShortPositionRatio",
    ] {
        let rows = json_of(
            &simulator,
            &format!("fapi.binance.com/futures/data/{name}?symbol=BTCUSDT&period=1d&limit=500"),
        );
        assert_eq!(rows.as_array().unwrap().len(), 30);
        let number = |name: &str| rows[0][name].as_str().unwrap().parse::<f64>().unwrap();
        assert!((number("longAccount") / number("shortAccount") - number("longShortRatio")).abs() < 0.001);
    }
    let takers = "fapi.binance.com/futures/data/takerlongshortRatio?symbol=BTCUSDT&period=5m";
    let rows = json_of(&simulator, takers);
    assert_eq!(rows.as_array().unwrap().len(), 30);
    assert_eq!(rows[29]["timestamp"], (noon() - 30 * time::SECOND) / 1000);
    assert_eq!(
        code(
            &simulator,
            "fapi.binance.com/futures/data/takerlongshortRatio?symbol=BTCUSDT&period=8h"
        ),
        -1130
    );
    let peaks = simulator.peak_weights();
    assert_eq!(
        (peaks[0].pool.as_str(), peaks[0].used, peaks[0].limit),
        ("binance-futures-data", 5, 1000)
    );
}

#[test]
fn tickers_can_be_odd_in_every_known_way() {
    let price = |effect: Effect, route: &str| {
        let simulator = simulator();
        simulator.inject(Fault::new(effect));
        json_of(&simulator, &format!("{SPOT}{route}"))
    };
    let text = |text: Option<&str>| Effect::PriceText {
        text: text.map(str::to_owned),
    };
    let one = "ticker/price?symbol=BTCUSDT";
    assert_eq!(price(text(None), one)["price"], Value::Null);
    for odd in ["", "0.00000000", "NaN"] {
        assert_eq!(price(text(Some(odd)), one)["price"], odd);
    }
    let stale = price(Effect::StalePrice { hours: 5 }, "ticker/24hr?symbol=BTCUSDT");
    assert!(stale["closeTime"].as_i64().unwrap() <= (noon() - 5 * time::HOUR) / 1000);
    let wrong = Effect::MislabelledTicker {
        symbol: "ETHUSDT".to_owned(),
    };
    assert_eq!(price(wrong, one)["symbol"], "ETHUSDT");
    let many = "ticker/price?symbols=[\"BTCUSDT\",\"ETHUSDT\"]";
    let missing = Effect::MissingTicker {
        symbol: "BTCUSDT".to_owned(),
    };
    assert_eq!(price(missing, many).as_array().unwrap().len(), 1);
    let twice = price(Effect::DuplicateTickers, many);
    assert_eq!(twice[0]["symbol"], twice[2]["symbol"]);
    assert_ne!(twice[0]["price"], twice[2]["price"]);
}

// --- CoinGecko ------------------------------------------------------------------------------------------------------

#[test]
fn index_prices_agree_with_the_market_and_not_with_the_venue() {
    let simulator = simulator();
    let route = "simple/price?ids=bitcoin,shiba-inu&vs_currencies=usd,eur&precision=full&include_last_updated_at=true\
        &include_market_cap=true&include_24hr_vol=true&include_24hr_change=true";
    let prices = json_of(&simulator, &format!("{GECKO}{route}"));
    let quote = simulator.market().index_quote("bitcoin", "usd", noon()).unwrap();
    assert_eq!(prices["bitcoin"]["usd"], quote.price);
    assert_eq!(prices["bitcoin"]["last_updated_at"], quote.updated_at / time::SECOND);
    assert_eq!(prices["bitcoin"].as_object().unwrap().len(), 9);
    let venue = simulator
        .market()
        .ticker(ExchangeMarket::Spot, "BTCUSDT", quote.updated_at)
        .unwrap();
    let distance = (quote.price / venue.last_price_number() - 1.0).abs();
    assert!((0.000_4..0.004).contains(&distance));
    let rounded = json_of(
        &simulator,
        &format!("{GECKO}simple/price?ids=bitcoin&vs_currencies=usd"),
    );
    assert!(rounded["bitcoin"]["usd"].is_i64(), "{rounded}");
}

#[test]
fn whatever_is_unknown_is_left_out_without_a_word() {
    let simulator = simulator();
    let cases = [
        ("simple/price?ids=nosuch&vs_currencies=usd", json!({})),
        (
            "simple/price?ids=bitcoin&vs_currencies=ethereum",
            json!({ "bitcoin": {} }),
        ),
        (
            "simple/price?ids=tether&vs_currencies=nosuch,%20usd",
            json!({ "tether": {} }),
        ),
        ("simple/price?ids=hedpay&vs_currencies=usd", json!({ "hedpay": {} })),
    ];
    for (route, expected) in cases {
        assert_eq!(json_of(&simulator, &format!("{GECKO}{route}")), expected, "{route}");
    }
    let spaced = "ids=bitcoin,%20ethereum";
    let simple = json_of(&simulator, &format!("{GECKO}simple/price?{spaced}&vs_currencies=usd"));
    assert_eq!(simple.as_object().unwrap().len(), 1);
    let markets = json_of(&simulator, &format!("{GECKO}coins/markets?{spaced}&vs_currency=usd"));
    assert_eq!(markets.as_array().unwrap().len(), 2);
}

#[test]
fn markets_are_paged_and_full_of_nulls() {
    let simulator = simulator();
    let page = |number: usize| {
        let route =
            format!("{GECKO}coins/markets?vs_currency=eth&per_page=20&page={number}&price_change_percentage=1h,7d");
        json_of(&simulator, &route).as_array().unwrap().clone()
    };
    let rows: Vec<Value> = [page(1), page(2)].concat();
    assert_eq!((rows.len(), page(3).len()), (coins().len(), 0));
    assert_eq!(
        (&rows[1]["id"], &rows[1]["current_price"]),
        (&json!("ethereum"), &json!(1))
    );
    assert!(rows[1]["fully_diluted_valuation"].is_null() && rows[0]["price_change_percentage_7d_in_currency"].is_f64());
    let dormant = rows.iter().find(|row| row["id"] == "hedpay").unwrap();
    assert!(dormant["current_price"].is_null() && dormant["last_updated"].is_null());
}

#[test]
fn coins_tell_their_votes_and_share_their_symbols() {
    let simulator = simulator();
    let coin = json_of(&simulator, &format!("{GECKO}coins/bitcoin"));
    let up = simulator.market().coin_votes_up("bitcoin", noon()).unwrap();
    assert_eq!(coin["sentiment_votes_up_percentage"], up);
    assert!((coin["sentiment_votes_down_percentage"].as_f64().unwrap() + up - 100.0).abs() < 0.001);
    assert_eq!(
        ask(&simulator, &format!("{GECKO}coins/nosuch")).text(),
        r#"{"error":"coin not found"}"#
    );
    let list = json_of(&simulator, &format!("{GECKO}coins/list"));
    let with = |symbol: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .filter(|row| row["symbol"] == symbol)
            .count()
    };
    assert!(with("btc") > 1 && with("luna") > 2 && with("✨") == 1);
    let tickers = json_of(&simulator, &format!("{GECKO}exchanges/binance/tickers"));
    let first = &tickers["tickers"][0];
    assert_eq!(first["last_traded_at"], "2026-11-20T12:00:29+00:00");
    assert_eq!(
        (
            &first["base"],
            &first["target"],
            &first["coin_id"],
            &first["target_coin_id"]
        ),
        (&json!("BTC"), &json!("USDT"), &json!("bitcoin"), &json!("tether"))
    );
}

#[test]
fn keys_must_match_their_host() {
    let simulator = simulator();
    let pro = "pro-api.coingecko.com/api/v3/ping";
    let status_code = |target: &str, header: &str| {
        let mut request = Request::get(target);
        if !header.is_empty() {
            request = request.with_header(header, "secret");
        }
        let response = simulator.respond(&request, noon()).response;
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        (response.status, body["status"]["error_code"].as_i64())
    };
    assert_eq!(status_code(pro, ""), (401, Some(10002)));
    assert_eq!(status_code(pro, "x-cg-pro-api-key"), (200, None));
    assert_eq!(status_code(pro, "x-cg-demo-api-key"), (401, Some(10011)));
    assert_eq!(
        status_code(&format!("{GECKO}ping"), "x-cg-pro-api-key"),
        (401, Some(10010))
    );
    assert_eq!(
        status_code(&format!("{GECKO}ping?x_cg_demo_api_key=k"), ""),
        (200, None)
    );
    let report = json_of(&simulator, "pro-api.coingecko.com/api/v3/key?x_cg_pro_api_key=secret");
    assert_eq!(report["rate_limit_request_per_minute"], 500);
}

#[test]
fn a_call_too_many_is_answered_as_configured_and_waiting_is_watched() {
    let throttled = |throttling: Throttling| {
        let coingecko = CoinGeckoRules {
            keyless_per_minute: 2,
            throttling,
            ..CoinGeckoRules::default()
        };
        let simulator = Simulator::new(Config {
            coingecko,
            ..Config::default().at(noon())
        });
        for _ in 0..2 {
            json_of(&simulator, &format!("{GECKO}ping"));
        }
        let response = ask(&simulator, &format!("{GECKO}ping"));
        (simulator, response)
    };
    let (simulator, response) = throttled(Throttling::RetryAfter);
    assert_eq!((response.status, response.header("retry-after")), (429, Some("30")));
    assert!(response.text().contains(r#""error_code":429"#));
    assert_eq!(simulator.calls_in_quarantine(), 0);
    ask(&simulator, &format!("{GECKO}ping"));
    ask(&simulator, &format!("{SPOT}ping"));
    assert_eq!(simulator.calls_in_quarantine(), 1);
    simulator.clock().advance(30 * time::SECOND);
    json_of(&simulator, &format!("{GECKO}ping"));
    assert_eq!(simulator.calls_in_quarantine(), 1);
    let peaks = simulator.peak_weights();
    let peak = peaks.iter().find(|peak| peak.pool == "coingecko").unwrap();
    assert_eq!((peak.used, peak.limit), (4, 2));
    assert_eq!(throttled(Throttling::NoHeader).1.header("retry-after"), None);
    assert_eq!(throttled(Throttling::PlainText).1.text(), "Throttled");
}

#[test]
fn refusals_come_in_every_shape() {
    let simulator = simulator();
    for (route, status, body) in [
        ("simple/price", 422, r#"{"error":"Missing parameter ids"}"#),
        (
            "simple/price?ids=bitcoin",
            422,
            r#"{"error":"Missing parameter vs_currencies"}"#,
        ),
        ("coins/markets", 422, r#"{"error":"Missing parameter vs_currency"}"#),
        (
            "coins/bitcoin/ohlc",
            500,
            r#"{"status":500,"error":"Internal Server Error"}"#,
        ),
    ] {
        let response = ask(&simulator, &format!("{GECKO}{route}"));
        let expected: Value = serde_json::from_str(body).unwrap();
        let told: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((response.status, told), (status, expected), "{route}");
    }
    for (shape, pointer) in [
        (ErrorShape::Flat, "/error"),
        (ErrorShape::Status, "/status/error_message"),
        (ErrorShape::Nested, "/error/status/error_message"),
    ] {
        let effect = Effect::CoinGeckoError {
            shape,
            status: 401,
            code: 10012,
            message: "no".to_owned(),
            retry_after: None,
        };
        let fault = simulator.inject(Fault::new(effect).on("coingecko"));
        let response = ask(&simulator, &format!("{GECKO}ping"));
        let told: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((response.status, told.pointer(pointer)), (401, Some(&json!("no"))));
        simulator.faults().clear(fault);
    }
}

// --- alternative.me -------------------------------------------------------------------------------------------------

#[test]
fn the_index_is_a_string_a_day_newest_first() {
    let simulator = simulator();
    let one = json_of(&simulator, FNG);
    let truth = simulator.market().fear_greed(noon()).unwrap();
    assert_eq!(
        one["data"],
        json!([{
            "value": truth.value.to_string(), "value_classification": truth.class,
            "timestamp": (truth.day / time::SECOND).to_string(), "time_until_update": "43470",
        }])
    );
    let all = json_of(&simulator, &format!("{FNG}?limit=0&date_format=us"));
    let all = all["data"].as_array().unwrap();
    assert_eq!(
        (&all[0]["timestamp"], &all[all.len() - 1]["timestamp"]),
        (&json!("11-20-2026"), &json!("02-01-2018"))
    );
    assert!(all[1].get("time_until_update").is_none());
    simulator
        .clock()
        .set(time::parse_instant("2026-11-21T00:04:00Z").unwrap());
    let early = json_of(&simulator, FNG);
    assert_eq!(early["data"][0]["timestamp"], (truth.day / time::SECOND).to_string());
}

#[test]
fn its_csv_is_neither_csv_nor_json() {
    let simulator = simulator();
    let body = ask(&simulator, &format!("{FNG}?limit=2&format=csv")).text();
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "{",
            "\t\"name\": \"Fear and Greed Index\",",
            "\t\"data\": [",
            "fng_value,fng_classification,date"
        ]
    );
    assert!(
        lines[4].starts_with("20-11-2026,") && lines[5].starts_with("19-11-2026,"),
        "{body}"
    );
    assert!(serde_json::from_str::<Value>(&body).is_err());
}

#[test]
fn the_index_can_fail_in_its_own_ways() {
    let told = |effect: Effect| {
        let simulator = simulator();
        simulator.inject(Fault::new(effect).on("alternative-me"));
        json_of(&simulator, &format!("{FNG}?limit=2"))
    };
    let failed = told(Effect::FearGreedError {
        message: "out of mood".to_owned(),
    });
    assert_eq!(
        (&failed["metadata"]["error"], &failed["data"]),
        (&json!("out of mood"), &json!([]))
    );
    assert!(
        told(Effect::NoTimeUntilUpdate)["data"][0]
            .get("time_until_update")
            .is_none()
    );
    let stale = told(Effect::MissingNewestDays { days: 3 });
    let day = (noon() - 12 * time::HOUR - 30 * time::SECOND - 3 * time::DAY) / time::SECOND;
    assert_eq!(stale["data"][0]["timestamp"], day.to_string());
    assert_eq!(told(Effect::FearGreedValue { value: 101 })["data"][0]["value"], "101");
}

// --- politeness -----------------------------------------------------------------------------------------------------

#[test]
fn a_flapping_upstream_comes_back_by_the_clock() {
    let simulator = simulator();
    let (down, up) = (Duration::from_secs(10), Duration::from_secs(20));
    simulator.inject(
        Fault::new(Effect::Status {
            status: 503,
            body: String::new(),
        })
        .flapping(down, up),
    );
    let seen: Vec<u16> = (0..6)
        .map(|_| {
            let status = ask(&simulator, &format!("{SPOT}ping")).status;
            simulator.clock().advance(10 * time::SECOND);
            status
        })
        .collect();
    assert_eq!(seen, [503, 200, 200, 503, 200, 200]);
    assert_eq!(
        simulator
            .journal()
            .between(noon() + 30 * time::SECOND..noon() + 50 * time::SECOND)
            .len(),
        2
    );
}

#[test]
fn knocking_during_a_ban_is_remembered() {
    let simulator = Simulator::new(Config {
        quotas: Quotas {
            futures: 10,
            ..Quotas::default()
        },
        ..Config::default().at(noon())
    });
    simulator.inject(
        Fault::new(Effect::Banned { retry_after: 60 })
            .on("binance-usdm")
            .times(1),
    );
    assert_eq!(ask(&simulator, "fapi.binance.com/fapi/v1/ping").status, 418);
    // The two futures hosts are one address pool, statistics are another.
    assert_eq!(ask(&simulator, "dapi.binance.com/dapi/v1/ping").status, 200);
    ask(
        &simulator,
        "fapi.binance.com/futures/data/takerlongshortRatio?symbol=BTCUSDT&period=5m",
    );
    assert_eq!(simulator.calls_in_quarantine(), 1);
    let flags: Vec<bool> = simulator
        .journal()
        .requests()
        .iter()
        .map(|entry| entry.in_quarantine)
        .collect();
    assert_eq!(flags, [false, true, false]);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is asked for a price, there is an answer.
        #[test]
        fn no_question_is_too_strange(
            route in prop_oneof![
                Just("api.binance.com/api/v3/ticker/price"), Just("api.binance.com/api/v3/ticker/24hr"),
                Just("dapi.binance.com/dapi/v1/ticker/24hr"), Just("fapi.binance.com/futures/data/takerlongshortRatio"),
                Just("api.coingecko.com/api/v3/simple/price"), Just("api.coingecko.com/api/v3/coins/markets"),
                Just("api.coingecko.com/api/v3/coins/list"), Just("api.alternative.me/fng/"),
                Just("api.coingecko.com/api/v3/exchanges/binance/tickers"),
            ],
            names in proptest::collection::vec(
                "symbol|symbols|symbolStatus|type|pair|period|limit|startTime|endTime|ids|vs_currencies|vs_currency|\
                 page|per_page|precision|format|date_format|price_change_percentage|\\PC{0,4}", 0..5),
            values in proptest::collection::vec(
                "BTCUSDT|BTCUSD_PERP|bitcoin|usd|1h|5m|full|csv|us|TRADING|\\[\"BTCUSDT\"\\]|-?[0-9]{1,20}|\\PC{0,6}", 5),
            hours in any::<i64>(),
        ) {
            let simulator = simulator();
            simulator.inject(Fault::new(Effect::StalePrice { hours }).probability(0.3));
            let query: Vec<String> = names.iter().zip(&values).map(|(name, value)| format!("{name}={value}")).collect();
            let status = ask(&simulator, &format!("{route}?{}", query.join("&"))).status;
            prop_assert!([200, 400, 404, 422].contains(&status), "{}", status);
        }
    }
}
