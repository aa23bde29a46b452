//! The store as a whole, on a real disk.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests damage files, mount file systems and start processes"
)]

pub(super) mod fixture;

mod merging;

mod sealing;

mod rates;

mod damage;

mod faults;

mod processes;
