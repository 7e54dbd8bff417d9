//! `granule completions`: scripts that complete the command line in a shell.

use std::process::ExitCode;

use clap_complete::{Shell, generate};

use crate::output;

/// Print a script that completes commands and options in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "bash: granule completions bash > \
    ~/.local/share/bash-completion/completions/granule\n\
    zsh:  granule completions zsh > DIR/_granule, with DIR in $fpath\n\
    fish: granule completions fish > ~/.config/fish/completions/granule.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, mut program: clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    let name = program.get_name().to_owned();
    generate(args.shell, &mut program, name, &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}
