//! Looks again at upstreams that failed and that nobody has asked since.
//!
//! An open circuit has its prober. A closed one whose last call failed has nobody: the next call decides, and where an
//! upstream is only asked when another is down, that may be never. Whoever reads `degraded` an hour later should read
//! something that is true an hour later, so such an upstream is probed now and then.

use std::time::Duration;

use evercandle::{Client, Health, Status, UpstreamHealth};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// Probes, for as long as it is not dropped.
pub(crate) async fn run(client: Client) {
    loop {
        client.clock().sleep(EVERY).await;
        let health = client.health();
        let probes = alone(&health).map(|upstream| client.check_one(upstream.provider.as_str()));
        // Each is in the catalogue: it was read from there.
        futures::future::join_all(probes).await;
    }
}

/// Whom nobody else looks after. Those who are well are left alone: what is wrong with another is no reason to ask them.
fn alone(health: &Health) -> impl Iterator<Item = &UpstreamHealth> {
    let degraded = health.upstreams.iter().filter(|u| u.status == Status::Degraded);
    degraded.filter(|u| !u.circuit_open)
}
