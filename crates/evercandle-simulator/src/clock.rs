//! What time it is in the pretend internet.
//!
//! "Now" decides which klines have closed, which archives are out and when a ban ends, so a test must own it.
//! It is either the machine's clock moved by an offset, or an instant that stays until somebody moves it.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Where "now" comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockMode {
    /// The machine's clock plus this many microseconds.
    Real {
        /// How far ahead of the machine, in microseconds.
        offset: i64,
    },
    /// This instant, until it is moved.
    Fixed {
        /// Microseconds since 1970.
        at: i64,
    },
}

/// A clock that can be set while requests are being answered.
#[derive(Debug)]
pub struct Clock {
    mode: Mutex<ClockMode>,
}

impl Clock {
    /// A clock in this mode.
    pub fn new(mode: ClockMode) -> Self {
        Self { mode: Mutex::new(mode) }
    }

    /// Microseconds since 1970.
    pub fn now(&self) -> i64 {
        match *self.mode.lock() {
            ClockMode::Real { offset } => machine_now().saturating_add(offset),
            ClockMode::Fixed { at } => at,
        }
    }

    /// How it runs.
    pub fn mode(&self) -> ClockMode {
        *self.mode.lock()
    }

    /// Sets how it runs.
    pub fn set_mode(&self, mode: ClockMode) {
        *self.mode.lock() = mode;
    }

    /// Stops it at an instant.
    pub fn set(&self, at: i64) {
        self.set_mode(ClockMode::Fixed { at });
    }

    /// Moves it forward, or back, by microseconds, whichever way it runs.
    pub fn advance(&self, by: i64) {
        let mut mode = self.mode.lock();
        *mode = match *mode {
            ClockMode::Real { offset } => ClockMode::Real {
                offset: offset.saturating_add(by),
            },
            ClockMode::Fixed { at } => ClockMode::Fixed {
                at: at.saturating_add(by),
            },
        };
    }
}

fn machine_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}
