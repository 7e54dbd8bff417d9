//! Second moments of the inputs of a product: what the columns of its matrix have to do with each
//! other.

pub mod collect;
mod exact;

use std::ops::Range;

pub use exact::ExactMoments;
use granule_reader::exact::{self as products, PanelColumn, TileColumn, VECTORS};
use granule_reader::isa::Isa;
use rayon::prelude::*;

/// Sums over input rows of the products of two columns, for columns of the same span.
///
/// Products are summed in single precision over `ROWS` rows and then in double precision, in the
/// order of the rows: the same bits for every number of threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    columns: usize,
    width: usize,
    /// A matrix for each span, row by row; what is below its diagonal is not used.
    sums: Vec<f64>,
    rows: u64,
}

/// Rows that are summed in single precision.
const ROWS: usize = products::SPAN;

/// Columns whose products with all after them a thread sums: whole panels and whole tiles.
const TASK: usize = 96;

impl Moments {
    /// Returns sums of no rows. `width` is the number of columns of a span; the last may have
    /// fewer.
    ///
    /// # Panics
    /// If it is 0.
    pub fn new(columns: usize, width: usize) -> Self {
        assert!(width > 0, "columns of a span");
        Self { columns, width, sums: vec![0.0; Self::values(columns, width)], rows: 0 }
    }

    /// Adds input rows.
    ///
    /// # Panics
    /// If `x` is not whole rows.
    pub fn add(&mut self, x: &[f32]) {
        let columns = self.columns;
        assert!(x.len().is_multiple_of(columns.max(1)), "whole rows");
        self.rows += (x.len() / columns.max(1)) as u64;
        let mut parts = Parts::default();
        let isa = Isa::detect();
        for x in x.chunks((ROWS * columns).max(1)) {
            let mut rest = &mut self.sums[..];
            for start in (0..columns).step_by(self.width) {
                let count = self.width.min(columns - start);
                let (own, others) = rest.split_at_mut(count * count);
                rest = others;
                parts.load(x, columns, start..start + count);
                let tasks = own.par_chunks_mut(TASK * count).enumerate();
                tasks.for_each(|(task, sums)| parts.add(isa, count, task * TASK, sums));
            }
        }
    }

    /// Returns the number of values of the moments of this number of columns.
    pub fn values(columns: usize, width: usize) -> usize {
        let spans = (0..columns).step_by(width).map(|start| width.min(columns - start));
        spans.map(|columns| columns * columns).sum()
    }

    /// Returns the means over the rows: a matrix for each span, row by row.
    pub fn means(&self) -> Vec<f32> {
        let mut means = Vec::with_capacity(self.sums.len());
        let rows = self.rows.max(1) as f64;
        let mut rest = &self.sums[..];
        for start in (0..self.columns).step_by(self.width) {
            let count = self.width.min(self.columns - start);
            let (own, others) = rest.split_at(count * count);
            rest = others;
            let sum = |i: usize, j: usize| own[i.min(j) * count + i.max(j)];
            means.extend(
                (0..count)
                    .flat_map(|i| (0..count).map(move |j| (i, j)))
                    .map(|(i, j)| (sum(i, j) / rows) as f32),
            );
        }
        means
    }

    /// Returns moments with these [`means`](Self::means) over this number of rows.
    ///
    /// # Panics
    /// If there are not as many as [`values`](Self::values) says.
    pub fn of_means(columns: usize, width: usize, means: &[f32], rows: u64) -> Self {
        assert_eq!(means.len(), Self::values(columns, width), "the means of all spans");
        let sums = means.iter().map(|mean| f64::from(*mean) * rows as f64).collect();
        Self { columns, width, sums, rows }
    }

    /// Returns moments whose means are single precision.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self::of_means(self.columns, self.width, &self.means(), self.rows)
    }

    /// Returns the mean square of each column.
    pub fn mean_squares(&self) -> Vec<f32> {
        let mut squares = Vec::with_capacity(self.columns);
        let mut rest = &self.sums[..];
        for start in (0..self.columns).step_by(self.width) {
            let count = self.width.min(self.columns - start);
            let (own, others) = rest.split_at(count * count);
            rest = others;
            let rows = self.rows.max(1) as f64;
            squares.extend(own.iter().step_by(count + 1).map(|sum| (sum / rows) as f32));
        }
        squares
    }

    /// Returns the number of input rows.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a part of other sums, of the same shape.
    ///
    /// # Panics
    /// If they have another shape.
    pub fn add_part(&mut self, other: &Self, part: f64) {
        assert_eq!((self.columns, self.width), (other.columns, other.width), "the same shape");
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum += part * other;
        }
    }
}

