//! Prices, sentiment and status against a simulated internet that fails on command.

use std::path::Path;

use evercandle_simulator::{Config, Effect, ExchangeMarket, Fault, Handle, Simulator, SymbolStatus, Upstream};
use serde_json::Value;

use super::{Run, command, finished};

/// Nothing is fresh, so that each run asks; pauses are short, so that each run is.
const SETTINGS: &str = "\
[latest]
price_fresh_ms = 0
substitute_fresh_ms = 0
sentiment_fresh_ms = 0
[engine]
backoff_ms = 1
";

struct World {
    sim: Handle,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), SETTINGS).unwrap();
        World {
            sim: Simulator::start_blocking(Config::default()).unwrap(),
            dir,
        }
    }

    fn cache(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, line: &str) -> Run {
        let mut command = command(self.cache());
        command
            .env("EVERCANDLE_CONFIG", self.dir.path().join("config.toml"))
            .env("EVERCANDLE_INTERNET", self.sim.base_url())
            .args(line.split_whitespace());
        finished(command.output().unwrap())
    }

    fn json(&self, line: &str) -> Value {
        let got = self.run(&format!("{line} --format json"));
        serde_json::from_str(&got.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", got.stdout, got.stderr))
    }

    /// The exchange's own hosts, all of them.
    fn exchange_down(&self) {
        for upstream in Upstream::ALL {
            if upstream.name().starts_with("binance") {
                self.sim.inject(Fault::down(upstream));
            }
        }
    }

    fn everything_down(&self) {
        self.sim.inject(Fault::new(Effect::Refuse));
    }
}

#[test]
fn a_live_price_is_the_exchanges_own() {
    let world = World::new();
    let got = world.run("price BTC/USDT --format table --explain");
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    for said in ["BTCUSDT", "live", "binance", "exchange"] {
        assert!(got.stdout.contains(said), "{said}: {}", got.stdout);
    }
    assert!(got.stderr.starts_with("asked  1 call"), "{}", got.stderr);
    assert!(!got.stderr.contains("warning"), "{}", got.stderr);
    let json = world.json("price BTCUSDT");
    assert_eq!(json["nature"], "exchange", "{json}");
    assert_eq!(json["state"], "live", "{json}");
    assert!(json["price"].as_str().unwrap().parse::<f64>().unwrap() > 0.0, "{json}");
    assert!(
        json["day"]["volume"].is_number() && json["age_seconds"].is_number(),
        "{json}"
    );
    let csv = world.run("price BTCUSDT");
    assert_eq!(csv.stdout.lines().count(), 2, "{}", csv.stdout);
    assert!(csv.stdout.starts_with("symbol,market,price,state,"), "{}", csv.stdout);
}

/// Goal: through an outage, what is served is always labelled as what it is.
/// Method: the exchange, then its absence, then everything's; then the same without substitutes, and without a past.
#[test]
fn an_outage_is_told_step_by_step() {
    let world = World::new();
    assert_eq!(world.run("price BTCUSDT").code, Some(0));
    world.exchange_down();

    let substitute = world.run("price BTCUSDT --format table");
    assert_eq!(substitute.code, Some(0), "{}", substitute.stderr);
    assert!(
        substitute.stdout.contains("SUBSTITUTE: bitcoin in usd") && substitute.stdout.contains("≈ "),
        "{}",
        substitute.stdout
    );
    assert!(
        substitute
            .stderr
            .contains("warning: BTCUSDT: not the exchange's price but a substitute"),
        "{}",
        substitute.stderr
    );
    let json = world.json("price BTCUSDT");
    assert_eq!(
        (&json["nature"], &json["state"], &json["provider"]),
        (&"substitute".into(), &"substitute".into(), &"coingecko".into()),
        "{json}"
    );
    let refused = world.run("price BTCUSDT --no-substitute --format table");
    assert_eq!(refused.code, Some(0), "{}", refused.stderr);
    assert!(refused.stdout.contains("last known"), "{}", refused.stdout);

    world.everything_down();
    let known = world.run("price BTCUSDT --format table");
    assert_eq!(known.code, Some(0), "{}", known.stderr);
    assert!(
        known.stdout.contains("last known") && known.stdout.contains("exchange"),
        "{}",
        known.stdout
    );
    assert!(
        known.stderr.contains("this price was known before and is "),
        "{}",
        known.stderr
    );
    assert_eq!(world.json("price BTCUSDT")["state"], "last_known");

    let never = world.run("price ETHUSDT --format json");
    assert_eq!((never.code, never.stdout.as_str()), (Some(4), ""), "{}", never.stderr);
    for said in [
        "no upstream could tell the price of spot ETHUSDT",
        "\n  binance: ",
        "\n  coingecko: ",
    ] {
        assert!(never.stderr.contains(said), "{said}: {}", never.stderr);
    }
}

#[test]
fn a_halted_market_says_so() {
    let world = World::new();
    world
        .sim
        .set_status(ExchangeMarket::Spot, "ETHUSDT", SymbolStatus::Halt);
    let got = world.run("price ETHUSDT --format table");
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    assert!(got.stdout.contains("halted ("), "{}", got.stdout);
    assert!(got.stderr.contains("the market does not trade"), "{}", got.stderr);
    let json = world.json("price ETHUSDT");
    assert!(json["state"] == "halted" && json["halted"].is_string(), "{json}");
}

