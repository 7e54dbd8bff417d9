//! The types of all tensors for a file of a given size.
//!
//! Named mixtures such as Q4_K_M come in a few sizes, and their rules are the same for all models.
//! [`by_runs`] chooses types for one model and any size, for the least divergence of its
//! predictions from the original's:
//!
//! 1. One tensor after another is quantized, and the result of its layer compared with the
//!    original's, on the original's inputs ([`granule_infer::sensitivity`]).
//! 2. The error of a tensor's values in each type, on sampled rows and weighted by the squares of
//!    its inputs, says how much more or less the other types change.
//! 3. All tensors of a role, such as all `ffn_down`, are quantized together, and the divergence of
//!    the model's predictions measured: what a change is worth.
//! 4. The types of least cost within the size follow from a price for bytes.
//! 5. A few such choices, with other weights of the roles, and the rules of the mixtures are
//!    compared by their real divergence on texts that the steps before have not seen.
//!
//! [`by_rules`] is for models that cannot be run: the next smaller named mixture, with tensors as
//! in the next larger one as far as there is room.

mod choose;
mod costs;
mod error;
mod errors;
mod frame;
mod target;
mod trials;

use granule_encode::Importance;
use granule_format::BlockType;
use granule_infer::stream::Observed;
use granule_infer::{Chunks, Model};
use granule_reader::Source;

use crate::plan::{Plan, PlanError};
use crate::recipe::Recipe;
use frame::Frame;

pub use error::SizeError;
pub use target::{NotASize, TargetSize};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeRequest {
    /// The size, which is never exceeded.
    pub target: TargetSize,
    /// No tensor gets a type with fewer bits for each value than this.
    pub least: Option<BlockType>,
    /// No tensor gets a type with more bits for each value than this.
    pub most: Option<BlockType>,
}

/// A plan of the size, and how it was found.
#[derive(Clone, Debug)]
pub struct Sized {
    /// The plan.
    pub plan: Plan,
    /// What prevents it from running.
    pub problems: Vec<PlanError>,
    /// Bits of data for each weight.
    pub bits_per_weight: f64,
    /// The choices that were compared; none if no model was run.
    pub trials: Vec<Trial>,
    /// What the roles of tensors cost.
    pub roles: Vec<RoleCost>,
}

/// A choice of all types that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// How it was made.
    pub name: String,
    /// The size of its files.
    pub bytes: u64,
    /// The mean divergence of the predictions from the original's.
    pub divergence: f64,
}

/// What the tensors of a role cost when they are quantized to three or four bits.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleCost {
    /// The role, such as `attn_q`.
    pub name: String,
    /// The sum of the relative changes of the results of their layers; `None` outside of layers.
    pub change: Option<f64>,
    /// The divergence of the predictions.
    pub divergence: f64,
}

/// What [`by_runs`] is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A layer is run once for each of its tensors.
    Layer {
        /// The layer, from 0.
        layer: usize,
        /// The number of layers.
        layers: usize,
    },
    /// Sampled rows are encoded.
    Errors,
    /// The model is run with all tensors of a role quantized.
    Role {
        /// The role.
        name: &'a str,
        /// Its number, from 0.
        number: usize,
        /// The number of roles.
        roles: usize,
    },
    /// The model is run with all types as they may become.
    Trial {
        /// How the types were chosen.
        name: &'a str,
        /// The number of the trial, from 0.
        number: usize,
    },
    /// A layer of such a run.
    Run,
}

/// Chooses types by running the model, whose source is that of the conversion, over a text. Every
/// third chunk is for the costs, the others are for the comparison of choices. The file
/// type of the recipe is not used. `on` is called with each step that begins; its error ends the
/// work.
///
/// # Errors
/// If the size is less than possible, the recipe cannot be applied, or the model cannot be run.
pub fn by_runs(
    model: &Model<'_>,
    chunks: &Chunks,
    recipe: &Recipe,
    importance: Option<&Importance>,
    request: SizeRequest,
    on: &mut dyn FnMut(Progress<'_>) -> Observed,
) -> Result<Sized, SizeError> {
    let mut frame = Frame::new(model.source(), recipe, importance, request)?;
    // too small a size shows before anything is computed
    frame.least()?;
    // of each kind of text some chunks for both
    let (mut first, mut rest) = (chunks.clone(), chunks.clone());
    first.keep(|chunk| chunk % 3 == 0);
    if chunks.len() > 1 {
        rest.keep(|chunk| chunk % 3 != 0);
    }
    let costs = costs::costs(&mut frame, model, &first, on)?;
    trials::best(&frame, &costs, model, &rest, on)
}

/// Chooses types by the rules of the named mixtures.
///
/// # Errors
/// If the size is less than possible, or the recipe cannot be applied.
pub fn by_rules(
    source: &dyn Source,
    recipe: &Recipe,
    importance: Option<&Importance>,
    request: SizeRequest,
) -> Result<Sized, SizeError> {
    let frame = Frame::new(source, recipe, importance, request)?;
    let plan = frame.scaled()?;
    let weights = frame::weights(&plan).max(1) as f64;
    let bits_per_weight = plan.target_bytes() as f64 * 8.0 / weights;
    let problems = frame.problems;
    Ok(Sized { plan, problems, bits_per_weight, trials: Vec::new(), roles: Vec::new() })
}

#[cfg(test)]
mod tests;
