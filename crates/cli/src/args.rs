//! The command line as a whole: the list of commands.

use clap::{Parser, Subcommand};

use crate::cmd;

/// Convert, inspect and check GGUF files.
#[derive(Debug, Parser)]
#[command(
    name = "granule",
    version,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done; 1 findings (check) or no match (inspect --filter); 2 failure; \
                  130 interrupted (143 by SIGTERM, 129 by SIGHUP). \
                  Sizes are decimal: 1 MB is 1,000,000 bytes."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The table of commands: one file each in `cmd/`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Arch(cmd::arch::Args),
    Check(cmd::check::Args),
    #[command(visible_alias = "quantize")]
    Convert(Box<cmd::convert::Args>),
    Explain(cmd::explain::Args),
    Export(cmd::export::Args),
    Inspect(cmd::inspect::Args),
    Types(cmd::types::Args),
}

impl Command {
    /// Its name on the command line.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Arch(_) => "arch",
            Self::Check(_) => "check",
            Self::Convert(_) => "convert",
            Self::Explain(_) => "explain",
            Self::Export(_) => "export",
            Self::Inspect(_) => "inspect",
            Self::Types(_) => "types",
        }
    }
}
