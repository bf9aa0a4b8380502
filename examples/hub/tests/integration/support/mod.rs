//! A running hub, a client, and models for it.

pub(crate) mod browser;
pub(crate) mod models;
pub(crate) mod server;

pub(crate) use server::{Answer, Server};
