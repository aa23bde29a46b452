//! Prices that are followed, one question per market at a time.
//!
//! A price is told when it changed, when its state or nature did, and now and then even so, because it says how old it
//! is, and that is only true for a moment. That it cannot be had is told once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evercandle::{Market, Nature, Price, PriceRequest, PriceState, Symbol};
use tokio::time::Instant;

use super::{Inner, Topic};
use crate::wire::event;

/// How long a price that does not change is kept quiet about.
const AGES: Duration = Duration::from_secs(15);
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells of a market's prices, for ever.
pub(super) async fn follow(inner: &Arc<Inner>, market: Market) {
    let clock = inner.client.clock();
    let config = &inner.client.config().server;
    let every = Duration::from_millis(config.stream_prices_ms);
    let mut shown: HashMap<Symbol, Shown> = HashMap::new();
    loop {
        let symbols = inner.instruments(market);
        if symbols.is_empty() {
            inner.wanted[&market].notified().await;
            continue;
        }
        shown.retain(|symbol, _| symbols.binary_search(symbol).is_ok());
        for some in symbols.chunks(config.symbols_max.max(1)) {
            ask(inner, market, some, &mut shown).await;
        }
        tokio::select! {
            () = clock.sleep(every) => {}
            () = inner.wanted[&market].notified() => {}
        }
    }
}

async fn ask(inner: &Inner, market: Market, symbols: &[Symbol], shown: &mut HashMap<Symbol, Shown>) {
    let request = PriceRequest {
        deadline: Some(PATIENCE),
        ..PriceRequest::new(market, symbols.to_vec())
    };
    let answer = match inner.client.prices(request).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(%market, %error, "followed prices could not be asked for");
            return;
        }
    };
    let clock = inner.client.clock();
    for price in &answer.prices {
        if is_news(shown, &price.symbol, Look::of(price), clock.instant()) {
            let topic = Topic::Price(market, price.symbol.clone());
            inner.publish_latest(topic, "price", event::price(price));
        }
    }
    for missing in &answer.missing {
        if is_news(shown, &missing.symbol, Look::Unavailable, clock.instant()) {
            let topic = Topic::Price(market, missing.symbol.clone());
            inner.publish_latest(topic, "price", event::unavailable(market, missing, clock.now()));
        }
    }
}

/// What was told, and when.
struct Shown {
    look: Look,
    at: Instant,
}

/// What of a price is worth telling when it changes.
#[derive(Clone, Debug, PartialEq)]
enum Look {
    Had {
        price: String,
        state: PriceState,
        nature: Nature,
    },
    Unavailable,
}

impl Look {
    fn of(price: &Price) -> Look {
        Look::Had {
            price: price.price.as_str().to_owned(),
            state: price.state.clone(),
            nature: price.nature.clone(),
        }
    }
}

/// Whether to tell; if so, it counts as told.
fn is_news(shown: &mut HashMap<Symbol, Shown>, symbol: &Symbol, look: Look, now: Instant) -> bool {
    let is_news = match shown.get(symbol) {
        None => true,
        Some(before) if before.look != look => true,
        Some(before) => look != Look::Unavailable && AGES <= now.saturating_duration_since(before.at),
    };
    if is_news {
        shown.insert(symbol.clone(), Shown { look, at: now });
    }
    is_news
}

#[cfg(test)]
mod tests {
    use super::*;

    fn had(price: &str, state: PriceState) -> Look {
        Look::Had {
            price: price.to_owned(),
            state,
            nature: Nature::Exchange,
        }
    }

    #[test]
    fn a_price_is_told_when_it_changes_in_any_way_and_before_its_age_is_a_lie() {
        let (mut shown, symbol) = (HashMap::new(), Symbol::new("BTCUSDT").unwrap());
        let began = Instant::now();
        let mut tell = |look, seconds| is_news(&mut shown, &symbol, look, began + Duration::from_secs(seconds));
        assert!(tell(had("1", PriceState::Live), 0));
        assert!(!tell(had("1", PriceState::Live), 2));
        assert!(tell(had("2", PriceState::Live), 4));
        assert!(tell(had("2", PriceState::LastKnown), 6));
        assert!(!tell(had("2", PriceState::LastKnown), 20));
        assert!(tell(had("2", PriceState::LastKnown), 21));
    }

    #[test]
    fn that_a_price_cannot_be_had_is_told_once() {
        let (mut shown, symbol) = (HashMap::new(), Symbol::new("BTCUSDT").unwrap());
        let began = Instant::now();
        let mut tell = |look, seconds| is_news(&mut shown, &symbol, look, began + Duration::from_secs(seconds));
        assert!(tell(Look::Unavailable, 0));
        assert!(!tell(Look::Unavailable, 3_600));
        assert!(tell(had("1", PriceState::Live), 3_601));
        assert!(tell(Look::Unavailable, 3_602));
    }
}
