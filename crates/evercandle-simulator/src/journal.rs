//! Every request seen, so that a test can ask what the library did and not only what it returned.

use std::collections::VecDeque;
use std::ops::Range;

use parking_lot::Mutex;
use serde::Serialize;

use crate::fault::Effect;

/// Requests remembered; older ones are forgotten and counted.
const ENTRIES_MAX: usize = 100_000;

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The simulator's clock, in microseconds.
    pub at: i64,
    /// Real time since the simulator was made, in microseconds, when the request arrived: never goes back, whatever the
    /// clock does, so pauses and retries are measured by it.
    pub elapsed: i64,
    /// `GET` or `HEAD`.
    pub method: String,
    /// The original host.
    pub host: String,
    /// The original path, percent-decoded.
    pub path: String,
    /// The query as sent.
    pub query: String,
    /// The status answered, even where a fault kept it from arriving.
    pub status: u16,
    /// Weight charged.
    pub weight: u32,
    /// Whether it came before a `Retry-After` that its pool had been given was over.
    pub in_quarantine: bool,
    /// Bytes of body.
    pub bytes: usize,
    /// The faults that touched it.
    pub faults: Vec<Effect>,
}

impl Entry {
    /// Host, path and query in one line: what filters and messages need.
    pub fn target(&self) -> String {
        if self.query.is_empty() {
            return format!("{}{}", self.host, self.path);
        }
        format!("{}{}?{}", self.host, self.path, self.query)
    }
}

/// The requests seen, oldest first.
#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<VecDeque<Entry>>,
}

impl Journal {
    pub(crate) fn record(&self, entry: Entry) {
        let mut entries = self.entries.lock();
        if entries.len() == ENTRIES_MAX {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// All of them.
    pub fn requests(&self) -> Vec<Entry> {
        self.entries.lock().iter().cloned().collect()
    }

    /// Those whose host, path and query contain a text.
    pub fn matching(&self, text: &str) -> Vec<Entry> {
        self.entries
            .lock()
            .iter()
            .filter(|entry| entry.target().contains(text))
            .cloned()
            .collect()
    }

    /// How many there are whose host, path and query contain a text.
    pub fn count(&self, text: &str) -> usize {
        self.entries
            .lock()
            .iter()
            .filter(|entry| entry.target().contains(text))
            .count()
    }

    /// Those that arrived in a stretch of the simulator's clock, in microseconds.
    pub fn between(&self, stretch: Range<i64>) -> Vec<Entry> {
        let entries = self.entries.lock();
        entries
            .iter()
            .filter(|entry| stretch.contains(&entry.at))
            .cloned()
            .collect()
    }

    /// Those that arrived in a stretch of real time since the simulator was made, in microseconds.
    pub fn elapsed_between(&self, stretch: Range<i64>) -> Vec<Entry> {
        let entries = self.entries.lock();
        entries
            .iter()
            .filter(|entry| stretch.contains(&entry.elapsed))
            .cloned()
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets them.
    pub fn clear(&self) {
        self.entries.lock().clear();
    }
}
