//! `granule imatrix`: importance matrices from sample texts.

mod moments;
mod part;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use granule_convert::WholeFile;
use granule_convert::calibration::Collected;
use granule_convert::run::{Part, of_chunks_anywhere};
use granule_convert::text_part::{self, Kind};
use granule_encode::ImportanceSums;
use granule_infer::statistics::{self, CollectOptions};

use crate::progress::Steps;
use crate::running::RunArgs;
use crate::source::{self, Place};
use crate::texts::TextArgs;
use crate::{model, output, threads};

/// Run a model over sample texts and write an importance matrix
///
/// The sums are those of llama-imatrix, in double precision, and the same on every machine. The
/// model may be a GGUF file of any type or a checkpoint; memory holds one of its layers. Without
/// SOURCE, the files of --merge are added.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model: a GGUF file, or the folder of a checkpoint
    #[arg(required_unless_present = "merge")]
    source: Option<Place>,
    /// Write to this file; .dat is the older form
    #[arg(short, long, value_name = "FILE", required_unless_present = "statistics")]
    output: Option<PathBuf>,
    #[command(flatten)]
    texts: TextArgs,
    #[command(flatten)]
    running: RunArgs,
    /// Also sum what goes into output.weight
    #[arg(long)]
    process_output: bool,
    /// Send every token through all experts, so that none is unmet
    #[arg(long)]
    all_experts: bool,
    /// Run over this part of the chunks only (e.g. 2/3) and write what --merge puts together
    ///
    /// Several machines can run a part each. The result is the one of a single run, byte for byte.
    #[arg(long, value_name = "PART", conflicts_with_all = ["merge", "statistics"])]
    part: Option<Part>,
    /// Write second moments of the inputs instead of a matrix
    ///
    /// They are for `convert --effort 2 --statistics FILE`, and of the inputs of the model as it
    /// is, not of one that is quantized on the way.
    #[arg(long, requires = "source", requires = "output")]
    #[arg(conflicts_with_all = ["merge", "statistics", "process_output", "resume", "memory"])]
    moments: bool,
    /// Add the sums of these importance matrices, or put all parts of a run together
    #[arg(long, value_name = "FILE", num_args = 1..)]
    merge: Vec<PathBuf>,
    /// Show statistics of each tensor
    #[arg(long)]
    statistics: bool,
    /// Work with COUNT threads [default, and 0: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Show nothing but errors (and with --json the JSON)
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON: what was summed, with --statistics also the statistics
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.source.is_none() {
        let why = "no model is named that could be run over a text";
        args.texts.refuse(why)?;
        args.running.refuse(why)?;
        for (option, given) in
            [("--process-output", args.process_output), ("--all-experts", args.all_experts)]
        {
            if given {
                bail!("{option} has no effect: {why}");
            }
        }
    }
    let model: Vec<&Path> = args.source.as_deref().filter(|it| it.is_file()).into_iter().collect();
    if let Some(output) = &args.output {
        // before anything is computed: a file can be written there
        drop(WholeFile::create(output, &model)?);
    }
    if let (true, Some(source), Some(output)) = (args.moments, &args.source, &args.output) {
        return moments::collect(args, source, output);
    }
    let (parts, matrices): (Vec<PathBuf>, Vec<PathBuf>) =
        args.merge.iter().cloned().partition(|path| text_part::kind(path).is_some());
    if parts.iter().any(|path| text_part::kind(path) == Some(Kind::Moments)) {
        return moments::join(args, &parts, &matrices);
    }
    let merged: Vec<ImportanceSums> =
        matrices.iter().map(|path| ImportanceSums::read(path)).collect::<Result<_, _>>()?;
    let run = args.source.as_ref().map(|path| collect(args, path)).transpose()?;
    if let (Some(part), Some(run), Some(output)) = (args.part, &run, &args.output) {
        return part::save(args, part, run, output);
    }
    let mut found = run.map_or(Collected::default(), Run::finish);
    if !parts.is_empty() {
        let joined = part::join(&parts)?;
        found.sums.merge(&joined.sums)?;
        found.lost.extend(joined.lost);
    }
    for (path, sums) in matrices.iter().zip(&merged) {
        found.sums.merge(sums).with_context(|| format!("cannot add {}", path.display()))?;
    }
    if let Some(output) = &args.output {
        // a matrix that is only added may be replaced
        write(&found.sums, output, &model)?;
    }
    args.running.done(RUN)?;
    if !args.quiet {
        report::warnings(args, &found).iter().for_each(|warning| output::warn(warning));
    }
    if args.json {
        output::print_json(&report::document(args, &found))?;
    } else {
        if args.statistics {
            output::print(&report::statistics(&found.sums))?;
        }
        if !args.quiet {
            output::print(&report::summary(&found.sums, args.output.as_deref()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The name of the run in what --resume keeps.
const RUN: &str = "sums";

/// What was found, and what it was found in.
struct Run {
    found: statistics::Collected,
    datasets: Vec<String>,
    /// All chunks of the texts, and those before the part that was run.
    all: usize,
    first: usize,
    /// Chunks that were run.
    chunks: usize,
    chunk_tokens: usize,
    /// What decides the result, wherever the model is; empty without a part.
    identity: String,
}

impl Run {
    fn finish(self) -> Collected {
        Collected::of(self.found, self.datasets, self.chunks, self.chunk_tokens)
    }
}

fn collect(args: &Args, path: &Place) -> anyhow::Result<Run> {
    let texts = args.texts.read()?;
    let threads = threads::bounded(args.threads, args.quiet);
    let source = source::open(path)?;
    let model = model::open(path, source.as_ref())?;
    let mut chunks = args.texts.cut(&model::tokenizer(path, &model)?, &texts)?;
    let mut options = CollectOptions::default();
    (options.output, options.all_experts) = (args.process_output, args.all_experts);
    let settings = format!("{} {}", args.process_output, args.all_experts);
    let identity = args.part.map(|_| of_chunks_anywhere(source.as_ref(), &chunks, &settings));
    let identity = identity.transpose()?.unwrap_or_default();
    let (all, first) = (chunks.len(), crate::texts::only(args.part, &mut chunks)?);
    options.run = args.running.options(RUN, source.as_ref(), &chunks, &settings)?;
    let steps = Steps::new(!(args.quiet || args.json), model.layers());
    let found = threads::pool(threads)?
        .install(|| statistics::collect(&model, &chunks, &options, &mut |layer| steps.on(layer)));
    steps.finish(args.running.is_kept())?;
    let mut found = found.with_context(|| format!("cannot run {}", path.display()))?;
    if found.lost.len() == chunks.len() && args.part.is_none() {
        let lost = found.lost.into_iter().next().expect("there is at least one chunk");
        return Err(lost).with_context(|| format!("{}: no chunk is left", path.display()));
    }
    found.lost.iter_mut().for_each(|lost| lost.place.chunk += first);
    let (datasets, chunk_tokens) = (texts.names(), chunks.chunk_tokens());
    Ok(Run { found, datasets, all, first, chunks: chunks.len(), chunk_tokens, identity })
}

fn write(sums: &ImportanceSums, output: &Path, inputs: &[&Path]) -> anyhow::Result<()> {
    let mut file = WholeFile::create(output, inputs)?;
    let is_dat = output.extension().is_some_and(|extension| extension == "dat");
    let context = || format!("cannot write {}", output.display());
    match is_dat {
        true => sums.write_dat(&mut file).with_context(context)?,
        false => sums.write(&mut file).with_context(context)?,
    }
    Ok(file.finish()?)
}
