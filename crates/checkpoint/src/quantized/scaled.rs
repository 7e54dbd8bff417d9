//! Tensors of small numbers with scales. The values are their products as `f32`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::{Data, Joined, StoredTensor};
use crate::{Error, Problem, QuantizedProblem};

/// Numbers and their scales.
#[derive(Clone, Debug, Hash)]
pub(super) struct Scaled {
    numbers: StoredTensor,
    scales: StoredTensor,
    /// Numbers to subtract, in the layout of the scales.
    zeros: Option<StoredTensor>,
    /// The bits of another factor, which is applied last.
    factor: Option<u32>,
    /// For each dimension of the numbers, the count of consecutive indices that share a scale;
    /// `None` if all do.
    runs: Vec<Option<u64>>,
}

/// Makes the tensor of products, with the name and shape of the numbers.
///
/// `block` holds how many numbers share a scale in each of the last dimensions of the scales; the
/// last block of a dimension may be cut short. Without it, a scale covers one index of a dimension.
/// Trailing dimensions that the scales lack, or in which they have length 1, share one scale. If
/// nothing else fits, scales divide the rows into groups of equal size. `zeros` are subtracted
/// first, `factor` is applied last.
pub(super) fn scale(
    numbers: StoredTensor,
    scales: StoredTensor,
    zeros: Option<StoredTensor>,
    block: Option<&[u64]>,
    factor: Option<f32>,
) -> Result<StoredTensor, Problem> {
    let factor = factor.map(f32::to_bits);
    let runs = runs(&numbers.shape, &scales.shape, block).ok_or_else(|| Problem::ScaleShape {
        found: scales.shape.clone(),
        numbers: numbers.shape.clone(),
        block: block.unwrap_or_default().to_vec(),
    })?;
    if let Some(zeros) = &zeros
        && zeros.shape != scales.shape
    {
        let problem = QuantizedProblem::ZeroShape {
            found: zeros.shape.clone(),
            scales: scales.shape.clone(),
            other: zeros.name.clone(),
        };
        return Err(problem.into());
    }
    let too_large = || Problem::TooLarge(numbers.shape.clone());
    numbers.values().checked_mul(DataType::F32.bytes()).ok_or_else(too_large)?;
    Ok(StoredTensor {
        name: numbers.name.clone(),
        ty: DataType::F32,
        shape: numbers.shape.clone(),
        file: numbers.file,
        data: Data::Joined(Arc::new(Scaled { numbers, scales, zeros, factor, runs })),
    })
}

/// Block sizes to try if nothing specifies one; the same in both dimensions.
pub(super) const BLOCKS: &[u64] = &[16, 32, 64, 128, 256, 512];

/// Returns whether scales of this shape match numbers of that shape.
pub(super) fn fits(numbers: &[u64], scales: &[u64], block: Option<&[u64]>) -> bool {
    runs(numbers, scales, block).is_some()
}

/// A failed check of scales.
pub(super) enum Bad {
    /// A scale is invalid.
    Scale(Problem),
    /// The scales cannot be read.
    File(Error),
}

/// Checks that every scale is finite, and not zero if it is a divisor.
pub(super) fn check_scales(
    scales: &StoredTensor,
    divisor: bool,
    files: &[DataFile],
) -> Result<(), Bad> {
    let good = |value: f32| value.is_finite() && !(divisor && value == 0.0);
    match first(scales, files, |value| !good(value)).map_err(Bad::File)? {
        Some((index, value)) => Err(Bad::Scale(Problem::Scale { index, value })),
        None => Ok(()),
    }
}

/// Returns whether a value of a tensor meets a condition.
pub(super) fn any(
    tensor: &StoredTensor,
    files: &[DataFile],
    holds: impl Fn(f32) -> bool,
) -> Result<bool, Error> {
    first(tensor, files, holds).map(|found| found.is_some())
}

