//! One HTTP send.

/// The client.
#[derive(Clone)]
pub struct Http;
