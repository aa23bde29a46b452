//! Prices that are followed, one question per market at a time.
//!
//! A price is told when it changed, when its state or nature did, and now and then even so, because it says how old it
//! is, and that is only true for a moment. That it cannot be had is told once.
//!
//! The exchange counts what is asked by a weight of its own, and some questions weigh a fiftieth of what a minute allows.
//! So the pace follows what a question took of the limit: all that is followed takes a tenth, and nothing is asked again
//! while most of the limit is used up, because whoever asks for klines waits for an answer, and a listener only for news.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use evercandle::{Market, Nature, Price, PriceRequest, PriceState, ProviderName, QuotaUse, Symbol};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Inner, Topic};
use crate::wire::event;

/// How long a price that does not change is kept quiet about.
const AGES: Duration = Duration::from_secs(15);
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of what the exchange allows us in a minute, followed prices may take one part in so many.
const PARTS: u32 = 10;
/// How long one question may be paid for: the upstream's own count, which says what others spent too, may say anything.
const DEBT_MAX: Duration = Duration::from_secs(60);

/// Tells of a market's prices, for ever.
pub(super) async fn follow(inner: &Arc<Inner>, market: Market) {
    let clock = inner.client.clock();
    let config = &inner.client.config().server;
    let every = Duration::from_millis(config.stream_prices_ms);
    let mut shown: HashMap<Symbol, Shown> = HashMap::new();
    let mut charged: HashSet<&'static str> = HashSet::new();
    let mut due = clock.instant();
    loop {
        let mut symbols = inner.instruments(market);
        if symbols.is_empty() {
            inner.wanted[&market].notified().await;
            continue;
        }
        // What is followed anew meanwhile is told anew: who follows it was told nothing.
        shown.retain(|symbol, _| inner.was_told(market, symbol));
        let before = in_use(inner);
        let is_time = due <= clock.instant() && !is_short(&before, &charged);
        if !is_time {
            // Whoever comes meanwhile waits for a first price, and not for the next round.
            symbols.retain(|symbol| !shown.contains_key(symbol));
        }
        for some in symbols.chunks(config.symbols_max.max(1)) {
            let told_by = ask(inner, market, some, &mut shown).await;
            charged.extend(limits_of(inner, &told_by));
        }
        let now = clock.instant();
        let spent = spent(&before, &in_use(inner), &charged);
        let paid = inner.ledger.charge(&spent, &charged, now);
        due = paid.max(if due <= now { now + every } else { due });
        tokio::select! {
            () = clock.sleep(due.saturating_duration_since(now)) => {}
            () = inner.wanted[&market].notified() => {}
        }
    }
}

/// The limits of some upstreams.
fn limits_of(inner: &Inner, names: &HashSet<ProviderName>) -> Vec<&'static str> {
    let upstreams = inner.client.health().upstreams.into_iter();
    let limits = upstreams.filter_map(|u| names.contains(&u.provider).then_some(u.quota?.group));
    limits.collect()
}

/// What is used of every limit.
fn in_use(inner: &Inner) -> HashMap<&'static str, QuotaUse> {
    let quotas = inner.client.health().upstreams.into_iter().filter_map(|u| u.quota);
    quotas.map(|quota| (quota.group, quota)).collect()
}

/// Whether so much is used of what these questions are charged to that the rest is for whoever waits for an answer.
fn is_short(in_use: &HashMap<&'static str, QuotaUse>, charged: &HashSet<&'static str>) -> bool {
    let mut quotas = charged.iter().filter_map(|group| in_use.get(group));
    quotas.any(|quota| u64::from(quota.allowed) * 3 <= u64::from(quota.used) * 4)
}

/// What was spent of every limit between two looks, and for how long that is what followed prices may take.
fn spent(
    before: &HashMap<&'static str, QuotaUse>,
    after: &HashMap<&'static str, QuotaUse>,
    charged: &HashSet<&'static str>,
) -> Vec<(&'static str, Duration)> {
    let charged = after.values().filter(|now| charged.contains(now.group));
    let spent = charged.filter_map(|now| {
        let was = before.get(now.group).map_or(0, |was| was.used);
        // Less than before: another minute has begun.
        let weight = now.used.checked_sub(was).unwrap_or(now.used);
        let minutes = f64::from(weight) * f64::from(PARTS) / f64::from(now.allowed.max(1));
        (0 < weight).then(|| (now.group, Duration::from_secs_f64(60.0 * minutes).min(DEBT_MAX)))
    });
    spent.collect()
}

/// Until when what was spent of each limit is paid for. Markets that share a limit share its entry.
#[derive(Default)]
pub(super) struct Ledger(Mutex<HashMap<&'static str, Instant>>);

impl Ledger {
    /// Charges what was spent; until when those who are charged to these groups wait.
    fn charge(&self, spent: &[(&'static str, Duration)], charged: &HashSet<&'static str>, now: Instant) -> Instant {
        let mut paid = self.0.lock();
        for (group, debt) in spent {
            let until = paid.entry(*group).or_insert(now);
            *until = ((*until).max(now) + *debt).min(now + DEBT_MAX);
        }
        let of_these = charged.iter().filter_map(|group| paid.get(group).copied());
        of_these.max().unwrap_or(now).max(now)
    }
}

/// Asks and tells. Which upstreams told the exchange's own prices; what else stands in is held back by its own limit.
async fn ask(
    inner: &Inner,
    market: Market,
    symbols: &[Symbol],
    shown: &mut HashMap<Symbol, Shown>,
) -> HashSet<ProviderName> {
    let request = PriceRequest {
        deadline: Some(PATIENCE),
        ..PriceRequest::new(market, symbols.to_vec())
    };
    let answer = match inner.client.prices(request).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(%market, %error, "followed prices could not be asked for");
            return HashSet::new();
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
    let own = answer.prices.iter().filter(|price| price.nature == Nature::Exchange);
    own.map(|price| price.provider.clone()).collect()
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
