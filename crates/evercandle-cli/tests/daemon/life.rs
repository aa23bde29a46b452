//! From the first line to the last.

use super::support::World;

/// Goal: one command runs everything, says where, and a supervisor can stop it.
#[test]
fn it_says_where_it_serves_and_stops_when_told() {
    let world = World::new();
    let daemon = world.serve("", &[]);
    assert_eq!(daemon.get("/health/live").status, 200);
    let status = daemon.terminate();
    assert_eq!(status.code(), Some(0), "{status:?}");
}
