//! How everything is, and what may be set by hand.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::upstream::{Upstream, wall};
use crate::error::Error;
use crate::health::{Control, Health};

impl Engine {
    /// How everything is.
    pub(crate) fn health(&self) -> Health {
        for upstream in &self.upstreams {
            self.probes.follow(upstream, upstream.tick(&self.clock));
        }
        Health {
            at: self.clock.now(),
            upstreams: self
                .upstreams
                .iter()
                .map(|u| u.health(&self.quotas, &self.clock))
                .collect(),
            common_cause_since: self.probes.suspected().map(|since| wall(since, &self.clock)),
            cache_readonly: self.store.readonly(),
            latest: self.last_known.answered(),
        }
    }

    /// Probes every upstream that may be called, all at once.
    pub(crate) async fn check(&self) {
        futures::future::join_all(self.upstreams.iter().map(|u| self.probes.check(u))).await;
    }

    /// Probes one of them, if it may be called.
    pub(crate) async fn check_one(&self, name: &str) -> Result<(), Error> {
        self.probes.check(self.named(name)?).await;
        Ok(())
    }

    /// Waits for what is being written behind callers' backs.
    pub(crate) async fn flush(&self) {
        self.last_known.flush().await;
    }

    /// Sets an upstream's breaker by hand.
    pub(crate) fn control(&self, name: &str, how: Control) -> Result<(), Error> {
        let upstream = self.named(name)?;
        let change = match how {
            Control::ForceOpen => upstream.force_open(&self.clock),
            Control::ForceClosed => upstream.force_closed(&self.clock),
            Control::Reset => upstream.reset(&self.clock),
        };
        self.probes.follow(upstream, change);
        Ok(())
    }

    fn named(&self, name: &str) -> Result<&Arc<Upstream>, Error> {
        self.upstreams.iter().find(|u| u.name.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = self.upstreams.iter().map(|u| u.name.as_str()).collect();
            Error::BadRequest(format!(
                "unknown upstream {name:?}: expected one of {}",
                known.join(", ")
            ))
        })
    }
}
