//! Prices and sentiment: the best there is, labelled as what it is, or an error with every reason.

use std::time::Duration;

use evercandle::{
    Client, Error, Market, Measure, Nature, PriceRequest, PriceState, Secondary, SentimentRequest, SentimentState,
    Substitutes, Symbol, Via,
};
use evercandle_simulator as sim;
use evercandle_simulator::{Effect, Fault};

use crate::support::{World, time};

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

fn truth(world: &World, market: sim::ExchangeMarket, symbol: &str) -> sim::Ticker {
    let now = world.sim.clock().now();
    world.sim.market().ticker(market, symbol, now).unwrap()
}

async fn price(client: &Client, market: Market, text: &str) -> Result<evercandle::Price, Error> {
    client.price(market, &symbol(text)).await
}

fn exchange_down(world: &World) {
    world.down("binance-spot");
    world.down("binance-market-data");
}

/// Moves the exchange's clock and ours, waits and all.
fn pass(world: &World, seconds: u64) {
    world.clock.advance(Duration::from_secs(seconds));
    world.sim.clock().set(world.clock.now().as_micros());
}

#[tokio::test]
async fn a_live_price_is_the_exchanges_last_trade_to_the_digit() {
    let world = World::new().await;
    let client = world.client();
    for (market, theirs, text) in [
        (Market::Spot, sim::ExchangeMarket::Spot, "BTCUSDT"),
        (Market::Um, sim::ExchangeMarket::UsdM, "ETHUSDT"),
        (Market::Cm, sim::ExchangeMarket::CoinM, "BTCUSD_PERP"),
    ] {
        let price = price(&client, market, text).await.unwrap();
        let truth = truth(&world, theirs, text);
        assert_eq!(price.price.as_str(), truth.last_price_text());
        assert_eq!(
            (price.nature.clone(), price.state.clone()),
            (Nature::Exchange, PriceState::Live)
        );
        assert!(
            price.is_live() && price.via == Via::Upstream && price.age < Duration::from_secs(60),
            "{price:?}"
        );
        assert_eq!(price.as_of.as_millis(), truth.close_time / 1_000);
        let change = price.day.unwrap().change_percent.unwrap();
        assert!((change - truth.change_percent()).abs() < 0.01, "{change}");
    }
}

#[tokio::test]
async fn a_price_of_a_moment_ago_is_not_asked_for_again_and_many_are_one_question() {
    let world = World::new().await;
    let client = world.client();
    price(&client, Market::Spot, "BTCUSDT").await.unwrap();
    world.forget_requests();
    assert_eq!(price(&client, Market::Spot, "BTCUSDT").await.unwrap().via, Via::Cache);
    assert_eq!(world.requests(""), 0);
    pass(&world, 2);
    let wanted = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDT"].map(symbol).to_vec();
    let prices = client.prices(PriceRequest::new(Market::Spot, wanted)).await.unwrap();
    let names: Vec<&str> = prices.prices.iter().map(|p| p.symbol.as_str()).collect();
    assert_eq!(
        (names, prices.missing.len()),
        (vec!["BTCUSDT", "ETHUSDT", "SOLUSDT"], 0)
    );
    assert_eq!(world.requests("ticker"), 1, "{:?}", world.sim.journal().requests());
}

