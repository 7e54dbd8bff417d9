//! Tests against a server on this machine.
#![allow(clippy::unwrap_used, reason = "tests")]

mod files;
mod folders;
mod server;
