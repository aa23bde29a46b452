//! Every event that is told is as `/openapi.json` describes it: nothing is missing, nothing is called otherwise, and nothing
//! is told that is not described.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use evercandle::config::PriceWatch;
use serde_json::{Value, json};

use super::support::{Daemon, Heard, Listener, PATIENCE, World};

/// The events' schemas, out of the document.
struct Described(Value);

impl Described {
    async fn by(daemon: &Daemon) -> Described {
        let mut document = daemon.json("/openapi.json").await;
        let schemas = document["components"]["schemas"].as_object_mut().unwrap();
        let parts: BTreeSet<String> = schemas
            .values()
            .filter_map(|schema| schema["allOf"].as_array())
            .flatten()
            .filter_map(|part| Some(part["$ref"].as_str()?.rsplit('/').next()?.to_owned()))
            .collect();
        for (name, schema) in schemas {
            let closes = match (schema["allOf"].is_array(), schema["properties"].is_object()) {
                (true, _) => "unevaluatedProperties",
                (false, true) if !parts.contains(name) => "additionalProperties",
                _ => continue,
            };
            schema[closes] = json!(false);
        }
        Described(document)
    }

    fn names(&self) -> BTreeSet<&str> {
        let events = &self.0["components"]["schemas"]["StreamEvents"]["properties"];
        events.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[track_caller]
    fn check(&self, kind: &str, data: &Value) {
        let schema = json!({
            "$ref": format!("#/components/schemas/StreamEvents/properties/{kind}"),
            "components": self.0["components"],
        });
        let wrong: Vec<String> = jsonschema::draft202012::new(&schema)
            .unwrap()
            .iter_errors(data)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{kind}: {wrong:#?}\n{data:#}");
    }
}

/// Listens until this was told, and holds everything until then against its description. Gaps are told apart by their reason.
async fn until_told(listener: &mut Listener, wanted: &str, described: &Described, heard: &mut BTreeSet<String>) {
    let began = Instant::now();
    while !heard.contains(wanted) {
        assert!(
            began.elapsed() < PATIENCE,
            "waited in vain for {wanted}, and heard {heard:?}"
        );
        match listener.next().await {
            Heard::Event { kind, data, .. } => {
                described.check(&kind, &data);
                heard.insert(match data["gap"]["reason"].as_str() {
                    Some(reason) => format!("{kind} {reason}"),
                    None => kind,
                });
            }
            Heard::Silence => panic!("the stream ended before any {wanted}; heard {heard:?}"),
            Heard::Comment | Heard::Retry(_) => {}
        }
    }
}

/// Method: a stream about everything, in whose time everything happens that is ever told: a candle, a price, a symbol that
/// there is not, a refresh, a halt, an absence that is too long, an outage, a return with a lost id, the daemon's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_as_described() {
    // A quarter of an hour before the exchange halts.
    let mut world = World::at("2021-04-25T03:45:20Z").await;
    world.config.schedule.enabled = true;
    world.config.schedule.sentiment = false;
    world.config.schedule.klines = Vec::new();
    world.config.schedule.prices = vec![PriceWatch {
        symbols: vec!["ETHUSDT".to_owned()],
        market: None,
    }];
    let mut daemon = world.serve().await;
    let described = Described::by(&daemon).await;
    let mut heard = BTreeSet::new();
    let query = "symbols=BTCUSDT,NOSUCHUSDT&interval=1m";
    let mut listener = daemon.listen_after(query, Some("nonsense")).await;
    for (passes, wanted) in [
        (0, "snapshot"),
        (0, "price"),
        (60, "refused"),
        (60, "candle"),
        (300, "run"),
        (20 * 60, "gap venue_halt"),
        (600 * 60, "gap not_streamed"),
    ] {
        world.pass(Duration::from_secs(passes));
        until_told(&mut listener, wanted, &described, &mut heard).await;
    }
    world.down("binance");
    until_told(&mut listener, "provider", &described, &mut heard).await;
    // Everything that was told is in the snapshot of whoever comes now.
    let (_, snapshot) = daemon.listen(query).await.event("snapshot").await;
    described.check("snapshot", &snapshot);
    for told in ["providers", "prices", "candles", "refused", "runs"] {
        assert!(!snapshot[told].as_array().unwrap().is_empty(), "{told}: {snapshot}");
    }
    daemon.tell_to_stop();
    until_told(&mut listener, "end", &described, &mut heard).await;
    let heard: BTreeSet<&str> = heard.iter().filter_map(|told| told.split(' ').next()).collect();
    assert_eq!(heard, described.names());
}
