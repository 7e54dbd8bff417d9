//! The commands, one file each: `Args` says what it takes, `run` does it.

pub(crate) mod arch;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod inspect;
pub(crate) mod types;

use std::process::ExitCode;

use crate::args::Command;

/// Run a command. Errors are failures (exit status 2); findings are not.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Arch(args) => arch::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Types(args) => types::run(&args),
    }
}
