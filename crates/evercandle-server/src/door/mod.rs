//! What everybody comes in by.
//!
//! `listener`: connections, accepted, watched and let go. `gate`: what every request passes, and every answer. `access`:
//! who may. `limits`: how much at once, and for how long.

pub(crate) mod access;
pub(crate) mod gate;
pub(crate) mod limits;
pub(crate) mod listener;