/// Goal: the whole way down, each step labelled. Method: take the exchange away, then the index, then let time pass.
#[tokio::test]
async fn without_the_exchange_a_substitute_then_the_last_known_value_then_an_error_with_every_reason() {
    let world = World::new().await;
    let client = world.client();
    let live = price(&client, Market::Spot, "BTCUSDT").await.unwrap();

    exchange_down(&world);
    pass(&world, 120);
    let substitute = price(&client, Market::Spot, "BTCUSDT").await.unwrap();
    let Nature::Substitute(of) = &substitute.nature else {
        panic!("{substitute:?}")
    };
    assert!(of.contains("bitcoin") && of.contains("usd"), "{of}");
    assert!(!substitute.is_live() && substitute.provider.as_str() == "coingecko");
    let index = world
        .sim
        .market()
        .index_price("bitcoin", "usd", world.sim.clock().now())
        .unwrap();
    assert!(
        (substitute.price.value() - index).abs() < 1e-6 * index,
        "{substitute:?}"
    );
    assert_ne!(substitute.price, live.price);
    assert!(substitute.day.unwrap().change_percent.is_some());

    // Another process, and nobody left to ask: the exchange's own price is preferred, although the substitute is younger.
    world.down("");
    pass(&world, 60);
    let other = world.client();
    let last = price(&other, Market::Spot, "BTCUSDT").await.unwrap();
    assert_eq!(
        (last.state.clone(), &last.price, last.via),
        (PriceState::LastKnown, &live.price, Via::Cache)
    );
    assert!((179..260).contains(&last.age.as_secs()), "{:?}", last.age);
    assert!(!last.is_live());

    pass(&world, 730);
    let between = price(&other, Market::Spot, "BTCUSDT").await.unwrap();
    assert!(
        matches!(between.nature, Nature::Substitute(_)),
        "the exchange's own is too old by now: {between:?}"
    );
    pass(&world, 3_600);
    let Err(Error::NoUpstream { reasons, .. }) = price(&other, Market::Spot, "BTCUSDT").await else {
        panic!("an hour-old price must not be served")
    };
    for who in ["binance", "coingecko", "cache"] {
        assert!(
            reasons
                .iter()
                .any(|(name, why)| name.as_str() == who && !why.is_empty()),
            "{reasons:?}"
        );
    }
}

#[tokio::test]
async fn whoever_refuses_substitutes_gets_none() {
    let world = World::new().await;
    exchange_down(&world);
    let request = || PriceRequest {
        substitutes: Substitutes::Refuse,
        ..PriceRequest::new(Market::Spot, vec![symbol("BTCUSDT")])
    };
    let client = world.client();
    price(&client, Market::Spot, "BTCUSDT").await.unwrap();
    let refused = client.prices(request()).await.unwrap();
    assert_eq!((refused.prices.len(), refused.missing.len()), (0, 1));
    assert!(!refused.missing[0].unknown && !refused.missing[0].reasons.is_empty());
}

#[tokio::test]
async fn a_halted_and_a_stale_market_are_never_called_live() {
    let world = World::new().await;
    world
        .sim
        .set_status(sim::ExchangeMarket::Spot, "ETHUSDT", sim::SymbolStatus::Halt);
    pass(&world, 30);
    let client = world.client();
    let halted = price(&client, Market::Spot, "ETHUSDT").await.unwrap();
    assert!(
        matches!(halted.state, PriceState::Halted(_)) && !halted.is_live(),
        "{halted:?}"
    );
    assert_eq!(
        halted.price.as_str(),
        truth(&world, sim::ExchangeMarket::Spot, "ETHUSDT").last_price_text()
    );
    world
        .sim
        .inject(Fault::new(Effect::StalePrice { hours: 3 }).path("*ticker*"));
    let stale = price(&client, Market::Um, "BTCUSDT").await.unwrap();
    assert_eq!((stale.state, stale.age.as_secs() / 3_600), (PriceState::Stale, 3));
}

#[tokio::test]
async fn an_unknown_symbol_has_no_substitute_and_spoils_nobody_elses_answer() {
    let world = World::new().await;
    let client = world.client();
    let error = price(&client, Market::Spot, "NOSUCHUSDT").await.unwrap_err();
    assert!(matches!(error, Error::UnknownSymbol { .. }), "{error}");
    assert_eq!(world.requests("coingecko"), 0);
    let mut wanted: Vec<Symbol> = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT"].map(symbol).to_vec();
    wanted.insert(2, symbol("NOSUCHUSDT"));
    let prices = client.prices(PriceRequest::new(Market::Spot, wanted)).await.unwrap();
    assert_eq!((prices.prices.len(), prices.missing.len()), (4, 1));
    assert!(prices.missing[0].unknown && !prices.missing[0].reasons.is_empty());
}

