//! What runs beside the answers, and goes on when it breaks.
//!
//! A task that panics ends without a word, and what it did is simply not done any more, while every answer looks healthy.
//! So each is watched: that it broke is an error in the log and is counted, and after a pause it begins again. One that
//! ends by itself has done what it was for.

use std::future::Future;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::metrics;

/// Between a break and the next beginning: what breaks at once does so once a second, not all the time.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs what `begin` begins, again whenever it breaks, until it ends by itself or the handle goes.
pub(crate) fn spawn<F>(name: &'static str, begin: impl Fn() -> F + Send + 'static) -> AbortOnDropHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    keep(name, PAUSE, begin)
}

fn keep<F>(name: &'static str, pause: Duration, begin: impl Fn() -> F + Send + 'static) -> AbortOnDropHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    metrics::supervised(name);
    AbortOnDropHandle::new(tokio::spawn(async move {
        // Ends with this task: whoever lets go of the one lets go of the other.
        while let Err(error) = AbortOnDropHandle::new(tokio::spawn(begin())).await {
            tracing::error!(task = name, %error, "a task broke and begins again: the daemon has a mistake");
            metrics::task_restarted(name);
            tokio::time::sleep(pause).await;
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_breaks_begins_again_and_what_ends_has_ended() {
        let begun = Arc::new(AtomicU32::new(0));
        let counted = begun.clone();
        let task = keep("test", Duration::ZERO, move || {
            let counted = counted.clone();
            async move {
                assert!(2 <= counted.fetch_add(1, Ordering::Relaxed), "broken on purpose");
            }
        });
        task.await.unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn whoever_lets_go_ends_it() {
        let alive = Arc::new(());
        let held = alive.clone();
        let task = spawn("test", move || {
            let held = held.clone();
            async move {
                let _held = held;
                std::future::pending().await
            }
        });
        tokio::task::yield_now().await;
        drop(task);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
