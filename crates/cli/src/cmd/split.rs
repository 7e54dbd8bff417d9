//! `granule split`: one GGUF file to several.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;

use granule_convert::recipe::parse_size;
use granule_convert::split::{Limit, Split, SplitFile, SplitOptions};
use serde_json::json;

use crate::output::{self, counted, printable, size};
use crate::progress::Progress;
use crate::{interrupt, threads};

/// Tensors in a file, unless a limit is given.
const TENSORS: NonZeroU64 = NonZeroU64::new(128).expect("not zero");

/// Split a GGUF file into several, with the bytes of llama-gguf-split
///
/// The files get their names when all are complete. Name any file of a split set to split the set
/// anew.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without a limit, a file has at most 128 tensors.")]
pub(crate) struct Args {
    /// The GGUF file
    source: PathBuf,
    /// Begin the names with PREFIX: PREFIX-00001-of-00003.gguf [default: that of SOURCE]
    #[arg(value_name = "PREFIX")]
    prefix: Option<PathBuf>,
    /// The same as PREFIX
    #[arg(short, long, value_name = "PREFIX", conflicts_with = "prefix")]
    output: Option<PathBuf>,
    /// Write at most SIZE bytes of tensors to a file (e.g. 5G)
    ///
    /// K, M and G are powers of 1000. A larger tensor gets a file of its own.
    #[arg(long, visible_alias = "split-max-size", value_name = "SIZE", value_parser = parse_size)]
    max_size: Option<NonZeroU64>,
    /// Write at most COUNT tensors to a file
    #[arg(
        long,
        visible_alias = "split-max-tensors",
        value_name = "COUNT",
        conflicts_with = "max_size"
    )]
    max_tensors: Option<NonZeroU64>,
    /// Write at most COUNT layers to a file, and no layer to two
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["max_size", "max_tensors"])]
    max_layers: Option<NonZeroU64>,
    /// Write no tensors to the first file, only the metadata
    #[arg(long, visible_alias = "no-tensor-first-split")]
    no_tensor_first: bool,
    /// Work with COUNT threads [default, and 0: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Show nothing but errors (and with --json the JSON)
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON: the files
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let limit = match (args.max_size, args.max_layers) {
        (Some(bytes), _) => Limit::Bytes(bytes),
        (_, Some(layers)) => Limit::Layers(layers),
        _ => Limit::Tensors(args.max_tensors.unwrap_or(TENSORS)),
    };
    let options = SplitOptions { limit, no_tensor_first: args.no_tensor_first };
    let prefix = args.prefix.as_ref().or(args.output.as_ref()).unwrap_or(&args.source);
    let threads = threads::bounded(args.threads, args.quiet);
    let split = Split::plan(&args.source, prefix, &options)?;
    let large = split.too_large(limit).count();
    if large > 0 && !args.quiet {
        let files = counted(large, "file");
        output::warn(&format!("{files} will be larger than --max-size, because a tensor is"));
    }
    if !args.dry_run {
        let progress = Progress::of_bytes(!(args.quiet || args.json), split.bytes());
        let stop = interrupt::flag();
        let done = split.run(threads, Some(&stop), &|bytes| progress.at(bytes));
        progress.finish();
        done?;
    }
    if args.json {
        output::print_json(&json!({
            "schema": output::SCHEMA,
            "files": split.files().iter().map(document).collect::<Vec<_>>(),
        }))?;
    } else if !args.quiet {
        let line = |file: &SplitFile| {
            let (path, tensors) = (file.path.display().to_string(), file.tensors.len());
            format!("{}  {}  {}\n", printable(&path), size(file.bytes), counted(tensors, "tensor"))
        };
        output::print(&split.files().iter().map(line).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn document(file: &SplitFile) -> serde_json::Value {
    json!({
        "path": file.path.display().to_string(),
        "bytes": file.bytes,
        "tensors": file.tensors.len(),
    })
}
