//! Types for a size: `--target-size` and `--like`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use granule_convert::recipe::parse_tensor_type;
use granule_convert::tune::size::{
    Progress, SizeError, SizeRequest, Sized, TargetSize, by_rules, by_runs,
};
use granule_encode::Importance;
use granule_format::BlockType;
use granule_infer::stream::Observed;
use granule_infer::{Chunks, Model};
use granule_reader::{GgufSource, Source};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value as Json, json};

use super::options::{Args, Wanted, template};
use crate::output::{self, Align, Table, size};
use crate::texts::Texts;
use crate::{interrupt, threads};

/// Chunks of text that the model is run over, unless another number is given.
const CHUNKS: usize = 9;

/// The options.
#[derive(Debug, clap::Args)]
pub(crate) struct SizeArgs {
    /// Choose the types of all tensors for a file of this size (e.g. 4.2GB, 4GiB or 4.5bpw)
    ///
    /// The types are those with which the model's predictions change least: the model is run over
    /// texts, layer by layer. The file is never larger than that. --tensor-type still wins.
    #[arg(long, value_name = "SIZE", help_heading = "Size")]
    #[arg(conflicts_with_all = ["like", "file_types", "plan", "vocab_only", "pure"])]
    pub(super) target_size: Option<TargetSize>,
    /// Choose them for the size of this file
    #[arg(long, value_name = "FILE", help_heading = "Size")]
    #[arg(conflicts_with_all = ["file_types", "plan", "vocab_only", "pure"])]
    pub(super) like: Option<PathBuf>,
    /// Give no tensor a type with fewer bits than this
    #[arg(long, value_name = "TYPE", value_parser = parse_tensor_type, help_heading = "Size")]
    pub(super) min_type: Option<BlockType>,
    /// Give no tensor a type with more bits than this
    #[arg(long, value_name = "TYPE", value_parser = parse_tensor_type, help_heading = "Size")]
    pub(super) max_type: Option<BlockType>,
    /// Do not run the model: scale the rules of the named mixtures
    #[arg(long, help_heading = "Size", conflicts_with_all = ["calibrate", "calibration_chunks"])]
    pub(super) no_calibrate: bool,
}

impl SizeArgs {
    /// Whether a size is asked for.
    pub(crate) const fn is_given(&self) -> bool {
        self.target_size.is_some() || self.like.is_some()
    }

    /// Options that need a size, with whether they were given.
    pub(super) const fn idle_without_size(&self) -> [(&'static str, bool); 3] {
        [
            ("--min-type", self.min_type.is_some()),
            ("--max-type", self.max_type.is_some()),
            ("--no-calibrate", self.no_calibrate),
        ]
    }

    fn request(&self) -> anyhow::Result<Option<SizeRequest>> {
        let target = match (&self.target_size, &self.like) {
            (Some(size), _) => *size,
            (None, Some(path)) => TargetSize::Bytes(bytes_of(path)?),
            (None, None) => return Ok(None),
        };
        Ok(Some(SizeRequest { target, least: self.min_type, most: self.max_type }))
    }
}

/// The bytes of a file, or of all files of a split set.
fn bytes_of(path: &Path) -> anyhow::Result<u64> {
    let files = match GgufSource::open(path) {
        Ok(model) if model.shards() > 1 => model.inputs(),
        _ => vec![path.to_owned()],
    };
    let mut sum = 0;
    for file in files {
        let about = file.metadata().with_context(|| format!("--like {}", file.display()))?;
        if !about.is_file() {
            bail!("--like {}: this is no file, and has no size", file.display());
        }
        sum += about.len();
    }
    if sum == 0 {
        bail!("--like {}: the file is empty", path.display());
    }
    Ok(sum)
}

/// A plan for a size, and what there is to say about it.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) sized: Sized,
    /// How the name of the file says the size.
    pub(super) label: String,
    pub(super) target: TargetSize,
    /// Why no model was run.
    pub(super) by_rules: Option<String>,
}

