//! Factors of second moments: how the error of a column is made up for by those after it.
//!
//! For second moments `H` of the inputs, an error `e` in a row of weights costs `e H e`. With
//! `H = A D A'`, `A` upper triangular with ones on its diagonal and `D` diagonal, that is the sum
//! of `D_j * (e_j + sum over i < j of e_i * A_ij)^2`. So if columns are fixed from the first to the
//! last, column `j` does best to be near its value plus the sum, and `D_j` weighs what remains.

use granule_reader::isa::Isa;

/// Columns whose moments with each other are known: a matrix on the diagonal of all moments.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    /// Columns in the order in which they are fixed, counted from the first of the span.
    pub(super) order: Vec<usize>,
    /// `H`, weakened between super-blocks and with what was added to its diagonal, row by row, in
    /// that order.
    pub(super) moments: Vec<f32>,
    /// `A`, likewise.
    pub(super) upper: Vec<f32>,
    /// `D` by column.
    pub(super) weights: Vec<f64>,
}

/// What is fixed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum First {
    /// The first column.
    Left,
    /// Within each super-block, the columns with the largest moments.
    Columns,
    /// Within each super-block, the runs of eight columns with the largest moments.
    Eights,
}

impl First {
    /// Returns columns in the order in which they are fixed.
    fn order(self, columns: usize, moment: impl Fn(usize) -> f64) -> Vec<usize> {
        let together = match self {
            Self::Left => return (0..columns).collect(),
            Self::Columns => 1,
            Self::Eights => 8,
        };
        let run = |start: usize| start..columns.min(start + together);
        let sum = |start| (run(start).map(&moment).sum::<f64>(), start);
        let mut runs: Vec<(f64, usize)> = (0..columns).step_by(together).map(sum).collect();
        for runs in runs.chunks_mut(NEAR / together) {
            runs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        runs.into_iter().flat_map(|(_, start)| run(start)).collect()
    }
}

impl Factor {
    /// Factors the moments of `columns` columns, row by row. Those of columns of different
    /// super-blocks count half, which leaves a matrix without negative eigenvalues. `damping` times
    /// itself and a [`part`](OF_MEAN) of the mean is added to each number of the diagonal.
    pub(super) fn new(moments: &[f32], columns: usize, damping: f64, first: First) -> Self {
        let diagonal = |column: usize| f64::from(moments[column * columns + column]);
        let mean = (0..columns).map(diagonal).sum::<f64>() / columns as f64;
        // columns that were never met cost nothing; any order and no feedback do
        let damping = damping.max(LEAST_DAMPING);
        let added = if mean > 0.0 { OF_MEAN * mean * damping } else { 1.0 };
        let order = first.order(columns, diagonal);
        let mut matrix = vec![0.0; columns * columns];
        for (place, row) in matrix.chunks_exact_mut(columns).enumerate() {
            let own = order[place];
            let from = &moments[own * columns..][..columns];
            for (value, column) in row.iter_mut().zip(&order) {
                let part = if own / NEAR == column / NEAR { 1.0 } else { DISTANT };
                *value = f64::from(from[*column]) * part;
            }
            row[place] = (row[place] * (1.0 + damping) + added).max(added);
        }
        let moments = matrix.iter().map(|value| *value as f32).collect();
        let mut in_order = vec![0.0; columns];
        let isa = Isa::detect();
        isa.run(
            #[inline(always)]
            || factor(&mut matrix, &mut in_order, added),
        );
        let mut weights = vec![0.0; columns];
        for (column, weight) in order.iter().zip(in_order) {
            weights[*column] = weight;
        }
        let upper = matrix.iter().map(|value| *value as f32).collect();
        Self { order, moments, upper, weights }
    }

