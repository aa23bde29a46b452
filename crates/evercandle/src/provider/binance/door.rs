//! One market's hosts: which one is asked.
//!
//! A market may have several hosts in front of the same machines and the same quota. One is used until it cannot be
//! reached or turns us away, then the next: replicas differ for seconds about the newest kline, so turning at every call
//! would let values go back in time.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::FetchError;

/// One market as it is asked.
#[derive(Debug)]
pub(super) struct Door {
    hosts: Vec<String>,
    /// Index of the host in use.
    current: AtomicUsize,
    /// What comes before `/klines`.
    pub(super) base: &'static str,
    pub(super) rows_max: u32,
}

impl Door {
    /// `hosts` in order of preference, at least one.
    pub(super) fn new(hosts: Vec<String>, base: &'static str, rows_max: u32) -> Door {
        Door {
            hosts,
            current: AtomicUsize::new(0),
            base,
            rows_max,
        }
    }

    /// The index of the host in use.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    pub(super) fn host(&self, index: usize) -> &str {
        &self.hosts[index % self.hosts.len()]
    }

    pub(super) fn position(&self, host: &str) -> Option<usize> {
        self.hosts.iter().position(|h| h == host)
    }

    /// The next call goes to this host.
    pub(super) fn turn_to(&self, index: usize) {
        self.current.store(index, Ordering::Relaxed);
    }

    /// The next call goes to the next host, unless another call has seen to that already.
    pub(super) fn turn_from(&self, used: usize) {
        let next = (used + 1) % self.hosts.len();
        let _ = self
            .current
            .compare_exchange(used, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Nobody answered at this host; with another one to turn to, a second try is worth its time.
    pub(super) fn unreachable(&self, used: usize, error: FetchError) -> FetchError {
        match error {
            FetchError::Unreachable { why, retry } => {
                self.turn_from(used);
                FetchError::Unreachable {
                    why,
                    retry: retry || self.hosts.len() > 1,
                }
            }
            FetchError::TimedOut(why) => {
                self.turn_from(used);
                FetchError::TimedOut(why)
            }
            other => other,
        }
    }
}
