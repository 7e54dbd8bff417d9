//! Finds the smallest type that holds the values of each tensor exactly.

use granule_format::{BlockType, FileType};
use half::f16;

use super::mapping::{Assembled, Mapped};
use super::{out_type, rows};

use crate::data_type::DataType;
use crate::weights::Weights;
use crate::{Error, lattice};

/// Values to look at together.
const AT_ONCE: u64 = 1 << 16;

/// What [`OutType::Exact`](super::OutType::Exact) found out about a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exactness {
    /// The name of the tensor in the file.
    pub tensor: String,
    /// The type that holds every value exactly.
    pub ty: BlockType,
    /// Why no type of blocks does; `None` if `ty` is one.
    pub why_plain: Option<String>,
}

/// Gives every tensor the smallest type that holds its values exactly. Those that programs need in
/// full precision keep their type, and are not listed in the result.
pub(super) fn choose(weights: &Weights, mapped: &mut [Mapped]) -> Result<Vec<Exactness>, Error> {
    let mut all = Vec::new();
    for (tensor, from) in mapped {
        let Assembled::Stored { pieces, changes, .. } = from else { continue };
        let stored = &weights.tensors()[pieces[0].tensor];
        let name = tensor.name.clone();
        if let Some(ty) = stored.ty.copied() {
            all.push(Exactness { tensor: name, ty, why_plain: None });
            continue;
        }
        let integers = tensor.ty.known() == Some(BlockType::I32);
        if integers || out_type::needs_full_precision(&tensor.name, &tensor.shape) {
            continue;
        }
        let plain = match stored.ty {
            DataType::F16 | DataType::BF16 if changes.is_none() || stored.ty == DataType::F16 => {
                stored.ty.block()
            }
            _ => None,
        };
        let mut read = |rows: std::ops::Range<u64>| {
            let mut bytes = Vec::new();
            let to = rows::To { ty: BlockType::F32, encoder: None, exact: false };
            rows::read(weights, from, tensor.shape, to, rows, &mut bytes)?;
            Ok::<_, Error>(DataType::F32.widen(&bytes))
        };
        let rows = tensor.shape.rows().unwrap_or_default();
        let found = search(tensor.shape.row(), rows, plain, &mut read)?;
        tensor.ty = found.0.into();
        all.push(Exactness { tensor: name, ty: found.0, why_plain: found.1 });
    }
    Ok(all)
}

/// Finds the type for rows of this length, and the reason if it is one of plain numbers. `plain` is
/// such a type that is known to hold all values.
fn search(
    row: u64,
    rows: u64,
    plain: Option<BlockType>,
    read: &mut dyn FnMut(std::ops::Range<u64>) -> Result<Vec<f32>, Error>,
) -> Result<(BlockType, Option<String>), Error> {
    let step = (AT_ONCE / row.max(1)).max(1);
    let chunks = || (0..rows).step_by(step as usize).map(|row| row..(row + step).min(rows));
    let mut why = format!("rows of {row} values are not whole blocks of a type");
    'types: for ty in lattice::candidates(row) {
        for rows in chunks() {
            let first_row = rows.start;
            let values = read(rows)?;
            if let Some(at) = lattice::first_beyond(ty, &values) {
                let block = &values[at..(at + ty.block_values()).min(values.len())];
                let (row_of, column) = (first_row + at as u64 / row, at as u64 % row);
                let reason = lattice::reason(block);
                why = format!("row {row_of}, from column {column}: {reason}");
                continue 'types;
            }
        }
        return Ok((ty, None));
    }
    if let Some(plain) = plain {
        return Ok((plain, Some(why)));
    }
    // The reference's first choice comes first.
    let mut left = vec![BlockType::F16, BlockType::BF16];
    for rows in chunks() {
        if left.is_empty() {
            break;
        }
        let values = read(rows)?;
        left.retain(|ty| values.iter().all(|value| holds(*ty, *value)));
    }
    Ok((left.first().copied().unwrap_or(BlockType::F32), Some(why)))
}

fn holds(ty: BlockType, value: f32) -> bool {
    match ty {
        BlockType::F16 => f16::from_f32(value).to_f32().to_bits() == value.to_bits(),
        _ => value.to_bits() & 0xffff == 0,
    }
}

/// Returns the name and the number of the file type whose blocks hold most values.
pub(super) fn file_type(mapped: &[Mapped]) -> (&'static str, u32) {
    let mut values = std::collections::BTreeMap::new();
    for (tensor, _) in mapped.iter().filter(|(tensor, _)| tensor.shape.dimensions().len() > 1) {
        if let Some(ty) = tensor.ty.known() {
            *values.entry(ty).or_insert(0_u64) += tensor.shape.values().unwrap_or_default();
        }
    }
    let most = values.into_iter().max_by_key(|(_, values)| *values).map(|(ty, _)| ty);
    let of = |file_type: &&FileType| file_type.default_type() == most;
    let named = FileType::ALL.iter().find(of);
    match (most, named.and_then(|file_type| Some((file_type.name(), file_type.number()?)))) {
        (Some(BlockType::NVFP4), _) => out_type::NVFP4,
        (_, Some(found)) => found,
        _ => ("F32", 0),
    }
}
