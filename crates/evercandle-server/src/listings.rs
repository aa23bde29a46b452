//! What the markets list, remembered.
//!
//! A listing is megabytes at the exchange and changes by a symbol a day, so one is asked for at most every ten minutes,
//! whoever asks how often; and when nobody can tell, the last one is served, with its age.

use std::sync::Arc;
use std::time::Duration;

use evercandle::provider::Instrument;
use evercandle::{Client, Error, Market, Timestamp, Via};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a listing is as good as new.
const YOUNG: Duration = Duration::from_secs(600);
/// How long nobody is asked after nobody could tell.
const REST: Duration = Duration::from_secs(30);

/// What every market lists.
#[derive(Default)]
pub(crate) struct Listings([Mutex<Option<Kept>>; Market::ALL.len()]);

/// What a market lists.
#[derive(Clone)]
pub(crate) struct Listing {
    pub(crate) instruments: Arc<Vec<Instrument>>,
    pub(crate) fetched_at: Timestamp,
    pub(crate) via: Via,
    /// Nobody could tell now: this is what was known before.
    pub(crate) is_last_known: bool,
}

struct Kept {
    listing: Listing,
    /// Until when nobody is asked.
    until: Instant,
}

impl Listings {
    /// The listing of a market: the young one, else a new one, else the last one.
    pub(crate) async fn of(&self, market: Market, client: &Client) -> Result<Listing, Error> {
        let place = Market::ALL.iter().position(|one| *one == market).unwrap_or(0);
        // Held while somebody is asked: whoever comes meanwhile wants the same answer, and the engine bounds the wait.
        let mut kept = self.0[place].lock().await;
        let now = client.clock().instant();
        if let Some(kept) = kept.as_ref().filter(|kept| now < kept.until) {
            return Ok(kept.listing.clone());
        }
        match (client.instruments(market).await, kept.as_mut()) {
            (Ok(instruments), _) => {
                let listing = Listing {
                    instruments: Arc::new(instruments),
                    fetched_at: client.clock().now(),
                    via: Via::Upstream,
                    is_last_known: false,
                };
                let remembered = Listing {
                    via: Via::Cache,
                    ..listing.clone()
                };
                *kept = Some(Kept {
                    listing: remembered,
                    until: now + YOUNG,
                });
                Ok(listing)
            }
            (Err(_), Some(kept)) => {
                kept.listing.is_last_known = true;
                kept.until = now + REST;
                Ok(kept.listing.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}
