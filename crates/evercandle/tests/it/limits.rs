//! What an upstream lets us use in a minute, and who may use it. (That no test uses more than 80 % of any limit is
//! checked wherever a `World` ends.)

use std::time::Duration;

use evercandle::{Client, Error, Interval, Market, PriceRequest, Priority, Request, Series, Sources, Symbol};
use evercandle_simulator as sim;

use crate::support::{NOW, Upstreams, World, any_answer, range, series};

/// Futures of an exchange that allows so much weight in a minute.
async fn allowing(weight: u32) -> World {
    let quotas = sim::Quotas {
        futures: weight,
        ..sim::Quotas::default()
    };
    let config = sim::Config {
        quotas,
        ..sim::Config::default()
    };
    let mut world = World::of(NOW, config).await;
    world.config.engine.deadline_ms = 4_000;
    world
}

fn used(world: &World) -> u32 {
    let peaks = world.sim.peak_weights();
    peaks
        .iter()
        .filter(|p| p.pool == "binance-futures")
        .map(|p| p.used)
        .max()
        .unwrap_or(0)
}

fn limit(client: &Client) -> (u32, u32) {
    let health = client.health();
    let futures = health
        .upstreams
        .iter()
        .find(|u| u.provider.as_str() == "binance-futures")
        .unwrap();
    let quota = futures.quota.clone().unwrap();
    (quota.allowed, quota.limit)
}

/// More than a minute's worth of pages, from REST alone.
fn much(priority: Priority) -> Request {
    Request {
        priority,
        // Beyond what a busy machine takes for what the limit lets through.
        deadline: Some(Duration::from_secs(8)),
        sources: Sources::Named(vec![evercandle::ProviderName::new("binance-futures")]),
        ..Request::new(series("BTCUSDT", "1m", Market::Um), range("2024-03-01", "2024-06-01"))
    }
}

/// Goal: an exchange that allows an eighth of what we believe is not overrun, and nobody had to tell us.
#[tokio::test]
async fn the_published_limit_is_learnt_before_it_could_be_broken() {
    let world = allowing(300).await;
    let client = world.client();
    assert_eq!(limit(&client).1, 2_400, "what we believe");
    let answer = any_answer(client.get_data(much(Priority::Interactive)).await);
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!(limit(&client), (240, 300), "what it publishes");
    assert!((200..=240).contains(&used(&world)), "{}", used(&world));
    let why = answer.gaps.iter().map(|g| g.reason.to_string()).collect::<String>();
    assert!(why.contains("quota of binance-futures is spent"), "{why}");
}

/// Goal: a backfill leaves something for somebody who waits. Method: a backfill that takes all it may have, then a
/// question of one page in the same minute.
#[tokio::test]
async fn bulk_leaves_a_reserve_for_those_who_wait() {
    let world = allowing(300).await;
    let client = world.client();
    any_answer(client.get_data(much(Priority::Bulk)).await);
    let bulk = used(&world);
    assert!(bulk <= 204, "{bulk} of 240 is more than 85 %");
    let page = Request::new(
        series("ETHUSDT", "1m", Market::Um),
        range("2024-06-12T09:00:00Z", "2024-06-12T10:00:00Z"),
    );
    assert_eq!(client.get_data(page).await.unwrap().len(), 60);
    assert!(used(&world) > bulk);
}

/// Goal: where the configuration names a limit, the operator knows better. Method: the same with a smaller one.
#[tokio::test]
async fn a_configured_limit_is_not_asked_for() {
    let mut world = allowing(2_400).await;
    let futures = world.config.providers.entry("binance-futures".into()).or_default();
    futures.limits.insert("weight_per_minute".into(), 100);
    let client = world.client();
    any_answer(client.get_data(much(Priority::Interactive)).await);
    assert_eq!(limit(&client), (80, 100));
    assert!(used(&world) <= 80, "{}", used(&world));
    assert_eq!(world.requests("exchangeInfo"), 0);
}

