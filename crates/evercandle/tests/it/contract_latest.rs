//! What every upstream must do that serves the newest of something, whatever it is: run over the whole catalogue.

use std::sync::Arc;

use evercandle::config::ProviderKey;
use evercandle::provider::http::Http;
use evercandle::provider::{CATALOG, Call, FetchError, PriceProvider, Quotes, SentimentProvider};
use evercandle::{Config, Market, Measure, Nature, Symbol, Timestamp};
use evercandle_simulator::{Effect, ErrorShape, ExchangeMarket, Fault, SymbolStatus};

use crate::contract::upstreams;
use crate::support::World;

/// Those that serve prices.
fn price_providers(world: &World) -> Vec<Arc<dyn PriceProvider>> {
    upstreams(world).into_iter().filter_map(|roles| roles.prices).collect()
}

/// Those that serve a sentiment.
fn sentiment_providers(world: &World) -> Vec<Arc<dyn SentimentProvider>> {
    upstreams(world)
        .into_iter()
        .filter_map(|roles| roles.sentiment)
        .collect()
}

/// A day on which every kind of symbol is listed.
const LATE: &str = "2026-10-01T12:30:20Z";

fn symbols(names: &[&str]) -> Vec<Symbol> {
    names.iter().map(|name| Symbol::new(name).unwrap()).collect()
}

/// Symbols that trade on [`LATE`].
fn listed(market: Market) -> Vec<Symbol> {
    symbols(match market {
        Market::Spot => &["BTCUSDT", "ETHUSDT", "SOLUSDT"],
        Market::Um => &["BTCUSDT", "1000SHIBUSDT", "BTCUSDT_261225"],
        Market::Cm => &["BTCUSD_PERP", "BTCUSD_261225", "ETHUSD_PERP"],
    })
}

fn exchange_market(market: Market) -> ExchangeMarket {
    match market {
        Market::Spot => ExchangeMarket::Spot,
        Market::Um => ExchangeMarket::UsdM,
        Market::Cm => ExchangeMarket::CoinM,
    }
}

/// Goal: every quote is the truth about a symbol that was asked for, to the digit, with the truth's time; once each.
fn check_quotes(world: &World, market: Market, asked: &[Symbol], answer: &Quotes, who: &str) {
    let now = world.sim.clock().now();
    let mut named: Vec<&Symbol> = answer.quotes.iter().map(|quote| &quote.symbol).collect();
    named.extend(answer.refused.iter().map(|(symbol, _)| symbol));
    named.extend(&answer.unresolved);
    named.sort();
    let mut expected: Vec<&Symbol> = asked.iter().collect();
    expected.sort();
    expected.dedup();
    assert_eq!(named, expected, "{who} {market}: every symbol has one fate");
    assert!(
        answer.refused.iter().all(|(_, why)| !why.is_empty()),
        "{who}: a reason is said"
    );
    for quote in &answer.quotes {
        let symbol = &quote.symbol;
        match &quote.nature {
            Nature::Exchange => {
                let truth = world
                    .sim
                    .market()
                    .ticker(exchange_market(market), symbol.as_str(), now)
                    .unwrap();
                assert_eq!(quote.price.as_str(), truth.last_price_text(), "{who} {market} {symbol}");
                assert_eq!(
                    quote.as_of.as_millis(),
                    truth.close_time / 1_000,
                    "{who} {market} {symbol}"
                );
                if market == Market::Spot {
                    assert_eq!(quote.halted.is_some(), !truth.trading, "{who} {symbol}: {quote:?}");
                }
                let change = quote.day.unwrap().change_percent.unwrap();
                assert!((change - truth.change_percent()).abs() < 1e-6, "{who} {symbol}");
            }
            Nature::Substitute(label) => {
                let words: Vec<&str> = label.split([' ', ',']).collect();
                let truth = world.sim.market().index_quote(words[0], words[2], now).unwrap();
                let times = if symbol.as_str().starts_with("1000") {
                    1_000.0
                } else {
                    1.0
                };
                let expected = truth.price * times;
                // Some endpoints round: right is what is right to the last digit printed.
                let decimals = quote
                    .price
                    .as_str()
                    .split_once('.')
                    .map_or(0, |(_, decimals)| decimals.len());
                let tolerance = 0.5 * 0.1_f64.powi(decimals as i32) + expected * 1e-12;
                assert!(
                    (quote.price.value() - expected).abs() <= tolerance,
                    "{who} {symbol}: {} is not {expected} ({label})",
                    quote.price
                );
                assert_eq!(
                    quote.as_of.as_micros() / 1_000_000,
                    truth.updated_at / 1_000_000,
                    "{who} {symbol}"
                );
                assert!(label.contains(&format!("not {symbol}")), "{label}");
            }
        }
    }
}

