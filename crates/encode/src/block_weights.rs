//! Error weights for the types with blocks of 32 values: importance times the size of the value.

#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

use super::super_block::lanes::Rows;
use super::super_block::tile::transpose;

/// Values in a block.
pub(super) const N: usize = 32;

/// Returns the weight of a value: its column's importance times the square root of the sum of its
/// square and the mean square of its row.
#[inline(always)]
pub(super) fn weight(importance: f32, mean_square: f32, value: f32) -> f32 {
    importance * (mean_square + value * value).sqrt()
}

/// Returns the mean square of a row, summed from its start.
pub(super) fn mean_square(row: &[f32]) -> f32 {
    row.iter().fold(0.0, |sum, value| sum + value * value) / row.len() as f32
}

/// Computes [`mean_square`] of every row, several rows at once, one in each lane: a single sum
/// would wait for each addition to finish.
#[inline(always)]
pub(super) fn mean_squares(rows: &[f32], columns: usize) -> Vec<f32> {
    const ROWS: usize = 8;
    let mut all = Vec::with_capacity(rows.len() / columns);
    let mut lanes = Rows::<N, ROWS>::ZERO;
    for rows in rows.chunks(ROWS * columns) {
        if rows.len() < ROWS * columns {
            all.extend(rows.chunks_exact(columns).map(mean_square));
            continue;
        }
        let mut sums = [0.0; ROWS];
        let blocks = rows.as_chunks::<N>().0;
        for block in 0..columns / N {
            let mut runs = [&blocks[block]; ROWS];
            for k in 1..ROWS {
                runs[k] = &blocks[k * (columns / N) + block];
            }
            transpose(&runs, &mut lanes.0);
            for values in &lanes.0 {
                for k in 0..ROWS {
                    sums[k] += values[k] * values[k];
                }
            }
        }
        all.extend(sums.map(|sum| sum / columns as f32));
    }
    all
}

/// `L` transposed blocks with their weights: value `i` of all blocks is contiguous.
pub(super) struct Lanes<const L: usize> {
    /// The values.
    pub(super) values: Rows<N, L>,
    /// The weights.
    pub(super) weights: Rows<N, L>,
}

/// Rows with importance weights, as blocks.
pub(super) struct Weighted<'a> {
    blocks: &'a [[f32; N]],
    importance: &'a [[f32; N]],
    mean_squares: Vec<f32>,
}

impl<const L: usize> Lanes<L> {
    pub(super) const ZERO: Self = Self { values: Rows::ZERO, weights: Rows::ZERO };
}

impl<'a> Weighted<'a> {
    /// Wraps rows of `columns` values, which must be whole blocks.
    #[inline(always)]
    pub(super) fn new(rows: &'a [f32], columns: usize, importance: &'a [f32]) -> Self {
        let (blocks, importance) = (rows.as_chunks().0, importance.as_chunks().0);
        Self { blocks, importance, mean_squares: mean_squares(rows, columns) }
    }

    /// Returns the weights of a block.
    pub(super) fn weights(&self, block: usize) -> [f32; N] {
        let (row, column) = (block / self.importance.len(), block % self.importance.len());
        let (values, mean_square) = (&self.blocks[block], self.mean_squares[row]);
        let importance = &self.importance[column];
        std::array::from_fn(|i| weight(importance[i], mean_square, values[i]))
    }

    /// Returns the values of `count` blocks, starting at block `first`.
    pub(super) fn blocks(&self, first: usize, count: usize) -> &'a [[f32; N]] {
        &self.blocks[first..][..count]
    }

    /// Returns the importance of the columns for each tile of `L` blocks, in lanes, up to where the
    /// tiles repeat.
    #[inline(always)]
    pub(super) fn importance_in_lanes<const L: usize>(&self) -> Vec<Rows<N, L>> {
        let a_row = self.importance.len();
        let repeats = (1..=L).find(|rows| (rows * a_row).is_multiple_of(L)).unwrap_or(L);
        let tiles = (repeats * a_row / L).min(self.blocks.len().div_ceil(L));
        let mut lanes = vec![Rows::ZERO; tiles];
        for (tile, lanes) in lanes.iter_mut().enumerate() {
            let runs = std::array::from_fn(|k| &self.importance[(tile * L + k) % a_row]);
            transpose::<N, L>(&runs, &mut lanes.0);
        }
        lanes
    }

    /// Loads `count` blocks, at most `L`, starting at block `first`, with the importance of their
    /// columns. The remaining lanes are zero.
    #[inline(always)]
    pub(super) fn load<const L: usize>(
        &self,
        first: usize,
        count: usize,
        importance: &Rows<N, L>,
        lanes: &mut Lanes<L>,
    ) {
        let mut runs = [&[0.0; N]; L];
        runs.iter_mut().zip(self.blocks(first, count)).for_each(|(run, block)| *run = block);
        transpose(&runs, &mut lanes.values.0);
        let mut mean_squares = [0.0; L];
        for k in 0..count {
            mean_squares[k] = self.mean_squares[(first + k) / self.importance.len()];
        }
        let (weights, values) = (&mut lanes.weights.0, &lanes.values.0);
        for i in 0..N {
            for k in 0..L {
                weights[i][k] = weight(importance.0[i][k], mean_squares[k], values[i][k]);
            }
        }
    }
}
