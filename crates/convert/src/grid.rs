//! Weights that were quantized before: after decoding they still lie on the grid of their blocks.
//!
//! Such a model is no original. Encoders of the same type, or of one whose grid holds the old one,
//! find the grid again, and then a quantized file seems to lose nothing.

use std::collections::BTreeMap;

use granule_format::{BlockType, TensorType};
use granule_reader::isa::Isa;
use granule_reader::{Source, decode_blocks};
use rayon::prelude::*;

/// A grid of equal steps in blocks of equal length.
#[derive(Clone, Copy, Debug)]
struct Grid {
    ty: BlockType,
    /// Values of a block with one step. Super-blocks have several.
    length: usize,
    /// The most steps on either side of zero, or from the smallest value to the largest.
    steps: u32,
    /// Whether the grid has an offset.
    has_offset: bool,
}

/// The grids, the coarsest first. A type whose grid is another's has no row: Q4_K has that of Q4_1,
/// Q5_K that of Q5_1, and types with codebooks have levels that are whole steps of Q8_0.
const GRIDS: &[Grid] = &[
    Grid { ty: BlockType::TQ2_0, length: 32, steps: 1, has_offset: false },
    Grid { ty: BlockType::Q2_K, length: 16, steps: 3, has_offset: true },
    Grid { ty: BlockType::Q3_K, length: 16, steps: 4, has_offset: false },
    Grid { ty: BlockType::Q4_0, length: 32, steps: 8, has_offset: false },
    Grid { ty: BlockType::Q4_1, length: 32, steps: 15, has_offset: true },
    Grid { ty: BlockType::Q5_0, length: 32, steps: 16, has_offset: false },
    Grid { ty: BlockType::Q5_1, length: 32, steps: 31, has_offset: true },
    Grid { ty: BlockType::Q6_K, length: 16, steps: 32, has_offset: false },
    Grid { ty: BlockType::Q8_0, length: 32, steps: 128, has_offset: false },
];

/// Rows of a tensor that are looked at.
const ROWS: u64 = 8;
/// Blocks that must say something, and the share of them that must be on the grid.
const LEAST_BLOCKS: usize = 16;
const LEAST_SHARE: f64 = 0.99;

/// Tensors whose weights lie on a grid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnGrid {
    /// Matrices of numbers in 16 or 32 bits.
    pub matrices: usize,
    /// How many of them lie on the grid of each type.
    pub by_type: BTreeMap<BlockType, usize>,
}

impl OnGrid {
    /// The type on whose grid most tensors lie, and their number.
    pub fn most(&self) -> Option<(BlockType, usize)> {
        let most = self.by_type.iter().max_by_key(|(_, count)| **count);
        most.map(|(ty, count)| (*ty, *count))
    }

    /// Whether the model was quantized before: at least half of its matrices lie on grids.
    pub fn is_quantized(&self) -> bool {
        let count: usize = self.by_type.values().sum();
        count > 0 && 2 * count >= self.matrices
    }
}

/// Looks at a few rows of every matrix with numbers of 16 or 32 bits.
///
/// # Errors
/// If the source cannot be read.
pub fn survey(source: &dyn Source) -> Result<OnGrid, granule_reader::Error> {
    let matrices = source.tensors().iter().enumerate().filter_map(|(index, tensor)| {
        let TensorType::Known(ty) = tensor.ty else { return None };
        let precision = precision(ty)?;
        let is_matrix = tensor.shape.rows().is_some_and(|rows| rows > 1);
        (is_matrix && tensor.shape.row() >= 32).then_some((index, ty, precision))
    });
    let matrices: Vec<_> = matrices.collect();
    let types = matrices.par_iter().map(|(index, ty, precision)| {
        let tensor = &source.tensors()[*index];
        let (columns, rows) = (tensor.shape.row(), tensor.shape.rows().unwrap_or(0));
        let mut values = Vec::new();
        let mut bytes = Vec::new();
        for sample in 0..rows.min(ROWS) {
            let row = sample * (rows - 1) / (rows.min(ROWS) - 1).max(1);
            source.read_rows(*index, row..row + 1, &mut bytes)?;
            let start = values.len();
            values.resize(start + columns as usize, 0.0);
            decode_blocks(Isa::detect(), *ty, &bytes, &mut values[start..]);
        }
        Ok(of_rows(&values, columns as usize, *precision))
    });
    let types: Vec<Option<BlockType>> = types.collect::<Result<_, granule_reader::Error>>()?;
    let mut found = OnGrid { matrices: matrices.len(), ..OnGrid::default() };
    for ty in types.into_iter().flatten() {
        *found.by_type.entry(ty).or_default() += 1;
    }
    Ok(found)
}

/// The type on whose grid rows of values lie that were stored in `ty`, the coarsest of several.
pub(crate) fn type_of_rows(values: &[f32], columns: usize, ty: BlockType) -> Option<BlockType> {
    of_rows(values, columns, precision(ty)?)
}

