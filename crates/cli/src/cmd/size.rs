//! `granule size`: the memory that a model needs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use granule_convert::report::{Memory, MemoryOptions, memory};
use granule_format::BlockType;
use granule_reader::Source;
use serde_json::{Value as Json, json};

use crate::output::{self, Align, Table, size};
use crate::source::{self, Place};

/// Tokens of a text, unless another number is given.
const CONTEXT: u64 = 4096;

/// Estimate the memory that a model needs in llama.cpp
///
/// Weights, keys and values of a text, recurrent states, and what computing needs, for a model that
/// runs on a processor with the defaults of llama.cpp. A checkpoint is taken for the file that
/// `granule convert DIR` would make of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A GGUF file, any file of a split set, or the folder of a checkpoint
    file: Place,
    /// Length of the text in tokens; several are compared [default: 4096]
    #[arg(short, long, value_name = "TOKENS", num_args = 1.., value_parser = count)]
    context: Vec<u64>,
    /// Tokens that are computed together: the physical batch of llama.cpp
    #[arg(short, long, value_name = "TOKENS", default_value = "512", value_parser = count)]
    batch: u64,
    /// Texts at the same time, which share the context
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = count)]
    sequences: u64,
    /// The type of the keys in the cache (e.g. q8_0)
    #[arg(long, value_name = "TYPE", default_value = "F16", value_parser = cache_type)]
    cache_type_k: BlockType,
    /// The type of the values in the cache (e.g. q8_0)
    #[arg(long, value_name = "TYPE", default_value = "F16", value_parser = cache_type)]
    cache_type_v: BlockType,
    /// Layers with a window keep the whole text too
    #[arg(long)]
    swa_full: bool,
    /// Print JSON: bytes
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let source = source::open_as_file(&args.file)?;
    let source = source.as_ref();
    let contexts = if args.context.is_empty() { &[CONTEXT][..] } else { &args.context };
    let mut rows = Vec::new();
    for context in contexts {
        let mut options = MemoryOptions::new(*context);
        (options.batch, options.sequences) = (args.batch, args.sequences);
        (options.keys, options.values) = (args.cache_type_k, args.cache_type_v);
        options.whole_windows = args.swa_full;
        let found = memory(source, &options);
        rows.push((*context, found.with_context(|| args.file.display().to_string())?));
    }
    if args.swa_full && !has_windows(source) {
        output::warn("--swa-full has no effect: no layer has a window");
    }
    match args.json {
        true => output::print_json(&document(&args.file, &rows))?,
        false => output::print(&text(&rows))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn has_windows(source: &dyn Source) -> bool {
    granule_infer::Model::open(source)
        .is_ok_and(|model| model.states().iter().any(|state| state.window.is_some()))
}

fn text(rows: &[(u64, Memory)]) -> String {
    let mut table = Table::new(&[
        ("tokens", Align::Right),
        ("weights", Align::Right),
        ("keys and values", Align::Right),
        ("states", Align::Right),
        ("computing", Align::Right),
        ("together", Align::Right),
    ]);
    for (context, memory) in rows {
        table.row([
            context.to_string(),
            size(memory.weights),
            size(memory.cache),
            size(memory.states),
            size(memory.compute.saturating_add(memory.output)),
            size(memory.total()),
        ]);
    }
    let mut text = table.render();
    if rows.iter().any(|(_, memory)| !memory.is_known) {
        text += "  The architecture is not known here: every layer counts as plain attention.\n";
    }
    text
}

fn document(path: &Path, rows: &[(u64, Memory)]) -> Json {
    let estimates = rows.iter().map(|(context, memory)| {
        json!({
            "context": context,
            "weights": memory.weights,
            "cache": memory.cache,
            "states": memory.states,
            "compute": memory.compute,
            "output": memory.output,
            "total": memory.total(),
            "architecture_known": memory.is_known,
        })
    });
    json!({
        "schema": output::SCHEMA,
        "path": path.display().to_string(),
        "estimates": estimates.collect::<Vec<_>>(),
    })
}

/// Parse a number of tokens or texts.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=1 << 31).contains(number));
    number.ok_or_else(|| format!("{text:?} is not a number from 1 to 2147483648"))
}

/// The types that llama.cpp has for its cache.
fn cache_type(name: &str) -> Result<BlockType, String> {
    use BlockType::{BF16, F16, F32, IQ4_NL, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
    let types = [F32, F16, BF16, Q8_0, Q4_0, Q4_1, IQ4_NL, Q5_0, Q5_1];
    let found = BlockType::from_name(name).filter(|ty| types.contains(ty));
    found.ok_or_else(|| {
        let names = types.map(|ty| ty.name().to_lowercase()).join(", ");
        format!("{name:?} is not a type for keys and values; it can be {names}")
    })
}

/// Checks a path before a long run: it must be a file that a page can be written to.
pub(super) fn check_page(path: &Path, inputs: &[&Path]) -> anyhow::Result<()> {
    if path.is_dir() {
        bail!("{}: this is a folder; give the name of a file for the page", path.display());
    }
    drop(granule_convert::WholeFile::create(path, inputs)?);
    Ok(())
}