/// Returns a number that other inputs are most unlikely to have.
pub fn fingerprint(x: &[f32]) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let parts = x.par_chunks(1 << 16).map(|x| {
        let mut lanes = [1_u64, 2, 3, 4, 5, 6, 7, 8];
        for x in x.chunks(lanes.len()) {
            for (lane, x) in lanes.iter_mut().zip(x) {
                *lane = (*lane ^ u64::from(x.to_bits())).wrapping_mul(PRIME).rotate_left(29);
            }
        }
        lanes.iter().fold(0, |all: u64, lane| (all ^ lane).wrapping_mul(PRIME).rotate_left(31))
    });
    let parts: Vec<u64> = parts.collect();
    parts.iter().fold(0, |all: u64, part| (all ^ part).wrapping_mul(PRIME).rotate_left(31))
}

/// Some columns of input rows, as products of panels with tiles need them.
#[derive(Default)]
struct Parts {
    rows: usize,
    /// Panel after panel, each with all rows.
    panels: Vec<PanelColumn>,
    tiles: Vec<TileColumn>,
}

impl Parts {
    /// Replaces the rows by some columns of those in `x`.
    fn load(&mut self, x: &[f32], columns: usize, range: Range<usize>) {
        self.rows = x.len() / columns;
        let rows = x.chunks_exact(columns).map(|row| &row[range.clone()]);
        load(&mut self.panels, rows.clone(), self.rows, range.len());
        load(&mut self.tiles, rows, self.rows, range.len());
    }

    /// Adds the products of columns from `first` on, at most [`TASK`], with those from themselves
    /// on.
    fn add(&self, isa: Isa, count: usize, first: usize, sums: &mut [f64]) {
        let mut products = [[0.0; products::ROWS]; VECTORS];
        let tiles = self.tiles.chunks_exact(self.rows).skip(first / VECTORS);
        for ((tile, sums), first) in
            tiles.zip(sums.chunks_mut(VECTORS * count)).zip((first..).step_by(VECTORS))
        {
            let panels = self.panels.chunks_exact(self.rows).enumerate();
            for (p, panel) in panels.skip(first / products::ROWS) {
                products::multiply_panel(isa, panel, tile, VECTORS, &mut products);
                let columns = p * products::ROWS..count.min((p + 1) * products::ROWS);
                isa.run(
                    #[inline(always)]
                    || {
                        for (sums, products) in sums.chunks_exact_mut(count).zip(&products) {
                            let sums = sums[columns.clone()].iter_mut();
                            sums.zip(products).for_each(|(sum, x)| *sum += f64::from(*x));
                        }
                    },
                );
            }
        }
    }
}

/// Puts `N` columns of all rows side by side, after them the next `N`.
fn load<'r, const N: usize>(
    to: &mut Vec<[f32; N]>,
    from: impl Iterator<Item = &'r [f32]> + Clone + Sync,
    rows: usize,
    columns: usize,
) {
    to.resize(columns.div_ceil(N) * rows, [0.0; N]);
    to.par_chunks_mut(rows.max(1)).enumerate().for_each(|(part, to)| {
        for (to, row) in to.iter_mut().zip(from.clone()) {
            *to = padded(&row[part * N..row.len().min((part + 1) * N)]);
        }
    });
}

/// Returns the values, with zeros for those that are missing.
fn padded<const N: usize>(values: &[f32]) -> [f32; N] {
    if let Some(values) = values.first_chunk() {
        return *values;
    }
    let mut padded = [0.0; N];
    padded[..values.len()].copy_from_slice(values);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_sums_of_products() {
        let (columns, width, rows) = (200, 96, 300);
        let x: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut moments = Moments::new(columns, width);
        moments.add(&x);
        assert_eq!(moments.rows(), 300);
        let means = moments.means();
        assert_eq!(moments.clone().rounded().means(), means);
        let mut place = 0;
        for start in [0, 96, 192] {
            let count = width.min(columns - start);
            for i in start..start + count {
                for j in start..start + count {
                    let product = |row: &[f32]| f64::from(row[i]) * f64::from(row[j]);
                    let expected: f64 = x.chunks_exact(columns).map(product).sum();
                    let expected = (expected / 300.0) as f32;
                    assert!((means[place] - expected).abs() < 1e-6, "{i} {j}");
                    place += 1;
                }
            }
        }
        assert_eq!(place, means.len());
        let mut none = Moments::new(0, width);
        none.add(&[]);
        assert_eq!(none.means(), []);
    }
}
