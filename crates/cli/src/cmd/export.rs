//! `granule export`: GGUF files to checkpoints.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;

use granule_checkpoint::export::{Export, ExportOptions, ExportType, ExportedTensor};
use granule_convert::export;
use granule_convert::recipe::parse_size;
use granule_convert::run::Event;
use granule_format::nearest::{did_you_mean, nearest};
use granule_reader::Model;
use serde_json::{Value as Json, json};

use crate::output::{self, printable, size};
use crate::progress::Progress;
use crate::source::{self, Place};
use crate::{interrupt, threads};

/// Write the tensors of a GGUF file as a checkpoint: safetensors files
///
/// For the architectures that `granule convert --print-supported-models` lists, names and layout
/// are those of the model's own checkpoint: converted again, it gives the same file. Others keep
/// the names of the GGUF file. Quantized tensors are decoded. Tokenizer files are not written; copy
/// them from the model.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The GGUF file, or any file of a split set
    source: Place,
    /// Write to this folder; it may exist, without weights in it
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Write all tensors as F32, F16 or BF16 [default: auto]
    ///
    /// auto is the file's 16-bit type, F16 if the file is quantized; tensors that this would round
    /// stay F32.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = export_type)]
    ty: Option<ExportType>,
    /// Write several files, each with at most SIZE bytes of tensors (e.g. 500M)
    ///
    /// K, M and G are powers of 1000.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "5G")]
    max_shard_size: NonZeroU64,
    /// Use this config.json of the model [default: that of DIR]
    ///
    /// Without either, one is made from the metadata.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Try this description of an architecture first (format: spec/architectures.md)
    #[arg(long, value_name = "FILE")]
    arch: Option<PathBuf>,
    /// Keep the names and the layout of the GGUF file
    #[arg(long, conflicts_with_all = ["config", "arch"])]
    plain: bool,
    /// Work with COUNT threads [default, and 0: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Show nothing but errors (and with --json the JSON)
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON: the files that were written, with --dry-run also the tensors
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = ExportOptions {
        ty: args.ty.unwrap_or_default(),
        max_shard_bytes: Some(args.max_shard_size),
        config: args.config.clone(),
        arch_file: args.arch.clone(),
        plain: args.plain,
    };
    let threads = threads::bounded(args.threads, args.quiet);
    let model = source::model(&args.source, Model::options())?;
    let export = export::plan_model(model, &args.output, &options)?;
    if !args.quiet {
        export.notes().iter().for_each(|note| output::warn(note));
    }
    if !args.dry_run {
        write(&export, threads, !(args.quiet || args.json))?;
    }
    if args.json {
        output::print_json(&document(&export, args.dry_run))?;
    } else if args.dry_run {
        output::print(&plan(&export))?;
    } else if !args.quiet {
        output::print(&summary(&export))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(export: &Export, threads: Option<usize>, show_progress: bool) -> anyhow::Result<()> {
    let progress = Progress::new(show_progress);
    let tensors = export.tensors().count();
    progress.on(&Event::Started { values: export.values(), tensors, resumed: 0 });
    let stop = interrupt::flag();
    let done = export::run(export, threads, Some(&stop), &|values| {
        progress.on(&Event::Progress { values });
    });
    progress.finish();
    Ok(done?)
}

fn export_type(name: &str) -> Result<ExportType, String> {
    ExportType::from_name(name).ok_or_else(|| {
        let near = match nearest(name, ["F32", "F16", "BF16", "auto"]).as_slice() {
            [] => "; it can be F32, F16, BF16 or auto".to_owned(),
            names => did_you_mean(names),
        };
        format!("{name:?} is not a type of checkpoints{near}")
    })
}

/// The tensors, one a line.
fn plan(export: &Export) -> String {
    let mut text = String::new();
    for tensor in export.tensors() {
        let shape: Vec<_> = tensor.shape.iter().map(u64::to_string).collect();
        let from: Vec<_> = tensor.from.iter().map(|name| printable(name)).collect();
        text += &format!(
            "{} [{}] {} from {}\n",
            printable(tensor.name),
            shape.join(", "),
            tensor.ty,
            from.join(", ")
        );
    }
    text
}

/// The JSON: what was or would be written.
fn document(export: &Export, with_tensors: bool) -> Json {
    let files: Vec<Json> = export
        .files()
        .map(|(path, bytes)| json!({ "path": path.display().to_string(), "bytes": bytes }))
        .collect();
    let mut document = json!({
        "schema": output::SCHEMA,
        "files": files,
        "writes_config": export.writes_config(),
        "architecture": export.arch().map(|arch| arch.name.as_str()),
        "type": export.ty().name(),
        "warnings": export.notes(),
    });
    if with_tensors {
        let tensor = |tensor: ExportedTensor<'_>| {
            json!({
                "name": tensor.name,
                "shape": tensor.shape,
                "type": tensor.ty.name(),
                "from": tensor.from,
            })
        };
        document["tensors"] = export.tensors().map(tensor).collect();
    }
    document
}

/// The summary for people.
fn summary(export: &Export) -> String {
    let mut text = String::new();
    for (path, bytes) in export.files() {
        text += &format!("{}  {}\n", printable(&path.display().to_string()), size(bytes));
    }
    let names = match export.arch() {
        Some(arch) => format!("names and layout of a {} checkpoint", arch.name),
        None => "names and layout of the GGUF file".to_owned(),
    };
    let config = if export.writes_config() { ", config.json" } else { "" };
    text +=
        &format!("{} tensors, mostly {}, {names}{config}\n", export.tensors().count(), export.ty());
    text += "Tokenizer files are not written: copy them from the model's own folder.\n";
    text
}
