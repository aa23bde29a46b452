//! When somebody must be told: rules over how the upstreams, the cache and the scheduler are.
//!
//! The rule everybody writes first, "the failure rate is above 80 %", falls silent exactly when it matters: the breaker
//! opens, nobody calls any more, and the rate is nothing divided by nothing. So the open circuit is failure too, a share
//! needs a least number of calls, and what counts is the share of a window, which neither a probe nor one lucky answer
//! resets.
//!
//! There is one table of rules and it has two forms: [`prometheus_rules`] writes it as a rule file, [`Evaluator`] decides
//! the same in this process, for those who have no Prometheus. A test holds one against the other. Everything here is
//! pure; who is told, and how, is the daemon's business.

mod rule;

mod evaluator;

mod prometheus;

pub use evaluator::{Alert, AlertState, Change, Evaluator, Sample, Subject, UpstreamSample};
pub use prometheus::prometheus_rules;
pub use rule::{Condition, Rule, RuleName, Severity, rules};
