//! Small things that must outlive the process: bans, and the last known values.
//!
//! One JSON file each in `state/`, written beside and renamed like everything here. A file that cannot be read or
//! understood counts as absent: each of them can be learnt again, at worst by being told once more to stay away.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::disk::{self, Draft, Trusted};
use super::{Store, StoreError};

/// Bytes of a state file at the most: thousands of prices.
const STATE_BYTES_MAX: u64 = 16 << 20;
/// Saves take milliseconds; whoever keeps others waiting for longer than this hangs.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// An upstream's "do not call before".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// When it was told, in microseconds since the epoch.
    pub since_us: i64,
    /// Until when, likewise.
    pub until_us: i64,
    /// How many in a row.
    pub strikes: u32,
    /// What the upstream said.
    pub why: String,
}

/// The last known price of one instrument from one provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastPrice {
    /// `spot`, `um`, `cm`.
    pub market: String,
    /// The exchange's spelling.
    pub symbol: String,
    /// As printed.
    pub price: String,
    /// What it is another instrument's price of; absent: the exchange's own.
    pub substitute: Option<String>,
    /// Why the market did not trade, if so.
    pub halted: Option<String>,
    /// When it was true, in microseconds since the epoch.
    pub as_of_us: i64,
    /// When it was told, likewise.
    pub fetched_us: i64,
    /// Who told it.
    pub provider: String,
}

/// The last known readings of one measure, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastReadings {
    /// What was measured.
    pub measure: String,
    /// Value, the provider's word for it, when its period began and until when it is the newest, in microseconds.
    pub readings: Vec<(f64, Option<String>, i64, Option<i64>)>,
    /// When they were told, in microseconds since the epoch.
    pub fetched_us: i64,
    /// Who told them.
    pub provider: String,
}

impl Store {
    /// What was saved under `name`, if it is there and can be understood.
    pub fn load_state<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let file = Trusted::open(&self.state_file(name)).ok()?;
        if file.size > STATE_BYTES_MAX {
            return None;
        }
        let bytes = file.content(false).ok()?;
        serde_json::from_slice(&bytes)
            .inspect_err(|error| tracing::warn!(name, %error, "state file not understood"))
            .ok()
    }

    /// Saves `value` under `name`, durably: once this returns, a crash does not lose it.
    pub fn save_state<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StoreError> {
        let site = &self.0.site;
        let path = self.state_file(name);
        let failed = |action| {
            let path = path.clone();
            move |source| StoreError::Io { path, action, source }
        };
        let bytes = serde_json::to_vec(value).map_err(|e| failed("write")(e.into()))?;
        site.write(|| {
            let folder = site.state_dir();
            let draft = Draft::write(&folder, &bytes, &site.boot, site.clock.now()).map_err(failed("write"))?;
            draft.publish(&path).map_err(failed("rename"))?;
            disk::sync_folder(&folder).map_err(failed("flush folder"))
        })
    }

    /// Does something with what is saved, while no other process does the like. Where locks may hang, or are not to be had
    /// in time, it is done all the same: then another's change may be lost, which costs a value that can be learnt again.
    pub(crate) fn alone_with_state<R>(&self, work: impl FnOnce() -> R) -> R {
        let local = Some(self.state_dir()).filter(|_| !self.0.site.remote);
        let _locked = local.and_then(|folder| disk::locked(&folder, LOCK_PATIENCE));
        work()
    }

    fn state_file(&self, name: &str) -> PathBuf {
        self.state_dir().join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::CacheConfig;

    #[test]
    fn what_is_saved_is_there_for_the_next_process_and_damage_counts_as_absence() {
        let dir = tempfile::tempdir().unwrap();
        let config = CacheConfig {
            free_min: 0,
            ..CacheConfig::default()
        };
        let store = || Store::open(dir.path().to_owned(), &config, Clock::system()).unwrap();
        let ban = Ban {
            since_us: 1,
            until_us: 2,
            strikes: 3,
            why: "429".into(),
        };
        assert_eq!(store().load_state::<Ban>("ban-x"), None);
        store().save_state("ban-x", &ban).unwrap();
        let later = Ban { until_us: 9, ..ban };
        store().save_state("ban-x", &later).unwrap();
        assert_eq!(store().load_state("ban-x"), Some(later));
        for damage in ["", "{", "[]", "\0\0"] {
            let path = dir.path().join("state/ban-x.json");
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, damage).unwrap();
            assert_eq!(store().load_state::<Ban>("ban-x"), None, "{damage:?}");
        }
    }
}
