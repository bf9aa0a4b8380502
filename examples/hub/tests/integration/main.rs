//! The hub from outside: the real program, over HTTP, with a real database in a temporary folder.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these are tests, helpers included"
)]

mod adapters;
mod crash;
mod exports;
mod jobs;
mod page;
mod paths;
mod routes;
mod support;
mod uploads;