#[tokio::test]
async fn prices_are_the_truth_about_what_was_asked_for() {
    let world = World::at(LATE, 7).await;
    for provider in price_providers(&world) {
        let (who, mut served) = (provider.name(), 0);
        for market in Market::ALL {
            if provider.symbols_max(market) == 0 {
                let error = provider.prices(market, &listed(market)).await.unwrap_err();
                assert!(matches!(error, FetchError::Rejected(_)), "{who} {market}: {error:?}");
                continue;
            }
            let all = listed(market);
            let twice = [&all[..], &all[..1]].concat();
            for asked in [&all[..1], &all[..], &twice] {
                let answer = provider
                    .prices(market, asked)
                    .await
                    .unwrap_or_else(|e| panic!("{who} {market}: {e}"));
                check_quotes(&world, market, asked, &answer, who.as_str());
                assert_eq!(
                    answer.quotes.len(),
                    asked.len().min(all.len()),
                    "{who} {market}: {answer:?}"
                );
                served += answer.quotes.len();
            }
        }
        assert!(served > 0, "{who} serves no price");
    }
}

#[tokio::test]
async fn a_symbol_that_does_not_exist_has_no_price() {
    let world = World::at(LATE, 7).await;
    for provider in price_providers(&world) {
        for market in Market::ALL
            .into_iter()
            .filter(|market| provider.symbols_max(*market) > 0)
        {
            let who = provider.name();
            let name = if market == Market::Cm {
                "NOSUCHUSD_PERP"
            } else {
                "NOSUCHUSDT"
            };
            let asked = [&listed(market)[..1], &symbols(&[name])[..]].concat();
            let mut answer = provider.prices(market, &asked).await;
            while answer.as_ref().is_ok_and(|answer| !answer.unresolved.is_empty()) && provider.resolve().await.unwrap()
            {
                answer = provider.prices(market, &asked).await;
            }
            match answer {
                Ok(answer) => {
                    check_quotes(&world, market, &asked, &answer, who.as_str());
                    assert_eq!(answer.refused.len(), 1, "{who} {market}: {answer:?}");
                    assert_eq!(answer.refused[0].0.as_str(), name);
                }
                Err(error) => assert!(
                    matches!(error, FetchError::UnknownSymbol(_)),
                    "{who} {market}: {error:?}"
                ),
            }
            assert!(provider.resolve().await.is_ok(), "{who}: asking on is harmless");
        }
    }
}

#[tokio::test]
async fn a_symbol_whose_name_is_not_known_beforehand_can_be_found() {
    let world = World::at(LATE, 7).await;
    for provider in price_providers(&world) {
        let (who, asked) = (provider.name(), symbols(&["CANDLEUSDT", "币安人生USDT"]));
        if provider.symbols_max(Market::Spot) == 0 {
            continue;
        }
        let mut answer = provider.prices(Market::Spot, &asked).await.unwrap();
        while !answer.unresolved.is_empty() && provider.resolve().await.unwrap() {
            answer = provider.prices(Market::Spot, &asked).await.unwrap();
        }
        check_quotes(&world, Market::Spot, &asked, &answer, who.as_str());
        assert_eq!(answer.quotes.len(), 2, "{who}: {answer:?}");
    }
}

/// Goal: the exchange's price of a market that stands still is never presented as if it traded.
#[tokio::test]
async fn a_market_that_stands_still_is_said_to() {
    let world = World::at(LATE, 7).await;
    world
        .sim
        .set_status(ExchangeMarket::Spot, "ETHUSDT", SymbolStatus::Halt);
    for provider in price_providers(&world)
        .into_iter()
        .filter(|p| p.symbols_max(Market::Spot) > 0)
    {
        let who = provider.name();
        for asked in [symbols(&["ETHUSDT"]), symbols(&["BTCUSDT", "ETHUSDT", "LUNAUSDT"])] {
            let answer = provider.prices(Market::Spot, &asked).await.unwrap();
            check_quotes(&world, Market::Spot, &asked, &answer, who.as_str());
            let own = answer.quotes.iter().filter(|quote| quote.nature == Nature::Exchange);
            for quote in own {
                assert_eq!(
                    quote.halted.is_some(),
                    quote.symbol.as_str() != "BTCUSDT",
                    "{who}: {quote:?}"
                );
            }
        }
    }
}

