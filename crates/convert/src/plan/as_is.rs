use granule_format::{Endian, FileType};
use granule_reader::Source;

use super::decide::no_size;
use super::metadata::{apply, shard_edits};
use super::{Plan, PlannedTensor, Reason, split, tensor_bytes, validity};
use crate::Error;
use crate::recipe::{Recipe, Split};

/// Decides for [`Plan::as_is`].
pub(super) fn as_is(
    source: &dyn Source,
    split: &Split,
    allow_invalid: bool,
) -> Result<Plan, Error> {
    let mut tensors = Vec::with_capacity(source.tensors().len());
    for (index, tensor) in source.tensors().iter().enumerate() {
        let bytes = tensor_bytes(&tensor.shape, tensor.ty)
            .ok_or_else(|| no_size(&tensor.name, &tensor.shape, tensor.ty))?;
        tensors.push(PlannedTensor {
            name: tensor.name.clone(),
            source: index,
            source_name: tensor.name.clone(),
            shape: tensor.shape,
            stored: tensor.ty,
            target: tensor.ty,
            reason: Reason::Copied,
            wanted: None,
            weighted: false,
            calibrated: false,
            stored_bytes: bytes,
            target_bytes: bytes,
            shard: 0,
        });
    }
    let shards = split::assign(&mut tensors, split)?;
    let mut edits = Vec::new();
    if shards > 1 {
        edits.extend(shard_edits(0, shards, tensors.len()));
    }
    let mut recipe = Recipe::new(FileType::COPY);
    recipe.split = *split;
    recipe.allow_invalid = allow_invalid;
    let metadata = apply(&edits, source.metadata().clone());
    let endian = Endian::Little;
    let warnings = Vec::new();
    let mut plan = Plan { recipe, edits, metadata, tensors, shards, endian, warnings };
    match validity::check(&mut plan, source).into_iter().next() {
        Some(problem) => Err(problem.into()),
        None => Ok(plan),
    }
}
