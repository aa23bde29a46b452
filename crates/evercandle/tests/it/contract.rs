//! What every upstream in the catalogue must do, whatever it is: run over all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evercandle::provider::http::{Http, Method};
use evercandle::provider::{CATALOG, Call, FetchError, Form, KlineProvider, Pulse, Roles, Slice, Supply};
use evercandle::{Config, Interval, Market, TimeRange, Timestamp};
use evercandle_simulator::{Effect, Fault};

use crate::support::{World, range, series};

/// Every upstream of the catalogue, pointed at the world's simulator.
pub(crate) fn upstreams(world: &World) -> Vec<Roles> {
    let http = Http::new(&world.config.http, world.config.internet.clone()).unwrap();
    let config = Config::default();
    let built = CATALOG.iter().map(|entry| {
        let roles = (entry.build)(&config.provider(entry.name), &http).unwrap();
        assert_eq!(
            roles.provider.name().as_str(),
            entry.name,
            "the catalogue and the provider disagree about its name"
        );
        roles
    });
    built.collect()
}

/// Those that serve klines.
fn providers(world: &World) -> Vec<Arc<dyn KlineProvider>> {
    upstreams(world).into_iter().filter_map(|roles| roles.klines).collect()
}

/// A slice such as the planner would ask this upstream for, well in the past.
fn slice(provider: &dyn KlineProvider, market: Market, interval: Interval) -> Option<Slice> {
    let symbol = if market == Market::Cm { "BTCUSD_PERP" } else { "BTCUSDT" };
    let series = series(symbol, interval.as_str(), market);
    let (range, form) = match provider.offer(&series)?.supply {
        Supply::Pages { .. } => (range("2024-04-01", "2024-04-01T03:00:00Z"), Form::Page),
        Supply::Archives { days: true, .. } => (range("2024-04-01", "2024-04-02"), Form::Day),
        Supply::Archives { months: true, .. } => (range("2024-04-01", "2024-05-01"), Form::Month),
        Supply::Archives { .. } => return None,
    };
    Some(Slice { series, range, form })
}

#[tokio::test]
async fn each_market_is_served_with_rows_inside_the_slice_and_nothing_else() {
    let world = World::new().await;
    for provider in providers(&world) {
        let mut served = 0;
        for market in Market::ALL {
            let Some(slice) = slice(&*provider, market, Interval::M1) else {
                continue;
            };
            let fetched = provider
                .fetch(&slice)
                .await
                .unwrap_or_else(|e| panic!("{} {market}: {e}", provider.name()));
            let truth = world.truth(&slice.series, slice.range);
            let opens: Vec<i64> = truth.keys().copied().collect();
            assert_eq!(fetched.batch.open_times(), opens, "{} {market}", provider.name());
            assert_eq!(fetched.answered, slice.range);
            served += 1;
        }
        assert!(served > 0, "{} serves no market", provider.name());
    }
}

/// A slice of funding rates such as the planner would ask this upstream for, if it has any.
fn slice_of_rates(provider: &dyn KlineProvider, market: Market) -> Option<Slice> {
    let symbol = if market == Market::Cm { "BTCUSD_PERP" } else { "BTCUSDT" };
    let series = crate::funding::rates(symbol, market);
    let (range, form) = match provider.offer(&series)?.supply {
        Supply::Pages { .. } => (range("2024-04-01", "2024-04-09T03:00:00Z"), Form::Page),
        Supply::Archives { months: true, .. } => (range("2024-04-01", "2024-05-01"), Form::Month),
        Supply::Archives { .. } => panic!("{} has no months of rates", provider.name()),
    };
    Some(Slice { series, range, form })
}

