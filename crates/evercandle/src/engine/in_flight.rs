//! The same slice wanted twice is fetched once.
//!
//! The first to want a slice becomes its leader, but does not run the work itself: a detached task does, so a leader
//! that goes away cancels nobody. Results, errors too, are shared with everyone who waited; nothing is kept afterwards.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::sync::oneshot;

type Work<V> = Shared<BoxFuture<'static, Option<V>>>;

/// Work in progress by key.
pub(crate) struct InFlight<K, V> {
    running: Arc<Mutex<HashMap<K, Work<V>>>>,
}

impl<K, V> Default for InFlight<K, V> {
    fn default() -> InFlight<K, V> {
        InFlight {
            running: Arc::default(),
        }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> InFlight<K, V> {
    /// The result of the work on `key`: of work already running, or of `start`'s, which then runs to its end whoever
    /// waits. `None` when the work panicked.
    pub(crate) async fn share<F: Future<Output = V> + Send + 'static>(
        &self,
        key: K,
        start: impl FnOnce() -> F,
    ) -> Option<V> {
        let (work, mine) = {
            let mut running = self.running.lock();
            match running.get(&key) {
                Some(work) => (work.clone(), None),
                None => {
                    let (sender, result) = oneshot::channel();
                    let work = result.map(Result::ok).boxed().shared();
                    running.insert(key.clone(), work.clone());
                    (work, Some(sender))
                }
            }
        };
        // Not under the lock: a runtime that is about to end drops what it is given there and then, the entry with it.
        if let Some(sender) = mine {
            let all = self.running.clone();
            // The entry goes when the work ends, not when someone looks: a panic must not leave it behind.
            let cleanup = scopeguard(move || {
                all.lock().remove(&key);
            });
            let work = start();
            tokio::spawn(async move {
                // In this order: whoever is told that the work ended finds no entry of it.
                let sender = sender;
                let cleanup = cleanup;
                let value = work.await;
                drop(cleanup);
                let _ = sender.send(value);
            });
        }
        work.await
    }
}

/// Runs `end` when dropped.
fn scopeguard(end: impl FnOnce()) -> impl Drop {
    struct Guard<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Guard<F> {
        fn drop(&mut self) {
            if let Some(end) = self.0.take() {
                end();
            }
        }
    }
    Guard(Some(end))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn ten_thousand_wanting_the_same_start_one_piece_of_work() {
        let (calls, flight) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(InFlight::<u8, usize>::default()),
        );
        let waiting: Vec<_> = (0..10_000)
            .map(|_| {
                let (calls, flight) = (calls.clone(), flight.clone());
                tokio::spawn(async move {
                    let work = || async move {
                        tokio::task::yield_now().await;
                        calls.fetch_add(1, Ordering::SeqCst)
                    };
                    flight.share(7, work).await
                })
            })
            .collect();
        for task in waiting {
            assert_eq!(task.await.unwrap(), Some(0));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert!(flight.running.lock().is_empty());
    }

    #[tokio::test]
    async fn a_leader_that_leaves_cancels_nobody_and_a_panic_ends_the_work() {
        let (flight, go) = (Arc::new(InFlight::<u8, u8>::default()), Arc::new(Notify::new()));
        let (leaders_flight, leaders_go) = (flight.clone(), go.clone());
        let leader = tokio::spawn(async move {
            leaders_flight
                .share(1, || async move {
                    leaders_go.notified().await;
                    42
                })
                .await
        });
        tokio::task::yield_now().await;
        leader.abort();
        let follower = flight.share(1, || async { 0 });
        go.notify_one();
        assert_eq!(follower.await, Some(42));
        assert_eq!(flight.share(2, || async { panic!("on purpose") }).await, None);
        assert_eq!(flight.share(2, || async { 3 }).await, Some(3));
    }

    #[test]
    fn a_runtime_that_has_ended_starts_nothing_and_keeps_nobody_waiting() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let (_inside, flight) = (handle.enter(), InFlight::<u8, u8>::default());
        assert_eq!(flight.share(1, || async { 0 }).now_or_never(), Some(None));
        assert!(flight.running.lock().is_empty());
    }
}
