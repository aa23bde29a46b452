//! The newest prices: upstreams in order → last known price, with its age → every upstream's reason.
//!
//! A price is only as good as its label. The exchange's own is preferred, then another instrument's, said to be one,
//! then what was known before. What is older than allowed is refused: a wrong price that looks right is worse than none.
//! A symbol that the exchange does not know has no substitute either.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;

use crate::answer::{Attempt, ProviderName, Via};
use crate::engine::Engine;
use crate::engine::attempt::{Errand, attempt};
use crate::engine::last_known::{Kind, Known};
use crate::engine::latest::{Shared, Wanted, from_the_future, too_old};
use crate::engine::upstream::Upstream;
use crate::error::Error;
use crate::model::series::Market;
use crate::model::symbol::Symbol;
use crate::price::{MissingPrice, Nature, Price, PriceRequest, PriceState, Prices, Quote, Substitutes};
use crate::provider::{Call, FetchError, PriceProvider, Quotes};
use crate::resilience::deadline::Deadline;
use crate::telemetry;

/// Symbols of one question at the most.
const SYMBOLS_MAX: usize = 5_000;
/// Times the questions of one caller are halved to find the symbols that make them fail. Every try costs the exchange's
/// limit, which is everybody's.
const SPLITS_MAX: usize = 64;
/// Pages read to find the symbols an upstream does not know yet.
const RESOLVE_MAX: usize = 40;
/// Microseconds a price may be ahead of who tells it: clocks within a provider differ a little.
const FUTURE_MAX: i64 = 60_000_000;

/// What the upstreams said about some prices.
#[derive(Default)]
pub(crate) struct Asked {
    found: HashMap<Symbol, (Known<Quote>, Via)>,
    unknown: HashSet<Symbol>,
    reasons: HashMap<Symbol, Vec<(ProviderName, String)>>,
    trail: Vec<Attempt>,
}

impl Engine {
    pub(crate) async fn prices(self: &Arc<Self>, request: &PriceRequest) -> Result<Prices, Error> {
        let market = request.market;
        let symbols: BTreeSet<Symbol> = request.symbols.iter().cloned().collect();
        if symbols.is_empty() || symbols.len() > SYMBOLS_MAX {
            let found = symbols.len();
            return Err(Error::BadRequest(format!(
                "{found} symbols were asked for: expected 1 to {SYMBOLS_MAX}"
            )));
        }
        let mut prices = HashMap::new();
        for symbol in &symbols {
            let fresh = self.fresh_price(market, symbol);
            telemetry::latest_read("prices", if fresh.is_some() { "hit" } else { "miss" });
            prices.extend(fresh.map(|price| (symbol.clone(), price)));
        }
        let wanted: BTreeSet<Symbol> = symbols.into_iter().filter(|s| !prices.contains_key(s)).collect();
        let mut missing = HashMap::new();
        let mut trail = Vec::new();
        if !wanted.is_empty() {
            let asked = self.ask_or_join(request, wanted.clone()).await;
            trail.clone_from(&asked.trail);
            for symbol in wanted {
                match self.conclude(request, &symbol, &asked) {
                    Ok(price) => drop(prices.insert(symbol, price)),
                    Err(none) => drop(missing.insert(symbol, none)),
                }
            }
        }
        for price in prices.values().filter(|p| p.nature != Nature::Exchange) {
            telemetry::substitute_served(&price.provider);
        }
        let mut answer = Prices {
            prices: Vec::new(),
            missing: Vec::new(),
            trail,
        };
        for symbol in &request.symbols {
            answer.prices.extend(prices.remove(symbol));
            answer.missing.extend(missing.remove(symbol));
        }
        Ok(answer)
    }

    /// A price that was fetched a moment ago.
    fn fresh_price(&self, market: Market, symbol: &Symbol) -> Option<Price> {
        let known = self.last_known.price(market, symbol, false)?;
        let fresh = Duration::from_millis(self.latest_config.price_fresh_ms);
        let since = known.since_told(&self.clock)?;
        (since < fresh).then(|| self.price(market, &known, Via::Cache))?
    }

