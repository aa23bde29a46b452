//! The only JSON: what goes over the wire, apart from what it is made of.

pub(crate) mod admin;
pub(crate) mod alert;
pub(crate) mod event;
pub(crate) mod health;
pub(crate) mod klines;
pub(crate) mod letter;
pub(crate) mod market;
pub(crate) mod price;
pub(crate) mod reason;
pub(crate) mod schedule;
pub(crate) mod sentiment;
pub(crate) mod symbols;
