//! When asking again is worth a try, while nobody can be asked.

use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Resting, RestingReason};
use crate::engine::Engine;
use crate::engine::assembly::Assembly;
use crate::engine::plan::{Question, Step, Tried, View, plan};
use crate::engine::upstream::{Refusal, Upstream};
use crate::provider::Offer;
use crate::request::Priority;

impl Engine {
    /// In how long the first of some upstreams is worth asking again, when all of them rest.
    pub(crate) fn retry_after(&self, serves: impl Fn(&Upstream) -> bool) -> Option<Duration> {
        let mut waits = self
            .upstreams
            .iter()
            .filter(|u| serves(u))
            .map(|u| u.rests_for(&self.clock));
        waits.try_fold(None::<Duration>, |least, wait| {
            wait.map(|w| Some(least.map_or(w, |l| l.min(w))))
        })?
    }

    /// Whether everybody rests who might have what is missing. Whoever cannot have it, as archives cannot have today,
    /// does not count, however well it is; whoever was sent to rest by hand does so nobody knows how long.
    pub(crate) fn resting(&self, upstreams: &[(Arc<Upstream>, Offer)], assembly: &Assembly) -> Option<Resting> {
        let mut everybody: Option<Resting> = None;
        for (index, (upstream, _)) in upstreams.iter().enumerate() {
            if !self.might_have(index, upstreams, assembly) {
                continue;
            }
            let reason = match upstream.resting(&self.clock)? {
                Refusal::Quarantined(_) => RestingReason::Limited,
                Refusal::CircuitOpen(_) | Refusal::Busy(_) => RestingReason::Failing,
            };
            let Some(retry_after) = upstream.rests_for(&self.clock) else {
                continue;
            };
            everybody = Some(match everybody {
                None => Resting { retry_after, reason },
                Some(others) => Resting {
                    retry_after: retry_after.min(others.retry_after),
                    reason: if reason == others.reason {
                        reason
                    } else {
                        RestingReason::Failing
                    },
                },
            });
        }
        everybody
    }

    /// Whether there would be something to ask this upstream for, if it were the only one and did not rest.
    fn might_have(&self, index: usize, upstreams: &[(Arc<Upstream>, Offer)], assembly: &Assembly) -> bool {
        let mut tried = Tried::default();
        for (slice, _) in upstreams[index].0.remembered(assembly.series(), &self.clock) {
            let (range, form) = (slice.range, slice.form);
            tried.mark(Step {
                upstream: index,
                range,
                form,
            });
        }
        let view = |(other, (_, offer)): (usize, &(Arc<Upstream>, Offer))| View {
            offer: *offer,
            usable: other == index,
        };
        let views: Vec<View> = upstreams.iter().enumerate().map(view).collect();
        let question = Question {
            grid: assembly.grid(),
            missing: &assembly.missing(),
            now: assembly.now(),
            priority: Priority::Interactive,
            views: &views,
            tried: &tried,
        };
        !plan(&question).is_empty()
    }
}
