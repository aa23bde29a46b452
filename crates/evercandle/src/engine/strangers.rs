//! Symbols that the exchange does not know, remembered, so that whoever asks for them again costs nobody anything.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::answer::ProviderName;
use crate::model::series::Market;
use crate::model::symbol::Symbol;

/// How long a symbol that the exchange does not know is not asked for again: new ones are listed every few days.
const UNKNOWN_RESTS: Duration = Duration::from_secs(600);
/// Unknown symbols remembered; more are a sign of guessing.
const UNKNOWN_MAX: usize = 20_000;

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
