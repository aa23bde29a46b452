//! What event streams are fed with: closed candles, prices, how the upstreams are, what came of refreshing.
//!
//! Whoever opens a stream names what it wants to hear about, and from then on that is looked at, once for everybody:
//! `candles` asks for what has closed, `prices` for what is paid, `states` for who changed and what was refreshed. All of
//! it goes through the client as any question does, and from there into the `hub`. What nobody listens to is looked at
//! for a little longer, so that a listener who lost the connection finds nothing missing when it comes back.

mod hub;

mod candles;

mod prices;

mod states;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evercandle::schedule::Run;
use evercandle::{Client, Market, Series, Symbol};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use hub::{Event, EventId, Joined, Lost, Place, Topic};

use hub::Hub;

use crate::metrics::{self, Level};
use crate::supervision;

/// Events that wait for one listener, at the least: twice what a series makes up for at once after an absence…
const QUEUE: usize = 1_024;
/// …and for each thing it listens to: all of them may happen at once, as at every full hour.
const QUEUE_EACH: usize = 4;
/// How long something is looked at after its last listener left.
const LINGERS: Duration = Duration::from_secs(60);

/// The feed. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Inner>);

struct Inner {
    client: Client,
    hub: Hub,
    followed: Mutex<Followed>,
    open: AtomicUsize,
    /// Told when somebody wants prices of a market that nobody wanted before.
    wanted: HashMap<Market, Notify>,
    /// How the upstreams were last.
    seen: Mutex<states::Seen>,
    /// What followed prices took of the upstreams' limits.
    ledger: prices::Ledger,
    /// Told when an upstream is back, so that whoever waits for better times tries at once.
    recovered: Notify,
    stopping: CancellationToken,
}

#[derive(Default)]
struct Followed {
    series: HashMap<Series, Follow>,
    prices: HashMap<(Market, Symbol), Follow>,
}

/// Something that is looked at.
struct Follow {
    listeners: usize,
    since: Place,
    /// Since when nobody listens.
    idle_since: Option<Instant>,
    /// What was told last, and as what.
    latest: Option<(&'static str, String)>,
    /// Who looks, where that is somebody of its own; ends with this.
    _pump: Option<AbortOnDropHandle<()>>,
}

/// Why nobody is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// So many streams are open.
    Streams(usize),
    /// So many series, or instruments, are followed.
    Followed(usize),
    /// The daemon was told to stop.
    Stopping,
}

/// A stream that is open, until this goes.
pub(crate) struct Listening {
    feed: Feed,
    topics: HashSet<Topic>,
    pub(crate) joined: Joined,
    _open: Level,
}

impl Feed {
    pub(crate) fn new(client: Client, stopping: CancellationToken) -> Feed {
        Feed(Arc::new(Inner {
            hub: Hub::new(client.clock().now()),
            followed: Mutex::default(),
            open: AtomicUsize::new(0),
            wanted: Market::ALL.into_iter().map(|market| (market, Notify::new())).collect(),
            seen: Mutex::new(states::look(&client)),
            ledger: prices::Ledger::default(),
            recovered: Notify::new(),
            stopping,
            client,
        }))
    }

    /// Looks at everything that is to be looked at, until the daemon stops.
    pub(crate) async fn run(&self) {
        let inner = &self.0;
        let prices = futures::future::join_all(Market::ALL.into_iter().map(|market| prices::follow(inner, market)));
        tokio::select! {
            () = inner.stopping.cancelled() => {}
            _ = prices => {}
            () = states::follow(inner) => {}
        }
        // What looks at series holds on to this feed: it ends here.
        *inner.followed.lock() = Followed::default();
    }