#[test]
fn an_unknown_symbol_is_bad_input_with_a_way_out() {
    let world = World::new();
    let got = world.run("price NOSUCHUSDT");
    assert_eq!((got.code, got.stdout.as_str()), (Some(2), ""), "{}", got.stderr);
    assert!(got.stderr.contains("does not know this symbol"), "{}", got.stderr);
    assert!(
        got.stderr.contains("evercandle symbols --market spot NOS"),
        "{}",
        got.stderr
    );
}

#[test]
fn many_prices_come_in_the_order_written_from_every_market() {
    let world = World::new();
    let list = world.cache().join("list.txt");
    std::fs::write(&list, "# more\nSOLUSDT, ETHUSDT\n").unwrap();
    let line = format!("prices btc/usdt:usdt,ETHUSDT BTCUSD_PERP --file {}", list.display());
    let got = world.run(&line);
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    let rows: Vec<&str> = got
        .stdout
        .lines()
        .skip(1)
        .map(|l| l.split(",").next().unwrap())
        .collect();
    assert_eq!(rows, ["BTCUSDT", "ETHUSDT", "BTCUSD_PERP", "SOLUSDT"], "{}", got.stdout);
    assert_eq!(world.run(&format!("{line} --format ndjson")).stdout.lines().count(), 4);
}

