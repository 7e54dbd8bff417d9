//! The plan: what becomes of every tensor, decided before anything is read or written.

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

use granule_encode::Importance;
use granule_format::{BlockType, Draft, Endian, FileType, Metadata, Shape, TensorType};
use granule_reader::Source;
use serde::{Deserialize, Serialize};

use crate::mixture::Kept;
use crate::recipe::{Recipe, Split};
use crate::run::Target;
use crate::{Error, text};

/// What becomes of every tensor and of the metadata.
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

/// What becomes of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedTensor {
    /// Its name in the result.
    pub name: String,
    /// Which tensor of the source it is, from 0.
    pub source: usize,
    /// Its name in the source and in importance matrices.
    pub source_name: String,
    /// Its dimensions in the result, the length of a row first.
    #[serde(with = "shape")]
    pub shape: Shape,
    /// The type that it has in the source.
    #[serde(with = "text")]
    pub stored: TensorType,
    /// The type that it gets. Where it is the stored one, the bytes are copied.
    #[serde(with = "text")]
    pub target: TensorType,
    /// Why it gets that type, or the one in `wanted`.
    pub reason: Reason,
    /// The type that was chosen, if the rows are not whole blocks of it and `target` takes its place.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub wanted: Option<BlockType>,
    /// Whether it is encoded with the importance weights of its name in the source.
    pub weighted: bool,
    /// Bytes in the source.
    pub stored_bytes: u64,
    /// Bytes in the result, without padding.
    pub target_bytes: u64,
    /// Which file of a split set it is written to, from 0.
    #[serde(default)]
    pub shard: u32,
}

/// Why a tensor gets its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Every tensor is copied.
    Copied,
    /// It is never converted.
    Kept(Kept),
    /// It is the default of the file type.
    Default,
    /// A rule of the mixture, in words.
    Rule(String),
    /// `--token-embedding-type`.
    TokenEmbeddingType,
    /// `--output-tensor-type`.
    OutputTensorType,
    /// `--tensor-type` with this pattern.
    Pattern(String),
    /// A program has chosen it, with [`Plan::set_type`]: its reason.
    Edited(String),
}

/// Something to know before the plan is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The architecture is not known: the types were chosen by names and shapes.
    UnknownArchitecture(String),
    /// The metadata does not say how many blocks the model has: they were counted from the names.
    CountedBlocks(u32),
    /// What would be an error but for `--allow-missing`.
    Allowed(String),
    /// The source is no valid file, and so the result is none; or it lacks tensors. In words.
    SourceInvalid(String),
}

impl Plan {
    /// Decide what becomes of every tensor of `source`.
    ///
    /// # Errors
    /// If the recipe cannot be carried out on this source with this importance matrix. Nothing but names,
    /// shapes and types was looked at; what is wrong with the values shows when the plan runs. The files
    /// that would be written are checked by the rules of [`mod@granule_format::check`]: if they are not valid,
    /// that is an error, unless the source is a file that has the same fault already.
    pub fn new(
        source: &dyn Source,
        recipe: &Recipe,
        importance: Option<&Importance>,
    ) -> Result<Self, Error> {
        let (plan, mut problems) = Self::preview(source, recipe, importance)?;
        if problems.is_empty() { Ok(plan) } else { Err(problems.swap_remove(0).into()) }
    }

    /// The plan, and everything that stands in the way of running it.
    ///
    /// # Errors
    /// If there is no telling what becomes of a tensor.
    pub fn preview(
        source: &dyn Source,
        recipe: &Recipe,
        importance: Option<&Importance>,
    ) -> Result<(Self, Vec<PlanError>), Error> {
        decide::decide(source, recipe, importance)
    }

    /// Write everything as it is in the source: metadata, order, shapes, types; in as many files as `split` makes.
    ///
    /// # Errors
    /// If the size of a tensor is not known, or there would be too many files.
    pub fn as_is(source: &dyn Source, split: &Split) -> Result<Self, Error> {
        decide::as_is(source, split)
    }

    /// The same, with files in this byte order instead of little-endian.
    #[must_use]
    pub const fn with_endian(mut self, endian: Endian) -> Self {
        self.endian = endian;
        self
    }

    /// What was asked for.
    pub const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What the file is quantized to.
    pub const fn file_type(&self) -> FileType {
        self.recipe.file_type
    }

    /// The metadata of the result; of its first file if there are several.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The metadata of one file of the result; files after the first have only their numbers.
    pub fn shard_metadata(&self, shard: u32) -> Metadata {
        if shard == 0 {
            return self.metadata.clone();
        }
        let edits = metadata::shard_edits(shard, self.shards, self.tensors.len());
        metadata::apply(&edits, Metadata::new())
    }

    /// The header of every file of the result.
    ///
    /// # Errors
    /// If one cannot be laid out.
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

    /// Where the rows of every tensor go when the [`drafts`](Self::drafts) are the files from `first_file` on.
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
            Target { source: tensor.source, file: first_file + shard, tensor: place, weights }
        };
        self.tensors.iter().map(target).collect()
    }

    /// How many files the result has.
    pub const fn shards(&self) -> u32 {
        self.shards
    }

    /// The tensors in the order of the result.
    pub fn tensors(&self) -> &[PlannedTensor] {
        &self.tensors
    }

    /// What to know before running the plan.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Bytes of all tensors in the source.
    pub fn stored_bytes(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.stored_bytes))
    }

    /// Bytes of all tensors in the result, without padding.
    pub fn target_bytes(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.target_bytes))
    }

    /// The tensors whose rows do not fit the type that was chosen, with the bytes that the other type costs
    /// (fewer than 0 if it saves some).
    pub fn fallbacks(&self) -> impl Iterator<Item = (&PlannedTensor, i64)> {
        self.tensors.iter().filter_map(|tensor| Some((tensor, tensor.fallback_bytes()?)))
    }
}

impl PlannedTensor {
    /// Whether the bytes are copied as they are.
    pub fn is_copied(&self) -> bool {
        self.stored == self.target
    }

    /// Bytes that the tensor takes more than it would in the type that was chosen for it, if it could be
    /// stored so; `None` if the chosen type was taken.
    pub fn fallback_bytes(&self) -> Option<i64> {
        let wanted = self.wanted?;
        let values = u128::from(self.shape.values()?);
        let bytes = (values * wanted.block_bytes() as u128).div_ceil(wanted.block_values() as u128);
        i64::try_from(i128::from(self.target_bytes) - i128::try_from(bytes).ok()?).ok()
    }
}

/// Bytes of a tensor; `None` if its type is unknown, rows are not whole blocks, or the number does not fit.
pub(crate) fn tensor_bytes(shape: &Shape, ty: TensorType) -> Option<u64> {
    ty.known()?.row_bytes(shape.row())?.checked_mul(shape.rows()?)
}

/// Weights that an importance matrix has for a tensor: one for each column of each matrix.
fn importance_values(shape: &Shape) -> u64 {
    let matrices = shape.dimensions().get(2).copied().unwrap_or(1);
    shape.row().saturating_mul(matrices)
}

/// Shapes as lists of dimensions.
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
