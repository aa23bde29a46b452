//! Binance.
use super::{Entry, Roles};

/// Archives.
pub const VISION: Entry = Entry {
    name: "binance-vision",
    about: "bulk archives, about a day behind",
    build: |_, _| Ok(Roles::default()),
};
/// REST.
pub const REST: Entry = Entry {
    name: "binance",
    about: "REST, real time, rate-limited",
    build: |_, _| Ok(Roles::default()),
};
