//! Behaviour, through the public interface. One binary, a file per behaviour; see CONTRIBUTING.md.

#![allow(clippy::disallowed_methods, reason = "tests read files, clocks and the environment")]

mod tidy;
