//! `granule export`: GGUF files to checkpoints.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;

use granule_convert::export::{Export, ExportOptions, ExportType};
use granule_convert::recipe::parse_size;
use granule_convert::run::Event;

use crate::interrupt;
use crate::output::{self, printable, size};
use crate::progress::Progress;

/// Write the tensors of a GGUF file as a checkpoint: safetensors files
///
/// For the architectures that `granule convert --print-supported-models` lists, names and layout are those of the model's
/// own checkpoint: converted again, it gives the same file. Others keep the names of the GGUF file. Quantized tensors are
/// decoded. Tokenizer files are not written; copy them from the model.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The GGUF file, or any of a split set
    source: PathBuf,
    /// The folder to write to; it may exist, without weights in it
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// F32, F16 or BF16 for all tensors [default: the file's 16-bit type, F16 if it is quantized; what that would round stays F32]
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = export_type)]
    ty: Option<ExportType>,
    /// Write several files, each with at most so many bytes of tensors; K, M and G are powers of 1000
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "5G")]
    max_shard_size: NonZeroU64,
    /// The model's config.json [default: that of DIR; if it has none, one is made of the metadata]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A description of an architecture, tried before those that are built in
    #[arg(long, value_name = "FILE")]
    arch: Option<PathBuf>,
    /// Keep the names and the layout of the GGUF file
    #[arg(long, conflicts_with_all = ["config", "arch"])]
    plain: bool,
    /// Threads to work with [default: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = ExportOptions {
        ty: args.ty.unwrap_or_default(),
        max_shard_bytes: Some(args.max_shard_size),
        config: args.config.clone(),
        arch_file: args.arch.clone(),
        plain: args.plain,
    };
    let export = Export::plan(&args.source, &args.output, &options)?;
    if args.dry_run {
        output::print(&plan(&export))?;
    }
    if !args.quiet {
        export.notes().iter().for_each(|note| output::warn(note));
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let progress = Progress::new(!args.quiet);
    let tensors = export.tensors().count();
    progress.on(&Event::Started { values: export.values(), tensors, resumed: 0 });
    let stop = interrupt::flag();
    let done = export.run(args.threads, Some(&stop), &|values| {
        progress.on(&Event::Progress { values });
    });
    progress.finish();
    done?;
    if !args.quiet {
        output::print(&summary(&export))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn export_type(name: &str) -> Result<ExportType, String> {
    ExportType::from_name(name).ok_or_else(|| "F32, F16, BF16 or auto".to_owned())
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

/// What was written.
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
