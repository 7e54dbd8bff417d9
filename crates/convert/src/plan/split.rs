use super::{PlanError, PlannedTensor};
use crate::recipe::Split;

/// The largest number of files that the keys of a split set can count.
pub(super) const MOST_SHARDS: u32 = 65_535;

/// Assigns the tensors to files, in their order, and returns the number of files.
///
/// Works like `convert_hf_to_gguf.py`: a file that already has a tensor is closed when the next one
/// would exceed a limit.
pub(super) fn assign(tensors: &mut [PlannedTensor], split: &Split) -> Result<u32, PlanError> {
    let mut shard = u64::from(split.no_tensor_first);
    let (mut bytes, mut count) = (0_u64, 0_u64);
    for tensor in tensors {
        let size = tensor.target_bytes;
        let too_many = split.max_tensors.is_some_and(|most| count >= most.get());
        let too_large = split.max_bytes.is_some_and(|most| bytes.saturating_add(size) > most.get());
        if count > 0 && (too_many || too_large) {
            shard += 1;
            (bytes, count) = (0, 0);
        }
        // too many files are refused below
        tensor.shard = u32::try_from(shard).unwrap_or(u32::MAX);
        bytes = bytes.saturating_add(size);
        count += 1;
    }
    match u32::try_from(shard + 1) {
        Ok(files) if files <= MOST_SHARDS => Ok(files),
        _ => Err(PlanError::TooManyFiles { files: shard + 1, most: MOST_SHARDS }),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use granule_format::{BlockType, Shape};

    use super::*;
    use crate::plan::Reason;

    fn tensor(target_bytes: u64) -> PlannedTensor {
        PlannedTensor {
            name: String::new(),
            source: 0,
            source_name: String::new(),
            shape: Shape::new(&[1]).expect("one dimension"),
            stored: BlockType::F32.into(),
            target: BlockType::F32.into(),
            reason: Reason::Default,
            wanted: None,
            weighted: false,
            calibrated: false,
            stored_bytes: 4,
            target_bytes,
            shard: 0,
        }
    }

    fn shards(sizes: &[u64], bytes: u64, count: u64, no_tensor_first: bool) -> (u32, Vec<u32>) {
        let mut tensors: Vec<_> = sizes.iter().map(|size| tensor(*size)).collect();
        let (max_bytes, max_tensors) = (NonZeroU64::new(bytes), NonZeroU64::new(count));
        let split = Split { max_bytes, max_tensors, no_tensor_first };
        let files = assign(&mut tensors, &split).expect("few files");
        (files, tensors.iter().map(|tensor| tensor.shard).collect())
    }

    #[test]
    fn limits() {
        let sizes = [10, 20, 30, 100, 5, 5];
        assert_eq!(shards(&sizes, 0, 0, false), (1, vec![0; 6]));
        assert_eq!(shards(&sizes, 30, 0, false), (4, vec![0, 0, 1, 2, 3, 3]));
        assert_eq!(shards(&sizes, 29, 0, false), (5, vec![0, 1, 2, 3, 4, 4]));
        assert_eq!(shards(&sizes, 0, 4, false), (2, vec![0, 0, 0, 0, 1, 1]));
        assert_eq!(shards(&sizes, 60, 2, false), (4, vec![0, 0, 1, 2, 3, 3]));
        assert_eq!(shards(&sizes, 0, 0, true), (2, vec![1; 6]));
        assert_eq!(shards(&sizes, 1, 0, true), (7, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(shards(&[], 1, 0, false), (1, vec![]));
    }

    #[test]
    fn too_many_files() {
        let mut tensors = vec![tensor(1); 65_536];
        let split = Split { max_tensors: NonZeroU64::new(1), ..Split::NONE };
        let error = assign(&mut tensors, &split).expect_err("too many");
        assert_eq!(error, PlanError::TooManyFiles { files: 65_536, most: 65_535 });
        assert_eq!(assign(&mut tensors[1..], &split), Ok(65_535));
    }
}
