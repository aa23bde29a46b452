//! What is refreshed without anybody asking: watches → due refreshes, and the loop that issues them.
//!
//! A refresh asks [`Client`](crate::Client) exactly as a user would, so it shares the cache, the quotas, the breakers and
//! whatever is in flight, and it keeps no opinion of what is missing: a run is idempotent, and a restart costs nothing.

mod record;

pub use record::{JobKind, JobStatus, Run, RunError, RunStatus, ScheduleStatus};