/// The type on whose grid rows of values lie, the coarsest of several. `precision` is half the
/// distance of neighbouring numbers, as a part of their size.
fn of_rows(values: &[f32], columns: usize, precision: f32) -> Option<BlockType> {
    GRIDS.iter().find(|grid| is_on(grid, values, columns, precision)).map(|grid| grid.ty)
}

/// Half the distance of neighbouring numbers of a type, as a part of their size.
const fn precision(ty: BlockType) -> Option<f32> {
    match ty {
        BlockType::F32 => Some(1.0 / (1 << 24) as f32),
        BlockType::F16 => Some(1.0 / (1 << 11) as f32),
        BlockType::BF16 => Some(1.0 / (1 << 8) as f32),
        _ => None,
    }
}

fn is_on(grid: &Grid, values: &[f32], columns: usize, precision: f32) -> bool {
    if !columns.is_multiple_of(grid.length) {
        return false;
    }
    let (mut telling, mut fitting) = (0_usize, 0_usize);
    for block in values.chunks_exact(grid.length) {
        // two levels lie on every grid with an offset
        if levels(block) > if grid.has_offset { 2 } else { 1 } {
            telling += 1;
            fitting += usize::from(fits(grid, block, precision));
        }
        if telling == LEAST_BLOCKS && 2 * fitting < telling {
            return false;
        }
    }
    telling >= LEAST_BLOCKS && fitting as f64 >= LEAST_SHARE * telling as f64
}

/// The number of different values, counted up to three; zero does not count.
fn levels(block: &[f32]) -> usize {
    let mut seen: Vec<f32> = Vec::new();
    for value in block.iter().map(|value| value.abs()).filter(|value| *value != 0.0) {
        if seen.len() < 3 && !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.len()
}

/// Whether the values are whole steps apart, as near as their rounding lets one tell.
fn fits(grid: &Grid, block: &[f32], precision: f32) -> bool {
    if block.iter().any(|value| !value.is_finite()) {
        return false;
    }
    let least = block.iter().copied().fold(f32::INFINITY, f32::min);
    let most = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = least.abs().max(most.abs());
    let (zero, range) = if grid.has_offset { (least, most - least) } else { (0.0, largest) };
    if range <= 0.0 {
        return false;
    }
    // decoding rounds products and sums to 32 bits
    let single = largest / (1 << 22) as f32;
    (1..=grid.steps).rev().any(|steps| {
        let step = range / steps as f32;
        block.iter().all(|value| {
            let place = (value - zero) / step;
            let off = (place - place.round()).abs() * step;
            // the step and the offset are known no better than the values that they come from
            let rounded = precision * (value.abs() + place.abs() / steps as f32 * largest);
            let rounded = if grid.has_offset { rounded + precision * zero.abs() } else { rounded };
            let allowed = rounded + single;
            allowed < step / 4.0 && off <= allowed
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as those of trained weights.
    fn weights(seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..4 * 256).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
    }

    fn rounded(values: &[f32], ty: BlockType) -> Vec<f32> {
        let round = |value: &f32| match ty {
            BlockType::BF16 => half::bf16::from_f32(*value).to_f32(),
            BlockType::F16 => half::f16::from_f32(*value).to_f32(),
            _ => *value,
        };
        values.iter().map(round).collect()
    }

    #[test]
    fn quantized_weights_are_told_and_others_are_not() {
        use BlockType::{BF16, F16, F32};
        for ty in [F32, F16, BF16] {
            let precision = precision(ty).unwrap();
            for seed in 1..4 {
                let plain = rounded(&weights(seed), ty);
                assert_eq!(of_rows(&plain, 256, precision), None, "{ty} {seed}");
                for (encoded, expected) in [
                    (BlockType::Q2_K, BlockType::Q2_K),
                    (BlockType::Q3_K, BlockType::Q3_K),
                    (BlockType::Q4_0, BlockType::Q4_0),
                    (BlockType::Q4_1, BlockType::Q4_1),
                    (BlockType::Q4_K, BlockType::Q4_1),
                    (BlockType::Q5_0, BlockType::Q5_0),
                    (BlockType::Q5_K, BlockType::Q5_1),
                ] {
                    let mut bytes = vec![0; encoded.row_bytes(256).unwrap() as usize * 4];
                    crate::encode_blocks(encoded, &weights(seed), 256, &mut bytes).unwrap();
                    let mut values = vec![0.0; 4 * 256];
                    decode_blocks(Isa::detect(), encoded, &bytes, &mut values);
                    let found = of_rows(&rounded(&values, ty), 256, precision);
                    assert_eq!(found, Some(expected), "{encoded} as {ty}, {seed}");
                }
            }
        }
    }

    #[test]
    fn what_says_nothing_is_no_grid() {
        let precision = precision(BlockType::F32).unwrap();
        for values in [vec![0.0; 1024], vec![1.5; 1024], vec![f32::NAN; 1024]] {
            assert_eq!(of_rows(&values, 256, precision), None);
        }
    }
}