    /// Tells what came of every refresh, until nothing is refreshed any more or the handle goes. One ear serves however
    /// often the telling begins: what comes before the first time, or between two, waits in it.
    pub(crate) fn tell_runs(&self, runs: Receiver<Arc<Run>>) -> AbortOnDropHandle<()> {
        let (feed, runs) = (self.clone(), Arc::new(tokio::sync::Mutex::new(runs)));
        supervision::spawn("runs", move || {
            let (feed, runs) = (feed.clone(), runs.clone());
            async move {
                let mut runs = runs.lock().await;
                loop {
                    match runs.recv().await {
                        Ok(run) => feed.tell_run(&run),
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return,
                    }
                }
            }
        })
    }

    /// Tells what came of a refresh.
    pub(crate) fn tell_run(&self, run: &Run) {
        self.0.publish(Topic::Runs, "run", &states::run(run));
    }

    /// Opens a stream about `topics`, going on after `id` if possible.
    pub(crate) fn listen(&self, topics: HashSet<Topic>, id: Option<&EventId>) -> Result<Listening, Full> {
        let inner = &self.0;
        let config = &inner.client.config().server;
        if inner.stopping.is_cancelled() {
            return Err(Full::Stopping);
        }
        let open = inner.open.fetch_add(1, Ordering::AcqRel);
        // From here on, dropping it gives back what was taken.
        let mut place = Place::FIRST;
        let mut counted = HashSet::new();
        let result = match config.streams_max <= open {
            true => Err(Full::Streams(config.streams_max)),
            false => inner.follow(&topics, config.stream_series_max, &mut counted, &mut place),
        };
        if let Err(full) = result {
            inner.unfollow(&counted);
            inner.open.fetch_sub(1, Ordering::AcqRel);
            metrics::shed("streams");
            return Err(full);
        }
        let queue = QUEUE + QUEUE_EACH * topics.len();
        let joined = inner.hub.join(topics.clone(), id, place, queue);
        Ok(Listening {
            feed: self.clone(),
            topics,
            joined,
            _open: metrics::stream(),
        })
    }
}

impl Listening {
    /// What a listener shows to come back to `place`.
    pub(crate) fn id(&self, place: Place) -> EventId {
        self.feed.0.hub.id(place)
    }

    /// What was told last of what this stream is about, as this kind of event.
    pub(crate) fn latest(&self, kind: &str) -> Vec<String> {
        let followed = self.feed.0.followed.lock();
        let follows = self.topics.iter().filter_map(|topic| followed.of(topic));
        let latest = follows.filter_map(|follow| follow.latest.as_ref());
        latest
            .filter(|(of, _)| *of == kind)
            .map(|(_, data)| data.clone())
            .collect()
    }

