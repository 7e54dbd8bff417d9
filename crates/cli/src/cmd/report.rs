//! `granule report`: a page about a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use granule_convert::WholeFile;
use granule_convert::report::Report;
use granule_format::check;
use granule_reader::Source;
use serde_json::Value as Json;

use super::size::{check_page, count};
use crate::output;
use crate::source::{self, Place};

/// Lengths of texts for which a page tells the memory.
const CONTEXTS: &[u64] = &[4096, 32_768];

/// Write a page about a file: types, sizes, tokenizer, memory, findings
///
/// The page is one HTML file, which needs neither a network nor a script.
#[derive(Debug, clap::Args)]
#[command(after_help = "The file must not be cut short while it is read.")]
pub(crate) struct Args {
    /// A GGUF file, or any of a split set
    file: Place,
    /// Write the page to this file [default: the name of the file, with .html, here]
    #[arg(short, long, value_name = "PAGE", conflicts_with = "json")]
    output: Option<PathBuf>,
    /// Tell the memory for texts of these lengths [default: 4096 32768]
    #[arg(short, long, value_name = "TOKENS", num_args = 1.., value_parser = count)]
    context: Vec<u64>,
    /// Skip the contents of the tensors in the check
    #[arg(long)]
    structure_only: bool,
    /// Print JSON instead: everything that the page shows
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let stem = args.file.file_stem().unwrap_or_default();
    let page = args.output.clone().unwrap_or_else(|| {
        let mut name = stem.to_owned();
        name.push(".html");
        PathBuf::from(name)
    });
    if !args.json {
        check_page(&page, &[&args.file])?;
    }
    let contexts = if args.context.is_empty() { CONTEXTS } else { &args.context };
    let report = gather(&args.file, contexts, args.structure_only)?;
    if args.json {
        output::print_json(&document(&report)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    write(&report, &page, &[&args.file])?;
    output::print(&format!("{}\n", output::printable(&page.display().to_string())))?;
    Ok(ExitCode::SUCCESS)
}

/// Read and check a file.
pub(super) fn gather(
    place: &Place,
    contexts: &[u64],
    structure_only: bool,
) -> anyhow::Result<Report> {
    let source = source::gguf(place)?;
    let names = source.objects().into_iter().map(|(path, _)| path.to_string_lossy().into_owned());
    let names = names.map(|path| place.sibling(path.rsplit('/').next().unwrap_or_default()));
    let files = source.inputs().into_iter().map(Place::from).chain(names);
    let checked = files.map(|file| super::check::check(&file, structure_only));
    let checked: Vec<check::Report> = checked.collect::<anyhow::Result<_>>()?;
    let contexts = if contexts.is_empty() { CONTEXTS } else { contexts };
    Ok(Report::of(&source, &checked, contexts)?)
}

/// Write the page.
pub(super) fn write(report: &Report, page: &Path, inputs: &[&Path]) -> anyhow::Result<()> {
    let mut file = WholeFile::create(page, inputs)?;
    file.write_all(report.to_html().as_bytes())
        .with_context(|| format!("cannot write {}", page.display()))?;
    Ok(file.finish()?)
}

fn document(report: &Report) -> anyhow::Result<Json> {
    let mut document = serde_json::to_value(report)?;
    document["schema"] = output::SCHEMA.into();
    Ok(document)
}
