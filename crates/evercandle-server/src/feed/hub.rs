//! Events on their way from those who notice something to those who listen.
//!
//! Every event gets the next place in one line, and the newest ones are kept, so that a listener who lost the connection
//! goes on where it was. Nobody is waited for: each listener has a queue of a fixed length, and whoever lets it fill is
//! let go, because a queue without an end would be paid for with everybody's memory. It may come back and go on.
//!
//! A place is a number that rises by at least one and is about the time in microseconds, so that even the place of a line
//! long forgotten says since when its bearer has heard nothing. Pure: the time is passed in.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use evercandle::{Market, Series, Symbol, Timestamp};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Events kept for those who come back: minutes of a busy feed.
const KEPT: usize = 8_192;

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Closed candles of a series.
    Candles(Series),
    /// The price of an instrument.
    Price(Market, Symbol),
    /// How the upstreams are.
    Providers,
    /// What came of refreshing.
    Runs,
}

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

impl Place {
    /// Before everything.
    pub(crate) const FIRST: Place = Place(0);

    /// When that was, about.
    pub(crate) fn time(self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}

/// A place in the line of one daemon, as a listener shows it: `<boot>-<place>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    boot: String,
    place: Place,
}

impl EventId {
    /// `None` for what was never an id of ours.
    pub(crate) fn parse(text: &str) -> Option<EventId> {
        let (boot, place) = text.split_once('-')?;
        let is_boot = boot.len() == BOOT_DIGITS && boot.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_place = !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
        (is_boot && is_place).then_some(())?;
        Some(EventId {
            boot: boot.to_owned(),
            place: Place(place.parse().ok()?),
        })
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.boot, self.place.0)
    }
}

const BOOT_DIGITS: usize = 8;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) place: Place,
    pub(crate) topic: Topic,
    /// `candle`, `gap`, `refused`, `price`, `provider`, `run`.
    pub(crate) kind: &'static str,
    /// JSON, in one line.
    pub(crate) data: Arc<str>,
}

/// Why a listener cannot go on where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The id is of a daemon before this one, or of none.
    Stranger,
    /// What came after it is no longer kept.
    TooOld,
    /// Nobody listened for a while, so nobody looked.
    NotFollowed,
}

/// Where it begins for a listener.
pub(crate) struct Joined {
    /// What it missed, in order.
    pub(crate) missed: Vec<Event>,
    /// Everything from now on.
    pub(crate) events: mpsc::Receiver<Event>,
    /// Between the two.
    pub(crate) place: Place,
    /// Why it cannot go on where it was, if it wanted to and cannot.
    pub(crate) lost: Option<Lost>,
}

/// The line.
pub(crate) struct Hub {
    boot: String,
    line: Mutex<Line>,
}

struct Line {
    last: Place,
    /// Everything after this is kept.
    forgotten: Place,
    kept: VecDeque<Event>,
    kept_max: usize,
    listeners: Vec<Listener>,
}

struct Listener {
    topics: HashSet<Topic>,
    queue: mpsc::Sender<Event>,
}

impl Hub {
    pub(crate) fn new(now: Timestamp) -> Hub {
        Hub::keeping(KEPT, now)
    }

    fn keeping(kept_max: usize, now: Timestamp) -> Hub {
        let place = Place(micros(now));
        Hub {
            boot: format!("{:0width$x}", rand::random::<u32>(), width = BOOT_DIGITS),
            line: Mutex::new(Line {
                last: place,
                forgotten: place,
                kept: VecDeque::new(),
                kept_max,
                listeners: Vec::new(),
            }),
        }
    }

    /// What a listener shows to come back to `place`.
    pub(crate) fn id(&self, place: Place) -> EventId {
        EventId {
            boot: self.boot.clone(),
            place,
        }
    }

    /// A new place, at which nothing happened: what begins here was not there at any place before, however long nothing
    /// else has happened.
    pub(crate) fn mark(&self, now: Timestamp) -> Place {
        self.line.lock().step(now)
    }

    /// Tells everybody who listens.
    pub(crate) fn publish(&self, topic: Topic, kind: &'static str, data: &str, now: Timestamp) {
        let data: Arc<str> = data.into();
        let mut line = self.line.lock();
        let place = line.step(now);
        let event = Event {
            place,
            topic,
            kind,
            data,
        };
        line.kept.push_back(event.clone());
        if line.kept_max < line.kept.len()
            && let Some(oldest) = line.kept.pop_front()
        {
            line.forgotten = oldest.place;
        }
        // A full queue loses its sender: the listener reads what is in it, and then its end.
        line.listeners
            .retain(|one| !one.topics.contains(&event.topic) || one.queue.try_send(event.clone()).is_ok());
    }