    /// Whether it hears of this.
    pub(crate) fn hears(&self, topic: &Topic) -> bool {
        self.topics.contains(topic)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.feed.0.unfollow(&self.topics);
        self.feed.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Inner {
    fn publish(&self, topic: Topic, kind: &'static str, data: &str) {
        self.hub.publish(topic, kind, data, self.client.clock().now());
    }

    /// As [`Inner::publish`], and remembers it for those who come later.
    fn publish_latest(&self, topic: Topic, kind: &'static str, data: String) {
        let mut followed = self.followed.lock();
        let follow = followed.of_mut(&topic);
        self.publish(topic, kind, &data);
        if let Some(follow) = follow {
            follow.latest = Some((kind, data));
        }
    }

    /// What was told last is true no more: who comes later is not told it.
    fn withdraw(&self, topic: &Topic) {
        if let Some(follow) = self.followed.lock().of_mut(topic) {
            follow.latest = None;
        }
    }

    /// Counts a listener of every topic; what nobody followed yet is followed from now on. `place` becomes the one since
    /// when all of them are.
    fn follow(
        self: &Arc<Self>,
        topics: &HashSet<Topic>,
        max: usize,
        counted: &mut HashSet<Topic>,
        place: &mut Place,
    ) -> Result<(), Full> {
        let mut followed = self.followed.lock();
        // Under the lock, so that nothing about them is told between this place and their being followed.
        let here = self.hub.mark(self.client.clock().now());
        for topic in topics {
            let since = match topic {
                Topic::Candles(series) => {
                    let pump = || {
                        let progress = candles::begin(self, series);
                        let (inner, series) = (self.clone(), series.clone());
                        Some(supervision::spawn("candles", move || {
                            candles::follow(inner.clone(), series.clone(), progress.clone())
                        }))
                    };
                    one_more(&mut followed.series, series.clone(), max, here, pump)?
                }
                Topic::Price(market, symbol) => {
                    let since = one_more(&mut followed.prices, (*market, symbol.clone()), max, here, || None)?;
                    if since == here {
                        self.wanted[market].notify_one();
                    }
                    since
                }
                Topic::Providers | Topic::Runs => Place::FIRST,
            };
            counted.insert(topic.clone());
            *place = since.max(*place);
        }
        Ok(())
    }

    fn unfollow(&self, topics: &HashSet<Topic>) {
        let now = self.client.clock().instant();
        let mut followed = self.followed.lock();
        for topic in topics {
            if let Some(follow) = followed.of_mut(topic) {
                follow.listeners = follow.listeners.saturating_sub(1);
                if follow.listeners == 0 {
                    follow.idle_since = Some(now);
                }
            }
        }
    }

    /// Forgets what nobody has listened to for long enough.
    fn tidy(&self) {
        let now = self.client.clock().instant();
        let lingers = |follow: &Follow| match follow.idle_since {
            Some(since) => now.saturating_duration_since(since) < LINGERS,
            None => true,
        };
        let mut followed = self.followed.lock();
        followed.series.retain(|_, follow| lingers(follow));
        followed.prices.retain(|_, follow| lingers(follow));
    }

    /// The instruments of a market whose price is followed.
    fn instruments(&self, market: Market) -> Vec<Symbol> {
        let followed = self.followed.lock();
        let of_market = followed.prices.keys().filter(|(of, _)| *of == market);
        let mut symbols: Vec<Symbol> = of_market.map(|(_, symbol)| symbol.clone()).collect();
        symbols.sort();
        symbols
    }

    /// Whether anything was told of a price since it is followed.
    fn was_told(&self, market: Market, symbol: &Symbol) -> bool {
        let followed = self.followed.lock();
        let follow = followed.prices.get(&(market, symbol.clone()));
        follow.is_some_and(|follow| follow.latest.is_some())
    }
}

impl Followed {
    fn of(&self, topic: &Topic) -> Option<&Follow> {
        match topic {
            Topic::Candles(series) => self.series.get(series),
            Topic::Price(market, symbol) => self.prices.get(&(*market, symbol.clone())),
            Topic::Providers | Topic::Runs => None,
        }
    }

    fn of_mut(&mut self, topic: &Topic) -> Option<&mut Follow> {
        match topic {
            Topic::Candles(series) => self.series.get_mut(series),
            Topic::Price(market, symbol) => self.prices.get_mut(&(*market, symbol.clone())),
            Topic::Providers | Topic::Runs => None,
        }
    }
}

/// One more listener of `key`. Since when it is followed; room is made by forgetting what nobody listens to.
fn one_more<K: Eq + Hash + Clone>(
    followed: &mut HashMap<K, Follow>,
    key: K,
    max: usize,
    here: Place,
    pump: impl FnOnce() -> Option<AbortOnDropHandle<()>>,
) -> Result<Place, Full> {
    if let Some(follow) = followed.get_mut(&key) {
        follow.listeners += 1;
        follow.idle_since = None;
        return Ok(follow.since);
    }
    if max <= followed.len() {
        let idle = followed
            .iter()
            .filter_map(|(key, follow)| Some((follow.idle_since?, key.clone())));
        let oldest = idle.min_by_key(|(since, _)| *since);
        let (_, oldest) = oldest.ok_or(Full::Followed(max))?;
        followed.remove(&oldest);
    }
    let follow = Follow {
        listeners: 1,
        since: here,
        idle_since: None,
        latest: None,
        _pump: pump(),
    };
    followed.insert(key, follow);
    Ok(here)
}

#[cfg(test)]
pub(crate) mod tests;
