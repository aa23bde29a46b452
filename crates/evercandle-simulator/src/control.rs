//! Steering by HTTP: what the handle can do, for people with curl and processes in other languages.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock::ClockMode;
use crate::door::{Door, DoorBehaviour};
use crate::fault::Fault;
use crate::market::{ExchangeMarket, FundingRate, Halt, Interval, Series, SymbolStatus};
use crate::message::{Request, Response};
use crate::simulator::Simulator;
use crate::time::{HOUR, TimeUnit, iso, parse_instant};

/// The first path segment that is not a host.
pub(crate) const CONTROL_HOST: &str = "_simulator";
/// Rows of truth per answer, so that a slip of the keyboard does not ask for a decade of seconds.
const TRUTH_ROWS_MAX: usize = 100_000;

/// Answers a control request.
pub(crate) fn respond(simulator: &Simulator, request: &Request) -> Response {
    let outcome = match (request.method.as_str(), request.path.trim_matches('/')) {
        ("GET", "faults") => Ok(json!(simulator.faults().active())),
        ("POST", "faults") => parse::<Fault>(request).map(|fault| json!({ "id": simulator.inject(fault) })),
        ("DELETE", "faults") => clear_faults(simulator, request),
        ("GET", "journal") => Ok(json!(simulator.journal().requests())),
        ("DELETE", "journal") => {
            simulator.journal().clear();
            Ok(json!({}))
        }
        ("GET", "clock") => Ok(clock(simulator)),
        ("POST", "clock") => set_clock(simulator, request),
        ("GET", "truth") => truth(simulator, request),
        ("GET", "halts") => Ok(json!(simulator.market().halts())),
        ("POST", "halts") => parse::<Halt>(request).map(|halt| {
            simulator.add_halt(halt);
            json!({})
        }),
        ("GET", "doors") => Ok(simulator.doors().iter().map(door).collect()),
        ("POST", "doors") => open_or_switch_door(simulator, request),
        ("DELETE", "doors") => close_doors(simulator, request),
        ("POST", "status") => set_status(simulator, request),
        ("GET", "politeness") => Ok(json!({
            "calls_in_quarantine": simulator.calls_in_quarantine(), "peak_weights": simulator.peak_weights(),
        })),
        _ => return Response::json(404, json!({ "error": "no such control route" }).to_string()),
    };
    match outcome {
        Ok(value) => Response::json(200, value.to_string()),
        Err(message) => Response::json(400, json!({ "error": message }).to_string()),
    }
}

fn parse<T: DeserializeOwned>(request: &Request) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|error| error.to_string())
}

/// Accepts `{"market":"spot","symbol":"BTCUSDT","status":"HALT"}`.
fn set_status(simulator: &Simulator, request: &Request) -> Result<Value, String> {
    #[derive(serde::Deserialize)]
    struct Wanted {
        market: ExchangeMarket,
        symbol: String,
        status: SymbolStatus,
    }
    let wanted: Wanted = parse(request)?;
    if simulator.set_status(wanted.market, &wanted.symbol, wanted.status) {
        Ok(json!({}))
    } else {
        Err("no such symbol".to_owned())
    }
}

fn door(door: &Door) -> Value {
    json!({ "id": door.id(), "url": door.url(), "behaviour": door.behaviour() })
}

/// Accepts nothing or `{"behaviour":"refused"}`; with `?id=1` for a door that is there, otherwise for another one.
fn open_or_switch_door(simulator: &Simulator, request: &Request) -> Result<Value, String> {
    #[derive(Default, serde::Deserialize)]
    struct Wanted {
        behaviour: Option<DoorBehaviour>,
    }
    let wanted: Wanted = match request.body.is_empty() {
        true => Wanted::default(),
        false => parse(request)?,
    };
    let chosen = match parameter(request, "id") {
        None => simulator.open_door_blocking().map_err(|error| error.to_string())?,
        Some(id) => {
            let known = simulator.doors().into_iter().find(|door| door.id().to_string() == id);
            known.ok_or("no such door")?
        }
    };
    if let Some(behaviour) = wanted.behaviour {
        chosen.behave(behaviour).map_err(|error| error.to_string())?;
    }
    Ok(door(&chosen))
}