/// Goal: a contract on a thousand coins is not given the price of one.
#[tokio::test]
async fn a_substitute_is_in_the_units_of_what_it_stands_in_for() {
    let world = World::new().await;
    world.down("fapi");
    let client = world.client();
    let price = price(&client, Market::Um, "1000SHIBUSDT").await.unwrap();
    let index = world
        .sim
        .market()
        .index_price("shiba-inu", "usd", world.sim.clock().now())
        .unwrap();
    assert!(
        (price.price.value() / (1_000.0 * index) - 1.0).abs() < 1e-6,
        "{price:?} of {index}"
    );
}

#[tokio::test]
async fn sentiment_is_the_index_of_the_day_and_is_not_asked_for_twice() {
    let world = World::new().await;
    let client = world.client();
    let answer = client.sentiment(SentimentRequest::default()).await.unwrap().sentiment;
    let truth = world.sim.market().fear_greed(world.sim.clock().now()).unwrap();
    assert_eq!(
        (answer.measure.clone(), answer.state),
        (Measure::FearAndGreed, SentimentState::Current)
    );
    assert_eq!(
        (answer.readings.len(), answer.readings[0].value),
        (1, f64::from(truth.value))
    );
    assert_eq!(answer.readings[0].classification.as_deref(), Some(truth.class));
    world.forget_requests();
    client.sentiment(SentimentRequest::default()).await.unwrap();
    assert_eq!(world.requests(""), 0);
}

#[tokio::test]
async fn who_wants_more_readings_than_there_are_does_not_have_them_asked_for_each_time() {
    let world = World::at("2018-04-20T12:00:00Z", 7).await;
    let client = world.client();
    let request = SentimentRequest {
        count: 1_000,
        ..SentimentRequest::default()
    };
    let all = client.sentiment(request.clone()).await.unwrap().sentiment;
    assert!((10..1_000).contains(&all.readings.len()), "{}", all.readings.len());
    world.forget_requests();
    let again = client.sentiment(request).await.unwrap().sentiment;
    assert_eq!((again.readings, world.requests("")), (all.readings, 0));
}

#[tokio::test]
async fn a_history_names_the_days_that_were_never_published() {
    let world = World::at("2018-04-20T12:00:00Z", 7).await;
    let request = SentimentRequest {
        count: 7,
        ..SentimentRequest::default()
    };
    let answer = world.client().sentiment(request).await.unwrap().sentiment;
    let missing: Vec<String> = answer.missing.iter().map(|t| t.to_string()[..10].to_owned()).collect();
    assert_eq!(
        missing,
        ["2018-04-14", "2018-04-15", "2018-04-16"],
        "{:?}",
        answer.readings
    );
    assert_eq!(answer.readings.len(), 7);
}

/// Goal: another measure is labelled as what it is, today's reading is preferred to it, and nothing is neutral by
/// default. Method: take the measures away one after the other.
#[tokio::test]
async fn without_the_index_other_measures_then_what_was_known_then_an_explicit_error() {
    let world = World::new().await;
    let ask = SentimentRequest::default;
    let down = |host: &str| world.down(host);
    down("alternative-me");
    let client = world.client();
    let votes = client.sentiment(ask()).await.unwrap().sentiment;
    assert!(matches!(votes.measure, Measure::Votes { .. }), "{votes:?}");
    down("coingecko");
    let again = client.sentiment(ask()).await.unwrap().sentiment;
    assert_eq!(
        (again.measure, again.via),
        (votes.measure, Via::Cache),
        "votes change slowly"
    );
    pass(&world, 660);
    let ratio = client.sentiment(ask()).await.unwrap().sentiment;
    assert!(
        matches!(ratio.measure, Measure::LongShortRatio { .. }) && ratio.readings[0].value > 0.0,
        "{ratio:?}"
    );
    down("");
    pass(&world, 660);
    let Err(Error::NoUpstream { reasons, .. }) = client.sentiment(ask()).await else {
        panic!("nothing primary was ever known")
    };
    assert!(reasons.len() >= 3, "{reasons:?}");
}

