//! `granule measure`: perplexity, and what a model loses against another.

mod base;
mod part;
mod report;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use granule_convert::grid;
use granule_convert::run::{Part, check_output, of_chunks_anywhere};
use granule_convert::weights::{self, TensorError};
use granule_encode::Importance;
use granule_infer::measure::base::{BaseReader, BaseWriter, Form, Heading};
use granule_infer::measure::{Measured, measure};
use granule_infer::stream::Options;
use granule_infer::{Chunks, Model};
use granule_reader::Source;
use rayon::ThreadPool;

use crate::progress::Steps;
use crate::running::RunArgs;
use crate::source::{self, Place};
use crate::texts::{self, TextArgs, Texts};
use crate::{model, output, threads};
use base::{Base, NewBase};

/// Measure the perplexity of models, and what they lose against another
///
/// The statistics are those of llama-perplexity: the second half of every chunk is scored. With
/// --against or --base also the Kullback-Leibler divergence, the changes of probabilities and the
/// share of equal predictions; several models are compared with each other as well. Memory holds
/// one layer of a model.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The models: GGUF files, or folders of checkpoints
    #[arg(required_unless_present = "merge", value_name = "MODEL")]
    models: Vec<Place>,
    /// Compare with this model, the original
    #[arg(long, value_name = "MODEL")]
    against: Option<Place>,
    /// Compare with the distributions in this file, of --save-base or llama-perplexity
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    base: Option<PathBuf>,
    /// Write the distributions of the original to this file
    ///
    /// The original is the model of --against, without it the only model.
    #[arg(long, value_name = "FILE", conflicts_with = "base")]
    save_base: Option<PathBuf>,
    /// Write them in this form [default: sparse]; llama is that of llama-perplexity
    #[arg(long, value_name = "FORM")]
    base_form: Option<BaseForm>,
    /// Measure this part of the chunks only (e.g. 2/3), for --merge
    ///
    /// Several machines can measure a part each. Put together, they show what a single run shows.
    #[arg(long, value_name = "PART", requires = "output")]
    #[arg(conflicts_with_all = ["save_base", "weights"])]
    part: Option<Part>,
    /// Write what was measured of a part to this file
    #[arg(short, long, value_name = "FILE", requires = "part")]
    output: Option<PathBuf>,
    /// Put all parts of a run together
    #[arg(long, value_name = "FILE", num_args = 1..)]
    #[arg(conflicts_with_all = ["models", "against", "base", "save_base", "part", "imatrix"])]
    #[arg(conflicts_with = "allow_quantized_original")]
    merge: Vec<PathBuf>,
    #[command(flatten)]
    texts: TextArgs,
    #[command(flatten)]
    running: RunArgs,
    /// Also show the error of every tensor against --against
    #[arg(long)]
    weights: bool,
    /// Weigh the errors of tensors with this importance matrix
    #[arg(long, value_name = "FILE")]
    imatrix: Option<PathBuf>,
    /// Accept an original whose weights were quantized before
    #[arg(long)]
    allow_quantized_original: bool,
    /// Work with COUNT threads [default, and 0: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Show nothing but errors (and with --json the JSON)
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON: all statistics, with both kinds of errors
    #[arg(long)]
    json: bool,
}

/// How distributions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BaseForm {
    Sparse,
    Llama,
}