/// Goal: a price that cannot be right, or is another's, is refused with a reason and never passed on.
#[tokio::test]
async fn prices_that_cannot_be_right_are_refused() {
    let world = World::at(LATE, 7).await;
    let text = |text: &str| Effect::PriceText {
        text: Some(text.to_owned()),
    };
    for provider in price_providers(&world) {
        for market in Market::ALL
            .into_iter()
            .filter(|market| provider.symbols_max(*market) > 0)
        {
            let (who, asked) = (provider.name(), listed(market));
            for effect in [
                text("0.00000000"),
                text("NaN"),
                text(""),
                text("-1"),
                Effect::PriceText { text: None },
                Effect::MislabelledTicker {
                    symbol: "XRPUSDT".to_owned(),
                },
                Effect::DuplicateTickers,
                Effect::MissingTicker {
                    symbol: asked[1].as_str().to_owned(),
                },
                Effect::MissingTicker {
                    symbol: "ethereum".to_owned(),
                },
            ] {
                let fault = world.sim.inject(Fault::new(effect.clone()));
                let answer = provider.prices(market, &asked).await;
                world.sim.faults().clear(fault);
                let answer = answer.unwrap_or_else(|e| panic!("{who} {market} {effect:?}: {e}"));
                check_quotes(&world, market, &asked, &answer, who.as_str());
                let bent = matches!(effect, Effect::PriceText { .. });
                assert!(
                    !bent || answer.quotes.is_empty(),
                    "{who} {market} {effect:?}: {answer:?}"
                );
                a_minute_later(&world);
            }
        }
    }
}

/// Limits are per minute, and a test asks faster than anyone should.
fn a_minute_later(world: &World) {
    world.sim.clock().set(world.sim.clock().now() + 60_000_000);
}

#[tokio::test]
async fn an_old_price_is_dated_as_old() {
    let world = World::at(LATE, 7).await;
    let now = Timestamp::from_micros(world.sim.clock().now());
    world.sim.inject(Fault::new(Effect::StalePrice { hours: 5 }));
    for provider in price_providers(&world) {
        for market in Market::ALL
            .into_iter()
            .filter(|market| provider.symbols_max(*market) > 0)
        {
            let answer = provider.prices(market, &listed(market)).await.unwrap();
            let own = answer.quotes.iter().all(|quote| quote.nature == Nature::Exchange);
            assert_eq!(
                own,
                !provider.substitutes(),
                "{}: is it the exchange's?",
                provider.name()
            );
            let hours = 3_600_000_000;
            assert!(!answer.quotes.is_empty());
            for quote in answer.quotes {
                assert!(now.since(quote.as_of) >= 5 * hours, "{}: {quote:?}", provider.name());
            }
        }
    }
}

// --- trouble with what is newest --------------------------------------------------------------------------------------

/// What can go wrong anywhere, and what it is called.
fn trouble() -> Vec<(Effect, &'static [&'static str])> {
    let status = |status, body: &str| Effect::Status {
        status,
        body: body.to_owned(),
    };
    vec![
        (Effect::Refuse, &["unreachable"]),
        (Effect::BlackHole, &["timed_out"]),
        (Effect::ResetMidBody { after: 20 }, &["unreachable"]),
        (Effect::ShortBody { missing: 5 }, &["unreachable", "corrupt"]),
        (status(500, ""), &["unreachable"]),
        (status(504, "<html>"), &["unreachable"]),
        (status(429, ""), &["throttled"]),
        (status(400, "{}"), &["rejected"]),
        (Effect::Forbidden, &["throttled"]),
        (Effect::Html, &["corrupt"]),
        (Effect::EmptyBody, &["corrupt"]),
    ]
}

