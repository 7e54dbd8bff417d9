//! PyTorch files: zip archives of a pickle that describes tensors, and of their data.

mod archive;
mod global;
mod opcode;
mod pickle;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot read its fixture has failed")]
mod pickle_test;
mod problem;
mod rebuild;

use std::collections::HashSet;

use super::Problem;
use super::file::DataFile;
use super::stored::{Data, Entry};
use super::view::View;
use crate::Error;
use archive::Archive;
use pickle::{Storage, Tensor};
pub use problem::TorchProblem;

/// Reads the descriptions of the tensors in a file, in the order of its pickle.
pub(super) fn read(file: &DataFile) -> Result<Vec<Entry>, Error> {
    let archive = archive::open(file)?;
    let contents = pickle::read(&archive.pickle).map_err(|p| Error::in_file(file.path(), p))?;
    let mut names = HashSet::new();
    let mut entries = Vec::with_capacity(contents.tensors.len());
    for (name, tensor) in contents.tensors {
        let fail = |problem| Error::of_tensor(file.path(), name, problem);
        if !names.insert(name) {
            return Err(fail(Problem::Duplicate));
        }
        let storage = &contents.storages[tensor.storage];
        entries.push(entry(name, tensor, storage, &archive).map_err(fail)?);
    }
    Ok(entries)
}

/// Checks a tensor and locates it in the file.
fn entry(
    name: &str,
    tensor: Tensor,
    storage: &Storage<'_>,
    archive: &Archive,
) -> Result<Entry, Problem> {
    let Tensor { ty, first, dimensions, .. } = tensor;
    let shape: Vec<u64> = dimensions.iter().map(|(length, _)| *length).collect();
    let too_large = || Problem::TooLarge(shape.clone());
    let record = format!("data/{}", storage.key);
    let Some(place) = archive.storages.get(storage.key) else {
        return Err(TorchProblem::NoRecord { record }.into());
    };
    let found = place.end - place.start;
    let size = storage.ty.map_or(1, |ty| ty.bytes());
    let need = storage.numbers.checked_mul(size).ok_or_else(too_large)?;
    if need != found {
        return Err(TorchProblem::RecordLength { record, found, need }.into());
    }
    let size = ty.bytes();
    let numbers = found / size;

    let values = shape.iter().try_fold(1_u64, |values, length| values.checked_mul(*length));
    let values =
        values.filter(|values| values.checked_mul(size).is_some()).ok_or_else(too_large)?;
    let end = dimensions.iter().try_fold(first, |end, (length, stride)| {
        end.checked_add(length.saturating_sub(1).checked_mul(*stride)?)
    });
    if values > 0 && end.is_none_or(|end| end >= numbers) {
        return Err(TorchProblem::BeyondRecord { record, numbers, first, dimensions }.into());
    }
    if values > numbers {
        return Err(TorchProblem::Repeats { values, numbers }.into());
    }
    // Nothing is read of an empty tensor, wherever it begins.
    let first = if values == 0 { 0 } else { first };
    let offset = place.start + first * size;
    let big_endian = archive.big_endian && size > 1;
    let view = View { offset, size, dimensions, big_endian };
    let data = if view.is_contiguous() && !big_endian {
        Data::Range(offset)
    } else {
        Data::View(Box::new(view))
    };
    Ok(Entry { name: name.to_owned(), ty, shape, data })
}