/// A model and what was measured.
#[derive(Debug)]
struct Candidate<'a> {
    path: &'a Path,
    measured: Measured,
    /// The errors of its tensors, if they are wanted.
    weights: Option<Vec<TensorError>>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    refuse_without_effect(args)?;
    if !args.merge.is_empty() {
        return part::merged(args);
    }
    let original = match (&args.against, &args.save_base, &args.models[..]) {
        (Some(path), ..) => Some(path),
        (None, None, _) => None,
        (None, Some(_), [only]) => Some(only),
        (None, Some(_), _) => bail!(
            "--save-base writes the distributions of one model: name the original with --against"
        ),
    };
    if let Some(path) = &args.save_base {
        check_output(path)?;
    }
    if let Some(path) = &args.output {
        check_output(path)?;
    }
    let texts = (args.base.is_none() || args.texts.are_given()).then(|| args.texts.read());
    let importance = args.imatrix.as_deref().map(Importance::read).transpose()?;
    let threads = threads::bounded(args.threads, args.quiet);
    let (texts, pool) = (texts.transpose()?, threads::pool(threads)?);
    let session = Session { args, texts, pool, cuts: RefCell::default() };
    let mut base = args.base.as_deref().map(Base::open).transpose()?;
    let mut first = None;
    if let Some(path) = original {
        let (measured, saved) = session.original(path)?;
        (first, base) = (Some(measured), Some(saved));
    }
    let original = if args.against.is_some() { first.take() } else { None };
    let mut candidates = Vec::new();
    for (number, path) in args.models.iter().enumerate() {
        let measured = match first.take() {
            Some(measured) => measured,
            None => session.candidate(number, path, base.as_ref())?,
        };
        let against = args.against.as_ref().filter(|_| args.weights);
        let weights = against.map(|against| session.weights(path, against, importance.as_ref()));
        candidates.push(Candidate { path, measured, weights: weights.transpose()? });
    }
    let runs = (0..args.models.len()).map(name).chain([ORIGINAL.to_owned()]);
    runs.into_iter().try_for_each(|run| args.running.done(&run))?;
    if !args.quiet {
        warn(&candidates);
    }
    if let (Some(part), Some(path)) = (args.part, &args.output) {
        let cuts = session.cuts.into_inner();
        return part::save(args, part, path, &candidates, original.as_ref(), &cuts);
    }
    match args.json {
        true => output::print_json(&report::document(&candidates, original.as_ref()))?,
        false => output::print(&report::text(&candidates))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Warn of chunks that were left.
fn warn(candidates: &[Candidate<'_>]) {
    for Candidate { path, measured, .. } in candidates {
        let warn = |lost| output::warn(&format!("{}: {lost}", path.display()));
        measured.lost.iter().for_each(warn);
    }
}

/// What is the same for all models.
struct Session<'a> {
    args: &'a Args,
    /// `None`: those of the base.
    texts: Option<Texts>,
    pool: ThreadPool,
    /// Of each model that has been measured, with a part.
    cuts: RefCell<Vec<Cut>>,
}

/// How the chunks of a text were cut for a part.
struct Cut {
    /// All chunks, and those before the part.
    all: usize,
    first: usize,
    /// What decides the result, wherever the model is.
    identity: String,
}

impl Session<'_> {
    /// Measure the original, and keep its distributions.
    fn original(&self, path: &Place) -> anyhow::Result<(Measured, Base)> {
        let save = self.args.save_base.as_deref();
        let form = match self.args.base_form {
            Some(BaseForm::Llama) => Form::Llama,
            Some(BaseForm::Sparse) | None => Form::Sparse,
        };
        let source = source::open(path)?;
        if !self.args.allow_quantized_original {
            refuse_quantized(path, source.as_ref())?;
        }
        let model = model::predicting(path, source.as_ref())?;
        let (chunks, first) = self.chunks(path, &model, None)?;
        let inputs: Vec<PathBuf> = source.inputs();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let mut file = NewBase::create(save, &inputs)?;
        let heading = Heading {
            chunk_tokens: u32::try_from(chunks.chunk_tokens())?,
            vocabulary: u32::try_from(model.vocabulary())?,
            tokens: chunks.tokens().to_vec(),
        };
        let mut writer = file.writer(form, heading)?;
        let run = self.args.running.options(ORIGINAL, source.as_ref(), &chunks, "")?;
        let chunks = (&chunks, first);
        let measured = self.measure(path, &model, chunks, &run, NO_READER, Some(&mut writer))?;
        writer.finish()?;
        Ok((measured, file.finish(save)?))
    }

    /// Measure a model, against the base if there is one.
    fn candidate(
        &self,
        number: usize,
        path: &Place,
        base: Option<&Base>,
    ) -> anyhow::Result<Measured> {
        let source = source::open(path)?;
        let model = model::predicting(path, source.as_ref())?;
        let mut reader = base.map(Base::reader).transpose()?;
        let (chunks, first) =
            self.chunks(path, &model, reader.as_ref().map(BaseReader::heading))?;
        if let (Some(reader), Some(_), Some(_)) = (&mut reader, self.args.part, &self.args.base) {
            reader.select(first, chunks.len()).with_context(|| path.display().to_string())?;
        }
        let run = self.args.running.options(&name(number), source.as_ref(), &chunks, "")?;
        self.measure(path, &model, (&chunks, first), &run, reader.as_mut(), NO_WRITER)
    }

    /// The chunks of the texts, or those that a base was made with; those of the part if there is
    /// one, and the number of the first.
    fn chunks(
        &self,
        path: &Path,
        model: &Model<'_>,
        base: Option<&Heading>,
    ) -> anyhow::Result<(Chunks, usize)> {
        let tokenizer = model::tokenizer(path, model)?;
        let mut chunks = match (&self.texts, base) {
            (Some(texts), _) => self.args.texts.cut(&tokenizer, texts)?,
            (None, Some(base)) => {
                let (tokens, length) = (base.tokens.clone(), base.chunk_tokens as usize);
                Chunks::of_tokens(tokens, length, tokenizer.begin())?
            }
            (None, None) => unreachable!("without a base there are texts"),
        };
        let all = chunks.len();
        let identity = self.args.part.map(|_| of_chunks_anywhere(model.source(), &chunks, ""));
        let identity = identity.transpose()?;
        let first = texts::only(self.args.part, &mut chunks)?;
        self.cuts.borrow_mut().extend(identity.map(|identity| Cut { all, first, identity }));
        Ok((chunks, first))
    }

    fn measure<R: Read + Send, W: Write + Send>(
        &self,
        path: &Path,
        model: &Model<'_>,
        (chunks, first): (&Chunks, usize),
        run: &Options,
        base: Option<&mut BaseReader<R>>,
        save: Option<&mut BaseWriter<W>>,
    ) -> anyhow::Result<Measured> {
        let steps = Steps::new(!(self.args.quiet || self.args.json), model.layers());
        let progress = &mut |layer| steps.on(layer);
        let measured = self.pool.install(|| measure(model, chunks, run, base, save, progress));
        steps.finish(self.args.running.is_kept())?;
        let mut measured = measured.with_context(|| path.display().to_string())?;
        measured.lost.iter_mut().for_each(|lost| lost.place.chunk += first);
        if measured.scores.is_empty() && self.args.part.is_none() {
            let lost = measured.lost.into_iter().next().expect("a chunk without scores");
            let context = || format!("{}: no chunk is left", path.display());
            return Err(lost).with_context(context);
        }
        Ok(measured)
    }

    fn weights(
        &self,
        path: &Place,
        against: &Place,
        importance: Option<&Importance>,
    ) -> anyhow::Result<Vec<TensorError>> {
        let (model, against) = (source::open(path)?, source::open(against)?);
        let compare = || weights::compare(model.as_ref(), against.as_ref(), importance);
        self.pool.install(compare).with_context(|| path.display().to_string())
    }
}

