//! The error of a tensor's values in each of its types, on sampled rows.

use granule_encode::{EncodeOptions, encode_rows, matrix_weights};
use granule_format::{BlockType, TensorType};
use granule_reader::decode_blocks;
use granule_reader::isa::Isa;

use super::SizeError;
use super::frame::{Candidate, Frame, Item};
use crate::grid;

/// Values of a tensor that are looked at, and the fewest rows.
const VALUES: u64 = 1 << 14;
const ROWS: u64 = 24;

/// A relative error up to this is none: what is left is the rounding of scales to half precision.
const NOTHING: f64 = 0.5 / 1024.0;

/// The rows of an item that are looked at.
pub(super) struct Sample<'a> {
    rows: Vec<(u64, Vec<f32>)>,
    columns: usize,
    matrix_rows: u64,
    stored: BlockType,
    /// The importance of columns, for the encoder.
    weights: Option<&'a [f32]>,
}

impl<'a> Sample<'a> {
    pub(super) fn new(frame: &Frame<'a>, item: &Item) -> Result<Option<Self>, SizeError> {
        let tensor = &frame.source.tensors()[item.source];
        let TensorType::Known(stored) = frame.stored(item) else { return Ok(None) };
        let columns = tensor.shape.row();
        let rows = tensor.shape.rows().unwrap_or(0);
        let count = (VALUES / columns.max(1)).max(ROWS).min(rows);
        let mut sampled = Vec::new();
        let mut blocks = Vec::new();
        for sample in 0..count {
            // spread over all rows, with steps that no head or expert shares
            let row = sample * rows / count;
            frame.source.read_rows(item.source, row..row + 1, &mut blocks)?;
            let mut values = vec![0.0; columns as usize];
            decode_blocks(Isa::detect(), stored, &blocks, &mut values);
            sampled.push((row, values));
        }
        let matrix_rows = tensor.shape.dimensions().get(1).copied().unwrap_or(1).max(1);
        let (columns, weights) = (columns as usize, frame.weights(item));
        let none = sampled.is_empty() || columns == 0;
        let sample = Self { rows: sampled, columns, matrix_rows, stored, weights };
        Ok((!none).then_some(sample))
    }

    /// The type on whose grid the values lie.
    pub(super) fn grid(&self) -> Option<BlockType> {
        let rows: Vec<f32> =
            self.rows.iter().take(8).flat_map(|(_, values)| values).copied().collect();
        grid::type_of_rows(&rows, self.columns, self.stored)
    }

    /// The error of the values in a type by their size: squares by squares, where each column
    /// counts as much as `squares` says (sums of squared inputs, one matrix after another).
    pub(super) fn error(&self, frame: &Frame<'_>, ty: BlockType, squares: &[f64]) -> f64 {
        if ty == self.stored {
            return 0.0;
        }
        let isa = Isa::detect();
        let options = EncodeOptions::from(isa).with_effort(frame.effort());
        let (mut error, mut size) = (0.0, 0.0);
        let Some(bytes) = ty.row_bytes(self.columns as u64) else { return f64::INFINITY };
        let mut blocks = vec![0; bytes as usize];
        let mut decoded = vec![0.0; self.columns];
        for (row, values) in &self.rows {
            let matrix = row / self.matrix_rows;
            let weights = self.weights.map(|weights| matrix_weights(weights, matrix, self.columns));
            let weights = weights.as_deref();
            if encode_rows(options, ty, values, self.columns, weights, &mut blocks).is_err() {
                return f64::INFINITY;
            }
            decode_blocks(isa, ty, &blocks, &mut decoded);
            let start = matrix as usize * self.columns;
            let squares = squares.get(start..start + self.columns);
            for (column, (value, decoded)) in values.iter().zip(&decoded).enumerate() {
                let weight = squares.map_or(1.0, |squares| squares[column]);
                let (value, decoded) = (f64::from(*value), f64::from(*decoded));
                error += weight * (decoded - value).powi(2);
                size += weight * value * value;
            }
        }
        let relative = if size > 0.0 { error / size } else { 0.0 };
        if relative < NOTHING * NOTHING { 0.0 } else { relative }
    }

    /// The errors of several types.
    pub(super) fn errors(
        &self,
        frame: &Frame<'_>,
        options: &[Candidate],
        squares: &[f64],
    ) -> Vec<f64> {
        options.iter().map(|option| self.error(frame, option.ty, squares)).collect()
    }
}
