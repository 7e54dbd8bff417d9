//! The commands, one file each: `Args` is the command line, `run` the work.

mod arch;
mod check;
mod completions;
mod convert;
mod diff;
mod edit;
mod explain;
mod export;
mod generate;
mod hash;
mod imatrix;
mod inspect;
mod join;
mod measure;
mod report;
mod size;
mod split;
mod types;

use std::process::ExitCode;

use clap::Subcommand;

/// The table of commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Arch(arch::Args),
    Check(check::Args),
    Completions(completions::Args),
    #[command(visible_alias = "quantize")]
    Convert(Box<convert::Args>),
    Diff(diff::Args),
    Edit(Box<edit::Args>),
    Explain(explain::Args),
    Export(export::Args),
    Generate(generate::Args),
    Hash(hash::Args),
    Imatrix(Box<imatrix::Args>),
    Inspect(inspect::Args),
    Join(join::Args),
    Measure(Box<measure::Args>),
    Report(report::Args),
    Size(size::Args),
    Split(split::Args),
    Types(types::Args),
}

/// Run a command of `program`. Errors are failures (exit status 2); findings are not.
pub(crate) fn run(command: Command, program: clap::Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Arch(args) => arch::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Completions(args) => completions::run(&args, program),
        Command::Convert(args) => convert::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Edit(args) => edit::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Hash(args) => hash::run(&args),
        Command::Imatrix(args) => imatrix::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Join(args) => join::run(&args),
        Command::Measure(args) => measure::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Size(args) => size::run(&args),
        Command::Split(args) => split::run(&args),
        Command::Types(args) => types::run(&args),
    }
}
