//! Behaviour, through the public interface, against the simulated internet: one file per behaviour.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]
#![allow(clippy::disallowed_methods, reason = "tests read files, clocks and the environment")]

mod contract;
mod contract_latest;
mod corruption;
mod deadline;
mod failover;
mod faults_crowd;
mod faults_data;
mod faults_limits;
mod faults_recovery;
mod faults_store;
mod faults_transport;
mod freshness;
mod funding;
mod grids;
mod latest;
mod limits;
mod oracle;
mod outlast;
mod recorded;
mod schedule;
mod support;
mod telemetry;
mod tidy;