#[tokio::test]
async fn trouble_with_prices_and_sentiment_has_the_variant_it_deserves() {
    let mut world = World::at(LATE, 7).await;
    world.impatient(1_000);
    for roles in upstreams(&world) {
        let who = roles.provider.name();
        for (effect, kinds) in trouble() {
            let fault = world.sim.inject(Fault::new(effect.clone()));
            let mut errors = Vec::new();
            if let Some(prices) = &roles.prices {
                for market in Market::ALL.into_iter().filter(|market| prices.symbols_max(*market) > 0) {
                    errors.push(prices.prices(market, &listed(market)).await.map(|_| ()));
                }
            }
            if let Some(sentiment) = &roles.sentiment {
                errors.push(sentiment.readings(1).await.map(|_| ()));
            }
            for error in errors {
                let error = error.expect_err(&format!("{who} {effect:?}"));
                assert!(kinds.contains(&error.policy().kind), "{who} {effect:?}: {error:?}");
                assert!(error.to_string().contains('/'), "{who}: where? {error}");
            }
            world.sim.faults().clear(fault);
            a_minute_later(&world);
        }
        if let Some(prices) = roles.prices {
            let market = Market::ALL
                .into_iter()
                .find(|market| prices.symbols_max(*market) > 0)
                .unwrap();
            let recovered = prices.prices(market, &listed(market)).await;
            assert!(recovered.is_ok(), "{who}: did not recover: {recovered:?}");
        }
        if let Some(sentiment) = roles.sentiment {
            let recovered = sentiment.readings(1).await;
            assert!(recovered.is_ok(), "{who}: did not recover: {recovered:?}");
        }
    }
}

#[tokio::test]
async fn coingecko_s_refusals_are_understood_in_every_shape() {
    let mut world = World::at(LATE, 7).await;
    world.no_limits("a provider by itself keeps no bans: the engine does");
    let roles = upstreams(&world)
        .into_iter()
        .find(|roles| roles.provider.name().as_str() == "coingecko")
        .unwrap();
    let prices = roles.prices.unwrap();
    for (shape, status, code, retry_after, expected) in [
        (
            ErrorShape::Status,
            429,
            429,
            Some(119),
            ("throttled", Some((119, true))),
        ),
        (ErrorShape::Status, 429, 429, None, ("throttled", Some((60, false)))),
        (ErrorShape::Flat, 429, 0, None, ("throttled", Some((60, false)))),
        (ErrorShape::Nested, 401, 10_012, None, ("rejected", None)),
        (ErrorShape::Status, 401, 10_002, None, ("rejected", None)),
        (ErrorShape::Status, 403, 1_020, None, ("throttled", Some((300, false)))),
        (ErrorShape::Flat, 422, 0, None, ("rejected", None)),
        (ErrorShape::Server, 500, 0, None, ("unreachable", None)),
    ] {
        let effect = Effect::CoinGeckoError {
            shape,
            status,
            code,
            message: "some words".to_owned(),
            retry_after,
        };
        let fault = world.sim.inject(Fault::new(effect));
        let error = prices.prices(Market::Spot, &listed(Market::Spot)).await.unwrap_err();
        world.sim.faults().clear(fault);
        let told = match &error {
            FetchError::Throttled { retry_after, told, .. } => Some((retry_after.as_secs(), *told)),
            _ => None,
        };
        assert_eq!(
            (error.policy().kind, told),
            expected,
            "{shape:?} {status} {code}: {error}"
        );
    }
}

#[tokio::test]
async fn a_key_is_sent_to_the_host_it_belongs_to() {
    let world = World::at(LATE, 7).await;
    let http = Http::new(&world.config.http, world.config.internet.clone()).unwrap();
    let entry = CATALOG.iter().find(|entry| entry.name == "coingecko").unwrap();
    for paid in [None, Some(false), Some(true)] {
        let mut config = Config::default().provider(entry.name);
        config.key = paid.map(|paid| ProviderKey::new("CG-secret", paid).unwrap());
        let roles = (entry.build)(&config, &http).unwrap();
        let asked = listed(Market::Spot);
        let answer = roles.prices.unwrap().prices(Market::Spot, &asked).await.unwrap();
        check_quotes(&world, Market::Spot, &asked, &answer, entry.name);
        let limit = roles.provider.published_limit().await.unwrap();
        assert_eq!(limit, (paid == Some(true)).then_some(500));
    }
}

