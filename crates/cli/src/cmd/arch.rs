//! `granule arch`: descriptions of architectures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use granule_checkpoint::arch::{Arch, Mistake, Severity};
use serde_json::{Value as Json, json};

use super::check::{status, verdict};
use crate::output;

/// Work with descriptions of architectures
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(CheckArgs),
}

/// Check descriptions of architectures; exit status 1 if one is invalid
///
/// Reports every mistake with its line: unknown names in expressions, functions, groups, patterns
/// and conditions. Keys and tensors that are nearly those of another architecture are warnings. No
/// checkpoint is needed. `granule convert --arch FILE` uses a description.
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Descriptions of architectures (TOML)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print nothing; the exit status tells
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Check(args) => check(args),
    }
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut valid = true;
    let mut failed = false;
    let mut documents = Vec::new();
    for path in &args.files {
        let mistakes = match Arch::check(path) {
            Ok(mistakes) => mistakes,
            // continue with the other files
            Err(error) => {
                output::report_failure(&error.into(), "arch");
                failed = true;
                continue;
            }
        };
        let (errors, warnings) = count(&mistakes);
        let good = errors == 0 && !(args.strict && warnings > 0);
        valid &= good;
        if args.json {
            documents.push(document(path, &mistakes, good));
        } else if !args.quiet {
            output::print(&text(path, &mistakes))?;
        }
    }
    if args.json {
        output::print_json(&documents)?;
    }
    Ok(status(failed, valid))
}

/// The number of errors, and that of warnings.
fn count(mistakes: &[Mistake]) -> (usize, usize) {
    let errors = mistakes.iter().filter(|it| it.severity == Severity::Error).count();
    (errors, mistakes.len() - errors)
}

fn text(path: &Path, mistakes: &[Mistake]) -> String {
    let path = output::printable(&path.display().to_string());
    let mut text = String::new();
    for mistake in mistakes {
        let said = output::printable(&mistake.to_string());
        text += &format!("{path}: {}: {said}\n", mistake.severity);
    }
    let (errors, warnings) = count(mistakes);
    text + &format!("{path}: {}\n", verdict(errors, warnings))
}

fn document(path: &Path, mistakes: &[Mistake], valid: bool) -> Json {
    json!({
        "schema": output::SCHEMA,
        "path": path.display().to_string(),
        "valid": valid,
        "findings": mistakes,
    })
}