/// Goal: whoever asks for many symbols that do not exist does not spend the exchange's limit, which is everybody's.
/// Method: nine hundred invented symbols, twice, then a real one; the journal says what it cost.
#[tokio::test]
async fn symbols_that_do_not_exist_cost_little_once_and_nothing_again() {
    let mut world = World::new().await;
    world.config.latest.price_fresh_ms = 0;
    let client = world.client();
    let invented: Vec<Symbol> = (0..900).map(|n| Symbol::new(&format!("R{n}USDT")).unwrap()).collect();
    let tickers = || world.sim.journal().matching("/ticker/").len();
    let first = client
        .prices(PriceRequest::new(Market::Spot, invented.clone()))
        .await
        .unwrap();
    assert_eq!((first.prices.len(), first.missing.len()), (0, 900));
    assert!(tickers() < 300, "{} calls", tickers());
    let known: Vec<Symbol> = first
        .missing
        .iter()
        .filter(|m| m.unknown)
        .map(|m| m.symbol.clone())
        .collect();
    assert!(!known.is_empty(), "some were found out");
    world.forget_requests();
    let again = client
        .prices(PriceRequest::new(Market::Spot, known.clone()))
        .await
        .unwrap();
    assert!(
        again.missing.iter().all(|m| m.unknown && !m.reasons.is_empty()),
        "{:?}",
        again.missing[0]
    );
    assert_eq!(tickers(), 0, "they are remembered");
    let real = Symbol::new("BTCUSDT").unwrap();
    let price = client.price(Market::Spot, &real).await.unwrap();
    world.check_price(&price);
}

/// Goal: who plans what to ask is told what it weighs, by those who count it.
#[tokio::test]
async fn a_question_weighs_what_its_calls_weigh() {
    let world = World::new().await;
    let client = world.client();
    let series = |symbol: &str| Series::parse(symbol, Interval::M1, None).unwrap();
    let klines = |symbol: &str, rows| {
        let told = client.klines_weight(&series(symbol), rows).unwrap();
        (told.quota.group, told.weight)
    };
    assert_eq!(klines("BTCUSDT", 4), ("binance-spot", 2));
    assert_eq!(klines("BTCUSDT", 2_001), ("binance-spot", 6), "three pages");
    assert_eq!(klines("BTC/USDT:USDT", 4), ("binance-futures", 1));
    assert_eq!(klines("BTC/USDT:USDT", 300), ("binance-futures", 2));
    let prices = |market, symbols| {
        let told = client.prices_weight(market, symbols)?;
        Some((told.quota.group, told.weight))
    };
    assert_eq!(prices(Market::Spot, 45), Some(("binance-spot", 12)));
    assert_eq!(prices(Market::Um, 1), Some(("binance-futures", 1)));
    assert_eq!(prices(Market::Um, 300), Some(("binance-futures", 40)));
    assert_eq!(prices(Market::Um, 0), None);
    assert_eq!(world.requests(""), 0);
}

/// Goal: a list with typos costs the exchange a few questions, and one look at what it lists in a minute; the same again
/// costs nothing. What exists is found among them.
/// Method: forty invented symbols in a row, twice; the journal says what it cost.
#[tokio::test]
async fn many_symbols_that_do_not_exist_are_told_by_what_the_market_lists() {
    for (market, host, real) in [
        (Market::Spot, "api.binance.com", "BTCUSDT"),
        (Market::Um, "fapi.binance.com", "BTCUSDT"),
        (Market::Cm, "dapi.binance.com", "BTCUSD_PERP"),
    ] {
        let world = World::new().await;
        let client = world.client();
        let wanted = |symbol: &str| Request::new(series(symbol, "1h", market), range("2024-05-01", "2024-06-01"));
        let ask_for_them = async || {
            for n in 0..40 {
                let error = client.get_data(wanted(&format!("R{n}USDT"))).await.unwrap_err();
                assert!(matches!(error, Error::UnknownSymbol { .. }), "{error}");
            }
        };
        ask_for_them().await;
        let asked = |what: &str| {
            world
                .sim
                .journal()
                .matching(host)
                .iter()
                .filter(|r| r.target().contains(what))
                .count()
        };
        assert_eq!(asked("exchangeInfo"), 1, "{market}");
        assert!(asked("/klines") <= 6, "{market}: {}", asked("/klines"));
        world.forget_requests();
        ask_for_them().await;
        assert_eq!(world.requests(""), 0, "{market}: they were all told a moment ago");
        assert_eq!(client.get_data(wanted(real)).await.unwrap().len(), 31 * 24);
        assert_eq!(asked("exchangeInfo"), 0, "{market}");
        // What was listed meanwhile is found after a minute.
        world.pass(Duration::from_secs(61));
        world.forget_requests();
        ask_for_them().await;
        assert_eq!(asked("exchangeInfo"), 1, "{market}");
    }
}