/// The names of the runs in what --resume keeps.
const ORIGINAL: &str = "original";

fn name(number: usize) -> String {
    format!("model{}", number + 1)
}

const NO_READER: Option<&mut BaseReader<io::Empty>> = None;
const NO_WRITER: Option<&mut BaseWriter<io::Sink>> = None;

/// Refuse options that change nothing, given the others.
fn refuse_without_effect(args: &Args) -> anyhow::Result<()> {
    for (option, needed, is_idle) in [
        ("--base-form", "--save-base", args.base_form.is_some() && args.save_base.is_none()),
        ("--weights", "--against", args.weights && args.against.is_none()),
        ("--imatrix", "--weights", args.imatrix.is_some() && !args.weights),
    ] {
        if is_idle {
            bail!("{option} has no effect without {needed}");
        }
    }
    if args.base.is_some() && !args.texts.are_given() {
        args.texts.refuse("without --text the tokens are those of --base")?;
    }
    if !args.merge.is_empty() {
        let why = "no model is named that could be run over a text";
        args.texts.refuse(why)?;
        args.running.refuse(why)?;
    }
    Ok(())
}

/// Refuse an original whose weights were quantized before.
fn refuse_quantized(path: &Path, source: &dyn Source) -> anyhow::Result<()> {
    let found = grid::survey(source).with_context(|| path.display().to_string())?;
    if let Some((ty, tensors)) = found.most().filter(|_| found.is_quantized()) {
        bail!(
            "{}: weights of {tensors} tensors lie on the grid of {ty}, so this is no original, and \
             what is lost against it says little: give the original, or \
             --allow-quantized-original",
            path.display()
        );
    }
    Ok(())
}