/// Finds the first value of a tensor that meets a condition, and its index.
pub(crate) fn first(
    tensor: &StoredTensor,
    files: &[DataFile],
    holds: impl Fn(f32) -> bool,
) -> Result<Option<(u64, f32)>, Error> {
    const AT_ONCE: u64 = 1 << 16;
    let (all, size) = (tensor.values(), tensor.ty.bytes());
    let mut bytes = Vec::new();
    for start in (0..all).step_by(AT_ONCE as usize) {
        bytes.resize((AT_ONCE.min(all - start) * size) as usize, 0);
        tensor.read(files, start * size, &mut bytes)?;
        let values = tensor.ty.widen(&bytes);
        if let Some(at) = values.iter().position(|value| holds(*value)) {
            return Ok(Some((start + at as u64, values[at])));
        }
    }
    Ok(None)
}

/// Computes [`Scaled::runs`]; `None` if the shapes do not match. If block scales are expected, some
/// scales may still be for whole rows.
fn runs(numbers: &[u64], scales: &[u64], block: Option<&[u64]>) -> Option<Vec<Option<u64>>> {
    let in_blocks = block.and_then(|block| block_runs(numbers, scales, Some(block)));
    in_blocks.or_else(|| block_runs(numbers, scales, None)).or_else(|| group_runs(numbers, scales))
}

/// Divides the last dimension into as many groups as there are scales.
fn group_runs(numbers: &[u64], scales: &[u64]) -> Option<Vec<Option<u64>>> {
    let ([outer @ .., columns], [before @ .., groups]) = (numbers, scales) else { return None };
    let fits = outer == before && *groups > 0 && columns.is_multiple_of(*groups);
    fits.then(|| [vec![Some(1); outer.len()], vec![Some(columns / groups)]].concat())
}

fn block_runs(numbers: &[u64], scales: &[u64], block: Option<&[u64]>) -> Option<Vec<Option<u64>>> {
    if scales.iter().all(|length| *length == 1) {
        return (scales.len() <= numbers.len()).then(|| vec![None; numbers.len()]);
    }
    let block = block.unwrap_or_default();
    let unblocked = scales.len().checked_sub(block.len())?;
    if scales.len() > numbers.len() || (!block.is_empty() && scales.len() < numbers.len()) {
        return None;
    }
    let of_dimension = |(dimension, length): (usize, &u64)| {
        let Some(scales) = scales.get(dimension) else { return Some(None) };
        let run = if dimension < unblocked { 1 } else { block[dimension - unblocked] };
        let covered = scales.checked_mul(run)?;
        // More scales than needed belong to other numbers.
        let fits = run > 0 && covered >= *length && covered - length < run;
        match (covered, fits) {
            (1, _) => Some(None),
            (_, true) => Some(Some(run)),
            _ => None,
        }
    };
    numbers.iter().enumerate().map(of_dimension).collect()
}

impl Joined for Scaled {
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let first = start / DataType::F32.bytes();
        let count = out.len() as u64 / DataType::F32.bytes();
        let size = self.numbers.ty.bytes();
        let mut bytes = vec![0; (count * size) as usize];
        self.numbers.read(files, first * size, &mut bytes)?;
        let numbers = self.numbers.ty.widen(&bytes);

        let columns = self.numbers.columns();
        let run = self.runs.last().copied().flatten();
        let mut scales = RowOfScales::new(&self.scales, run.is_some());
        let mut zeros = self.zeros.as_ref().map(|zeros| RowOfScales::new(zeros, run.is_some()));
        let factor = self.factor.map(f32::from_bits);
        let mut rest = &numbers[..];
        let mut out = out.as_chunks_mut::<4>().0.iter_mut();
        let mut at = first;
        while !rest.is_empty() {
            let column = at % columns;
            let here = (columns - column).min(rest.len() as u64);
            let (row, after) = rest.split_at(here as usize);
            let scale_row = self.scale_row(at / columns);
            let scales = scales.of_row(files, scale_row)?;
            let zeros = match &mut zeros {
                Some(zeros) => zeros.of_row(files, scale_row)?,
                None => &[],
            };
            for (column, (number, out)) in (column..).zip(row.iter().zip(&mut out)) {
                let index = run.map_or(0, |run| column / run) as usize;
                let number = number - zeros.get(index).copied().unwrap_or_default();
                let product = number * scales[index];
                *out = factor.map_or(product, |factor| product * factor).to_le_bytes();
            }
            at += here;
            rest = after;
        }
        Ok(())
    }

    fn is_float8(&self) -> bool {
        matches!(self.numbers.ty, DataType::F8E4M3 | DataType::F8E5M2)
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        let factors = [&self.scales].into_iter().chain(&self.zeros);
        factors.chain([&self.numbers]).collect()
    }

    fn fingerprint(&self, mut into: &mut dyn Hasher) {
        ("scaled", self).hash(&mut into);
    }
}

