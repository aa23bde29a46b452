//! What the markets list, remembered.
//!
//! A listing is megabytes at the exchange and changes by a symbol a day, so one is asked for at most every ten minutes,
//! whoever asks how often; and when nobody can tell, the last one is served, with its age. That nobody can tell is remembered
//! too, or a crowd that waits would find it out one after another.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use evercandle::provider::Instrument;
use evercandle::{Client, Error, Market, ProviderName, Timestamp, Via};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a listing is as good as new.
const YOUNG: Duration = Duration::from_secs(600);
/// How long nobody is asked after nobody could tell. Circuits spare the upstreams; this only answers a crowd in one go.
const REST: Duration = Duration::from_secs(3);

/// What every market lists.
#[derive(Default)]
pub(crate) struct Listings([Mutex<Kept>; Market::ALL.len()]);

/// What a market lists.
#[derive(Clone)]
pub(crate) struct Listing {
    pub(crate) instruments: Arc<Vec<Instrument>>,
    /// Their symbols.
    pub(crate) names: Arc<HashSet<String>>,
    pub(crate) fetched_at: Timestamp,
    pub(crate) via: Via,
    /// Nobody could tell now: this is what was known before.
    pub(crate) is_last_known: bool,
}

/// What came of asking, and until when nobody is asked again.
#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    Listing(Listing, Instant),
    Nobody(Reasons, Instant),
}

/// What each upstream said.
type Reasons = Vec<(ProviderName, String)>;

impl Listings {
    /// The listing of a market, if it is known and young. Asks nobody, and waits for nobody.
    pub(crate) fn known(&self, market: Market, client: &Client) -> Option<Listing> {
        let kept = self.0[place(market)].try_lock().ok()?;
        match &*kept {
            Kept::Listing(listing, until) if client.clock().instant() < *until && !listing.is_last_known => {
                Some(listing.clone())
            }
            Kept::Nothing | Kept::Listing(..) | Kept::Nobody(..) => None,
        }
    }

    /// The listing of a market: the young one, else a new one, else the last one.
    pub(crate) async fn of(&self, market: Market, client: &Client) -> Result<Listing, Error> {
        // Held while somebody is asked: whoever comes meanwhile wants the same answer, and the engine bounds the wait.
        let mut kept = self.0[place(market)].lock().await;
        let now = client.clock().instant();
        match &*kept {
            Kept::Listing(listing, until) if now < *until => return Ok(listing.clone()),
            Kept::Nobody(reasons, until) if now < *until => {
                return Err(Error::NoUpstream {
                    what: format!("instruments of market {market}"),
                    reasons: reasons.clone(),
                    retry_after: Some(until.saturating_duration_since(now)),
                });
            }
            Kept::Nothing | Kept::Listing(..) | Kept::Nobody(..) => {}
        }
        match (client.instruments(market).await, &mut *kept) {
            (Ok(instruments), kept) => {
                let listing = Listing {
                    names: Arc::new(instruments.iter().map(|one| one.symbol.to_string()).collect()),
                    instruments: Arc::new(instruments),
                    fetched_at: client.clock().now(),
                    via: Via::Upstream,
                    is_last_known: false,
                };
                let remembered = Listing {
                    via: Via::Cache,
                    ..listing.clone()
                };
                *kept = Kept::Listing(remembered, now + YOUNG);
                Ok(listing)
            }
            (Err(_), Kept::Listing(listing, until)) => {
                listing.is_last_known = true;
                *until = now + REST;
                Ok(listing.clone())
            }
            (Err(error), kept) => {
                if let Error::NoUpstream { reasons, .. } = &error {
                    // From when they gave up: that may take as long as the rest.
                    *kept = Kept::Nobody(reasons.clone(), client.clock().instant() + REST);
                }
                Err(error)
            }
        }
    }
}

fn place(market: Market) -> usize {
    Market::ALL.iter().position(|one| *one == market).unwrap_or(0)
}