fn close_doors(simulator: &Simulator, request: &Request) -> Result<Value, String> {
    match parameter(request, "id") {
        None => simulator.close_doors(),
        Some(id) => {
            simulator.close_door(id.parse().map_err(|_| "id is not a number".to_owned())?);
        }
    }
    Ok(json!({}))
}

fn clear_faults(simulator: &Simulator, request: &Request) -> Result<Value, String> {
    match parameter(request, "id") {
        None => simulator.faults().clear_all(),
        Some(id) => {
            simulator
                .faults()
                .clear(id.parse().map_err(|_| "id is not a number".to_owned())?);
        }
    }
    Ok(json!({}))
}

fn clock(simulator: &Simulator) -> Value {
    let clock = simulator.clock();
    json!({ "now": clock.now(), "iso": iso(clock.now()), "mode": clock.mode() })
}

/// Accepts `{"at":"2024-01-01T00:00:00Z"}`, `{"advance":60000000}` or a mode such as `{"real":{"offset":0}}`.
fn set_clock(simulator: &Simulator, request: &Request) -> Result<Value, String> {
    let body: Value = parse(request)?;
    if let Some(at) = body.get("at") {
        let at = at
            .as_i64()
            .or_else(|| at.as_str().and_then(parse_instant))
            .ok_or("at is not an instant")?;
        simulator.clock().set(at);
    } else if let Some(by) = body.get("advance").and_then(Value::as_i64) {
        simulator.clock().advance(by);
    } else {
        let mode: ClockMode = serde_json::from_value(body).map_err(|error| error.to_string())?;
        simulator.clock().set_mode(mode);
    }
    Ok(clock(simulator))
}

/// `start` and `end`: microseconds, a date or an instant.
fn ends(request: &Request) -> Result<(i64, i64), String> {
    let instant = |name: &str| {
        let text = parameter(request, name)?;
        text.parse().ok().or_else(|| parse_instant(&text))
    };
    Ok((instant("start").ok_or("start?")?, instant("end").ok_or("end?")?))
}

/// Settlements: instant in microseconds, interval in hours, rate and mark price as printed.
fn funding_truth(
    simulator: &Simulator,
    market: ExchangeMarket,
    symbol: &str,
    request: &Request,
) -> Result<Value, String> {
    let (start, end) = ends(request)?;
    if (end - start) / HOUR > TRUTH_ROWS_MAX as i64 {
        return Err(format!("more than {TRUTH_ROWS_MAX} rows"));
    }
    let rates = simulator.market().funding_rates(market, symbol, start..end);
    let row = |rate: &FundingRate| {
        json!([
            rate.funding_time,
            rate.interval_hours,
            rate.rate_text(),
            rate.mark_price
        ])
    };
    Ok(rates.iter().map(row).collect())
}

/// The final rows of a range, open times from `start` to before `end`, in microseconds.
fn truth(simulator: &Simulator, request: &Request) -> Result<Value, String> {
    let market = parameter(request, "market")
        .and_then(|text| ExchangeMarket::from_name(&text))
        .ok_or("market?")?;
    let symbol = parameter(request, "symbol").ok_or("symbol?")?;
    if parameter(request, "interval").as_deref() == Some("fundingRate") {
        return funding_truth(simulator, market, &symbol, request);
    }
    let interval = parameter(request, "interval")
        .and_then(|text| Interval::from_rest(&text))
        .ok_or("interval?")?;
    let (start, end) = ends(request)?;
    let series = Series::new(market, symbol, interval);
    let slots = (end - start) / interval.length().unwrap_or(crate::time::DAY);
    if slots > TRUTH_ROWS_MAX as i64 {
        return Err(format!("more than {TRUTH_ROWS_MAX} rows"));
    }
    let rows = simulator.market().klines(&series, start..end);
    Ok(json!(
        rows.iter()
            .map(|kline| kline.fields(TimeUnit::Microseconds))
            .collect::<Vec<_>>()
    ))
}

fn parameter(request: &Request, name: &str) -> Option<String> {
    request
        .query_pairs()
        .into_iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}