impl Scaled {
    /// Returns the row of the scales that belongs to a row of numbers.
    fn scale_row(&self, mut row: u64) -> u64 {
        let mut scale_row = 0;
        let mut step = 1;
        let outer = self.numbers.shape.len().saturating_sub(1);
        let at = |dimension: usize| self.scales.shape.get(dimension).copied().unwrap_or(1);
        for dimension in (0..outer).rev() {
            let index = row % self.numbers.shape[dimension];
            row /= self.numbers.shape[dimension];
            if let Some(run) = self.runs[dimension] {
                scale_row += index / run * step;
            }
            step *= at(dimension);
        }
        scale_row
    }
}

/// The scales of the most recently requested row.
struct RowOfScales<'a> {
    scales: &'a StoredTensor,
    /// Scales per row of numbers.
    length: u64,
    current: Option<u64>,
    values: Vec<f32>,
}

impl<'a> RowOfScales<'a> {
    fn new(scales: &'a StoredTensor, by_column: bool) -> Self {
        let length = if by_column { scales.columns() } else { 1 };
        Self { scales, length, current: None, values: Vec::new() }
    }

    fn of_row(&mut self, files: &[DataFile], row: u64) -> Result<&[f32], Error> {
        if self.current != Some(row) {
            let size = self.scales.ty.bytes();
            let mut bytes = vec![0; (self.length * size) as usize];
            self.scales.read(files, row * self.length * size, &mut bytes)?;
            self.values = self.scales.ty.widen(&bytes);
            self.current = Some(row);
        }
        Ok(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_scales() {
        const BLOCK: Option<&[u64]> = Some(&[128, 128]);
        type Case<'a> = (&'a [u64], &'a [u64], Option<&'a [u64]>, Option<&'a [Option<u64>]>);
        let cases: &[Case<'_>] = &[
            (&[300, 129], &[3, 2], BLOCK, Some(&[Some(128), Some(128)])),
            (&[5, 300, 129], &[5, 3, 2], BLOCK, Some(&[Some(1), Some(128), Some(128)])),
            (&[300, 129], &[3, 1], BLOCK, None),
            (&[300, 128], &[3, 1], BLOCK, Some(&[Some(128), Some(128)])),
            (&[300, 129], &[2, 2], BLOCK, None),
            (&[300, 129], &[4, 2], BLOCK, None),
            (&[300, 129], &[3], BLOCK, None),
            (&[300, 129], &[], BLOCK, Some(&[None, None])),
            (&[300, 129], &[], None, Some(&[None, None])),
            (&[300, 129], &[1], None, Some(&[None, None])),
            (&[300, 129], &[300], None, Some(&[Some(1), None])),
            (&[300, 129], &[300, 1], None, Some(&[Some(1), None])),
            (&[300, 129], &[1, 129], None, Some(&[None, Some(1)])),
            (&[300, 129], &[129], None, None),
            (&[300, 129], &[1, 300, 1], None, None),
            (&[300, 129], &[0], None, None),
            (&[300, 129], &[300, 1], BLOCK, Some(&[Some(1), None])),
            (&[300, 129], &[300, 3], None, Some(&[Some(1), Some(43)])),
            (&[300, 129], &[300, 2], None, None),
            (&[300, 129], &[3, 2], Some(&[128, 0]), None),
            (&[300, 129], &[3, 2], Some(&[1, 128, 128]), None),
        ];
        for (numbers, scales, block, expected) in cases {
            let found = runs(numbers, scales, *block);
            assert_eq!(found.as_deref(), *expected, "{numbers:?} {scales:?} {block:?}");
        }
    }
}
