//! The newest value of something: upstreams in order → last known value, with its age → an error with every reason.
//!
//! Here is what [`prices`](super::prices) and [`sentiment`](super::sentiment) have in common. Questions are shared: the
//! same ones asked meanwhile wait for the first, which runs detached, so that nobody's departure cancels it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::ProviderName;
use crate::engine::Engine;
use crate::engine::attempt::Terms;
use crate::engine::prices::Asked;
use crate::engine::sentiment::Read;
use crate::model::series::Market;
use crate::model::symbol::Symbol;
use crate::resilience::deadline::Deadline;
use crate::resilience::quota::Class;

/// How long to wait for a quota, or for a call that is finding out whether an upstream works, before asking the next.
const PATIENCE: Duration = Duration::from_millis(250);
/// What shared work may take beyond its deadline to tell what it found.
const GRACE: Duration = Duration::from_millis(100);

/// What may be shared while it is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wanted {
    Prices {
        market: Market,
        symbols: BTreeSet<Symbol>,
        substitutes: bool,
    },
    Readings {
        count: u32,
        secondary: bool,
    },
}

/// What came of a shared question.
#[derive(Clone)]
pub(crate) enum Shared {
    Prices(Arc<Asked>),
    Readings(Arc<Read>),
}

impl Engine {
    pub(super) fn latest_deadline(&self, asked: Option<Duration>) -> Deadline {
        let usual = Duration::from_millis(self.latest_config.deadline_ms);
        Deadline::fixed(self.clock.instant(), asked.unwrap_or(usual))
    }

    pub(super) fn latest_terms<'a>(&'a self, deadline: &'a Deadline) -> Terms<'a> {
        Terms {
            patience: PATIENCE,
            ..self.terms(deadline, Class::Interactive)
        }
    }

    /// The shared answer, or nothing when this caller's time is up first.
    pub(super) async fn latest_in_time<F: Future<Output = Shared> + Send + 'static>(
        &self,
        key: Wanted,
        work: impl FnOnce() -> F,
        deadline: &Deadline,
    ) -> Option<Shared> {
        let remaining = deadline.remaining(self.clock.instant());
        let shared = self.latest_in_flight.share(key, work);
        // The work keeps to the same deadline; a little more lets it say what it found.
        tokio::time::timeout(remaining + GRACE, shared).await.ok().flatten()
    }
}

/// It was known, but is too old to be told.
pub(super) fn too_old(age: Duration, oldest: Duration) -> (ProviderName, String) {
    let (age, oldest) = (age.as_secs(), oldest.as_secs());
    let why = format!("the last known value is {age} s old, more than the {oldest} s allowed");
    (ProviderName::new("cache"), why)
}

/// It was known, by a clock that is wrong.
pub(super) fn from_the_future() -> (ProviderName, String) {
    let why = "the last known value seems to be from the future, so its age is not known".to_owned();
    (ProviderName::new("cache"), why)
}
