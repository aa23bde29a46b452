//! What upstreams say of themselves: the instruments they list, and how much they allow.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::attempt::{Errand, attempt};
use crate::engine::upstream::Upstream;
use crate::error::Error;
use crate::model::series::Market;
use crate::provider::{Call, Instrument};
use crate::request::Priority;
use crate::resilience::quota::Class;

impl Engine {
    /// The instruments of a market, from the first upstream that lists them.
    pub(crate) async fn instruments(&self, market: Market) -> Result<Vec<Instrument>, Error> {
        let deadline = self.deadline(None, Priority::Interactive);
        let mut trail = Vec::new();
        for upstream in &self.upstreams {
            let Some(klines) = upstream.klines().filter(|klines| klines.lists(market)) else {
                continue;
            };
            let errand = Errand {
                subject: &market,
                range: None,
                form: "instruments",
                call: Call::Instruments(market),
            };
            let ask = || klines.instruments(market);
            let result = attempt(
                upstream,
                self.terms(&deadline, Class::Interactive),
                errand,
                &mut trail,
                ask,
            )
            .await;
            if let Ok(instruments) = result {
                return Ok(instruments);
            }
        }
        let reasons = trail
            .iter()
            .map(|a| (a.provider.clone(), a.outcome.to_string()))
            .collect();
        Err(Error::NoUpstream {
            what: format!("instruments of market {market}"),
            reasons,
            retry_after: self.retry_after(|u| trail.iter().any(|asked| asked.provider == u.name)),
        })
    }

    /// Asks for an upstream's published limit when it begins to matter, once a day, without keeping anybody waiting.
    pub(super) fn mind_limit(self: &Arc<Self>, upstream: &Arc<Upstream>) {
        let Some(spec) = upstream.provider().quota(Call::Limit) else {
            return;
        };
        if !self.quotas.wants_limit(spec) {
            return;
        }
        let (engine, upstream) = (self.clone(), upstream.clone());
        tokio::spawn(async move {
            let deadline = engine.deadline(None, Priority::Interactive);
            let errand = Errand {
                subject: &spec.group,
                range: None,
                form: "limit",
                call: Call::Limit,
            };
            let ask = || upstream.provider().published_limit();
            let terms = engine.terms(&deadline, Class::Probe);
            if let Ok(Some(limit)) = attempt(&upstream, terms, errand, &mut Vec::new(), ask).await {
                engine.quotas.publish(spec, limit);
            }
        });
    }
}
