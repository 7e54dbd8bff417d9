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

use anyhow::Context;
use clap::Parser;
use granule_reader::isa;

use crate::args::Cli;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // what was asked for is not ignored, also where nothing is computed
    let isa = isa::Isa::from_env().with_context(|| format!("the variable {}", isa::VARIABLE));
    match isa.and_then(|_| cmd::run(command)) {
        Ok(status) => status,
        Err(error) => {
            output::report_failure(&error);
            ExitCode::from(interrupt::status(&error).unwrap_or(2))
        }
    }
}
