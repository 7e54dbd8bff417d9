//! The plan: how every tensor is converted, decided before any data is read or written.

mod as_is;
mod decide;
mod edit;
mod error;
mod execute;
mod idle;
mod metadata;
mod prune;
mod saved;
mod split;
mod validity;

pub use error::PlanError;
pub use execute::run_all;
pub use metadata::{Edit, Scalar};
pub use validity::Invalid;
pub(crate) use validity::{Same, new_faults};

use std::fmt;

use granule_encode::Importance;
use granule_format::{BlockType, Draft, Endian, FileType, Metadata, Shape, TensorType};
use granule_reader::Source;
use serde::{Deserialize, Serialize};

use crate::mixture::Kept;
use crate::recipe::{Recipe, Split};
use crate::run::Target;
use crate::{Error, text};

/// The plan of a conversion: how every tensor is converted, and the changes to the metadata.
///
/// A plan can be printed, saved as JSON, edited, and loaded again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    recipe: Recipe,
    edits: Vec<Edit>,
    metadata: Metadata,
    tensors: Vec<PlannedTensor>,
    shards: u32,
    endian: Endian,
    warnings: Vec<Warning>,
}

/// The plan for one tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedTensor {
    /// Its name in the result.
    pub name: String,
    /// Its index among the tensors of the source, from 0.
    pub source: usize,
    /// Its name in the source and in importance matrices.
    pub source_name: String,
    /// Its dimensions in the result, row length first.
    #[serde(with = "shape")]
    pub shape: Shape,
    /// Its type in the source.
    #[serde(with = "text")]
    pub stored: TensorType,
    /// Its type in the result. If that is the stored type, the bytes are copied.
    #[serde(with = "text")]
    pub target: TensorType,
    /// The reason for that type, or for the one in `wanted`.
    pub reason: Reason,
    /// The type that was chosen, if the rows are not whole blocks of it and `target` is its
    /// fallback.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub wanted: Option<BlockType>,
    /// Whether it is encoded with the importance weights of its name in the source.
    pub weighted: bool,
    /// Whether the model is run to choose its codes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calibrated: bool,
    /// Bytes in the source.
    pub stored_bytes: u64,
    /// Bytes in the result, without padding.
    pub target_bytes: u64,
    /// The file of a split set that it is written to, from 0.
    #[serde(default)]
    pub shard: u32,
}

/// The reason why a tensor gets its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Every tensor is copied.
    Copied,
    /// The tensor is never converted.
    Kept(Kept),
    /// The type is the default of the file type.
    Default,
    /// A rule of the mixture, in words.
    Rule(String),
    /// `--token-embedding-type`.
    TokenEmbeddingType,
    /// `--output-tensor-type`.
    OutputTensorType,
    /// `--tensor-type` with this pattern.
    Pattern(String),
    /// A program has chosen the type with [`Plan::set_type`], for this reason.
    Edited(String),
}

/// A warning to read before the plan is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The architecture is unknown: the types were chosen by names and shapes.
    UnknownArchitecture(String),
    /// The metadata lacks the number of blocks, which was counted from the tensor names instead.
    CountedBlocks(u32),
    /// A problem that would be an error without `--allow-missing` or `--allow-invalid`.
    Allowed(String),
    /// The source is not a valid file, so the result is not valid either; or it lacks tensors. The
    /// text says why.
    SourceInvalid(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownArchitecture(name) => write!(
                f,
                "the architecture {name:?} is unknown; types are chosen by names and shapes"
            ),
            Self::CountedBlocks(blocks) => write!(
                f,
                "the metadata do not say how many blocks the model has; by the tensors it has \
                 {blocks}"
            ),
            Self::Allowed(what) => f.write_str(what),
            Self::SourceInvalid(what) => {
                write!(f, "the source has a fault, and so has the result: {what}")
            }
        }
    }
}

impl Plan {
    /// Decides how every tensor of `source` is converted.
    ///
    /// # Errors
    /// If the recipe cannot be applied to this source with this importance matrix. Only names,
    /// shapes and types are checked; errors in the values show when the plan runs. The files to be
    /// written are checked by the rules of [`mod@granule_format::check`]. It is an error if they
    /// are not valid, unless the source is a file that already has the same fault, or the recipe
    /// allows it.
    pub fn new(
        source: &dyn Source,
        recipe: &Recipe,
        importance: Option<&Importance>,
    ) -> Result<Self, Error> {
        let (plan, mut problems) = Self::preview(source, recipe, importance)?;
        if problems.is_empty() { Ok(plan) } else { Err(problems.swap_remove(0).into()) }
    }

    /// Returns the plan, and all problems that prevent it from running.
    ///
    /// # Errors
    /// If it cannot be decided how a tensor is converted.
    pub fn preview(
        source: &dyn Source,
        recipe: &Recipe,
        importance: Option<&Importance>,
    ) -> Result<(Self, Vec<PlanError>), Error> {
        decide::decide(source, recipe, importance)
    }

    /// Plans an exact copy of the source (metadata, order, shapes, types), split into files by
    /// `split`. With `allow_invalid`, faults of the result are warnings, as with
    /// [`Recipe::allow_invalid`].
    ///
    /// # Errors
    /// If the size of a tensor is not known, there would be too many files, or the result would
    /// have a fault that the source is not already written with.
    pub fn as_is(source: &dyn Source, split: &Split, allow_invalid: bool) -> Result<Self, Error> {
        as_is::as_is(source, split, allow_invalid)
    }

