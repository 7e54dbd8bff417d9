//! Super-blocks of 256 values: their positions in a matrix, and tiles of them in lanes.

use super::VALUES;
use super::lanes::Rows;

/// Rows of whole super-blocks and the importance weights of their columns.
#[derive(Debug)]
pub(crate) struct Matrix<'a> {
    /// All super-blocks, in row order.
    pub(crate) super_blocks: &'a [[f32; VALUES]],
    /// The weights of one row.
    importance: Option<&'a [[f32; VALUES]]>,
    super_blocks_a_row: usize,
}

impl<'a> Matrix<'a> {
    /// Wraps rows and weights that [`blocks_for`](crate::rows::blocks_for) has checked.
    pub(crate) fn new(rows: &'a [f32], columns: usize, weights: Option<&'a [f32]>) -> Self {
        let super_blocks = rows.as_chunks().0;
        let importance = weights.map(|weights| weights.as_chunks().0);
        Self { super_blocks, importance, super_blocks_a_row: columns / VALUES }
    }

    pub(crate) fn is_weighted(&self) -> bool {
        self.importance.is_some()
    }

    /// Returns the importance weights for the values of a super-block.
    #[inline(always)]
    pub(crate) fn importance(&self, super_block: usize) -> Option<&'a [f32; VALUES]> {
        Some(&self.importance?[super_block % self.super_blocks_a_row])
    }
}

/// `L` super-blocks, one in each lane.
#[derive(Debug)]
pub(crate) struct Tile<const L: usize> {
    /// Value `i` of super-block `k` is `values[i][k]`.
    values: Box<Rows<VALUES, L>>,
    importance: Box<Rows<VALUES, L>>,
}

impl<const L: usize> Tile<L> {
    pub(crate) fn new() -> Self {
        Self { values: Box::new(Rows::ZERO), importance: Box::new(Rows::ZERO) }
    }

    /// Loads `count` super-blocks, starting at index `first`. The remaining lanes hold zeros.
    #[inline(always)]
    pub(crate) fn load(&mut self, matrix: &Matrix, first: usize, count: usize) {
        let mut lanes = [&[0.0; VALUES]; L];
        for (lane, super_block) in lanes.iter_mut().zip(&matrix.super_blocks[first..][..count]) {
            *lane = super_block;
        }
        transpose(&lanes, &mut self.values.0);
        if matrix.is_weighted() {
            for (k, lane) in lanes[..count].iter_mut().enumerate() {
                *lane = matrix.importance(first + k).unwrap_or(lane);
            }
            transpose(&lanes, &mut self.importance.0);
        }
    }

    /// Returns the sum of the squares of each super-block.
    #[inline(always)]
    pub(crate) fn sum_of_squares(&self) -> [f32; L] {
        let mut sum = [0.0; L];
        for x in &self.values.0 {
            for k in 0..L {
                sum[k] += x[k] * x[k];
            }
        }
        sum
    }

    /// Returns the values of sub-block `i`, for sub-blocks of `N` values.
    #[inline(always)]
    pub(crate) fn sub_block<const N: usize>(&self, i: usize) -> &[[f32; L]; N] {
        &self.values.0.as_chunks().0[i]
    }

    /// Returns the importance weights of sub-block `i`, for sub-blocks of `N` values.
    #[inline(always)]
    pub(crate) fn importance<const N: usize>(&self, i: usize) -> &[[f32; L]; N] {
        &self.importance.0.as_chunks().0[i]
    }
}

/// Transposes runs so that value `i` of all runs is contiguous, in squares of four by four, which
/// become shuffles. For `inline(never)` see [`lane`](super::lanes::lane).
///
/// The function processes one cache line of each run at a time, because the cache lines of
/// different super-blocks evict each other.
#[inline(never)]
pub(crate) fn transpose<const N: usize, const L: usize>(
    lanes: &[&[f32; N]; L],
    to: &mut [[f32; L]; N],
) {
    const SIDE: usize = 4;
    const LINE: usize = 16;
    for (line, to) in to.as_chunks_mut::<LINE>().0.iter_mut().enumerate() {
        for (k, lanes) in lanes.as_chunks::<SIDE>().0.iter().enumerate() {
            let lines = lanes.map(|lane| &lane.as_chunks::<LINE>().0[line]);
            for (i, to) in to.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
                let square = lines.map(|line| line.as_chunks::<SIDE>().0[i]);
                for (j, to) in to.iter_mut().enumerate() {
                    to.as_chunks_mut::<SIDE>().0[k] =
                        [square[0][j], square[1][j], square[2][j], square[3][j]];
                }
            }
        }
    }
}
