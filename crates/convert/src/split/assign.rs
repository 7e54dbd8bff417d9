//! Which tensors go to which file.

use std::collections::HashMap;

use granule_reader::Model;

use super::{Limit, SplitError, SplitOptions};
use crate::mixture::block_number;

/// Bytes that the reference pads tensors to when it adds up their sizes, whatever the alignment.
const PADDING: u64 = 32;

/// The tensors of each file, by their place in the source.
pub(super) fn assign(model: &Model, options: &SplitOptions) -> Result<Vec<Vec<usize>>, SplitError> {
    let tensors = model.tensors().map(|tensor| {
        let bytes = tensor.info().bytes().unwrap_or(0);
        (tensor.name(), bytes.checked_next_multiple_of(PADDING).unwrap_or(u64::MAX))
    });
    let tensors: Vec<_> = tensors.collect();
    let mut files = match options.limit {
        Limit::Layers(most) => by_layers(&tensors, most.get()),
        Limit::Tensors(most) => by_tensors(&tensors, most.get()),
        Limit::Bytes(most) => by_bytes(&tensors, most.get()),
    };
    if options.no_tensor_first {
        files.insert(0, Vec::new());
    }
    match files.len() as u64 {
        0 => Ok(vec![Vec::new()]),
        count if count <= super::MOST_FILES => Ok(files),
        files => Err(SplitError::TooManyFiles { files }),
    }
}

fn by_tensors(tensors: &[(&str, u64)], most: u64) -> Vec<Vec<usize>> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let all: Vec<usize> = (0..tensors.len()).collect();
    all.chunks(most).map(<[usize]>::to_vec).collect()
}

fn by_bytes(tensors: &[(&str, u64)], most: u64) -> Vec<Vec<usize>> {
    let mut files: Vec<Vec<usize>> = Vec::new();
    let mut sum = 0_u64;
    for (index, (_, bytes)) in tensors.iter().enumerate() {
        match files.last_mut() {
            Some(file) if sum.saturating_add(*bytes) <= most => {
                file.push(index);
                sum += bytes;
            }
            _ => {
                files.push(vec![index]);
                sum = *bytes;
            }
        }
    }
    files
}

/// A tensor that is in no layer goes where the one before it is.
fn by_layers(tensors: &[(&str, u64)], most: u64) -> Vec<Vec<usize>> {
    let mut files: Vec<Vec<usize>> = Vec::new();
    let mut file_of: HashMap<i64, usize> = HashMap::new();
    let mut last = 0;
    for (index, (name, _)) in tensors.iter().enumerate() {
        if let Some(layer) = block_number::leading(name) {
            let next = (file_of.len() as u64 / most) as usize;
            last = *file_of.entry(layer).or_insert(next);
        }
        if files.len() <= last {
            files.resize_with(last + 1, Vec::new);
        }
        files[last].push(index);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&'static str]) -> Vec<(&'static str, u64)> {
        names.iter().map(|name| (*name, 10)).collect()
    }

    #[test]
    fn a_new_file_begins_where_the_limit_is_reached() {
        let sizes: Vec<_> = [10, 20, 30, 100, 5, 5].into_iter().map(|size| ("", size)).collect();
        assert_eq!(by_bytes(&sizes, 30), [vec![0, 1], vec![2], vec![3], vec![4, 5]]);
        assert_eq!(by_bytes(&sizes, 1).len(), 6);
        assert_eq!(by_tensors(&sizes, 4), [vec![0, 1, 2, 3], vec![4, 5]]);
        assert_eq!(by_tensors(&[], 4), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn layers_stay_together() {
        let names =
            ["token_embd", "blk.0.a", "blk.0.b", "blk.1.a", "blk.2.a", "output", "blk.0.late"];
        let tensors = named(&names);
        assert_eq!(by_layers(&tensors, 1), [vec![0, 1, 2, 6], vec![3], vec![4, 5]]);
        assert_eq!(by_layers(&tensors, 2), [vec![0, 1, 2, 3, 6], vec![4, 5]]);
        assert_eq!(by_layers(&named(&["a", "b"]), 1), [vec![0, 1]]);
    }
}
