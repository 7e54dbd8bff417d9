//! Codes with feedback: the model runs over texts, layer by layer, and each matrix is encoded when
//! its inputs are known.
//!
//! When vectors are about to be multiplied with a matrix, their second moments are summed, the
//! matrix is encoded such that these products change little, and the product is computed with the
//! new blocks. So every matrix sees what the matrices before it have become, and makes up for none
//! of what it does not see. All texts go through a layer together; memory holds one layer, a few
//! vectors for each token, and the moments of one matrix.
//!
//! Few tokens may meet an expert of a mixture of experts. Its moments are then those of its own
//! tokens, plus [`PRIOR`] tokens with the mean moments of all experts, and it is encoded at the end
//! of the layer.
//!
//! The moments can be saved, and serve other types without a run ([`Saved`]). They are then those
//! of inputs that came through the blocks of the first type. [`save_moments`] sums those of the
//! original's inputs, on several machines too.
//!
//! Types without feedback are encoded with the mean squares of the inputs as weights.

mod collect;
mod encode;
mod inputs;
mod pass;
mod saved;

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use granule_format::TensorType;
use granule_infer::stream::{self, Options};
use granule_infer::{Chunks, Model};
use granule_reader::Source;
use granule_reader::isa::Isa;

use crate::Error;
use crate::output::Output;
use crate::run::{Event, Target};
pub use collect::{join, save_moments};
use pass::{Job, Pass, Stop};
pub use saved::{Saved, SavedError};

/// Tokens that stand for the mean of all experts in the moments of each.
pub const PRIOR: u64 = 256;

/// Tokens below which moments say too little.
pub const LEAST_TOKENS: usize = 2048;

/// What the codes are chosen with: inputs and numbers.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Where the inputs of matrices come from.
    pub inputs: Inputs,
    /// Columns whose moments with each other count, a multiple of 256; `None` for all columns.
    pub width: Option<usize>,
    /// What is added to the diagonal of moments, in parts of each number and a tenth of their mean.
    pub damping: f64,
    /// Whether fewer than [`LEAST_TOKENS`] will do.
    pub allow_few: bool,
    /// A file to save the moments to, of the first result if there are several.
    pub save: Option<PathBuf>,
}

/// Where the inputs of matrices come from.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// The model runs over texts.
    Text(Chunks),
    /// Another run has saved their moments.
    Saved(Arc<Saved>),
}

impl Calibration {
    /// The usual number of columns.
    pub const WIDTH: usize = 1024;

    /// Widths are multiples of this: whole super-blocks.
    pub const WIDTH_STEP: usize = 256;

    /// The usual damping.
    pub const DAMPING: f64 = 0.1;

    /// Returns what texts give with the usual numbers.
    pub const fn new(chunks: Chunks) -> Self {
        let (width, damping) = (Some(Self::WIDTH), Self::DAMPING);
        Self { inputs: Inputs::Text(chunks), width, damping, allow_few: false, save: None }
    }

    /// Returns what saved moments give, with the width that they have.
    pub fn saved(saved: Saved) -> Self {
        let (width, damping) = (saved.width, Self::DAMPING);
        let inputs = Inputs::Saved(Arc::new(saved));
        Self { inputs, width, damping, allow_few: false, save: None }
    }

    /// Returns the columns of a span for a matrix.
    fn span(&self, columns: usize) -> usize {
        self.width.unwrap_or(columns).next_multiple_of(Self::WIDTH_STEP)
    }

    /// Returns the tokens of the text.
    fn tokens(&self) -> usize {
        match &self.inputs {
            Inputs::Text(chunks) => chunks.tokens().len(),
            Inputs::Saved(saved) => saved.tokens,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let found = self.tokens();
        match found < LEAST_TOKENS && !self.allow_few {
            true => Err(Error::FewTokens { found, least: LEAST_TOKENS }),
            false => Ok(()),
        }
    }
}

impl Hash for Calibration {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.inputs {
            Inputs::Text(chunks) => chunks.texts().hash(state),
            Inputs::Saved(saved) => {
                let about = saved.path().metadata().ok();
                let about = about.map(|about| (about.len(), about.modified().ok()));
                (saved.path().file_name(), about).hash(state);
            }
        }
        (self.width, self.damping.to_bits()).hash(state);
    }
}

/// What all passes share.
pub(crate) struct Setting<'s> {
    pub(crate) source: &'s dyn Source,
    pub(crate) outputs: &'s [Output],
    pub(crate) calibration: &'s Calibration,
    pub(crate) isa: Isa,
    pub(crate) stop: Option<&'s AtomicBool>,
    pub(crate) on: &'s (dyn Fn(Event<'_>) + Sync),
}

/// Encodes and writes the targets that are calibrated, unless they are complete. Returns the
/// number of values that were encoded.
///
/// Targets of one source tensor belong to different results. Each result has a pass of its own,
/// whose inputs come through its own blocks.
pub(crate) fn run(setting: &Setting<'_>, targets: &[Target<'_>]) -> Result<u64, Error> {
    let mut passes: BTreeMap<usize, BTreeMap<usize, Job<'_>>> = BTreeMap::new();
    let mut seen: HashMap<usize, usize> = HashMap::new();
    for target in targets {
        let number = seen.entry(target.source).or_default();
        if target.calibrated {
            let job = Job::new(setting, target);
            passes.entry(*number).or_default().insert(target.source, job);
        }
        *number += 1;
    }
    let mut values = 0;
    for (number, jobs) in passes.into_values().enumerate() {
        let save = setting.calibration.save.as_deref().filter(|_| number == 0);
        if save.is_none() && jobs.values().all(Job::is_complete) {
            continue;
        }
        setting.calibration.check()?;
        let model = Model::open(setting.source).map_err(Error::Run)?;
        let chunks = match &setting.calibration.inputs {
            Inputs::Text(chunks) => chunks,
            Inputs::Saved(saved) => {
                saved.check(setting.source)?;
                let mut pass = Pass::new(setting, jobs, model.products(), 0, values);
                pass.by_saved(saved)?;
                values = pass.finish()?;
                continue;
            }
        };
        let mut pass = Pass::new(setting, jobs, model.products(), chunks.len(), values);
        if let Some(path) = save {
            pass.save_to(path, chunks.tokens().len())?;
        }
        let mut options = Options::default();
        options.batch = usize::MAX;
        let texts = chunks.texts();
        match stream::run(&model, &texts, &options, &mut pass) {
            Ok(()) => {}
            Err(granule_infer::Error::Observer(error)) => match error.downcast::<Error>() {
                Ok(error) => return Err(*error),
                Err(error) if error.is::<Stop>() => {}
                Err(error) => return Err(Error::Run(granule_infer::Error::Observer(error))),
            },
            Err(error) => return Err(Error::Run(error)),
        }
        values = pass.finish()?;
    }
    Ok(values)
}

/// Returns the type of a tensor of a draft.
fn known(ty: TensorType) -> granule_format::BlockType {
    ty.known().expect("a draft has known types")
}
