//! The steps of a run, in the order of execution.

use std::ops::Range;

use granule_format::{BlockType, TensorType};
use granule_reader::Source;

use super::{CHUNK_VALUES, Target};
use crate::Error;

/// A source tensor and its targets.
#[derive(Debug)]
pub(super) struct Step<'t> {
    pub(super) source: usize,
    pub(super) ty: BlockType,
    pub(super) targets: Vec<&'t Target<'t>>,
    /// Number of values in a row.
    pub(super) row: u64,
    pub(super) source_row_bytes: u64,
    rows_per_matrix: u64,
    matrices: u64,
    /// Number of rows in a chunk. Chunks do not cross matrices, because each matrix has its own
    /// weights.
    rows_per_chunk: u64,
    /// Index of the tensor's first chunk among the chunks of all tensors.
    pub(super) first_chunk: u64,
    pub(super) chunks: u64,
}

impl Step<'_> {
    pub(super) fn rows(&self) -> u64 {
        self.rows_per_matrix * self.matrices
    }

    /// Returns the matrix and the rows (counted over all matrices) of the tensor's chunk `index`.
    pub(super) fn chunk(&self, index: u64) -> (u64, Range<u64>) {
        let per_matrix = self.rows_per_matrix.div_ceil(self.rows_per_chunk);
        let (matrix, part) = (index / per_matrix, index % per_matrix);
        let start = part * self.rows_per_chunk;
        let end = (start + self.rows_per_chunk).min(self.rows_per_matrix);
        let first = matrix * self.rows_per_matrix;
        (matrix, first + start..first + end)
    }
}

/// Groups the targets by source tensor, in the order in which the tensors first appear.
pub(super) fn steps<'t>(
    source: &dyn Source,
    targets: impl Iterator<Item = &'t Target<'t>>,
) -> Result<Vec<Step<'t>>, Error> {
    let mut step_of = vec![None; source.tensors().len()];
    let mut steps: Vec<Step<'t>> = Vec::new();
    let mut chunks = 0;
    for target in targets {
        if let Some(step) = step_of[target.source] {
            let step: &mut Step<'t> = &mut steps[step];
            step.targets.push(target);
            continue;
        }
        step_of[target.source] = Some(steps.len());
        let tensor = &source.tensors()[target.source];
        let TensorType::Known(ty) = tensor.ty else {
            return Err(Error::UnknownType { tensor: tensor.name.clone(), id: tensor.ty.id() });
        };
        let row = tensor.shape.row();
        let rows_per_matrix = tensor.shape.dimensions().get(1).copied().unwrap_or(1);
        // sources have checked that rows are whole blocks and that the sizes fit, except for
        // tensors without values
        let matrices = tensor.shape.dimensions().iter().skip(2);
        let matrices = matrices.fold(1_u64, |product, count| product.saturating_mul(*count));
        let rows_per_chunk = (CHUNK_VALUES / row.max(1)).clamp(1, rows_per_matrix.max(1));
        let step = Step {
            source: target.source,
            ty,
            targets: vec![target],
            row,
            source_row_bytes: ty.row_bytes(row).unwrap_or(0),
            rows_per_matrix,
            matrices,
            rows_per_chunk,
            first_chunk: chunks,
            // empty rows have no data
            chunks: if row == 0 { 0 } else { rows_per_matrix.div_ceil(rows_per_chunk) * matrices },
        };
        chunks += step.chunks;
        steps.push(step);
    }
    Ok(steps)
}
