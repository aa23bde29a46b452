//! Answers that arrive and are wrong (F15 to F20): none of it is served or stored, and the truth is found elsewhere.

use std::fs;
use std::time::Duration;

use evercandle::{
    Answer, Client, Market, Measure, Nature, PriceRequest, ProviderName, Request, Sources, Symbol, Verification,
};
use evercandle_simulator::{Effect, Fault};

use crate::support::{Counters, Upstreams, World, any_answer, health, range, series, suppliers};

/// Two days that both the archive and REST have.
fn two_days() -> Request {
    Request::new(
        series("BTCUSDT", "15m", Market::Spot),
        range("2024-06-08", "2024-06-10"),
    )
}

/// A month that both have; the archive is asked first.
fn month() -> Request {
    Request::new(
        series("BTCUSDT", "15m", Market::Spot),
        range("2024-04-01", "2024-05-01"),
    )
}

/// Goal: whatever one source says wrongly, the answer is the whole truth from the other, and so is what is stored: the
/// next process reads the same without asking anybody.
async fn the_truth_is_told_and_kept(world: &World, client: &Client, request: &Request, what: &Effect) -> Answer {
    let answer = any_answer(client.get_data(request.clone()).await);
    world.check(&answer, Upstreams::TellTheTruth);
    assert!(answer.gaps.is_empty(), "{what:?}: {:?}", answer.gaps);
    world.down("");
    let kept = any_answer(world.client().get_data(request.clone()).await);
    world.check(&kept, Upstreams::TellTheTruth);
    assert!(kept.gaps.is_empty(), "{what:?}: {:?}", kept.gaps);
    answer
}

/// Goal: a page of HTML, nothing, or another shape is a failure of who sent it, whatever its status says.
#[tokio::test]
async fn f15_a_200_that_is_no_answer_is_a_failure_and_is_never_kept() {
    for effect in [
        Effect::Html,
        Effect::EmptyBody,
        Effect::EmptyObject,
        Effect::TruncatedBody,
    ] {
        for (host, path, fills, request) in [
            ("binance-spot", "/klines", "binance-vision", two_days()),
            ("binance-vision", ".zip", "binance", month()),
        ] {
            let counters = Counters::new();
            let mut world = World::new().await;
            // REST first, or the archive first.
            if host == "binance-spot" {
                world.config.providers.entry("binance".into()).or_default().hosts =
                    [("spot".to_owned(), vec!["api.binance.com".to_owned()])].into();
            }
            world.sim.inject(Fault::new(effect.clone()).on(host).path(path));
            let client = world.client();
            let only = ProviderName::new(if host == "binance-spot" {
                "binance"
            } else {
                "binance-vision"
            });
            let named = Request {
                sources: Sources::Named(vec![only.clone()]),
                ..request.clone()
            };
            assert!(any_answer(client.get_data(named).await).is_empty(), "{effect:?}");
            let answer = the_truth_is_told_and_kept(&world, &client, &request, &effect).await;
            assert_eq!(suppliers(&answer), [fills], "{effect:?}");
            assert!(health(&client, only.as_str()).failures_total >= 2, "{effect:?}");
            let counted = counters.look()[&format!("qt_provider_failures_total{{provider={only}}}")];
            assert!(counted >= 2.0, "{effect:?}: {counted}");
        }

        let mut world = World::new().await;
        world.config.latest.price_fresh_ms = 0;
        world.sim.inject(Fault::new(effect.clone()).on("fapi.binance.com"));
        world.sim.inject(Fault::new(effect.clone()).on("alternative-me"));
        let client = world.client();
        let price = client
            .price(Market::Um, &Symbol::new("BTCUSDT").unwrap())
            .await
            .unwrap();
        world.check_price(&price);
        assert!(matches!(price.nature, Nature::Substitute(_)), "{effect:?}");
        let sentiment = client.sentiment(Default::default()).await.unwrap().sentiment;
        assert!(
            matches!(sentiment.measure, Measure::Votes { .. }),
            "{effect:?}: {sentiment:?}"
        );
        assert!(health(&client, "alternative-me").last_error.is_some());
    }
}