    /// Returns the same plan for files in this byte order instead of little-endian.
    #[must_use]
    pub const fn with_endian(mut self, endian: Endian) -> Self {
        self.endian = endian;
        self
    }

    /// Returns the recipe of the plan.
    pub const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Returns the file type of the result.
    pub const fn file_type(&self) -> FileType {
        self.recipe.file_type
    }

    /// Returns the metadata of the result; of its first file if there are several.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the metadata of one file of the result. Files after the first have only the keys of
    /// a split set.
    pub fn shard_metadata(&self, shard: u32) -> Metadata {
        if shard == 0 {
            return self.metadata.clone();
        }
        let edits = metadata::shard_edits(shard, self.shards, self.tensors.len());
        metadata::apply(&edits, Metadata::new())
    }

    /// Returns the header of every file of the result.
    ///
    /// # Errors
    /// If a header cannot be laid out.
    pub fn drafts(&self) -> Result<Vec<Draft>, Error> {
        (0..self.shards)
            .map(|shard| {
                let mut draft = Draft::new(self.shard_metadata(shard), self.endian)?;
                for tensor in self.tensors.iter().filter(|tensor| tensor.shard == shard) {
                    draft.add(&tensor.name, tensor.shape, tensor.target)?;
                }
                Ok(draft)
            })
            .collect()
    }

    /// Returns the targets of every tensor's rows, if the [`drafts`](Self::drafts) are the files
    /// from index `first_file` on.
    ///
    /// # Panics
    /// If the plan was made with an importance matrix that is not given here.
    pub fn targets<'w>(
        &self,
        first_file: usize,
        importance: Option<&'w Importance>,
    ) -> Vec<Target<'w>> {
        let mut next = vec![0; self.shards as usize];
        let target = |tensor: &PlannedTensor| {
            let shard = tensor.shard as usize;
            let place = next[shard];
            next[shard] += 1;
            let weights = tensor.weighted.then(|| {
                let entry = importance.and_then(|matrix| matrix.get(&tensor.source_name));
                entry.expect("the importance matrix that the plan was made with")
            });
            Target {
                source: tensor.source,
                file: first_file + shard,
                tensor: place,
                weights,
                effort: self.recipe.effort,
                calibrated: tensor.calibrated,
            }
        };
        self.tensors.iter().map(target).collect()
    }

    /// Returns the number of files of the result.
    pub const fn shards(&self) -> u32 {
        self.shards
    }

    /// Returns the tensors in the order of the result.
    pub fn tensors(&self) -> &[PlannedTensor] {
        &self.tensors
    }

    /// Returns the warnings to read before running the plan.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the bytes of all tensors in the source.
    pub fn stored_bytes(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.stored_bytes))
    }

    /// Returns the bytes of all tensors in the result, without padding.
    pub fn target_bytes(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.target_bytes))
    }

    /// Returns the bytes of all files of the result, headers and padding included.
    ///
    /// # Errors
    /// If a header cannot be laid out.
    pub fn file_bytes(&self) -> Result<u64, Error> {
        let drafts = self.drafts()?;
        let bytes = drafts.iter().map(|draft| draft.header().len() as u64 + draft.data_bytes());
        Ok(bytes.sum())
    }

    /// Returns the tensors whose rows do not fit the chosen type, with the extra bytes that the
    /// fallback type costs (negative if it saves some).
    pub fn fallbacks(&self) -> impl Iterator<Item = (&PlannedTensor, i64)> {
        self.tensors.iter().filter_map(|tensor| Some((tensor, tensor.fallback_bytes()?)))
    }
}

impl PlannedTensor {
    /// Returns whether the bytes are copied unchanged.
    pub fn is_copied(&self) -> bool {
        self.stored == self.target
    }

    /// Returns the bytes that the tensor needs beyond those that the chosen type would need if it
    /// fitted; `None` if the tensor has the chosen type.
    pub fn fallback_bytes(&self) -> Option<i64> {
        let wanted = self.wanted?;
        let values = u128::from(self.shape.values()?);
        let bytes = (values * wanted.block_bytes() as u128).div_ceil(wanted.block_values() as u128);
        i64::try_from(i128::from(self.target_bytes) - i128::try_from(bytes).ok()?).ok()
    }
}

/// Returns the bytes of a tensor; `None` if its type is unknown, rows are not whole blocks, or the
/// number overflows.
pub(crate) fn tensor_bytes(shape: &Shape, ty: TensorType) -> Option<u64> {
    ty.known()?.row_bytes(shape.row())?.checked_mul(shape.rows()?)
}

/// Returns the number of weights that an importance matrix has for a tensor: one for each column of
/// each matrix.
fn importance_values(shape: &Shape) -> u64 {
    let matrices = shape.dimensions().get(2).copied().unwrap_or(1);
    shape.row().saturating_mul(matrices)
}

/// Serialization of shapes as lists of dimensions.
mod shape {
    use granule_format::Shape;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(shape: &Shape, to: S) -> Result<S::Ok, S::Error> {
        shape.dimensions().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Shape, D::Error> {
        let dimensions = Vec::<u64>::deserialize(from)?;
        Shape::new(&dimensions).ok_or_else(|| D::Error::custom("more than four dimensions"))
    }
}
