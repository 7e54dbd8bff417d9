//! `granule inspect`: header, metadata, tensors and totals of a file.

mod json;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use granule_convert::grid::{self, OnGrid};
use granule_format::container::{Entry, SHARD_COUNT};
use granule_format::{Limits, TensorInfo, TensorType};
use granule_reader::{Model, Shard};
use regex::Regex;

use crate::output;
use crate::source::{self, Place};

pub(in crate::cmd) use json::entry as json_entry;
pub(in crate::cmd) use text::short as short_value;

/// Show header, metadata, tensors and totals of GGUF files
///
/// Name any file of a split set: its metadata are those of the first file, its tensors those of
/// all, and a set is shown once, however many of its files are named. A file that cannot be read
/// does not keep the others from being shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without --metadata, --tensors and --totals all three are shown.")]
pub(crate) struct Args {
    /// GGUF files, or a file of each split set
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Place>,
    /// Print JSON: an object for one file, an array of them for several
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
    /// Show only keys and tensors whose name matches (e.g. 'blk\.0\.')
    ///
    /// The exit status is 1 if none does. REGEX is searched in the names, as that of `convert
    /// --tensor-type`; case counts. Totals are those of the tensors that match.
    #[arg(long, value_name = "REGEX", value_parser = filter)]
    filter: Option<Regex>,
    /// Show long strings and arrays whole
    #[arg(long)]
    full: bool,
    /// Show this file only, even if it belongs to a split set
    #[arg(long)]
    alone: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let several = args.files.len() > 1;
    let all = !(args.metadata || args.tensors || args.totals);
    if args.full && !(all || args.metadata) {
        output::warn("--full has no effect: no metadata are shown");
    }
    let (mut first, mut failed, mut matched, mut in_set) = (true, false, false, false);
    let mut documents = Vec::new();
    let mut shown: Vec<PathBuf> = Vec::new();
    for path in &args.files {
        let options = Model::options().limits(Limits::INSPECT).alone(args.alone);
        let model = match source::model(path, options) {
            Ok(model) => model,
            // continue with the other files
            Err(error) => {
                output::report_failure(&error, "inspect");
                failed = true;
                if args.json {
                    documents.push(json::failure(path, &error));
                }
                continue;
            }
        };
        if shown.iter().any(|it| **it == **path) {
            continue;
        }
        let files = model.shards();
        in_set |= files.len() > 1 || model.metadata().get(SHARD_COUNT).is_some();
        let set = files.iter().filter(|_| files.len() > 1);
        shown.extend(set.filter_map(|file| file.path().map(Path::to_owned)));
        let mut view = View::new(args, &model);
        // of a file that is far away, only the header is read
        if view.totals.is_some() && !path.is_url() {
            // what cannot be read says nothing; `check` finds out why
            let source = source::gguf(path).ok();
            view.on_grid = source.and_then(|source| grid::survey(&source).ok()).unwrap_or_default();
        }
        matched |= !view.is_empty();
        if args.json {
            documents.push(json::document(&view));
        } else {
            let named = output::printable(&path.display().to_string());
            let heading = match (several, first) {
                (false, _) => String::new(),
                (true, true) => format!("==> {named} <==\n"),
                (true, false) => format!("\n==> {named} <==\n"),
            };
            first = false;
            output::print(&(heading + &text::render(&view)))?;
        }
    }
    if args.json && several {
        output::print_json(&documents)?;
    } else if let (false, Some(only)) = (failed, documents.pop()) {
        output::print_json(&only)?;
    }
    if failed {
        return Ok(ExitCode::from(2));
    }
    if args.alone && !in_set {
        output::warn("--alone has no effect: no file belongs to a split set");
    }
    if let Some(filter) = args.filter.as_ref().filter(|_| !matched) {
        let what = match (all || args.metadata, all || args.tensors || args.totals) {
            (true, true) => "no key and no tensor name",
            (true, false) => "no key",
            _ => "no tensor name",
        };
        output::warn(&format!("{what} matches --filter {:?} (case counts)", filter.as_str()));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// Parse a regular expression.
pub(in crate::cmd) fn filter(pattern: &str) -> Result<Regex, String> {
    // the last line says what is wrong, the lines before it point at the place
    Regex::new(pattern).map_err(|error| {
        let problem = error.to_string();
        let problem = problem.lines().last().unwrap_or_default();
        let problem = problem.strip_prefix("error: ").unwrap_or(problem);
        format!("{pattern:?} is not a regular expression: {problem}")
    })
}

/// The parts of the files to show.
#[derive(Debug)]
struct View<'m> {
    files: &'m [Shard],
    /// `None` where a section is not wanted.
    metadata: Option<Vec<&'m Entry>>,
    tensors: Option<Vec<ViewedTensor<'m>>>,
    totals: Option<Totals>,
    /// Tensors whose weights were quantized before.
    on_grid: OnGrid,
    /// Whether long texts and arrays are shown whole.
    full: bool,
}

/// A tensor and its file.
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
        let matches = |name: &str| args.filter.as_ref().is_none_or(|filter| filter.is_match(name));
        let tensors: Vec<_> =
            tensors_of(model.shards()).filter(|tensor| matches(&tensor.info.name)).collect();
        let metadata = model.metadata().iter().filter(|entry| matches(&entry.key));
        Self {
            files: model.shards(),
            totals: (all || args.totals).then(|| Totals::of(&tensors)),
            metadata: (all || args.metadata).then(|| metadata.collect()),
            tensors: (all || args.tensors).then_some(tensors),
            on_grid: OnGrid::default(),
            full: args.full,
        }
    }

    /// Whether the filter left nothing.
    fn is_empty(&self) -> bool {
        self.metadata.as_ref().is_none_or(Vec::is_empty)
            && self.tensors.as_ref().is_none_or(Vec::is_empty)
            && self.totals.as_ref().is_none_or(|totals| totals.all.tensors == 0)
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
