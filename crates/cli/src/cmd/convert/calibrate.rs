//! The options of `--effort 2`.

use std::path::PathBuf;

use granule_convert::Plan;
use granule_convert::tune::feedback::{Calibration, Saved};
use granule_encode::Effort;
use granule_infer::{Chunks, Model};

use super::input::Input;
use super::options::Args;
use crate::model;
use crate::texts::Texts;

/// Options about running the model while it is quantized.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CalibrateArgs {
    /// For --effort 2 and sizes: run the model over these texts; without FILE over texts of the
    /// program
    #[arg(long, value_name = "FILE", num_args = 0.., help_heading = "Quantization")]
    calibrate: Option<Vec<PathBuf>>,
    /// With --effort 2: use what --save-statistics has saved instead of running the model
    #[arg(long, value_name = "FILE", conflicts_with = "calibrate", help_heading = "Quantization")]
    statistics: Option<PathBuf>,
    /// Save what the run of the model tells about the inputs of matrices, for other types
    #[arg(long, value_name = "FILE", help_heading = "Quantization")]
    pub(super) save_statistics: Option<PathBuf>,
    /// Use this many chunks of 512 tokens only, spread over the texts
    ///
    /// By default all for --effort 2; for sizes 9.
    #[arg(long, value_name = "COUNT", help_heading = "Quantization")]
    pub(super) calibration_chunks: Option<usize>,
    /// Let codes make up for errors in this many columns: a multiple of 256, or full
    ///
    /// [default: 1024]
    #[arg(long, value_name = "COLUMNS", value_parser = width, help_heading = "Quantization")]
    pub(super) calibration_width: Option<Width>,
    /// Add this part of itself and of a tenth of the mean to each square of the inputs
    ///
    /// More makes codes fit the text less. [default: 0.1]
    #[arg(long, value_name = "NUMBER", value_parser = damping, help_heading = "Quantization")]
    pub(super) damping: Option<f64>,
}

/// Columns whose moments with each other count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Width {
    Columns(usize),
    Full,
}

impl CalibrateArgs {
    /// Whether texts are named, or those of the program asked for.
    pub(super) const fn is_given(&self) -> bool {
        self.calibrate.is_some()
    }

    /// The texts that are named; none stand for those of the program.
    pub(super) fn texts(&self) -> &[PathBuf] {
        self.calibrate.as_deref().unwrap_or_default()
    }

    /// Whether there are statistics of another run.
    pub(super) const fn has_statistics(&self) -> bool {
        self.statistics.is_some()
    }

    /// The files that are read.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.calibrate.iter().flatten().chain(&self.statistics)
    }
}

/// Reads the texts, or what another run has saved, if a plan needs it.
pub(super) fn calibration(
    args: &Args,
    input: &Input,
    plans: &[&Plan],
) -> anyhow::Result<Option<Calibration>> {
    let options = &args.calibrate;
    if !plans.iter().any(|plan| plan.recipe().effort == Effort::Feedback) {
        return Ok(None);
    }
    let mut calibration = match (&options.statistics, &options.calibrate) {
        (Some(path), _) => Calibration::saved(Saved::open(path)?),
        (None, Some(files)) => Calibration::new(chunks(args, input, files)?),
        (None, None) => return Ok(None),
    };
    calibration.allow_few = plans.iter().all(|plan| plan.recipe().allow_missing);
    match options.calibration_width {
        Some(Width::Columns(columns)) => calibration.width = Some(columns),
        Some(Width::Full) => calibration.width = None,
        None => {}
    }
    calibration.damping = options.damping.unwrap_or(Calibration::DAMPING);
    calibration.save.clone_from(&options.save_statistics);
    Ok(Some(calibration))
}

/// Reads the texts and cuts them into tokens.
fn chunks(args: &Args, input: &Input, files: &[PathBuf]) -> anyhow::Result<Chunks> {
    let model = Model::open(input.source())?;
    let texts = Texts::read(files)?;
    let tokenizer = model::tokenizer(&args.source, &model)?;
    let mut chunks = texts.chunks(&tokenizer, usize::MAX)?;
    chunks.spread(args.calibrate.calibration_chunks.unwrap_or(usize::MAX));
    Ok(chunks)
}

fn width(text: &str) -> Result<Width, String> {
    if text == "full" {
        return Ok(Width::Full);
    }
    match text.parse() {
        Ok(columns) if columns > 0 && columns % Calibration::WIDTH_STEP == 0 => {
            Ok(Width::Columns(columns))
        }
        _ => Err(format!("{text:?} is not a multiple of 256, nor full")),
    }
}

fn damping(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(damping) if damping > 0.0 && damping <= 10.0 => Ok(damping),
        _ => Err(format!("{text:?} is not a number above 0, at most 10")),
    }
}