#[test]
fn prices_that_are_missing_are_told_and_decide_the_exit_code() {
    let world = World::new();
    let unknown = world.run("prices BTCUSDT NOSUCHUSDT --format json");
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(
        unknown
            .stderr
            .contains("NOSUCHUSDT: the exchange does not know this symbol"),
        "{}",
        unknown.stderr
    );
    let json: Value = serde_json::from_str(&unknown.stdout).unwrap();
    assert_eq!(json["prices"][0]["symbol"], "BTCUSDT", "{json}");
    assert_eq!(json["missing"][0]["symbol"], "NOSUCHUSDT", "{json}");
    assert!(
        json["missing"][0]["unknown"] == true && json["missing"][0]["reasons"][0]["why"].is_string(),
        "{json}"
    );

    let twice = world.run("prices NOSUCHUSDT NOSUCH/USDT:USDT --format json");
    let json: Value = serde_json::from_str(&twice.stdout).unwrap();
    let markets = json["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["market"].as_str());
    assert_eq!(markets.collect::<Vec<_>>(), [Some("spot"), Some("um")], "{json}");
    for said in ["\n  spot NOSUCHUSDT: ", "\n  um NOSUCHUSDT: "] {
        assert!(twice.stderr.contains(said), "{said}: {}", twice.stderr);
    }

    world.exchange_down();
    // Known before, and never heard of by anybody who is left.
    let part = world.run("prices BTCUSDT NANOUSDT --no-substitute --format json");
    assert_eq!(part.code, Some(3), "{}", part.stderr);
    assert!(
        part.stderr.contains("1 price could not be had:\n  NANOUSDT: binance: "),
        "{}",
        part.stderr
    );

    world.everything_down();
    let none = world.run("prices ETHUSDT NANOUSDT BTC/USDT:USDT --format json");
    assert_eq!(none.code, Some(4), "{}", none.stderr);
    let json: Value = serde_json::from_str(&none.stdout).unwrap();
    assert_eq!(json["missing"].as_array().unwrap().len(), 3, "{json}");
    assert!(none.stderr.contains("3 prices could not be had"), "{}", none.stderr);
}

#[test]
fn the_index_comes_with_its_name_and_its_source() {
    let world = World::new();
    let got = world.run("sentiment --days 30 --format table --explain");
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    assert!(
        got.stdout
            .starts_with("Crypto Fear & Greed Index, 0 to 100 (alternative.me)\n"),
        "{}",
        got.stdout
    );
    assert_eq!(got.stdout.lines().count(), 33, "{}", got.stdout);
    assert!(
        got.stderr.contains("asked  1 call") && got.stderr.ends_with("Data: alternative.me\n"),
        "{}",
        got.stderr
    );
    let json = world.json("sentiment --days 3");
    assert_eq!(
        (&json["measure"], &json["primary"]),
        (&"fear_and_greed".into(), &true.into()),
        "{json}"
    );
    assert_eq!(json["readings"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(json["attribution"], "Data: alternative.me", "{json}");
    let chart = world.run("sentiment --days 30 --chart");
    assert!(
        chart.code == Some(0) && chart.stdout.contains("┤ 100"),
        "{}{}",
        chart.stdout,
        chart.stderr
    );
}

#[test]
fn the_index_can_be_drawn() {
    let world = World::new();
    for (name, begins) in [("f.svg", &b"<svg"[..]), ("f.png", b"\x89PNG")] {
        let out = world.cache().join(name);
        let got = world.run(&format!("sentiment --days 60 --out {}", out.display()));
        assert_eq!((got.code, got.stdout.as_str()), (Some(0), ""), "{}", got.stderr);
        assert!(std::fs::read(&out).unwrap().starts_with(begins), "{name}");
    }
    let wrong = world.run("sentiment --out f.gif");
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("expected a file ending in .png or .svg"),
        "{}",
        wrong.stderr
    );
}

/// Goal: when the index cannot be had, what is served instead is never taken for it.
#[test]
fn a_sentiment_through_an_outage() {
    let world = World::new();
    world.sim.inject(Fault::down(Upstream::AlternativeMe));
    let votes = world.run("sentiment --format table");
    assert_eq!(votes.code, Some(0), "{}", votes.stderr);
    assert!(
        votes.stdout.starts_with("STANDS IN: votes in favour of bitcoin"),
        "{}",
        votes.stdout
    );
    assert!(
        votes.stderr.contains("warning: this is not the Fear & Greed Index"),
        "{}",
        votes.stderr
    );
    assert!(!votes.stderr.contains("Data: alternative.me"), "{}", votes.stderr);
    let json = world.json("sentiment");
    assert_eq!(
        (&json["measure"], &json["primary"]),
        (&"votes".into(), &false.into()),
        "{json}"
    );
    assert_eq!(json["attribution"], Value::Null, "{json}");

    let refused = world.run("sentiment --no-secondary");
    assert_eq!(
        (refused.code, refused.stdout.as_str()),
        (Some(4), ""),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("\n  alternative-me: "), "{}", refused.stderr);

    world.sim.faults().clear_all();
    assert_eq!(world.run("sentiment").code, Some(0));
    world.everything_down();
    let known = world.run("sentiment --format json");
    assert_eq!(known.code, Some(0), "{}", known.stderr);
    let json: Value = serde_json::from_str(&known.stdout).unwrap();
    assert_eq!(
        (&json["measure"], &json["via"]),
        (&"fear_and_greed".into(), &"cache".into()),
        "{json}"
    );
    assert!(json["age_seconds"].is_number(), "{json}");
}

#[test]
fn the_status_tells_who_fails() {
    let world = World::new();
    let well = world.run("status");
    assert_eq!(well.code, Some(0), "{}", well.stderr);
    assert_eq!(well.stdout.lines().count(), 6, "{}", well.stdout);
    assert!(
        well.stdout.lines().skip(1).all(|l| l.contains(" ok ")),
        "{}",
        well.stdout
    );
    let unasked = world.run("status --no-probe");
    assert!(
        unasked.stdout.lines().skip(1).all(|l| l.contains(" not asked ")),
        "{}",
        unasked.stdout
    );

    world.sim.inject(Fault::down(Upstream::CoinGecko));
    let json = world.json("status");
    assert_eq!(json["can_serve"], true, "{json}");
    for upstream in json["upstreams"].as_array().unwrap() {
        let expected = if upstream["name"] == "coingecko" {
            "degraded"
        } else {
            "ok"
        };
        assert_eq!(upstream["status"], expected, "{upstream}");
    }
    world.everything_down();
    let dead = world.run("status");
    assert_eq!(dead.code, Some(4), "{}", dead.stderr);
    for kind in ["klines", "prices", "sentiment"] {
        assert!(
            dead.stdout.contains(&format!("outage: no upstream can serve {kind}")),
            "{}",
            dead.stdout
        );
    }
}

/// Goal: a ban outlives its process, is obeyed and shown by the next, and can be lifted by hand.
#[test]
fn a_ban_is_shown_and_can_be_lifted() {
    let world = World::new();
    world
        .sim
        .inject(Fault::new(Effect::RateLimited { retry_after: 600 }).on("coingecko"));
    world.exchange_down();
    assert_eq!(world.run("price BTCUSDT").code, Some(4));
    world.sim.faults().clear_all();
    let banned = world.run("status");
    assert!(
        banned.stdout.contains("quarantine: coingecko is left alone until "),
        "{}",
        banned.stdout
    );
    let lifted = world.run("status --reset coingecko");
    assert_eq!(lifted.code, Some(0), "{}", lifted.stderr);
    assert!(
        lifted.stderr.contains("coingecko: the ban is lifted"),
        "{}",
        lifted.stderr
    );
    assert!(!lifted.stdout.contains("quarantine"), "{}", lifted.stdout);
    assert!(
        world
            .run("status --reset coingecko")
            .stderr
            .contains("there was no ban to lift")
    );
}

/// Goal: watching goes on until Ctrl-C, which is no accident. Method: two tables read from a pipe, then a signal.
#[cfg(unix)]
#[test]
fn watching_ends_well() {
    use std::io::{BufRead, BufReader};
    let world = World::new();
    let mut child = command(world.cache())
        .env("EVERCANDLE_INTERNET", world.sim.base_url())
        .args(["status", "--watch", "1", "--format", "json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reports: Vec<Value> = lines
        .take(2)
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert!(
        reports.iter().all(|r| r["upstreams"].as_array().unwrap().len() == 5),
        "{reports:?}"
    );
    super::interrupted::signal(child.id(), "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
