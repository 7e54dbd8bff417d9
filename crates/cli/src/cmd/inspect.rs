//! `granule inspect`: header, metadata, tensors and totals of a file.

mod json;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use granule_format::container::Entry;
use granule_format::{Limits, TensorInfo, TensorType};
use granule_reader::{Model, Shard};

use crate::output;

/// Show header, metadata, tensors and totals of a GGUF file
///
/// Of a split set any file may be named; metadata are those of the first, tensors those of all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without --metadata, --tensors and --totals all three are shown.")]
pub(crate) struct Args {
    /// A GGUF file, or any file of a split set
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show the metadata
    #[arg(long)]
    metadata: bool,
    /// Show the tensors
    #[arg(long)]
    tensors: bool,
    /// Show the totals of each tensor type
    #[arg(long)]
    totals: bool,
    /// Only keys and tensors whose name contains TEXT (totals are those of these tensors)
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Show long texts and arrays whole
    #[arg(long)]
    full: bool,
    /// Look at this file only, even if it belongs to a split set
    #[arg(long)]
    alone: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = Model::options().limits(Limits::INSPECT).alone(args.alone);
    let model = options.open(&args.file)?;
    let view = View::new(args, &model);
    if args.json {
        output::print_json(&json::document(&view))?;
    } else {
        output::print(&text::render(&view))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be shown of the files.
#[derive(Debug)]
struct View<'m> {
    files: &'m [Shard],
    /// `None` where a section is not wanted.
    metadata: Option<Vec<&'m Entry>>,
    tensors: Option<Vec<ViewedTensor<'m>>>,
    totals: Option<Totals>,
    /// Whether long texts and arrays are shown whole.
    full: bool,
}

/// A tensor and the file that it lies in.
#[derive(Clone, Copy, Debug)]
struct ViewedTensor<'m> {
    /// Index in the list of files.
    file: usize,
    info: &'m TensorInfo,
    /// Where its data begins, in bytes from the start of its file.
    offset: u64,
}

/// Sums over tensors.
#[derive(Debug, Default)]
struct Totals {
    /// In order of the types' numbers.
    by_type: Vec<(TensorType, Sum)>,
    all: Sum,
}

/// Sums over tensors of one type, or of all types.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    tensors: u64,
    values: u64,
    bytes: u64,
    /// Values of tensors whose size is known: those of a known type.
    sized_values: u64,
}

impl<'m> View<'m> {
    fn new(args: &Args, model: &'m Model) -> Self {
        let all = !(args.metadata || args.tensors || args.totals);
        let filter = args.filter.as_deref().unwrap_or_default();
        let tensors: Vec<_> =
            tensors_of(model.shards()).filter(|tensor| tensor.info.name.contains(filter)).collect();
        let metadata = model.metadata().iter().filter(|entry| entry.key.contains(filter));
        Self {
            files: model.shards(),
            totals: (all || args.totals).then(|| Totals::of(&tensors)),
            metadata: (all || args.metadata).then(|| metadata.collect()),
            tensors: (all || args.tensors).then_some(tensors),
            full: args.full,
        }
    }
}

fn tensors_of(files: &[Shard]) -> impl Iterator<Item = ViewedTensor<'_>> {
    files.iter().enumerate().flat_map(|(index, file)| {
        file.header().tensors().iter().map(move |info| ViewedTensor {
            file: index,
            info,
            offset: file.header().data_offset().saturating_add(info.offset),
        })
    })
}

impl Totals {
    fn of(tensors: &[ViewedTensor<'_>]) -> Self {
        let mut by_type = BTreeMap::<u32, (TensorType, Sum)>::new();
        let mut all = Sum::default();
        for tensor in tensors {
            let ty = tensor.info.ty;
            let (_, sum) = by_type.entry(ty.id()).or_insert((ty, Sum::default()));
            sum.add(tensor.info);
            all.add(tensor.info);
        }
        Self { by_type: by_type.into_values().collect(), all }
    }
}

impl Sum {
    fn add(&mut self, tensor: &TensorInfo) {
        let values = tensor.shape.values().unwrap_or(u64::MAX);
        self.tensors += 1;
        self.values = self.values.saturating_add(values);
        if let Some(bytes) = tensor.bytes() {
            self.bytes = self.bytes.saturating_add(bytes);
            self.sized_values = self.sized_values.saturating_add(values);
        }
    }

    /// Whether a size is missing because its type is unknown.
    fn is_partial(&self) -> bool {
        self.sized_values < self.values
    }

    fn bits_per_value(&self) -> Option<f64> {
        let known = self.values > 0 && !self.is_partial();
        known.then(|| self.bytes as f64 * 8.0 / self.values as f64)
    }
}
