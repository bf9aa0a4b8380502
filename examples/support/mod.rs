//! What the commands share: their settings, the recovery from files to graph, the truth, the output.

#![allow(dead_code, reason = "not every command uses all of it")]
#![allow(
    clippy::std_instead_of_alloc,
    reason = "a command has the standard library"
)]

pub(crate) mod adapters;
pub(crate) mod claims;
pub(crate) mod hidden;
pub(crate) mod job;
pub(crate) mod matches;
pub(crate) mod models;
pub(crate) mod random;
pub(crate) mod reliability;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod store;
pub(crate) mod synthetic;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod truth;
pub(crate) mod zoo;
