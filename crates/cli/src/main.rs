//! The `granule` program: converts, inspects and checks GGUF files.
//!
//! Exit status: 0 done, 1 findings, 2 failure (wrong usage included), 128 and its number if a signal ended a run.
#![deny(unsafe_code)]

mod args;
mod cmd;
mod interrupt;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;

fn main() -> ExitCode {
    match cmd::run(Cli::parse().command) {
        Ok(status) => status,
        Err(error) => {
            output::report_failure(&error);
            ExitCode::from(interrupt::status(&error).unwrap_or(2))
        }
    }
}