#[tokio::test]
async fn todays_reading_is_preferred_to_another_measure_and_yesterdays_is_labelled() {
    let world = World::new().await;
    let client = world.client();
    let live = client.sentiment(SentimentRequest::default()).await.unwrap().sentiment;
    world.down("alternative-me");
    pass(&world, 3_600);
    let other_process = world.client();
    let today = other_process
        .sentiment(SentimentRequest::default())
        .await
        .unwrap()
        .sentiment;
    // Nobody answered, and yet it is not stale.
    let latest = other_process.health().latest;
    assert!(
        latest.iter().all(|kind| kind.stale_served == 0 && !kind.not_fresh),
        "{latest:?}"
    );
    assert_eq!(
        (today.measure.clone(), today.state),
        (Measure::FearAndGreed, SentimentState::Current)
    );
    assert_eq!(today.readings[0].value, live.readings[0].value);
    // A day later the reading is no longer the newest there is; another measure is asked, unless refused.
    pass(&world, 86_400);
    let refuse = SentimentRequest {
        secondary: Secondary::Refuse,
        ..SentimentRequest::default()
    };
    let old = world.client().sentiment(refuse.clone()).await.unwrap().sentiment;
    assert_eq!(
        (old.measure, old.state),
        (Measure::FearAndGreed, SentimentState::LastKnown)
    );
    let other = world
        .client()
        .sentiment(SentimentRequest::default())
        .await
        .unwrap()
        .sentiment;
    assert!(!other.measure.is_primary());
    pass(&world, 3 * 86_400);
    assert!(matches!(
        world.client().sentiment(refuse).await,
        Err(Error::NoUpstream { .. })
    ));
}

#[tokio::test]
async fn a_sentiment_outage_leaves_prices_and_klines_alone() {
    let world = World::new().await;
    world.down("alternative-me");
    world.down("coingecko");
    let client = world.client();
    let _ = client.sentiment(SentimentRequest::default()).await;
    assert!(price(&client, Market::Spot, "BTCUSDT").await.unwrap().is_live());
    let asked = crate::support::series("BTCUSDT", "1h", Market::Spot);
    let range = crate::support::range("2024-05-01", "2024-05-02");
    assert_eq!(
        client
            .get_data(evercandle::Request::new(asked, range))
            .await
            .unwrap()
            .len(),
        24
    );
}

/// Goal: a wrong clock of ours does not make an old price young, or a young one old.
#[tokio::test]
async fn ages_are_told_by_the_exchanges_clock() {
    let world = World::new().await;
    for ours in ["2024-06-11T10:30:20Z", "2024-06-13T10:30:20Z"] {
        world.clock.set(time(ours));
        pass_real(&world);
        let price = price(&world.client(), Market::Um, "BTCUSDT").await.unwrap();
        assert!(
            price.is_live() && price.age < Duration::from_secs(120),
            "{ours}: {price:?}"
        );
    }
}

/// Prices are remembered for a second; a new client would otherwise take the other's from disk.
fn pass_real(world: &World) {
    world.clock.advance(Duration::from_secs(5));
}

/// Goal: an outage of the exchange does not become an attack on the index. Method: a price a second for two minutes.
#[tokio::test]
async fn a_substitute_is_asked_for_no_oftener_than_it_changes() {
    let world = World::new().await;
    exchange_down(&world);
    let client = world.client();
    for _ in 0..120 {
        let price = price(&client, Market::Spot, "BTCUSDT").await.unwrap();
        assert!(matches!(price.nature, Nature::Substitute(_)));
        pass(&world, 1);
    }
    assert!(
        (5..=8).contains(&world.requests("simple/price")),
        "{}",
        world.requests("simple/price")
    );
    assert!(world.sim.peak_weights().iter().all(|p| p.share() <= 0.8));
}

