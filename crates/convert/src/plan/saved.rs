use granule_encode::Importance;
use granule_format::Endian;
use granule_reader::Source;
use serde::{Deserialize, Serialize};

use super::split::MOST_SHARDS;
use super::{
    Edit, Plan, PlanError, PlannedTensor, Warning, importance_values, metadata, tensor_bytes,
    validity,
};
use crate::Error;
use crate::mixture::eligible::without_trailing_ones;
use crate::mixture::fallback::{can_be_chosen, cannot_do_without};
use crate::recipe::Recipe;

/// The version of the format of saved plans.
const VERSION: u32 = 1;

/// A plan as it is saved, with the metadata as changes to that of the source.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    granule_plan: u32,
    recipe: Recipe,
    metadata: Vec<Edit>,
    shards: u32,
    #[serde(default)]
    big_endian: bool,
    tensors: Vec<PlannedTensor>,
    #[serde(default)]
    warnings: Vec<Warning>,
}

impl Plan {
    /// Returns the plan as JSON, to be shown or loaded again.
    pub fn to_json(&self) -> String {
        let saved = Saved {
            granule_plan: VERSION,
            recipe: self.recipe.clone(),
            metadata: self.edits.clone(),
            shards: self.shards,
            big_endian: self.endian == Endian::Big,
            tensors: self.tensors.clone(),
            warnings: self.warnings.clone(),
        };
        serde_json::to_string_pretty(&saved).expect("names and numbers can be written as JSON")
    }

    /// Loads a saved plan, possibly with edited target types. Sizes are recomputed.
    ///
    /// # Errors
    /// If `json` is not a plan, was made for another source or importance matrix, or its types do
    /// not fit.
    pub fn from_json(
        json: &str,
        source: &dyn Source,
        importance: Option<&Importance>,
    ) -> Result<Self, Error> {
        let json = json.trim_start_matches('\u{feff}'); // some editors add a byte order mark
        let saved: Saved =
            serde_json::from_str(json).map_err(|error| PlanError::Format(error.to_string()))?;
        if saved.granule_plan != VERSION {
            let problem = format!("version {}, expected {VERSION}", saved.granule_plan);
            return Err(PlanError::Format(problem).into());
        }
        if !(1..=MOST_SHARDS).contains(&saved.shards) {
            let problem = format!("{} files, expected 1 to {MOST_SHARDS}", saved.shards);
            return Err(PlanError::Format(problem).into());
        }
        let mut tensors = saved.tensors;
        for tensor in &mut tensors {
            check(tensor, source, &saved.recipe, saved.shards)?;
            check_weights(tensor, importance)?;
        }
        let metadata = metadata::apply(&saved.metadata, source.metadata().clone());
        let mut plan = Self {
            recipe: saved.recipe,
            edits: saved.metadata,
            metadata,
            tensors,
            shards: saved.shards,
            endian: if saved.big_endian { Endian::Big } else { Endian::Little },
            warnings: saved.warnings,
        };
        match validity::check(&mut plan, source).into_iter().next() {
            Some(problem) => Err(problem.into()),
            None => Ok(plan),
        }
    }
}

/// Checks a planned tensor against the source, and computes its sizes.
fn check(
    tensor: &mut PlannedTensor,
    source: &dyn Source,
    recipe: &Recipe,
    shards: u32,
) -> Result<(), PlanError> {
    let other = |what: String| Err(PlanError::OtherSource(what));
    let name = &tensor.source_name;
    let Some(found) = source.tensors().get(tensor.source).filter(|found| found.name == *name)
    else {
        return other(format!("its tensor {} is not {name:?}", tensor.source));
    };
    if without_trailing_ones(&found.shape) != without_trailing_ones(&tensor.shape) {
        return other(format!("tensor {name:?} is {}, expected {}", found.shape, tensor.shape));
    }
    if found.ty != tensor.stored {
        return other(format!("tensor {name:?} has type {}, expected {}", found.ty, tensor.stored));
    }
    if tensor.shard >= shards {
        let problem = format!("tensor {name:?} is in file {} of {shards}", tensor.shard);
        return Err(PlanError::Format(problem));
    }
    if !tensor.is_copied() {
        match (tensor.stored.known(), tensor.target.known()) {
            (Some(_), Some(target)) if !can_be_chosen(target) => {
                let problem = format!("tensor {name:?} cannot be converted to {target}");
                return Err(PlanError::Format(problem));
            }
            (Some(stored), Some(target)) if stored.is_quantized() && !recipe.allow_requantize => {
                return Err(PlanError::Requantize { tensor: name.clone(), stored, target });
            }
            _ => {}
        }
    }
    let bytes = |ty| {
        let size = PlanError::Size { tensor: name.clone(), shape: tensor.shape, ty };
        tensor_bytes(&tensor.shape, ty).ok_or(size)
    };
    (tensor.stored_bytes, tensor.target_bytes) = (bytes(tensor.stored)?, bytes(tensor.target)?);
    Ok(())
}

/// Checks a planned tensor against the importance matrix.
pub(super) fn check_weights(
    tensor: &PlannedTensor,
    importance: Option<&Importance>,
) -> Result<(), PlanError> {
    let name = || tensor.source_name.clone();
    let target = tensor.target.known().filter(|_| !tensor.is_copied());
    match (target, importance) {
        (Some(ty), None) if tensor.weighted || cannot_do_without(ty) => {
            Err(PlanError::NeedsImportance { tensor: name(), ty, tensors: 1 })
        }
        (Some(ty), Some(importance)) if tensor.weighted => {
            let Some(entry) = importance.get(&tensor.source_name) else {
                return Err(PlanError::NeedsEntry { tensor: name(), ty, tensors: 1 });
            };
            let (found, expected) = (entry.len() as u64, importance_values(&tensor.shape));
            if found == expected {
                Ok(())
            } else {
                Err(PlanError::EntrySize { tensor: name(), expected, found })
            }
        }
        (Some(ty), _) if cannot_do_without(ty) => {
            Err(PlanError::NeedsEntry { tensor: name(), ty, tensors: 1 })
        }
        (None, _) if tensor.weighted => {
            let problem = format!("tensor {:?} is copied and must not have weights", name());
            Err(PlanError::Format(problem))
        }
        _ => Ok(()),
    }
}
