//! `granule check`: is the file what it says it is?

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use granule_format::{Header, Limits};
use serde::Serialize;

use crate::output;

/// Check files; exit status 1 if there are findings
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct FileReport {
    path: PathBuf,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    offset: u64,
    message: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut reports = Vec::new();
    for path in &args.files {
        let file = fs::read(path).with_context(|| path.display().to_string())?;
        let findings = Header::survey(&file, &Limits::DEFAULT)
            .faults
            .iter()
            .map(|fault| Finding { offset: fault.offset, message: fault.to_string() })
            .collect();
        reports.push(FileReport { path: path.clone(), findings });
    }
    if args.json {
        output::print_json(&reports)?;
    } else {
        output::print(&text(&reports))?;
    }
    let clean = reports.iter().all(|report| report.findings.is_empty());
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn text(reports: &[FileReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let path = report.path.display().to_string();
        for finding in &report.findings {
            text += &output::printable(&format!("{path}: {}", finding.message));
            text.push('\n');
        }
        if report.findings.is_empty() {
            text += &format!("{path}: no findings\n");
        }
    }
    text
}