// --- sentiment --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn readings_are_the_truth_newest_first_and_no_more_than_asked_for() {
    let world = World::at(LATE, 7).await;
    let now = world.sim.clock().now();
    for provider in sentiment_providers(&world) {
        let (who, measure) = (provider.name(), provider.measure());
        for count in [1, 3, 20] {
            let readings = provider.readings(count).await.unwrap_or_else(|e| panic!("{who}: {e}"));
            assert!(
                (1..=count as usize).contains(&readings.len()),
                "{who}: {}",
                readings.len()
            );
            assert!(
                readings.windows(2).all(|pair| pair[0].at > pair[1].at),
                "{who}: {readings:?}"
            );
            for reading in &readings {
                match &measure {
                    Measure::FearAndGreed => {
                        let truth = world.sim.market().fear_greed(reading.at.as_micros()).unwrap();
                        assert_eq!(
                            (reading.value, reading.at.as_micros()),
                            (f64::from(truth.value), truth.day)
                        );
                        assert_eq!(reading.classification.as_deref(), Some(truth.class));
                    }
                    Measure::Votes { coin } => {
                        assert_eq!(Some(reading.value), world.sim.market().coin_votes_up(coin, now));
                    }
                    Measure::LongShortRatio { .. } => assert!(reading.value > 0.0 && reading.at.as_micros() <= now),
                }
            }
            let newest = &readings[0];
            assert!(
                newest.valid_until.is_none_or(|until| until > newest.at),
                "{who}: {newest:?}"
            );
        }
        assert_eq!(
            provider.readings(0).await.unwrap_err().policy().kind,
            "rejected",
            "{who}"
        );
    }
}

#[tokio::test]
async fn an_index_that_is_not_itself_is_refused() {
    let world = World::at(LATE, 7).await;
    let index = sentiment_providers(&world)
        .into_iter()
        .find(|p| p.measure() == Measure::FearAndGreed)
        .unwrap();
    let midnight = Timestamp::from_micros(world.sim.clock().now()).floor_day();
    for (effect, kind) in [
        (
            Effect::FearGreedError {
                message: "maintenance".to_owned(),
            },
            "unreachable",
        ),
        (Effect::FearGreedValue { value: 101 }, "corrupt"),
        (Effect::FearGreedValue { value: -1 }, "corrupt"),
        (Effect::MissingNewestDays { days: 100_000 }, "corrupt"),
    ] {
        let fault = world.sim.inject(Fault::new(effect.clone()));
        let error = index.readings(1).await.unwrap_err();
        assert_eq!(error.policy().kind, kind, "{effect:?}: {error}");
        world.sim.faults().clear(fault);
    }
    let fault = world.sim.inject(Fault::new(Effect::MissingNewestDays { days: 2 }));
    let late = index.readings(1).await.unwrap().remove(0);
    assert_eq!(
        late.at,
        midnight.plus(-2 * 86_400_000_000),
        "an old reading is dated as old"
    );
    assert!(
        late.valid_until.unwrap() <= midnight,
        "and a newer one is due: {late:?}"
    );
    world.sim.faults().clear(fault);
    world.sim.inject(Fault::new(Effect::NoTimeUntilUpdate));
    let newest = index.readings(1).await.unwrap().remove(0);
    assert_eq!(newest.valid_until, Some(midnight.plus(86_400_000_000)));
}

#[tokio::test]
async fn every_call_is_counted_within_the_limit_of_its_group() {
    let world = World::at(LATE, 7).await;
    for roles in upstreams(&world) {
        let who = roles.provider.name();
        let mut calls = vec![Call::Probe, Call::Limit];
        for market in Market::ALL {
            if let Some(prices) = roles.prices.as_ref().filter(|prices| prices.symbols_max(market) > 0) {
                calls.extend([
                    Call::Prices(market, 1),
                    Call::Prices(market, prices.symbols_max(market)),
                ]);
            }
        }
        for call in calls {
            if let Some(quota) = roles.provider.quota(call) {
                assert!(
                    (1..=quota.weight_per_minute).contains(&quota.weight),
                    "{who} {call:?}: {quota:?}"
                );
            }
        }
        if roles.sentiment.is_some() {
            let quota = roles.provider.quota(Call::Readings(1));
            assert!(
                quota.is_none_or(|quota| quota.weight <= quota.weight_per_minute),
                "{who}"
            );
        }
    }
}