/// The plan for the size that is asked for, if one is.
pub(super) fn choose(
    args: &Args,
    wanted: &Wanted,
    source: &dyn Source,
    importance: Option<&Importance>,
) -> anyhow::Result<Option<Chosen>> {
    let Some(request) = args.size.request()? else { return Ok(None) };
    let recipe = template(args);
    let found = |sized, by_rules| {
        let label = match args.size.target_size {
            Some(target) => target.to_string(),
            None => TargetSize::Bytes(match request.target {
                TargetSize::Bytes(bytes) => bytes,
                TargetSize::BitsPerWeight(_) => 0,
            })
            .to_string(),
        };
        Ok(Some(Chosen { sized, label, target: request.target, by_rules }))
    };
    let runnable = if args.size.no_calibrate {
        Err("--no-calibrate".to_owned())
    } else {
        prepare(args, source)?
    };
    let (model, chunks) = match runnable {
        Ok(runnable) => runnable,
        Err(why) => return found(by_rules(source, &recipe, importance, request)?, Some(why)),
    };
    let shown = Shown::new(!(args.quiet || args.json));
    let sized = threads::pool(wanted.threads)?.install(|| {
        by_runs(&model, &chunks, &recipe, importance, request, &mut |step| shown.on(step))
    });
    shown.finish()?;
    match sized {
        // of another size or type, there is nothing that a run could tell
        Err(SizeError::NotFinite) => {
            let why = SizeError::NotFinite.to_string();
            found(by_rules(source, &recipe, importance, request)?, Some(why))
        }
        other => found(other?, None),
    }
}

/// The model and the text, or why it cannot be run.
fn prepare<'s>(
    args: &Args,
    source: &'s dyn Source,
) -> anyhow::Result<Result<(Model<'s>, Chunks), String>> {
    let texts = Texts::read(args.calibrate.texts())?;
    let model = match Model::open(source) {
        Ok(model) if model.predicts() => model,
        Ok(model) => return Ok(Err(format!("{:?} predicts no tokens", model.architecture()))),
        Err(error) => return Ok(Err(chain(&error))),
    };
    let tokenizer = match model.tokenizer() {
        Ok(tokenizer) if tokenizer.len() <= model.vocabulary() => tokenizer,
        Ok(_) => return Ok(Err("the tokenizer is of another model".to_owned())),
        Err(error) => return Ok(Err(chain(&error))),
    };
    let mut chunks = texts.chunks(&tokenizer, usize::MAX)?;
    chunks.spread(args.calibrate.calibration_chunks.unwrap_or(CHUNKS));
    Ok(Ok((model, chunks)))
}

/// An error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Chosen {
    /// What there is to warn of.
    pub(super) fn notes(&self) -> Vec<String> {
        self.by_rules
            .iter()
            .map(|why| {
                format!(
                    "the model is not run ({why}): types follow the rules of {}, scaled to the \
                     size",
                    self.sized.plan.file_type()
                )
            })
            .collect()
    }

    /// How the types were found, for people.
    pub(super) fn text(&self) -> String {
        let mut text =
            format!("  for {}: {:.3} bits/weight\n", self.target, self.sized.bits_per_weight);
        if self.sized.trials.is_empty() {
            return text;
        }
        let mut table = Table::new(&[
            ("choice", Align::Left),
            ("divergence", Align::Right),
            ("size", Align::Right),
        ]);
        for trial in &self.sized.trials {
            let divergence = format!("{:.5}", trial.divergence);
            table.row([trial.name.clone(), divergence, size(trial.bytes)]);
        }
        text += &table.render();
        text
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Json {
        let trials = self.sized.trials.iter().map(|trial| {
            json!({ "choice": trial.name, "bytes": trial.bytes, "divergence": trial.divergence })
        });
        let roles = self.sized.roles.iter().map(|role| {
            json!({ "role": role.name, "change": role.change, "divergence": role.divergence })
        });
        json!({
            "target": self.target.to_string(),
            "bits_per_weight": self.sized.bits_per_weight,
            "by_rules": self.by_rules,
            "trials": trials.collect::<Vec<_>>(),
            "roles": roles.collect::<Vec<_>>(),
        })
    }
}

/// Shows what is being done, on a terminal.
struct Shown {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Shown {
    fn new(wanted: bool) -> Self {
        let target = if wanted && std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
        let bar = ProgressBar::with_draw_target(None, target)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self { bar, stop: interrupt::flag() }
    }

    fn on(&self, step: Progress<'_>) -> Observed {
        match step {
            Progress::Layer { layer, layers } => {
                self.bar.set_message(format!("what tensors change: layer {layer} of {layers}"));
            }
            Progress::Errors => self.bar.set_message("errors of the types"),
            Progress::Role { name, number, roles } => {
                let name = output::printable(name);
                self.bar.set_message(format!("divergence: {name}, {} of {roles}", number + 1));
            }
            Progress::Trial { name, .. } => self.bar.set_message(format!("trial: {name}")),
            _ => {}
        }
        self.bar.tick();
        if self.stop.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
    }

    fn finish(&self) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        match self.stop.load(Ordering::Relaxed) {
            true => Err(granule_convert::Error::Interrupted { kept: false }.into()),
            false => Ok(()),
        }
    }
}
