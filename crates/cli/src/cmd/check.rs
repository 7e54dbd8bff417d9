//! `granule check`: is the file what it says it is?

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use granule_convert::check::check_among;
use granule_format::check::{FileKind, Report, is_sibling};
use granule_reader::{FileMap, Model};
use serde_json::Value as Json;

use crate::output::{self, counted};
use crate::source::{self, Place};

/// Check files; exit status 1 if one is invalid
///
/// Reports every fault, not just the first one; `granule explain RULE` explains a rule. Each file
/// of a split set is checked by itself, together with the names and headers of the others. Of a
/// folder, all GGUF files are checked. Of a file at a URL, a copy is checked, in the folder for
/// temporary files; with --structure-only only its header is fetched.
#[derive(Debug, clap::Args)]
#[command(after_help = "The files must not be cut short while they are checked.")]
pub(crate) struct Args {
    /// GGUF files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Place>,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// Skip the contents of the tensors
    #[arg(long)]
    structure_only: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print nothing: the exit status tells
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut valid = true;
    let mut failed = false;
    let mut documents = Vec::new();
    // a failure does not end the run: the other files are checked
    let mut fail = |error: &anyhow::Error| {
        output::report_failure(error, "check");
        failed = true;
    };
    let mut paths = Vec::new();
    for path in &args.files {
        match files(path) {
            Ok(found) => paths.extend(found),
            Err(error) => fail(&error),
        }
    }
    for path in paths {
        let report = match check(&path, args.structure_only) {
            Ok(report) => report,
            Err(error) => {
                fail(&error);
                continue;
            }
        };
        valid &= report.is_valid(args.strict);
        if args.json {
            documents.push(document(&path, &report, args.strict)?);
        } else if !args.quiet {
            output::print(&text(&path, &report))?;
        }
    }
    if args.json {
        output::print_json(&documents)?;
    }
    Ok(status(failed, valid))
}

/// The file, or the GGUF files in the folder.
fn files(place: &Place) -> anyhow::Result<Vec<Place>> {
    if place.is_url() {
        return source::gguf_files(place);
    }
    let path: &Path = place;
    if !path.is_dir() {
        return Ok(vec![place.clone()]);
    }
    let read = || path.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir(path).with_context(read)? {
        let file = entry.with_context(read)?.path();
        if file.extension().is_some_and(|extension| extension == "gguf") && !file.is_dir() {
            found.push(file);
        }
    }
    if found.is_empty() {
        bail!("{}: this folder has no GGUF files", path.display());
    }
    found.sort(); // the order of a folder is arbitrary
    Ok(found.into_iter().map(Place::from).collect())
}

/// The exit status of commands that look at several files.
pub(super) fn status(failed: bool, valid: bool) -> ExitCode {
    match (failed, valid) {
        (true, _) => ExitCode::from(2),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(1),
    }
}

pub(super) fn check(place: &Place, structure_only: bool) -> anyhow::Result<Report> {
    if place.is_url() {
        return check_url(place, structure_only);
    }
    let path: &Path = place;
    // SAFETY: the help asks that the file is not cut short meanwhile. Nothing is kept of what was
    // read, so a change of bytes changes only what is reported.
    #[allow(unsafe_code, reason = "files larger than the memory are checked too")]
    let file = unsafe { FileMap::open(path) }?;
    let report = granule_convert::check::check_file(path, &file, structure_only, None);
    Ok(report.expect("nothing stops it"))
}

/// Check a copy, which has the name and the neighbours of the file.
fn check_url(place: &Place, structure_only: bool) -> anyhow::Result<Report> {
    let copy = source::spooled(place, structure_only)?;
    // SAFETY: nobody else knows the file.
    #[allow(unsafe_code, reason = "files larger than the memory are checked too")]
    let file = unsafe { FileMap::open(copy.path()) }?;
    let name = source::file_name(place);
    let others: Vec<(String, Option<Model>)> = source::names_beside(place)
        .into_iter()
        .filter(|other| is_sibling(&name, other))
        .map(|other| {
            let options = Model::options().alone(true);
            let model = source::model(&place.sibling(&other), options).ok();
            (other, model)
        })
        .collect();
    let report = check_among(Some(&name), &others, &file, structure_only, None);
    Ok(report.expect("nothing stops it"))
}

fn text(path: &Path, report: &Report) -> String {
    let path = output::printable(&path.display().to_string());
    let mut text = String::new();
    for finding in &report.findings {
        text += &format!("{path}: {}\n", output::printable(&finding.to_string()));
    }
    if report.kind != FileKind::Gguf {
        text += &format!("{path}: {}\n", report.kind.advice());
    }
    text += &format!("{path}: {}\n", verdict(report.errors(), report.warnings()));
    text
}

/// Whether a file is valid, and how many findings there are.
pub(super) fn verdict(errors: usize, warnings: usize) -> String {
    match (errors, warnings) {
        (0, 0) => "valid".to_owned(),
        (0, warnings) => format!("valid, {}", counted(warnings, "warning")),
        (errors, 0) => format!("invalid: {}", counted(errors, "error")),
        (errors, warnings) => {
            format!("invalid: {}, {}", counted(errors, "error"), counted(warnings, "warning"))
        }
    }
}

/// The report with the file's name in front; `valid` follows `--strict`.
fn document(path: &Path, report: &Report, strict: bool) -> anyhow::Result<Json> {
    let mut document = serde_json::Map::new();
    document.insert("path".to_owned(), path.display().to_string().into());
    if let Json::Object(fields) = serde_json::to_value(report)? {
        document.extend(fields);
    }
    document.insert("valid".to_owned(), report.is_valid(strict).into());
    Ok(document.into())
}
