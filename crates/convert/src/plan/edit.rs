//! Changes to an existing plan.

use granule_encode::Importance;
use granule_format::BlockType;

use super::metadata::{Edit, SPLIT_KEYS, shard_edits};
use super::saved::check_weights;
use super::{Plan, PlanError, PlannedTensor, Reason, importance_values, split, tensor_bytes};
use crate::mixture::fallback::can_be_chosen;

impl Plan {
    /// Gives another type to the tensor called `name` in the result. Sizes are updated, and so is
    /// the distribution over the files of a split set, unless the source's own is kept. `reason` is
    /// shown with the tensor.
    ///
    /// `importance` is the matrix that the plan was made with, if any. If it has weights for the
    /// tensor, the tensor is encoded with them.
    ///
    /// # Errors
    /// If there is no such tensor, its rows are not whole blocks of the type, tensors cannot be
    /// converted to the type, the tensor is already quantized and the recipe does not allow
    /// quantizing it again, weights are missing or have the wrong size, or there would be too many
    /// files. The plan is then unchanged.
    pub fn set_type(
        &mut self,
        name: &str,
        ty: BlockType,
        reason: impl Into<String>,
        importance: Option<&Importance>,
    ) -> Result<(), PlanError> {
        let index = self.tensors.iter().position(|tensor| tensor.name == name);
        let index = index.ok_or_else(|| PlanError::NoSuchTensor { tensor: name.to_owned() })?;
        self.set_types([(index, ty, reason.into())], importance)
    }

    /// Gives other types to several tensors, by their places in the plan.
    ///
    /// # Errors
    /// As [`set_type`](Self::set_type).
    pub(crate) fn set_types(
        &mut self,
        changes: impl IntoIterator<Item = (usize, BlockType, String)>,
        importance: Option<&Importance>,
    ) -> Result<(), PlanError> {
        let mut tensors = self.tensors.clone();
        for (index, ty, reason) in changes {
            self.change(&mut tensors[index], ty, reason, importance)?;
        }
        let mut shards = self.shards;
        if !self.recipe.keep_split {
            shards = split::assign(&mut tensors, &self.recipe.split)?;
        }
        self.tensors = tensors;
        self.set_shards(shards);
        Ok(())
    }

    fn change(
        &self,
        tensor: &mut PlannedTensor,
        ty: BlockType,
        reason: String,
        importance: Option<&Importance>,
    ) -> Result<(), PlanError> {
        let owned = || tensor.name.clone();
        let (shape, target) = (tensor.shape, ty.into());
        let size = PlanError::Size { tensor: owned(), shape, ty: target };
        tensor.target_bytes = tensor_bytes(&shape, target).ok_or(size)?;
        (tensor.target, tensor.wanted) = (target, None);
        tensor.reason = Reason::Edited(reason);
        tensor.weighted = false;
        if tensor.is_copied() {
            return Ok(());
        }
        let owned = || tensor.name.clone();
        if !can_be_chosen(ty) {
            return Err(PlanError::NoEncoder { tensor: owned(), ty });
        }
        if let Some(stored) = tensor.stored.known()
            && stored.is_quantized()
            && !self.recipe.allow_requantize
        {
            return Err(PlanError::Requantize { tensor: owned(), stored, target: ty });
        }
        tensor.weighted = ty.is_quantized()
            && self.recipe.weighs(&tensor.source_name)
            && importance.is_some_and(|matrix| {
                let entry = matrix.get(&tensor.source_name);
                entry.is_some_and(|entry| entry.len() as u64 == importance_values(&shape))
            });
        check_weights(tensor, importance)
    }

    /// Sets whether tensors that are quantized may be converted. Those that keep their types are
    /// not concerned.
    pub(crate) const fn allow_requantize(&mut self, allowed: bool) {
        self.recipe.allow_requantize = allowed;
    }

    /// Sets the number of files in the metadata.
    fn set_shards(&mut self, shards: u32) {
        if shards == self.shards {
            return;
        }
        self.shards = shards;
        let is_split_key = |key: &str| SPLIT_KEYS.contains(&key);
        self.edits.retain(|edit| !matches!(edit, Edit::Append(key, _) if is_split_key(key)));
        let edits: Vec<Edit> = match shards {
            1 => SPLIT_KEYS.map(|key| Edit::Remove(key.to_owned())).to_vec(),
            _ => shard_edits(0, shards, self.tensors.len()).to_vec(),
        };
        self.metadata = super::metadata::apply(&edits, std::mem::take(&mut self.metadata));
        self.edits.extend(edits);
    }
}
