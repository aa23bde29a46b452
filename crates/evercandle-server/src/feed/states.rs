//! How the upstreams are, when that changes; and what came of refreshing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evercandle::schedule::Run;
use evercandle::{CircuitState, ProviderName, Status};

use super::{Inner, Topic};
use crate::wire::{event, schedule};

/// How often the upstreams are looked at: looking sends nothing.
const LOOK: Duration = Duration::from_millis(500);

/// Tells of the upstreams, for ever.
pub(super) async fn follow(inner: &Arc<Inner>) {
    let mut before: HashMap<ProviderName, (Status, CircuitState)> = HashMap::new();
    loop {
        for upstream in inner.client.health().upstreams {
            let now = (upstream.status, upstream.state);
            let Some(was) = before.insert(upstream.provider.clone(), now) else {
                continue;
            };
            if was != now {
                inner.publish(Topic::Providers, "provider", &event::provider(&upstream, Some(was.0)));
                if is_let_through(now) && !is_let_through(was) {
                    inner.recovered.notify_waiters();
                }
            }
        }
        inner.tidy();
        tokio::time::sleep(LOOK).await;
    }
}

fn is_let_through((status, state): (Status, CircuitState)) -> bool {
    state == CircuitState::Closed && status != Status::Quarantined
}

/// What came of a refresh, as an event says it.
pub(super) fn run(run: &Run) -> String {
    event::line(&schedule::run(run))
}
