//! An upstream's quarantine on disk: a restart does not end a ban, and neither does being another process.
//!
//! One small file per upstream in the store's state. It is written when a ban begins and looked at now and then, so that
//! several programs behind one address, which share the ban, share the knowledge too.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::answer::ProviderName;
use crate::clock::Clock;
use crate::resilience::quarantine::{Quarantine, QuarantineRecord};
use crate::store::{Ban, Store};

/// How often the file is looked at: often enough not to lengthen another's ban by many calls.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The file of one upstream.
pub(crate) struct Bans {
    store: Store,
    name: String,
    looked: Mutex<(Option<Instant>, Option<Ban>)>,
}

impl Bans {
    pub(crate) fn new(store: &Store, upstream: &ProviderName) -> Bans {
        Bans {
            store: store.clone(),
            name: format!("ban-{upstream}"),
            looked: Mutex::default(),
        }
    }

    /// The quarantine that an earlier process left.
    pub(crate) fn restored(&self, clock: &Clock) -> Quarantine {
        let ban: Option<Ban> = self.store.load_state(&self.name);
        let restored = ban
            .as_ref()
            .map(|ban| Quarantine::restore(&record(ban), clock.instant(), clock.now()));
        *self.looked.lock() = (Some(clock.instant()), ban);
        restored.unwrap_or_default()
    }

    /// What another process was told since, once. While somebody reads the file nobody else waits for it: on a disk that
    /// hangs, one caller does.
    pub(crate) fn news(&self, clock: &Clock) -> Option<QuarantineRecord> {
        let (mut looked, now) = (self.looked.try_lock()?, clock.instant());
        if looked
            .0
            .is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY)
        {
            return None;
        }
        looked.0 = Some(now);
        let ban: Option<Ban> = self.store.load_state(&self.name);
        let news = ban.as_ref().filter(|ban| looked.1.as_ref() != Some(ban)).map(record);
        looked.1 = ban;
        news
    }

    /// Writes a ban down before anything else happens: a crash must not lose it.
    pub(crate) fn save(&self, record: QuarantineRecord) {
        let ban = Ban {
            since_us: record.since_us,
            until_us: record.until_us,
            strikes: record.strikes,
            why: record.why,
        };
        let mut looked = self.looked.lock();
        // Another process may have been sent away for longer meanwhile; the longer ban stays, and is adopted at the next
        // look.
        let longer: Option<Ban> = self.store.load_state(&self.name);
        if longer.is_some_and(|other| other.until_us > ban.until_us) {
            looked.0 = None;
            return;
        }
        // Where the disk refuses, the store has said so already, and the ban holds in memory.
        let _ = self.store.save_state(&self.name, &ban);
        looked.1 = Some(ban);
    }

    /// Ended by hand.
    pub(crate) fn forget(&self) {
        let over = Ban {
            since_us: 0,
            until_us: 0,
            strikes: 0,
            why: "lifted by hand".to_owned(),
        };
        if self.looked.lock().1.is_some() {
            let _ = self.store.save_state(&self.name, &over);
        }
        self.looked.lock().1 = Some(over);
    }
}

fn record(ban: &Ban) -> QuarantineRecord {
    QuarantineRecord {
        since_us: ban.since_us,
        until_us: ban.until_us,
        strikes: ban.strikes,
        why: ban.why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CacheConfig;
    use crate::model::range::Timestamp;

    /// Goal: a short ban that one process is told of does not end another's long one, for anybody.
    #[test]
    fn the_longest_ban_of_all_processes_is_the_one_that_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let config = CacheConfig {
            free_min: 0,
            ..CacheConfig::default()
        };
        let clock = Clock::held(Timestamp::from_micros(1_700_000_000_000_000));
        let store = Store::open(dir.path().to_owned(), &config, clock.clone()).unwrap();
        let name = ProviderName::new("binance");
        let (one, other) = (Bans::new(&store, &name), Bans::new(&store, &name));
        let (mut ours, mut theirs) = (one.restored(&clock), other.restored(&clock));
        let ban = |quarantine: &mut Quarantine, bans: &Bans, seconds: u64| {
            quarantine.extend(Duration::from_secs(seconds), true, "429", clock.instant());
            bans.save(quarantine.record(clock.instant(), clock.now()).unwrap());
        };
        ban(&mut theirs, &other, 3_600);
        ban(&mut ours, &one, 5);
        let left = |quarantine: &Quarantine| (quarantine.until(clock.instant()).unwrap().0 - clock.instant()).as_secs();
        assert!(left(&Bans::new(&store, &name).restored(&clock)) > 3_500);
        ours.adopt(&one.news(&clock).unwrap(), clock.instant(), clock.now());
        assert!(
            left(&ours) > 3_500,
            "and whoever wrote the short one learns of the long one"
        );
        one.forget();
        assert!(
            Bans::new(&store, &name)
                .restored(&clock)
                .until(clock.instant())
                .is_none()
        );
    }
}