/// Goal: an answer to another question is no answer to ours.
#[tokio::test]
async fn f16_an_answer_to_another_question_is_refused_and_counted() {
    for effect in [
        Effect::WrongInterval { interval: "1m".into() },
        Effect::WrongInterval { interval: "1h".into() },
        Effect::WrongRange { hours: 72 },
        Effect::WrongRange { hours: -72 },
    ] {
        let world = World::new().await;
        let fault = world
            .sim
            .inject(Fault::new(effect.clone()).on("binance-spot").path("/klines"));
        let client = world.client();
        let named = Request {
            sources: Sources::Named(vec![ProviderName::new("binance")]),
            ..two_days()
        };
        let alone = any_answer(client.get_data(named).await);
        world.check(&alone, Upstreams::Lie);
        let answer = the_truth_is_told_and_kept(&world, &client, &two_days(), &effect).await;
        assert!(suppliers(&answer).contains(&"binance-vision".to_owned()), "{effect:?}");
        if alone.is_empty() {
            assert!(health(&client, "binance").failures_total > 0, "{effect:?}");
        }
        world.sim.faults().clear(fault);
    }
    // A ticker under another name, alone and among several.
    for names in [&["BTCUSDT"][..], &["BTCUSDT", "ETHUSDT", "SOLUSDT"]] {
        for market in [Market::Spot, Market::Um] {
            let world = World::new().await;
            let wrong = Effect::MislabelledTicker {
                symbol: "DOGEUSDT".into(),
            };
            world.sim.inject(Fault::new(wrong));
            let symbols = names.iter().map(|name| Symbol::new(name).unwrap()).collect();
            let asked = world.client().prices(PriceRequest::new(market, symbols)).await.unwrap();
            // The futures' whole list without a name on it says that there is none, and then nothing stands in for it.
            let unlisted = usize::from(market == Market::Um && names.len() > 1);
            assert_eq!(asked.missing.len(), unlisted, "{market}: {:?}", asked.missing);
            assert_eq!(asked.prices.len(), names.len() - unlisted);
            for price in &asked.prices {
                world.check_price(price);
            }
            assert!(
                unlisted > 0 || asked.prices.iter().any(|p| matches!(p.nature, Nature::Substitute(_))),
                "{market}"
            );
        }
    }
}

/// Goal: rows that are repeated, unsorted, missing, not yet, or no numbers do not become klines.
#[tokio::test]
async fn f17_rows_that_cannot_be_right_are_repaired_by_rule_or_refused() {
    for (effect, noticed) in [
        (Effect::DuplicateRows, true),
        (Effect::UnorderedRows, true),
        (Effect::ConflictingRows, true),
        (Effect::StrayRow, false),
        (Effect::MixedUnits, false),
        (Effect::NotANumber, false),
        (Effect::MissingDay { day: 13 }, false),
    ] {
        let world = World::new().await;
        world
            .sim
            .inject(Fault::new(effect.clone()).on("binance-vision").path("monthly"));
        let answer = the_truth_is_told_and_kept(&world, &world.client(), &month(), &effect).await;
        assert!(!noticed || !answer.notices.is_empty(), "{effect:?} is said");
    }
    for (effect, noticed) in [
        (Effect::PageRepeatsRows, true),
        (Effect::PageOutOfOrder, true),
        (Effect::FutureRow, false),
        (Effect::NotANumber, false),
        (Effect::QuotedNumbers, false),
    ] {
        let world = World::new().await;
        world
            .sim
            .inject(Fault::new(effect.clone()).on("binance-spot").path("/klines"));
        let answer = the_truth_is_told_and_kept(&world, &world.client(), &two_days(), &effect).await;
        let said = !answer.notices.is_empty() || suppliers(&answer) != ["binance"];
        assert!(!noticed || said, "{effect:?} is said");
    }
    // A low above the high has been published by the exchange: kept, and said.
    let world = World::new().await;
    world
        .sim
        .inject(Fault::new(Effect::ImpossibleRow).on("binance-vision").path("monthly"));
    let answer = world.client().get_data(month()).await.unwrap();
    assert!(
        answer.notices.iter().any(|n| n.contains("outside low..high")),
        "{:?}",
        answer.notices
    );
}

/// Goal: what is not what its checksum says is fetched again once, and then not believed. Without one, it is not asked.
#[tokio::test]
async fn f18_an_archive_without_its_checksum_is_discarded_fetched_again_once_and_never_sealed() {
    for (effect, fetched) in [
        (Effect::WrongChecksum, 2),
        (Effect::StaleChecksum, 2),
        (Effect::TornPair, 2),
        (Effect::MissingChecksum, 0),
    ] {
        let counters = Counters::new();
        let world = World::new().await;
        world
            .sim
            .inject(Fault::new(effect.clone()).on("binance-vision").path("*monthly*"));
        let client = world.client();
        let answer = the_truth_is_told_and_kept(&world, &client, &month(), &effect).await;
        let requests = world.sim.journal().requests();
        let zips = requests.iter().filter(|r| r.path.ends_with("2024-04.zip")).count();
        assert!(zips <= fetched.max(1), "{effect:?}: {zips}");
        if fetched == 2 {
            assert_eq!(zips, 2, "{effect:?}: both files are fetched again once, never more");
            assert_eq!(
                counters.look()["qt_archive_quarantined_total{provider=binance-vision}"],
                1.0,
                "{effect:?}"
            );
        }
        assert_eq!(
            suppliers(&answer),
            ["binance-vision"],
            "{effect:?}: daily files are good"
        );
        // What vouches for what is stored is a checksum of a day, thirty of them.
        let held = client.store().read(&month().series, month().range);
        for piece in &held.pieces {
            assert!(
                matches!(piece.origin.verification, Verification::Checksum { .. }),
                "{effect:?}"
            );
        }
        assert!(held.pieces.len() >= 30, "{effect:?}: {} origins", held.pieces.len());
    }
}

