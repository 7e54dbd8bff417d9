//! `granule imatrix`: importance matrices from sample texts.

mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use granule_convert::WholeFile;
use granule_convert::calibration::{self, Collected};
use granule_encode::ImportanceSums;
use granule_infer::statistics::CollectOptions;

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
    /// Add the sums of these importance matrices
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
    let merged: Vec<ImportanceSums> =
        args.merge.iter().map(|path| ImportanceSums::read(path)).collect::<Result<_, _>>()?;
    let mut found = match &args.source {
        Some(path) => collect(args, path)?,
        None => Collected::default(),
    };
    for (path, sums) in args.merge.iter().zip(&merged) {
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

fn collect(args: &Args, path: &Place) -> anyhow::Result<Collected> {
    let texts = args.texts.read()?;
    let threads = threads::bounded(args.threads, args.quiet);
    let source = source::open(path)?;
    let model = model::open(path, source.as_ref())?;
    let chunks = args.texts.cut(&model::tokenizer(path, &model)?, &texts)?;
    let mut options = CollectOptions::default();
    (options.output, options.all_experts) = (args.process_output, args.all_experts);
    let settings = format!("{} {}", args.process_output, args.all_experts);
    options.run = args.running.options(RUN, source.as_ref(), &chunks, &settings)?;
    let steps = Steps::new(!(args.quiet || args.json), model.layers());
    let found = threads::pool(threads)?.install(|| {
        calibration::collect(&model, &chunks, texts.names(), &options, &mut |layer| steps.on(layer))
    });
    steps.finish(args.running.is_kept())?;
    let found = found.with_context(|| format!("cannot run {}", path.display()))?;
    if found.lost.len() == chunks.len() {
        let lost = found.lost.into_iter().next().expect("there is at least one chunk");
        return Err(lost).with_context(|| format!("{}: no chunk is left", path.display()));
    }
    Ok(found)
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
