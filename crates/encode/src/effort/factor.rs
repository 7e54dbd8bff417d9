//! Factors of second moments: how the error of a column is made up for by those after it.
//!
//! For second moments `H` of the inputs, an error `e` in a row of weights costs `e H e`. With
//! `H = A D A'`, `A` upper triangular with ones on its diagonal and `D` diagonal, that is the sum
//! of `D_j * (e_j + sum over i < j of e_i * A_ij)^2`. So if columns are fixed from the first to the
//! last, column `j` does best to be near its value plus the sum, and `D_j` weighs what remains.

/// Columns whose moments with each other are known: a matrix on the diagonal of all moments.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    /// Columns in the order in which they are fixed, counted from the first of the span.
    pub(super) order: Vec<usize>,
    /// `A`, row by row, in that order.
    pub(super) upper: Vec<f32>,
    /// `D` by column.
    pub(super) weights: Vec<f64>,
}

impl Factor {
    /// Factors the moments of `columns` columns, row by row. `damping` times the mean of their
    /// diagonal is added to it. Within runs of `run` columns, those with the largest moments are
    /// fixed first.
    pub(super) fn new(moments: &[f32], columns: usize, damping: f64, run: usize) -> Self {
        let diagonal = |column: usize| f64::from(moments[column * columns + column]);
        let mean = (0..columns).map(diagonal).sum::<f64>() / columns as f64;
        // columns that were never met cost nothing; any order and no feedback do
        let added = if mean > 0.0 { mean * damping.max(LEAST_DAMPING) } else { 1.0 };
        let mut order: Vec<usize> = (0..columns).collect();
        for run in order.chunks_mut(run) {
            run.sort_by(|a, b| diagonal(*b).total_cmp(&diagonal(*a)).then(a.cmp(b)));
        }
        let mut matrix = vec![0.0; columns * columns];
        for (row, from) in matrix.chunks_exact_mut(columns).zip(&order) {
            for (value, column) in row.iter_mut().zip(&order) {
                *value = f64::from(moments[from * columns + column]);
            }
        }
        let mut weights = vec![0.0; columns];
        let mut last = vec![0.0; columns];
        for j in (0..columns).rev() {
            // rounding may leave less than what was added
            let own = (matrix[j * columns + j] + added).max(added);
            weights[order[j]] = own;
            for (last, row) in last[..j].iter_mut().zip(matrix.chunks_exact(columns)) {
                *last = row[j];
            }
            for i in 0..j {
                let part = last[i] / own;
                let row = &mut matrix[i * columns..][..j];
                for (value, last) in row[i..].iter_mut().zip(&last[i..j]) {
                    *value -= part * last;
                }
                matrix[i * columns + j] = part;
            }
        }
        let upper = matrix.iter().map(|value| *value as f32).collect();
        Self { order, upper, weights }
    }

    pub(super) fn columns(&self) -> usize {
        self.order.len()
    }
}

/// The least part of the mean of the diagonal that is added to it.
const LEAST_DAMPING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factors_multiply_to_the_moments() {
        let n = 6;
        let value = |i: usize, j: usize| ((i * 7 + j * 13) as f64 * 0.61).sin();
        let mut moments = vec![0.0_f32; n * n];
        for i in 0..n {
            for j in 0..n {
                moments[i * n + j] = (0..9).map(|t| value(t, i) * value(t, j)).sum::<f64>() as f32;
            }
        }
        let damping = 0.01;
        let added = damping * (0..n).map(|i| f64::from(moments[i * n + i])).sum::<f64>() / n as f64;
        let factor = Factor::new(&moments, n, damping, 3);
        let mut sorted = factor.order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        assert!(factor.order[..3].iter().all(|column| *column < 3), "runs stay in their places");
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
                let expected =
                    f64::from(moments[row * n + column]) + if i == k { added } else { 0.0 };
                assert!((found - expected).abs() < 1e-5, "{i} {k}: {found} {expected}");
            }
        }
    }
}