#[tokio::test]
async fn rates_of_both_futures_markets_are_served_whole_and_in_the_slice() {
    let world = World::new().await;
    let mut served = 0;
    for provider in providers(&world) {
        for market in [Market::Um, Market::Cm] {
            let Some(slice) = slice_of_rates(&*provider, market) else {
                continue;
            };
            let fetched = provider.fetch(&slice).await.unwrap();
            let truth = crate::funding::truth(&world, &slice.series, slice.range);
            assert_eq!(fetched.batch.open_times(), truth.keys().copied().collect::<Vec<_>>());
            assert_eq!(fetched.answered, slice.range, "{}", provider.name());
            if let Some(quota) = provider.quota(Call::Slice(&slice)) {
                assert!(quota.weight == 1 && quota.weight_per_minute >= 100, "{quota:?}");
            }
            let first = provider.first_open(&slice.series).await.unwrap().unwrap();
            let before = TimeRange::clamped(Timestamp::EPOCH, first);
            assert!(
                crate::funding::truth(&world, &slice.series, before).is_empty(),
                "{first}"
            );
            served += 1;
        }
    }
    assert_eq!(served, 4, "archives and REST, each of two markets");
}

#[tokio::test]
async fn trouble_with_rates_is_told_as_trouble_with_klines_is() {
    let mut world = World::new().await;
    world.impatient(1_500);
    for provider in providers(&world) {
        let Some(slice) = slice_of_rates(&*provider, Market::Um) else {
            continue;
        };
        for (effect, kind) in [
            (Effect::Refuse, "unreachable"),
            (Effect::Forbidden, "throttled"),
            (Effect::Html, "corrupt"),
            (Effect::EmptyBody, "corrupt"),
            (Effect::NotANumber, "corrupt"),
        ] {
            let fault = world.sim.inject(Fault::new(effect.clone()));
            let error = provider.fetch(&slice).await.unwrap_err();
            assert_eq!(error.policy().kind, kind, "{} {effect:?}: {error:?}", provider.name());
            world.sim.faults().clear(fault);
        }
        let unknown = Slice {
            series: crate::funding::rates("NOSUCHUSDT", Market::Um),
            ..slice
        };
        let error = provider.fetch(&unknown).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Absent(_) | FetchError::UnknownSymbol(_)),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_symbol_that_does_not_exist_is_absent_never_empty_success_with_proof() {
    let world = World::new().await;
    for provider in providers(&world) {
        let Some(known) = slice(&*provider, Market::Spot, Interval::M1) else {
            continue;
        };
        let unknown = Slice {
            series: series("NOSUCHUSDT", "1m", Market::Spot),
            ..known
        };
        let error = provider.fetch(&unknown).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Absent(_) | FetchError::UnknownSymbol(_)),
            "{}: {error:?}",
            provider.name()
        );
    }
}

/// Goal: every kind of trouble has the variant whose policy it deserves, at every upstream.
#[tokio::test]
async fn trouble_is_told_by_the_variant_that_decides_what_happens_next() {
    let mut world = World::new().await;
    world.impatient(1_500);
    for provider in providers(&world) {
        let Some(slice) = slice(&*provider, Market::Spot, Interval::M1) else {
            continue;
        };
        for (effect, kinds) in [
            (Effect::Refuse, &["unreachable"][..]),
            (Effect::BlackHole, &["timed_out"]),
            (Effect::ResetMidBody { after: 20 }, &["unreachable"]),
            (Effect::ShortBody { missing: 5 }, &["unreachable", "corrupt"]),
            (Effect::Trickle { bytes_per_second: 10 }, &["timed_out"]),
            (
                Effect::Status {
                    status: 500,
                    body: String::new(),
                },
                &["unreachable"],
            ),
            (
                Effect::Status {
                    status: 504,
                    body: "<html>".into(),
                },
                &["unreachable"],
            ),
            (Effect::Forbidden, &["throttled"]),
            (
                Effect::Status {
                    status: 429,
                    body: String::new(),
                },
                &["throttled"],
            ),
            (Effect::Html, &["corrupt"]),
            (Effect::EmptyBody, &["corrupt"]),
        ] {
            let fault = world.sim.inject(Fault::new(effect.clone()));
            let began = Instant::now();
            let error = provider
                .fetch(&slice)
                .await
                .expect_err(&format!("{} {effect:?}", provider.name()));
            assert!(
                kinds.contains(&error.policy().kind),
                "{} {effect:?}: {error:?}",
                provider.name()
            );
            assert!(
                began.elapsed() < Duration::from_secs(12),
                "{} {effect:?}: bounded",
                provider.name()
            );
            assert!(!error.to_string().is_empty());
            world.sim.faults().clear(fault);
        }
        provider
            .fetch(&slice)
            .await
            .unwrap_or_else(|e| panic!("{}: did not recover: {e}", provider.name()));
    }
}