/// Goal: an archive that says something else than before replaces what was stored, visibly, and whoever holds the old
/// rows keeps them.
#[tokio::test]
async fn f19_a_revised_archive_is_a_new_generation_and_old_readers_are_undisturbed() {
    let world = World::new().await;
    let client = world.client();
    let first = client.get_data(month()).await.unwrap();
    world.check(&first, Upstreams::TellTheTruth);
    let before = client.get_data(month()).await.unwrap();
    let (origin, print) = (&before.segments[0].origin, |a: &Answer| format!("{:?}", a.batches));
    let (sealed, old) = (origin.verification.clone(), print(&before));
    world.pass(Duration::from_secs(3_600));
    world
        .sim
        .inject(Fault::new(Effect::Revised).on("binance-vision").path("monthly"));
    let again = Request {
        sources: Sources::Named(vec![ProviderName::new("binance-vision")]),
        ..month()
    };
    let revised = client.get_data(again).await.unwrap();
    assert!(
        !revised.batches[0].same_klines(&before.batches[0]),
        "it says something else"
    );
    // Who reads the cache now, here or in another process, reads the revision; who read before has what was read.
    world.down("");
    for client in [&client, &world.client()] {
        let now = client.get_data(month()).await.unwrap();
        assert_eq!(now.len(), revised.len());
        let (now_all, revised_all) = (
            evercandle::Batch::concat(&now.batches).unwrap(),
            evercandle::Batch::concat(&revised.batches).unwrap(),
        );
        assert!(now_all.same_klines(&revised_all));
        assert_ne!(now.segments[0].origin.verification, sealed);
    }
    world.check(&before, Upstreams::TellTheTruth);
    assert_eq!(print(&before), old);
}

/// From now on the peak of the memory in use is measured anew.
fn forget_memory_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// The most memory this process has used, in bytes.
fn memory_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

/// Goal: whatever unpacks to, or pours out, more than an answer can be is given up at its cap, in time and in memory.
/// Method: bombs ten to a hundred times the cap; the peak of the whole process, the simulator in it, may rise by the
/// largest cap and 32 MiB.
#[tokio::test]
async fn f20_a_body_without_end_is_given_up_at_its_cap() {
    for (effect, host, request) in [
        (Effect::EndlessBody, "binance-spot", two_days()),
        (Effect::EndlessBody, "binance-vision", month()),
        (Effect::GzipBomb { mebibytes: 128 }, "binance-spot", two_days()),
        (Effect::ZipBomb { mebibytes: 48 }, "binance-vision", month()),
    ] {
        let mut world = World::new().await;
        world.config.engine.deadline_ms = 120_000;
        let healthy = world.client().get_data(request.clone()).await.unwrap();
        let another = Request {
            series: series("ETHUSDT", "15m", Market::Spot),
            ..request.clone()
        };
        let path = if host == "binance-vision" { ".zip" } else { "/klines" };
        // The simulator makes its bombs before they are thrown: ask for one, so that they are not counted.
        world.sim.inject(Fault::new(effect.clone()).on(host).path(path));
        if !matches!(effect, Effect::EndlessBody) {
            any_answer(world.client().get_data(another).await);
        }
        if matches!(effect, Effect::EndlessBody) {
            // Bombs are made in this process, too; what is poured out endlessly is not.
            forget_memory_peak();
        }
        let before = memory_peak();
        let third = Request {
            series: series("SOLUSDT", "15m", Market::Spot),
            ..request.clone()
        };
        let began = std::time::Instant::now();
        let client = world.client();
        let answer = any_answer(client.get_data(third).await);
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{effect:?}: {:?}",
            began.elapsed()
        );
        world.check(&answer, Upstreams::TellTheTruth);
        assert_eq!(answer.len(), healthy.len(), "{effect:?} {host}");
        let rose = memory_peak() - before;
        assert!(rose <= (4 + 32) << 20, "{effect:?} {host}: {} MiB", rose >> 20);
        let sent_wrong = if host == "binance-vision" {
            "binance-vision"
        } else {
            "binance"
        };
        let (_, why) = health(&client, sent_wrong).last_error.expect("it was told");
        // Endless blanks that claim to be packed are no longer so after the first of them.
        let told = ["longer than", "more than", "Invalid gzip header"];
        assert!(told.iter().any(|t| why.contains(t)), "{why}");
    }
}
