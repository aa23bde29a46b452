//! Steering by HTTP, without the HTTP.
#![allow(clippy::unwrap_used)]

use evercandle_simulator::{Config, Effect, Fault, Request, Simulator, time};
use serde_json::{Value, json};

fn simulator() -> Simulator {
    Simulator::new(Config::default().at(time::parse_instant("2024-06-01T12:00:00Z").unwrap()))
}

fn call(simulator: &Simulator, method: &str, route: &str, body: &str) -> (u16, Value) {
    let mut request = Request::new(method, &format!("_simulator/{route}"));
    request.body = body.to_owned().into();
    let response = simulator.respond(&request, simulator.clock().now()).response;
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

fn ping(simulator: &Simulator) -> u16 {
    simulator
        .respond(&Request::get("api.binance.com/api/v3/ping"), simulator.clock().now())
        .response
        .status
}

#[test]
fn faults_are_switched_on_listed_and_switched_off() {
    let simulator = simulator();
    let fault = r#"{"effect":{"kind":"status","status":503},"upstream":"binance-spot"}"#;
    assert_eq!(call(&simulator, "POST", "faults", fault), (200, json!({ "id": 1 })));
    assert_eq!(ping(&simulator), 503);
    let (_, listed) = call(&simulator, "GET", "faults", "");
    assert_eq!(
        (&listed[0]["applied"], &listed[0]["fault"]["effect"]["kind"]),
        (&json!(1), &json!("status"))
    );
    call(&simulator, "DELETE", "faults?id=1", "");
    assert_eq!(ping(&simulator), 200);
    assert_eq!(
        call(&simulator, "POST", "faults", r#"{"effect":{"kind":"gremlins"}}"#).0,
        400
    );
}

/// Goal: an outage that never happens does not pass for one that was survived; and the name that asks both futures hosts
/// means both.
#[test]
fn a_fault_at_nobody_is_refused_with_the_names_there_are() {
    let simulator = simulator();
    let fault = |upstream: &str| json!({ "effect": { "kind": "html" }, "upstream": upstream }).to_string();
    let (status, told) = call(&simulator, "POST", "faults", &fault("nonsense"));
    let error = told["error"].as_str().unwrap_or_default();
    assert!(
        status == 400 && error.contains("`nonsense`") && error.contains("binance-usdm, binance-coinm"),
        "{status} {told}"
    );
    assert_eq!(call(&simulator, "POST", "faults", &fault("binance-futures")).0, 200);
    for (target, expected) in [
        ("fapi.binance.com/fapi/v1/ping", 1),
        ("dapi.binance.com/dapi/v1/ping", 2),
        ("api.binance.com/api/v3/ping", 2),
    ] {
        simulator.respond(&Request::get(target), simulator.clock().now());
        assert_eq!(simulator.faults().active()[0].applied, expected, "{target}");
    }
}

#[test]
#[should_panic(expected = "unknown upstream `nonsense`")]
fn a_fault_at_nobody_is_not_even_made() {
    let _ = Fault::new(Effect::Refuse).on("nonsense");
}

#[test]
fn the_journal_is_read_and_forgotten_and_omits_the_steering() {
    let simulator = simulator();
    ping(&simulator);
    let (_, journal) = call(&simulator, "GET", "journal", "");
    assert_eq!(journal.as_array().unwrap().len(), 1);
    assert_eq!(
        (&journal[0]["path"], &journal[0]["weight"]),
        (&json!("/api/v3/ping"), &json!(1))
    );
    call(&simulator, "DELETE", "journal", "");
    assert!(simulator.journal().is_empty());
}

#[test]
fn the_clock_is_stopped_moved_and_set_running() {
    let simulator = simulator();
    let (_, clock) = call(&simulator, "POST", "clock", r#"{"at":"2024-01-01T00:00:00Z"}"#);
    assert_eq!(clock["now"], 1_704_067_200_000_000i64);
    let (_, clock) = call(&simulator, "POST", "clock", r#"{"advance":60000000}"#);
    assert_eq!(clock["iso"], "2024-01-01T00:01:00.000Z");
    let (_, clock) = call(&simulator, "POST", "clock", r#"{"real":{"offset":0}}"#);
    assert_eq!(clock["mode"], json!({ "real": { "offset": 0 } }));
}

#[test]
fn truth_is_told_and_halts_change_it() {
    let simulator = simulator();
    let route = "truth?market=spot&symbol=BTCUSDT&interval=1h&start=2024-05-01&end=2024-05-02";
    let rows = |simulator: &Simulator| call(simulator, "GET", route, "").1.as_array().unwrap().len();
    assert_eq!(rows(&simulator), 24);
    let archive = Request::get("data.binance.vision/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-05-01.zip");
    let before = simulator.respond(&archive, simulator.clock().now()).response.body;
    let start = time::parse_instant("2024-05-01T02:00:00Z").unwrap();
    let halt = json!({ "market": "spot", "start": start, "end": start + 2 * time::HOUR, "kind": "absent" });
    assert_eq!(call(&simulator, "POST", "halts", &halt.to_string()).0, 200);
    assert_eq!(rows(&simulator), 22);
    assert_ne!(
        simulator.respond(&archive, simulator.clock().now()).response.body,
        before
    );
    assert_eq!(call(&simulator, "GET", "truth?market=spot", "").0, 400);
}

#[test]
fn symbols_are_stopped_and_politeness_is_reported() {
    let simulator = simulator();
    let stop = |status: &str| json!({ "market": "spot", "symbol": "ETHUSDT", "status": status }).to_string();
    assert_eq!(call(&simulator, "POST", "status", &stop("HALT")), (200, json!({})));
    assert_eq!(call(&simulator, "POST", "status", &stop("ASLEEP")).0, 400);
    let info = Request::get("api.binance.com/api/v3/exchangeInfo?symbol=ETHUSDT");
    let told = simulator.respond(&info, simulator.clock().now()).response.text();
    assert!(told.contains("\"status\":\"HALT\""), "{told}");
    let (_, record) = call(&simulator, "GET", "politeness", "");
    assert_eq!(record["calls_in_quarantine"], 0);
    assert_eq!(
        (&record["peak_weights"][0]["pool"], &record["peak_weights"][0]["used"]),
        (&json!("binance-spot"), &json!(20))
    );
}
