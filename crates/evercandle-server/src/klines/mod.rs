//! How klines are served.
//!
//! `question`: what a URL asks. `negotiation`: in which format. `pages`: a body made as it is read. `seal`: what may be kept,
//! and by which tag.

pub(crate) mod negotiation;
pub(crate) mod pages;
pub(crate) mod question;
pub(crate) mod seal;