/// Goal: when the index's own limit is spent, what is known is served at once, not after the minute.
#[tokio::test]
async fn a_spent_limit_of_the_index_keeps_nobody_waiting() {
    let mut world = World::new().await;
    let coingecko = world.config.providers.entry("coingecko".into()).or_default();
    coingecko.limits.insert("calls_per_minute".into(), 2);
    world.config.latest.substitute_fresh_ms = 0;
    let client = world.client();
    price(&client, Market::Spot, "BTCUSDT").await.unwrap();
    exchange_down(&world);
    let began = std::time::Instant::now();
    let mut last_known = 0;
    for _ in 0..5 {
        pass(&world, 2);
        last_known += u32::from(price(&client, Market::Spot, "BTCUSDT").await.unwrap().state == PriceState::LastKnown);
    }
    assert!(last_known >= 3, "{last_known}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// Goal: a contract that does not exist has no price, asked for alone or among others.
#[tokio::test]
async fn an_unlisted_contract_has_no_price_among_others_either() {
    let world = World::new().await;
    let wanted = ["BTCUSDT", "BTCUSDT_991231", "BTCEUR"].map(symbol).to_vec();
    let prices = world
        .client()
        .prices(PriceRequest::new(Market::Um, wanted))
        .await
        .unwrap();
    assert_eq!(
        (prices.prices.len(), prices.missing.len()),
        (1, 2),
        "{:?}",
        prices.prices
    );
    assert!(prices.missing.iter().all(|m| m.unknown));
}

/// Goal: who gives a strict deadline still gets the best there is in that time. Method: the first upstream hangs.
#[tokio::test]
async fn a_deadline_leaves_time_for_the_next_upstream() {
    let world = World::new().await;
    for host in ["binance-spot", "binance-market-data"] {
        world.sim.inject(Fault::new(Effect::BlackHole).on(host));
    }
    let request = PriceRequest {
        deadline: Some(Duration::from_millis(1_500)),
        ..PriceRequest::new(Market::Spot, vec![symbol("BTCUSDT")])
    };
    let prices = world.client().prices(request).await.unwrap();
    assert!(
        matches!(prices.prices[0].nature, Nature::Substitute(_)),
        "{:?}",
        prices.missing
    );
    let asked = crate::support::series("BTCUSDT", "1m", Market::Spot);
    let days = evercandle::Request {
        deadline: Some(Duration::from_secs(3)),
        priority: evercandle::Priority::Bulk,
        ..crate::support::best_effort(asked, crate::support::range("2024-05-01", "2024-05-04"))
    };
    assert_eq!(world.client().get_data(days).await.unwrap().len(), 3 * 1_440);
}

/// Goal: a halt is not forgotten when the exchange goes away, and nothing better-looking is found for it.
#[tokio::test]
async fn a_market_that_was_halted_when_last_heard_of_stays_halted() {
    let world = World::new().await;
    world
        .sim
        .set_status(sim::ExchangeMarket::Spot, "ETHUSDT", sim::SymbolStatus::Halt);
    let client = world.client();
    price(&client, Market::Spot, "ETHUSDT").await.unwrap();
    exchange_down(&world);
    pass(&world, 60);
    let halted = price(&client, Market::Spot, "ETHUSDT").await.unwrap();
    assert!(
        matches!(halted.state, PriceState::Halted(_)) && halted.nature == Nature::Exchange,
        "{halted:?}"
    );
    assert_eq!(halted.via, Via::Cache);
}

/// Goal: a substitute is refused when it is older than anything may be.
#[tokio::test]
async fn an_old_substitute_is_refused() {
    let world = World::new().await;
    exchange_down(&world);
    world
        .sim
        .inject(Fault::new(Effect::StalePrice { hours: 7 }).on("coingecko"));
    let reasons = match price(&world.client(), Market::Spot, "BTCUSDT").await {
        Err(Error::NoUpstream { reasons, .. }) => reasons,
        other => panic!("it is no price of now: {other:?}"),
    };
    let old =
        |(name, why): &(evercandle::ProviderName, String)| name.as_str() == "coingecko" && why.contains("allowed");
    assert!(reasons.iter().any(old), "{reasons:?}");
}