    /// A substitute that was fetched so recently that asking again would bring the same one.
    fn fresh_substitute(&self, market: Market, symbol: &Symbol) -> Option<Known<Quote>> {
        let known = self.last_known.price(market, symbol, true)?;
        let fresh = Duration::from_millis(self.latest_config.substitute_fresh_ms);
        (known.since_told(&self.clock)? < fresh).then_some(known)
    }

    fn was_halted(&self, market: Market, symbol: &Symbol) -> bool {
        let known = self.last_known.price(market, symbol, false);
        known.is_some_and(|known| known.value.halted.is_some() && self.may_be_served(&known).is_ok())
    }

    /// Whether a remembered price is young enough; a halted market's price is as old as the halt, so there it counts
    /// when that was last heard.
    fn may_be_served(&self, known: &Known<Quote>) -> Result<(), (ProviderName, String)> {
        let oldest = Duration::from_millis(self.latest_config.price_stale_if_error_ms);
        let age = match known.value.halted {
            Some(_) => known.since_told(&self.clock),
            None => known.age(&self.clock),
        };
        match age {
            Some(age) if age <= oldest => Ok(()),
            Some(age) => Err(too_old(age, oldest)),
            None => Err(from_the_future()),
        }
    }

    async fn ask_or_join(self: &Arc<Self>, request: &PriceRequest, symbols: BTreeSet<Symbol>) -> Arc<Asked> {
        let (market, substitutes) = (request.market, request.substitutes == Substitutes::Allow);
        let key = Wanted::Prices {
            market,
            symbols: symbols.clone(),
            substitutes,
        };
        let (engine, deadline) = (self.clone(), self.latest_deadline(request.deadline));
        let own = deadline.clone();
        let work =
            || async move { Shared::Prices(Arc::new(engine.ask_prices(market, symbols, substitutes, &own).await)) };
        match self.latest_in_time(key, work, &deadline).await {
            Some(Shared::Prices(asked)) => asked,
            // Too late, or a fault of ours: what is known serves.
            _ => Arc::default(),
        }
    }

    /// Asks upstream after upstream for what is still missing.
    async fn ask_prices(
        self: &Arc<Self>,
        market: Market,
        symbols: BTreeSet<Symbol>,
        substitutes: bool,
        deadline: &Deadline,
    ) -> Asked {
        let mut asked = Asked::default();
        let mut open: Vec<Symbol> = symbols.into_iter().collect();
        open.retain(
            |symbol| match self.strangers.why(market, symbol, self.clock.instant()) {
                Some((name, why)) => {
                    asked.unknown.insert(symbol.clone());
                    asked.refuse(vec![symbol.clone()], &name, &why);
                    false
                }
                None => true,
            },
        );
        let splits = AtomicUsize::new(0);
        for upstream in &self.upstreams {
            let Some(provider) = upstream.prices() else { continue };
            let symbols_max = provider.symbols_max(market);
            if symbols_max == 0 || (provider.substitutes() && !substitutes) {
                continue;
            }
            if provider.substitutes() {
                // A market that was halted when it was last heard of has no better price elsewhere.
                open.retain(|symbol| !self.was_halted(market, symbol));
                let fresh = open.iter().filter_map(|symbol| self.fresh_substitute(market, symbol));
                asked
                    .found
                    .extend(fresh.map(|known| (known.value.symbol.clone(), (known, Via::Cache))));
                open.retain(|symbol| !asked.found.contains_key(symbol));
            }
            if open.is_empty() {
                break;
            }
            self.mind_limit(upstream);
            // Whoever hangs must leave something of the deadline for the others.
            let others = self.upstreams.iter().skip_while(|u| !Arc::ptr_eq(u, upstream)).skip(1);
            let last = !others.filter_map(|u| u.prices()).any(|p| p.symbols_max(market) > 0);
            let part = if last {
                deadline.clone()
            } else {
                deadline.part(self.clock.instant())
            };
            let questions = open.chunks(symbols_max).map(<[Symbol]>::to_vec).collect::<Vec<_>>();
            let mut running = futures::stream::iter(questions)
                .map(|symbols| self.ask_one(upstream, provider, market, symbols, &splits, &part))
                .buffer_unordered(self.config.concurrency.max(1));
            while let Some(part) = running.next().await {
                asked.merge(part);
            }
            let told = asked
                .found
                .values()
                .filter(|(k, via)| k.provider == upstream.name && *via == Via::Upstream);
            let told: Vec<Known<Quote>> = told.map(|(known, _)| known.clone()).collect();
            self.last_known.keep_prices(market, told);
            open.retain(|symbol| !asked.found.contains_key(symbol) && !asked.unknown.contains(symbol));
        }
        asked
    }

