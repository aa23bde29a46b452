//! How the upstreams are, when that changes; and what came of refreshing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evercandle::schedule::Run;
use evercandle::{CircuitState, Client, ProviderName, Status};

use super::{Inner, Topic};
use crate::wire::{event, schedule};

/// How often the upstreams are looked at: looking sends nothing.
const LOOK: Duration = Duration::from_millis(500);

/// How the upstreams were when they were last looked at.
pub(super) type Seen = HashMap<ProviderName, (Status, CircuitState)>;

/// The first look. Nobody listens before it, so whatever changes after it is told.
pub(super) fn look(client: &Client) -> Seen {
    let upstreams = client.health().upstreams.into_iter();
    upstreams.map(|u| (u.provider, (u.status, u.state))).collect()
}

/// Tells of the upstreams, for ever.
pub(super) async fn follow(inner: &Arc<Inner>) {
    loop {
        for upstream in inner.client.health().upstreams {
            let now = (upstream.status, upstream.state);
            let was = inner.seen.lock().insert(upstream.provider.clone(), now);
            if let Some(was) = was
                && was != now
            {
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
