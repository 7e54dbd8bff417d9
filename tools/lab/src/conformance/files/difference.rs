//! Where two files differ.

use std::fs;
use std::path::Path;

use granule_reader::Model;

/// The first difference of two files in words; `None` if they are the same.
pub(super) fn difference(expected: &Path, found: &Path) -> anyhow::Result<Option<String>> {
    let [left, right] = [fs::read(expected)?, fs::read(found)?];
    if left == right {
        return Ok(None);
    }
    let at = left.iter().zip(&right).position(|(left, right)| left != right);
    let at = at.unwrap_or(left.len().min(right.len()));
    let place = || {
        let [one, other] = [Model::open_alone(expected).ok()?, Model::open_alone(found).ok()?];
        let mut entries = one.metadata().iter().zip(other.metadata().iter());
        if let Some((one, other)) = entries.find(|(one, other)| one != other) {
            return Some(format!("key {} for {}", other.key, one.key));
        }
        let (tensors, others) = (one.tensors(), other.tensors());
        if tensors.len() != others.len() {
            return Some(format!("{} tensors, expected {}", others.len(), tensors.len()));
        }
        for (one, other) in tensors.zip(others) {
            let (left, right) = (one.info(), other.info());
            if left != right {
                return Some(format!("tensor {right:?}, expected {left:?}"));
            }
            let same = |one: granule_reader::Tensor<'_>, other: granule_reader::Tensor<'_>| {
                one.read_rows(..).ok() == other.read_rows(..).ok()
            };
            if !same(one, other) {
                return Some(format!("data of {} ({})", one.name(), one.ty()));
            }
        }
        None
    };
    let place = place().unwrap_or_else(|| "layout".to_owned());
    Ok(Some(format!("byte {at} of {}, {} expected: {place}", right.len(), left.len())))
}
