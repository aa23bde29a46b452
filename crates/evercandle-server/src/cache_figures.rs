//! How full the cache is, without walking a big folder for everybody who asks.
//!
//! A count is taken on a blocking thread, by one asker at a time, and remembered for some seconds. A disk that hangs
//! holds up that one thread; whoever asks meanwhile waits for a moment, and then gets the figures of before, or none.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evercandle::store::{Store, StoreStats};
use evercandle::{Clock, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a count is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How long an asker waits for a count: less than the patience of anybody who probes health.
const PATIENCE: Duration = Duration::from_millis(500);

/// What was counted.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) stats: StoreStats,
    pub(crate) writable: bool,
    pub(crate) at: Timestamp,
}

/// Counts, and remembers.
#[derive(Clone)]
pub(crate) struct CacheFigures(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    state: Mutex<State>,
    counted: Notify,
}

#[derive(Default)]
struct State {
    last: Option<(Instant, Figures)>,
    counting: bool,
}

impl CacheFigures {
    pub(crate) fn new(store: Store, clock: Clock) -> CacheFigures {
        CacheFigures(Arc::new(Inner {
            store,
            clock,
            state: Mutex::default(),
            counted: Notify::new(),
        }))
    }

    /// The figures, at most some seconds old unless the disk hangs; `None` if they could never be taken.
    pub(crate) async fn look(&self) -> Option<Figures> {
        let counted = self.0.counted.notified();
        {
            let mut state = self.0.state.lock();
            let now = self.0.clock.instant();
            if let Some((at, figures)) = &state.last
                && now.saturating_duration_since(*at) < REMEMBERED
            {
                return Some(figures.clone());
            }
            if !std::mem::replace(&mut state.counting, true) {
                let inner = self.0.clone();
                tokio::task::spawn_blocking(move || inner.count());
            }
        }
        // Whether it came in time or not: what is known now is the answer.
        let _ = tokio::time::timeout(PATIENCE, counted).await;
        let state = self.0.state.lock();
        state.last.as_ref().map(|(_, figures)| figures.clone())
    }
}

impl Inner {
    fn count(&self) {
        let stats = self.store.stats();
        let writable = lets_itself_be_written(self.store.dir());
        let mut state = self.state.lock();
        state.counting = false;
        if let Ok(stats) = stats {
            let at = self.clock.now();
            let figures = Figures { stats, writable, at };
            state.last = Some((self.clock.instant(), figures));
        }
        drop(state);
        self.counted.notify_waiters();
    }
}

/// Whether a folder lets itself be written, or made where it does not exist yet.
fn lets_itself_be_written(dir: &Path) -> bool {
    use rustix::fs::{Access, access};
    let existing = dir.ancestors().find(|folder| access(*folder, Access::EXISTS).is_ok());
    existing.is_some_and(|folder| access(folder, Access::WRITE_OK).is_ok())
}