#[tokio::test]
async fn a_probe_tells_up_from_down() {
    let world = World::new().await;
    for Roles { provider, .. } in upstreams(&world) {
        for method in [Method::Head, Method::Get] {
            let pulse = provider.probe(method).await;
            assert_eq!(pulse, Ok(Pulse::Alive), "{} {method:?}", provider.name());
            for effect in [
                Effect::Refuse,
                Effect::Forbidden,
                Effect::Status {
                    status: 503,
                    body: String::new(),
                },
            ] {
                let fault = world.sim.inject(Fault::new(effect));
                assert!(provider.probe(method).await.is_err(), "{} {method:?}", provider.name());
                world.sim.faults().clear(fault);
            }
        }
        for (status, effect) in [405, 501].map(|status| (status, Effect::HeadNotServed { status })) {
            let fault = world.sim.inject(Fault::new(effect));
            let pulse = provider.probe(Method::Head).await;
            assert_eq!(pulse, Ok(Pulse::MethodNotServed), "{} {status}", provider.name());
            assert_eq!(provider.probe(Method::Get).await, Ok(Pulse::Alive));
            world.sim.faults().clear(fault);
        }
        let portal = world.sim.inject(Fault::new(Effect::Html));
        let error = provider
            .probe(Method::Get)
            .await
            .expect_err("a web page is no sign of life");
        assert_eq!(error.policy().kind, "corrupt", "{}: {error}", provider.name());
        world.sim.faults().clear(portal);
    }
}

#[tokio::test]
async fn nothing_before_first_open_exists() {
    let world = World::new().await;
    for provider in providers(&world) {
        for (symbol, market) in [
            ("BTCUSDT", Market::Spot),
            ("BTCUSDT", Market::Um),
            ("BTCUSD_PERP", Market::Cm),
        ] {
            let asked = series(symbol, "1d", market);
            if provider.offer(&asked).is_none() {
                continue;
            }
            let Some(first) = provider.first_open(&asked).await.unwrap() else {
                continue;
            };
            let before = TimeRange::clamped(Timestamp::EPOCH, first);
            assert!(
                world.truth(&asked, before).is_empty(),
                "{} {asked}: something opened before {first}",
                provider.name()
            );
        }
    }
}

#[tokio::test]
async fn what_is_offered_keeps_to_its_limits() {
    let world = World::new().await;
    for provider in providers(&world) {
        for market in Market::ALL {
            let Some(slice) = slice(&*provider, market, Interval::M1) else {
                continue;
            };
            if let Some(quota) = provider.quota(Call::Slice(&slice)) {
                assert!(
                    quota.weight > 0 && quota.weight <= quota.weight_per_minute,
                    "{}: {quota:?}",
                    provider.name()
                );
            }
            if let Some(Supply::Pages { rows_max, .. }) = provider.offer(&slice.series).map(|o| o.supply) {
                assert!(rows_max > 0);
                let whole = TimeRange::clamped(
                    slice.range.start(),
                    slice.range.start().plus(i64::from(rows_max) * 60_000_000),
                );
                let fetched = provider.fetch(&Slice { range: whole, ..slice }).await.unwrap();
                assert_eq!(
                    fetched.batch.len(),
                    rows_max as usize,
                    "{}: a full page is one answer",
                    provider.name()
                );
            }
        }
    }
}