    /// One question, halved for as long as a symbol in it makes the whole of it fail.
    async fn ask_one(
        &self,
        upstream: &Upstream,
        provider: &dyn PriceProvider,
        market: Market,
        symbols: Vec<Symbol>,
        splits: &AtomicUsize,
        deadline: &Deadline,
    ) -> Asked {
        let mut asked = Asked::default();
        let mut questions = vec![symbols];
        let mut pages = 0;
        while let Some(symbols) = questions.pop() {
            let subject = format!("{market} {}", listed(&symbols));
            let errand = Errand {
                subject: &subject,
                range: None,
                form: "prices",
                call: Call::Prices(market, symbols.len()),
            };
            let ask = || provider.prices(market, &symbols);
            match attempt(upstream, self.latest_terms(deadline), errand, &mut asked.trail, ask).await {
                Ok(quotes) => {
                    let unresolved = quotes.unresolved.clone();
                    asked.take(quotes, upstream, self);
                    if unresolved.is_empty() {
                        continue;
                    }
                    let more =
                        pages < RESOLVE_MAX && self.resolve(upstream, provider, &mut asked.trail, deadline).await;
                    pages += 1;
                    match more {
                        true => questions.push(unresolved),
                        false => asked.refuse(unresolved, &upstream.name, "not found among what it lists"),
                    }
                }
                Err(FetchError::UnknownSymbol(_))
                    if symbols.len() > 1 && splits.fetch_add(1, Ordering::Relaxed) < SPLITS_MAX =>
                {
                    let (one, other) = symbols.split_at(symbols.len() / 2);
                    questions.extend([one.to_vec(), other.to_vec()]);
                }
                Err(FetchError::UnknownSymbol(why)) if symbols.len() == 1 => {
                    asked.unknown.extend(symbols.iter().cloned());
                    for symbol in &symbols {
                        self.strangers
                            .meet(market, symbol, &upstream.name, &why, self.clock.instant());
                    }
                    asked.refuse(symbols, &upstream.name, &why);
                }
                Err(FetchError::UnknownSymbol(why)) => {
                    let why = format!("one of them is unknown, and too many are to find out which: {why}");
                    asked.refuse(symbols, &upstream.name, &why);
                }
                Err(error) => asked.refuse(symbols, &upstream.name, &error.to_string()),
            }
        }
        asked
    }

    /// Lets an upstream read one more page of what it lists; whether that may have helped.
    async fn resolve(
        &self,
        upstream: &Upstream,
        provider: &dyn PriceProvider,
        trail: &mut Vec<Attempt>,
        deadline: &Deadline,
    ) -> bool {
        let errand = Errand {
            subject: &"symbols",
            range: None,
            form: "symbols",
            call: Call::Resolve,
        };
        let ask = || provider.resolve();
        let found = attempt(upstream, self.latest_terms(deadline), errand, trail, ask).await;
        found.unwrap_or(false)
    }