    /// Listens to `topics`, from after `id` if there is one. `followed` says since when all of them have been looked at.
    pub(crate) fn join(&self, topics: HashSet<Topic>, id: Option<&EventId>, followed: Place, queue: usize) -> Joined {
        let (sender, events) = mpsc::channel(queue);
        let mut line = self.line.lock();
        line.listeners.retain(|one| !one.queue.is_closed());
        let lost = id.and_then(|id| match id.place {
            place if id.boot != self.boot || line.last < place => Some(Lost::Stranger),
            place if place < line.forgotten => Some(Lost::TooOld),
            place if place < followed => Some(Lost::NotFollowed),
            _ => None,
        });
        let missed = match (id, lost) {
            (Some(id), None) => line
                .kept
                .iter()
                .skip(line.kept.partition_point(|event| event.place <= id.place))
                .filter(|event| topics.contains(&event.topic))
                .cloned()
                .collect(),
            _ => Vec::new(),
        };
        line.listeners.push(Listener { topics, queue: sender });
        Joined {
            missed,
            events,
            place: line.last,
            lost,
        }
    }
}

impl Line {
    fn step(&mut self, now: Timestamp) -> Place {
        self.last = Place(micros(now).max(self.last.0 + 1));
        self.last
    }
}

fn micros(now: Timestamp) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn all() -> HashSet<Topic> {
        HashSet::from([Topic::Providers, Topic::Runs])
    }

    fn publish(hub: &Hub, topic: Topic, number: u64) {
        hub.publish(topic, "run", &number.to_string(), NOW);
    }

    fn last(hub: &Hub) -> Place {
        hub.line.lock().last
    }

    fn told(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| &*event.data).collect()
    }

    #[test]
    fn ids_are_read_back_and_nothing_else_is() {
        let hub = Hub::new(NOW);
        let id = hub.id(last(&hub));
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        for text in [
            "",
            "-",
            "1",
            "abc",
            "0000000g-1",
            "00000000-",
            "00000000-1x",
            "00000000--1",
            "00000000-99999999999999999999",
        ] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn places_rise_even_when_time_does_not_and_say_when_it_was() {
        let hub = Hub::new(NOW);
        let mut places = vec![last(&hub)];
        for number in 0..3 {
            publish(&hub, Topic::Runs, number);
            places.push(last(&hub));
        }
        assert!(places.is_sorted_by(|a, b| a < b));
        assert!(places[3].time().since(NOW) < 1_000);
    }

    #[test]
    fn who_comes_back_gets_what_was_missed_in_order_and_only_what_it_asked_for() {
        let hub = Hub::new(NOW);
        publish(&hub, Topic::Runs, 1);
        let id = hub.id(last(&hub));
        publish(&hub, Topic::Runs, 2);
        publish(&hub, Topic::Providers, 3);
        publish(&hub, Topic::Runs, 4);
        let joined = hub.join(all(), Some(&id), Place(0), 8);
        assert_eq!((told(&joined.missed), joined.lost), (vec!["2", "3", "4"], None));
        let some = hub.join(HashSet::from([Topic::Providers]), Some(&id), Place(0), 8);
        assert_eq!(told(&some.missed), ["3"]);
    }

    #[test]
    fn who_cannot_go_on_is_told_why() {
        let hub = Hub::keeping(2, NOW);
        let first = hub.id(last(&hub));
        let lost = |id: &EventId, followed| hub.join(all(), Some(id), followed, 8).lost;
        assert_eq!(lost(&first, Place(0)), None);
        for number in 1..=2 {
            publish(&hub, Topic::Runs, number);
        }
        assert_eq!(lost(&first, Place(0)), None, "everything after it is still kept");
        let followed = last(&hub);
        publish(&hub, Topic::Runs, 3);
        assert_eq!(lost(&first, Place(0)), Some(Lost::TooOld));
        let newest = hub.id(last(&hub));
        assert_eq!(lost(&newest, followed), None);
        assert_eq!(lost(&hub.id(followed), last(&hub)), Some(Lost::NotFollowed));
        let stranger = Hub::new(NOW).id(followed);
        assert_eq!(lost(&stranger, Place(0)), Some(Lost::Stranger));
        let tomorrow = hub.id(Place(newest.place.0 + 1));
        assert_eq!(lost(&tomorrow, Place(0)), Some(Lost::Stranger));
    }

    #[tokio::test]
    async fn who_does_not_listen_is_let_go_and_holds_up_nobody() {
        let hub = Hub::new(NOW);
        let mut slow = hub.join(all(), None, Place(0), 2).events;
        let mut quick = hub.join(all(), None, Place(0), 8).events;
        for number in 0..4 {
            publish(&hub, Topic::Runs, number);
        }
        assert_eq!(
            told(&[slow.recv().await.unwrap(), slow.recv().await.unwrap()]),
            ["0", "1"]
        );
        assert_eq!(slow.recv().await, None, "its queue has an end");
        for number in 0..4 {
            assert_eq!(&*quick.recv().await.unwrap().data, number.to_string());
        }
    }
}
