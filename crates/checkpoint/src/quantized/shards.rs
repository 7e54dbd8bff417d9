//! Tensors whose rows are those of several processors, one after the other. Each processor has
//! scales for blocks of its own rows, and the last block of each may be cut short.

use super::{Fault, Joiner, fault, is_float8, scaled};
use crate::Problem;
use crate::stored::StoredTensor;

/// Numbers of processors, in the order in which they are tried. The reference knows the first two.
const SHARDS: &[u64] = &[8, 4, 2, 1];

/// The block that shares a scale if the checkpoint does not say.
const BLOCK: [u64; 2] = [128, 128];

impl Joiner<'_> {
    /// Returns the number of processors for numbers that may have rows of several.
    pub(super) fn shards_of(&self, numbers: &StoredTensor) -> Option<u64> {
        self.shards.filter(|_| is_float8(numbers.ty) && (self.sharded)(&numbers.name))
    }

    /// Returns the block that shares a scale.
    pub(super) fn shard_block(&self) -> [u64; 2] {
        self.block.as_deref().and_then(|block| block.try_into().ok()).unwrap_or(BLOCK)
    }

    /// Finds the number of processors that fits all tensors that may have rows of several; `None`
    /// if there are no such tensors, or if they have scales for whole rows.
    pub(super) fn find_shards(&self) -> Result<Option<u64>, Fault> {
        let pairs = self.slots.iter().flatten().filter_map(|scales| {
            let numbers = self.get(&self.numbers_of(&scales.name)?)?;
            let sharded = is_float8(numbers.ty) && (self.sharded)(&numbers.name);
            let in_blocks = || !scaled::fits(&numbers.shape, &scales.shape, None);
            (sharded && in_blocks()).then_some((scales, numbers))
        });
        let pairs: Vec<_> = pairs.collect();
        let Some((scales, numbers)) = pairs.first() else { return Ok(None) };
        let block = self.shard_block();
        let found =
            find(pairs.iter().map(|(scales, of)| [&of.shape[..], &scales.shape[..]]), block);
        found.map(Some).ok_or_else(|| fault(scales, shapes(numbers, scales, block)))
    }
}

/// Makes the tensor of products of numbers and scales of several processors.
pub(super) fn scale(
    numbers: StoredTensor,
    scales: StoredTensor,
    shards: u64,
    block: [u64; 2],
) -> Result<StoredTensor, Problem> {
    let problem = shapes(&numbers, &scales, block);
    let shape = numbers.shape.clone();
    let (Some(of_numbers), Some(of_scales)) = (split(&shape, shards), split(&scales.shape, shards))
    else {
        return Err(problem);
    };
    let numbers = StoredTensor { shape: of_numbers, ..numbers };
    let scales = StoredTensor { shape: of_scales, ..scales };
    let joined = scaled::scale(numbers, scales, None, Some(&block), None);
    Ok(StoredTensor { shape, ..joined.map_err(|_| problem)? })
}

/// Finds the number of processors that fits all numbers and scales, given their dimensions.
fn find<'a>(
    pairs: impl Iterator<Item = [&'a [u64]; 2]> + Clone,
    [height, width]: [u64; 2],
) -> Option<u64> {
    let fits = |[numbers, scales]: [&[u64]; 2], shards| {
        let shape = split(numbers, shards).unwrap_or_default();
        let [_, rows, columns] = shape[..] else { return false };
        let blocks = rows.div_ceil(height).checked_mul(shards);
        blocks.is_some_and(|blocks| *scales == [blocks, columns.div_ceil(width)])
    };
    SHARDS.iter().copied().find(|shards| pairs.clone().all(|pair| fits(pair, *shards)))
}

/// A matrix as one for each processor.
fn split(shape: &[u64], shards: u64) -> Option<Vec<u64>> {
    let [rows, columns] = shape else { return None };
    rows.is_multiple_of(shards).then(|| vec![shards, rows / shards, *columns])
}

fn shapes(numbers: &StoredTensor, scales: &StoredTensor, block: [u64; 2]) -> Problem {
    Problem::ScaleShape {
        found: scales.shape.clone(),
        numbers: numbers.shape.clone(),
        block: block.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scales_tell_the_number_of_processors() {
        let found = |pairs: &[[[u64; 2]; 2]]| {
            let pairs = pairs.iter().map(|[numbers, scales]| [&numbers[..], &scales[..]]);
            find(pairs, BLOCK)
        };
        assert_eq!(found(&[[[1152, 300], [12, 3]]]), Some(4));
        assert_eq!(found(&[[[1152, 300], [9, 3]]]), Some(1));
        assert_eq!(found(&[[[1152, 300], [16, 3]]]), Some(8));
        assert_eq!(found(&[[[1152, 300], [16, 2]]]), None);
        assert_eq!(found(&[[[1152, 300], [15, 3]]]), None);
        // Where the first fits eight, the second decides.
        assert_eq!(found(&[[[832, 128], [8, 1]], [[1152, 128], [12, 1]]]), Some(4));
    }
}
