//! Looks again at upstreams that failed and that nobody has asked since.
//!
//! An open circuit has its prober. A closed one whose last call failed has nobody: the next call decides, and where an
//! upstream is only asked when another is down, that may be never. Whoever reads `degraded` an hour later should read
//! something that is true an hour later, so such an upstream is probed now and then.

use std::time::Duration;

use evercandle::{Client, Health, Status};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// Probes, for as long as it is not dropped.
pub(crate) async fn run(client: Client) {
    loop {
        client.clock().sleep(EVERY).await;
        if is_wanted(&client.health()) {
            client.check().await;
        }
    }
}

/// Whether there is somebody whom nobody else looks after.
fn is_wanted(health: &Health) -> bool {
    let mut degraded = health.upstreams.iter().filter(|u| u.status == Status::Degraded);
    degraded.any(|u| !u.circuit_open)
}
