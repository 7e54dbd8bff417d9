//! Tests of the program, as modules of one binary: linking each on its own took longer than running
//! it. `resume.rs` stands alone because its runs must not be disturbed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod arch;
mod calibrate;
mod check;
mod checkpoint;
mod common;
mod completions;
mod convert;
mod diff;
mod edit;
mod export;
mod generate;
mod hash;
mod imatrix;
mod inspect;
mod measure;
mod options;
#[cfg(unix)]
mod outputs;
mod page;
mod program;
mod refused;
#[allow(dead_code, reason = "its faults are for the tests of that crate")]
#[path = "../../../remote/tests/it/server.rs"]
mod server;
mod size;
mod sources;
mod split;
mod urls;