    pub(super) fn columns(&self) -> usize {
        self.order.len()
    }
}

/// Columns whose moments with each other count in full: those of a super-block.
const NEAR: usize = 256;

/// What part of their moments others count with. A sample of tokens has chance relations between
/// columns, the more the more columns there are; made up for in full, they cost more than they save
/// on other text.
const DISTANT: f64 = 0.5;

/// What part of the mean counts in damping: no column is free, however rarely it was met.
const OF_MEAN: f64 = 0.1;

/// Columns whose parts are taken from all before them together.
const TOGETHER: usize = 16;

/// Values of a row that are in registers at a time.
const LANES: usize = 32;

/// Replaces the upper triangle of `matrix` by `A`, and fills `D` with numbers not below `least`.
/// From each value, the parts of later columns are taken from the last column to the first.
#[inline(always)]
fn factor(matrix: &mut [f64], weights: &mut [f64], least: f64) {
    let columns = weights.len();
    let mut lasts = vec![0.0; TOGETHER * columns];
    let mut end = columns;
    while end > 0 {
        let start = end.saturating_sub(TOGETHER);
        for j in (start..end).rev() {
            let last = &mut lasts[(j - start) * columns..][..j];
            for (last, row) in last.iter_mut().zip(matrix.chunks_exact(columns)) {
                *last = row[j];
            }
            // rounding may leave less than what was added
            let own = matrix[j * columns + j].max(least);
            weights[j] = own;
            for i in 0..j {
                let row = &mut matrix[i * columns..][..columns];
                let (part, first) = (last[i] / own, start.max(i));
                for (value, last) in row[first..j].iter_mut().zip(&last[first..j]) {
                    *value -= part * last;
                }
                row[j] = part;
            }
        }
        for i in 0..start {
            let row = &mut matrix[i * columns..][..columns];
            let (row, parts) = row.split_at_mut(start);
            take_parts(&mut row[i..], &parts[..end - start], &lasts[i..], columns);
        }
        end = start;
    }
}

/// Takes from the values of a row the parts of columns, from the last to the first.
#[inline(always)]
fn take_parts(row: &mut [f64], parts: &[f64], lasts: &[f64], columns: usize) {
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    let begun = whole.len() * LANES;
    for (place, values) in whole.iter_mut().enumerate() {
        let mut local = *values;
        for (part, last) in parts.iter().zip(lasts.chunks(columns)).rev() {
            let last: &[f64] = &last[place * LANES..][..LANES];
            for k in 0..LANES {
                local[k] -= part * last[k];
            }
        }
        *values = local;
    }
    for (part, last) in parts.iter().zip(lasts.chunks(columns)).rev() {
        for (value, last) in rest.iter_mut().zip(&last[begun..]) {
            *value -= part * last;
        }
    }
}

/// The least damping: rounding must not make a number of `D` zero.
const LEAST_DAMPING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_moments_come_first() {
        // two super-blocks, and part of one
        let (columns, moment) = (600, |column: usize| ((column * 37) % 101) as f64);
        for (first, together) in [(First::Columns, 1), (First::Eights, 8)] {
            let order = first.order(columns, moment);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..columns), "each once");
            for (start, block) in (0..).step_by(NEAR).zip(order.chunks(NEAR)) {
                assert!(block.iter().all(|column| (start..start + NEAR).contains(column)));
                let sums = block.chunks(together).map(|run| {
                    assert!(run.is_sorted() && run[0] % together == 0);
                    run.iter().map(|column| moment(*column)).sum::<f64>()
                });
                assert!(sums.is_sorted_by(|a, b| a >= b), "{first:?}");
            }
        }
        assert!(First::Left.order(columns, moment).into_iter().eq(0..columns));
    }

    #[test]
    fn the_factors_multiply_to_the_moments() {
        let n = 50; // several times the columns whose parts are taken together, and a rest
        let value = |i: usize, j: usize| ((i * 7 + j * 13 + i * j) as f64 * 0.61).sin();
        let mut moments = vec![0.0_f32; n * n];
        for i in 0..n {
            for j in 0..n {
                moments[i * n + j] = (0..30).map(|t| value(t, i) * value(t, j)).sum::<f64>() as f32;
            }
        }
        let damping = 0.05;
        let diagonal = |i: usize| f64::from(moments[i * n + i]);
        let mean = (0..n).map(diagonal).sum::<f64>() / n as f64;
        let factor = Factor::new(&moments, n, damping, First::Columns);
        let mut sorted = factor.order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..n));
        let upper = |i: usize, j: usize| match i.cmp(&j) {
            std::cmp::Ordering::Less => f64::from(factor.upper[i * n + j]),
            std::cmp::Ordering::Equal => 1.0,
            std::cmp::Ordering::Greater => 0.0,
        };
        for i in 0..n {
            for k in 0..n {
                let found: f64 = (0..n)
                    .map(|j| upper(i, j) * factor.weights[factor.order[j]] * upper(k, j))
                    .sum();
                let (row, column) = (factor.order[i], factor.order[k]);
                let added = if i == k { damping * (diagonal(row) + 0.1 * mean) } else { 0.0 };
                let expected = f64::from(moments[row * n + column]) + added;
                assert!((found - expected).abs() < 1e-4, "{i} {k}: {found} {expected}");
                let moment = f64::from(factor.moments[i * n + k]);
                assert!((moment - expected).abs() < 1e-5, "{i} {k}: {moment} {expected}");
            }
        }
    }
}
