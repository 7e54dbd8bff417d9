//! The command line as a whole.

use clap::Parser;

use crate::cmd::Command;

/// Convert, inspect and check GGUF files.
#[derive(Debug, Parser)]
#[command(
    name = "granule",
    version,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done; 1 findings (check) or no match (inspect --filter); 2 \
        failure; \
                  130 interrupted (143 by SIGTERM, 129 by SIGHUP). \
                  Sizes are decimal: 1 MB is 1,000,000 bytes."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}