    /// The best price there is after everybody was asked, or why there is none.
    fn conclude(&self, request: &PriceRequest, symbol: &Symbol, asked: &Asked) -> Result<Price, MissingPrice> {
        let market = request.market;
        let found = asked.found.get(symbol);
        if let Some(price) = found.and_then(|(known, via)| self.price(market, known, *via)) {
            self.last_known.was_answered(Kind::Prices);
            return Ok(price);
        }
        let mut reasons = asked.reasons.get(symbol).cloned().unwrap_or_default();
        let unknown = asked.unknown.contains(symbol);
        let kinds: &[bool] = match (unknown, request.substitutes) {
            (true, _) => &[],
            (false, Substitutes::Refuse) => &[false],
            (false, Substitutes::Allow) => &[false, true],
        };
        for &substitute in kinds {
            let Some(known) = self.last_known.price(market, symbol, substitute) else {
                continue;
            };
            match (self.may_be_served(&known), self.price(market, &known, Via::Cache)) {
                (Ok(()), Some(mut price)) => {
                    if !matches!(price.state, PriceState::Halted(_)) {
                        price.state = PriceState::LastKnown;
                    }
                    self.last_known.was_served(Kind::Prices);
                    return Ok(price);
                }
                (Err(why), _) => reasons.push(why),
                (Ok(()), None) => {}
            }
        }
        if reasons.is_empty() {
            let engine = ProviderName::new("engine");
            reasons.push((
                engine,
                "nobody answered within the deadline, and nothing was known before".into(),
            ));
        }
        // What nobody lists was answered: there is no such thing.
        if !unknown {
            self.last_known.was_refused(Kind::Prices);
        }
        Err(MissingPrice {
            symbol: symbol.clone(),
            unknown,
            reasons,
            retry_after: self.retry_after(|u| {
                u.prices().is_some_and(|p| {
                    p.symbols_max(market) > 0 && (request.substitutes == Substitutes::Allow || !p.substitutes())
                })
            }),
        })
    }

    fn price(&self, market: Market, known: &Known<Quote>, via: Via) -> Option<Price> {
        let (quote, age) = (&known.value, known.age(&self.clock)?);
        let live = Duration::from_millis(self.latest_config.price_live_ms);
        let state = match &quote.halted {
            Some(word) => PriceState::Halted(word.clone()),
            None if age > live => PriceState::Stale,
            None if quote.nature != Nature::Exchange => PriceState::Substitute,
            None => PriceState::Live,
        };
        Some(Price {
            market,
            symbol: quote.symbol.clone(),
            price: quote.price.clone(),
            nature: quote.nature.clone(),
            state,
            as_of: quote.as_of,
            age,
            day: quote.day,
            provider: known.provider.clone(),
            fetched_at: known.fetched_at,
            via,
        })
    }
}

impl Asked {
    fn take(&mut self, quotes: Quotes, upstream: &Upstream, engine: &Engine) {
        let told_at = quotes.told_at.unwrap_or(engine.clock.now());
        self.unknown.extend(quotes.unknown);
        let oldest = Duration::from_millis(engine.latest_config.price_stale_if_error_ms);
        for quote in quotes.quotes {
            let (symbol, as_of) = (quote.symbol.clone(), quote.as_of);
            let old = told_at.since(as_of);
            if old < -FUTURE_MAX {
                let why = format!("its price is of {as_of}, which is in the future");
                self.refuse(vec![symbol], &upstream.name, &why);
                continue;
            }
            if quote.nature != Nature::Exchange && old > i64::try_from(oldest.as_micros()).unwrap_or(i64::MAX) {
                let (age, oldest) = (old / 1_000_000, oldest.as_secs());
                let why = format!("its price is {age} s old, more than the {oldest} s allowed");
                self.refuse(vec![symbol], &upstream.name, &why);
                continue;
            }
            let known = Known::new(quote, &upstream.name, as_of, told_at, &engine.clock);
            self.found.insert(symbol, (known, Via::Upstream));
        }
        for (symbol, why) in quotes.refused {
            self.refuse(vec![symbol], &upstream.name, &why);
        }
    }

    fn refuse(&mut self, symbols: Vec<Symbol>, name: &ProviderName, why: &str) {
        for symbol in symbols {
            self.reasons
                .entry(symbol)
                .or_default()
                .push((name.clone(), why.to_owned()));
        }
    }

    fn merge(&mut self, other: Asked) {
        self.found.extend(other.found);
        self.unknown.extend(other.unknown);
        for (symbol, reasons) in other.reasons {
            self.reasons.entry(symbol).or_default().extend(reasons);
        }
        self.trail.extend(other.trail);
    }
}

fn listed(symbols: &[Symbol]) -> String {
    match symbols {
        [one] => one.to_string(),
        [one, .., last] => format!("{one} … {last} ({} symbols)", symbols.len()),
        [] => String::new(),
    }
}
