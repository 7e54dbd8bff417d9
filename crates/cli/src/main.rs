//! The `granule` program: converts, inspects and checks GGUF files.
//!
//! Exit status: 0 done, 1 findings, 2 failure (wrong usage included), 128 and its number if a
//! signal ended a run; `docs/program.md` says more.
#![deny(unsafe_code)]

mod advice;
mod args;
mod cmd;
mod foreign;
mod interrupt;
mod output;
mod progress;
mod threads;
mod usage;

use std::env;
use std::process::ExitCode;

use anyhow::Context;
use granule_reader::isa;

fn main() -> ExitCode {
    let command = match usage::parse(&env::args_os().collect::<Vec<_>>()) {
        Ok(command) => command,
        Err(status) => return status,
    };
    let name = command.name();
    // what was asked for is not ignored, also where nothing is computed
    let isa = isa::Isa::from_env().with_context(|| format!("the variable {}", isa::VARIABLE));
    match isa.and_then(|_| cmd::run(command)) {
        Ok(status) => status,
        Err(error) => {
            output::report_failure(&error, name);
            ExitCode::from(interrupt::status(&error).unwrap_or(2))
        }
    }
}
