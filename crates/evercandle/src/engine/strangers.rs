//! Symbols that the exchange does not know, remembered, so that whoever asks for them again costs nobody anything.
//!
//! Of prices many are asked for at once, and one that is refused costs several questions: it rests for long. Klines are
//! asked for one series at a time; what was said of one holds for a minute, so that a symbol that was listed meanwhile is
//! soon found. Whoever asks for many that do not exist, from a list with typos, is answered by what the market lists.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::answer::ProviderName;
use crate::model::series::{Market, Series};
use crate::model::symbol::Symbol;

/// How long a symbol that the exchange does not know is not asked for again: new ones are listed every few days.
const UNKNOWN_RESTS: Duration = Duration::from_secs(600);
/// Unknown symbols remembered; more are a sign of guessing.
const UNKNOWN_MAX: usize = 20_000;

/// How long it holds that a series is not known, and what a market lists: asked again at most so often.
const UNLISTED_HOLDS: Duration = Duration::from_secs(60);
/// Unknown symbols of klines within that time from which on the market's whole list costs less than asking for each.
const CROWD: usize = 3;

/// Symbols that the exchange said it does not know.
#[derive(Default)]
pub(crate) struct Strangers(Mutex<HashMap<(Market, Symbol), Stranger>>);

/// One of them: until when it is not asked for again, who said so, and what.
struct Stranger {
    until: Instant,
    name: ProviderName,
    why: String,
}

impl Strangers {
    pub(crate) fn meet(&self, market: Market, symbol: &Symbol, name: &ProviderName, why: &str, now: Instant) {
        let mut met = self.0.lock();
        if UNKNOWN_MAX <= met.len() {
            met.clear();
        }
        let stranger = Stranger {
            until: now + UNKNOWN_RESTS,
            name: name.clone(),
            why: why.to_owned(),
        };
        met.insert((market, symbol.clone()), stranger);
    }

    /// Who said so, and what, if that was lately.
    pub(crate) fn why(&self, market: Market, symbol: &Symbol, now: Instant) -> Option<(ProviderName, String)> {
        let met = self.0.lock();
        let stranger = met.get(&(market, symbol.clone()))?;
        (now < stranger.until).then(|| (stranger.name.clone(), stranger.why.clone()))
    }
}

/// What was said lately of series that nobody has, and what the markets list.
#[derive(Default)]
pub(crate) struct Unlisted(Mutex<Said>);

#[derive(Default)]
struct Said {
    /// Of whom an exchange said that it does not know it, in which words.
    unknown: HashMap<Series, (Instant, String)>,
    /// Which archives have nothing.
    without: HashMap<(Series, ProviderName), Instant>,
    /// What a market listed; `None`: it could not be asked.
    listed: HashMap<Market, (Instant, Listed)>,
}

/// The symbols of a market, in the exchange's spelling.
pub(crate) type Listed = Option<Arc<HashSet<String>>>;

/// What is known of a series before anybody is asked.
pub(crate) enum Repute {
    /// Nothing.
    None,
    /// The exchange said a moment ago that it does not know it.
    Unknown(String),
    /// Nothing, but so many of its market were unknown that its list is worth a look.
    OneOfACrowd,
}

impl Unlisted {
    /// The exchange does not know a series.
    pub(crate) fn meet(&self, series: &Series, why: &str, now: Instant) {
        let mut said = self.0.lock();
        if UNKNOWN_MAX <= said.unknown.len() {
            said.unknown.clear();
        }
        said.unknown.insert(series.clone(), (now, why.to_owned()));
    }

    pub(crate) fn repute(&self, series: &Series, now: Instant) -> Repute {
        let mut said = self.0.lock();
        said.unknown.retain(|_, (at, _)| holds(*at, now));
        if let Some((_, why)) = said.unknown.get(series) {
            return Repute::Unknown(why.clone());
        }
        let crowd = said.unknown.keys().filter(|s| s.market() == series.market());
        match crowd.map(Series::symbol).collect::<HashSet<_>>().len() < CROWD {
            true => Repute::None,
            false => Repute::OneOfACrowd,
        }
    }

    /// An archive has nothing of a series.
    pub(crate) fn lacks(&self, series: &Series, archive: &ProviderName, now: Instant) {
        let mut said = self.0.lock();
        said.without.retain(|_, at| holds(*at, now));
        said.without.insert((series.clone(), archive.clone()), now);
    }

    /// Whether it was found a moment ago that an archive has nothing of a series.
    pub(crate) fn is_lacking(&self, series: &Series, archive: &ProviderName, now: Instant) -> bool {
        let said = self.0.lock();
        let at = said.without.get(&(series.clone(), archive.clone()));
        at.is_some_and(|at| holds(*at, now))
    }

    /// What a market lists, if it was asked a moment ago.
    pub(crate) fn listed(&self, market: Market, now: Instant) -> Option<Listed> {
        let said = self.0.lock();
        let (at, listed) = said.listed.get(&market)?;
        holds(*at, now).then(|| listed.clone())
    }

    pub(crate) fn list(&self, market: Market, listed: Listed, now: Instant) {
        self.0.lock().listed.insert(market, (now, listed));
    }
}

fn holds(at: Instant, now: Instant) -> bool {
    now.duration_since(at) < UNLISTED_HOLDS
}
