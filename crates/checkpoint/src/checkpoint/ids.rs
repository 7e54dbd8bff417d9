//! Tables of token ids, which checkpoints store as differences from their position: the tokens of a
//! draft model's smaller vocabulary in that of its target.

use std::collections::HashSet;

use crate::data_type::DataType;
use crate::weights::Weights;
use crate::{DraftProblem, Error};

/// Checks that a table of differences gives different ids, all below `limit`.
pub(super) fn check(weights: &Weights, index: usize, limit: u64) -> Result<(), Error> {
    let tensor = &weights.tensors()[index];
    let fail = |problem: DraftProblem| {
        Error::of_tensor(weights.path(tensor), &tensor.name, problem.into())
    };
    let mut bytes = Vec::new();
    weights.read(tensor, 0, (tensor.values() * tensor.ty.bytes()) as usize, &mut bytes)?;
    let integers = tensor.ty.integers(&bytes);
    let integers = integers.ok_or_else(|| fail(DraftProblem::NoIntegers(tensor.ty.name())))?;
    let mut seen = HashSet::new();
    for (position, value) in integers.into_iter().enumerate() {
        let id = value.wrapping_add(position as i64);
        let why = if !u64::try_from(id).is_ok_and(|id| id < limit) {
            format!("but there are {limit} tokens")
        } else if !seen.insert(id) {
            "as does an entry before it".to_owned()
        } else {
            continue;
        };
        return Err(fail(DraftProblem::WrongId { position: position as u64, id, why }));
    }
    Ok(())
}

/// Appends the ids for the differences in `bytes`. The first difference has this position.
pub(super) fn write(ty: DataType, bytes: &[u8], first: u64, out: &mut Vec<u8>) {
    let integers = ty.integers(bytes).expect("the table was checked");
    for (value, position) in integers.into_iter().zip(first..) {
        out.extend(value.wrapping_add(position as i64).to_le_bytes());
    }
}
