//! What everybody comes in by.
//!
//! `listener`: connections, accepted and let go. `conversation`: one of them, to its end. `line`: what its peer owes us.
//! `gate`: what every request passes, and every answer. `access`: who may. `limits`: how much at once, and for how long.

pub(crate) mod listener;

pub(crate) mod conversation;

pub(crate) mod line;

pub(crate) mod gate;

pub(crate) mod access;

pub(crate) mod limits;
