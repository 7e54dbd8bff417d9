//! The weights of the types with blocks of 32 values: importance times the size of the value.

#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

/// Values in a block.
pub(super) const N: usize = 32;

/// The weight of a value: its column's importance times the root of its square and the mean square of its row.
#[inline(always)]
pub(super) fn weight(importance: f32, mean_square: f32, value: f32) -> f32 {
    importance * (mean_square + value * value).sqrt()
}

/// The mean square of a row, summed from its start.
pub(super) fn mean_square(row: &[f32]) -> f32 {
    row.iter().fold(0.0, |sum, value| sum + value * value) / row.len() as f32
}

/// [`mean_square`] of every row, several rows at once: one sum alone would wait for its last addition.
#[inline(always)]
pub(super) fn mean_squares(rows: &[f32], columns: usize) -> Vec<f32> {
    const ROWS: usize = 8;
    let mut all = Vec::with_capacity(rows.len() / columns);
    for rows in rows.chunks(ROWS * columns) {
        let row = |i: usize| &rows[i * columns..][..columns];
        if rows.len() == ROWS * columns {
            let rows: [&[f32]; ROWS] = std::array::from_fn(row);
            let mut sums = [0.0; ROWS];
            for i in 0..columns {
                for k in 0..ROWS {
                    sums[k] += rows[k][i] * rows[k][i];
                }
            }
            all.extend(sums.map(|sum| sum / columns as f32));
        } else {
            all.extend(rows.chunks_exact(columns).map(mean_square));
        }
    }
    all
}

/// `L` blocks turned so that value `i` of all of them lies side by side, with their weights.
pub(super) struct Lanes<const L: usize> {
    /// The values.
    pub(super) values: [[f32; L]; N],
    /// The weights.
    pub(super) weights: [[f32; L]; N],
}

/// Rows with importance weights, as blocks.
pub(super) struct Weighted<'a> {
    blocks: &'a [[f32; N]],
    importance: &'a [[f32; N]],
    mean_squares: Vec<f32>,
}

impl<'a> Weighted<'a> {
    /// Rows of `columns` values, which are whole blocks.
    #[inline(always)]
    pub(super) fn new(rows: &'a [f32], columns: usize, importance: &'a [f32]) -> Self {
        let (blocks, importance) = (rows.as_chunks().0, importance.as_chunks().0);
        Self { blocks, importance, mean_squares: mean_squares(rows, columns) }
    }

    /// The weights of a block.
    pub(super) fn weights(&self, block: usize) -> [f32; N] {
        let (row, column) = (block / self.importance.len(), block % self.importance.len());
        let (values, mean_square) = (&self.blocks[block], self.mean_squares[row]);
        let importance = &self.importance[column];
        std::array::from_fn(|i| weight(importance[i], mean_square, values[i]))
    }

    /// Up to `L` blocks from `first` on; lanes beyond the last block are zero.
    #[inline(always)]
    pub(super) fn lanes<const L: usize>(&self, first: usize) -> Lanes<L> {
        let mut lanes = Lanes { values: [[0.0; L]; N], weights: [[0.0; L]; N] };
        let mut mean_squares = [0.0; L];
        let count = L.min(self.blocks.len() - first);
        for k in 0..count {
            let (row, column) =
                ((first + k) / self.importance.len(), (first + k) % self.importance.len());
            mean_squares[k] = self.mean_squares[row];
            for i in 0..N {
                lanes.values[i][k] = self.blocks[first + k][i];
                lanes.weights[i][k] = self.importance[column][i];
            }
        }
        for i in 0..N {
            for k in 0..L {
                lanes.weights[i][k] =
                    weight(lanes.weights[i][k], mean_squares[k], lanes.values[i][k]);
            }
        }
        lanes
    }
}
