//! The `granule` program: converts, inspects and checks GGUF files.
//!
//! This library is for the program and for what is made from its command line (man pages). Programs
//! use `granule-convert` and the crates below it instead.
//!
//! Exit status: 0 done, 1 findings, 2 failure (wrong usage included), 128 and its number if a
//! signal ended a run; `docs/program.md` says more.
#![deny(unsafe_code)]

mod advice;
mod args;
mod cmd;
mod foreign;
mod interrupt;
mod model;
mod models;
#[cfg(test)]
mod models_page;
mod output;
mod progress;
mod running;
mod source;
mod texts;
mod threads;
mod usage;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use granule_reader::isa;

/// Runs the program with the arguments of this process, and returns its exit status.
pub fn main() -> ExitCode {
    run(env::args_os())
}

/// Runs the program with these arguments, the program's name first, and returns its exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let usage::Parsed { command, name } = match usage::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    // a wrong instruction set is an error even where nothing is computed
    let isa = isa::Isa::from_env().with_context(|| format!("the variable {}", isa::VARIABLE));
    match isa.and_then(|_| cmd::run(command, self::command())) {
        Ok(status) => status,
        Err(error) => {
            output::report_failure(&error, &name);
            ExitCode::from(interrupt::status(&error).unwrap_or(2))
        }
    }
}

/// Returns the definition of the command line.
pub fn command() -> clap::Command {
    args::Cli::command()
}
