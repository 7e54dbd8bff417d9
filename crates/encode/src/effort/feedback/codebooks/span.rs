//! The columns of a span, fixed and changed.

#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

use std::slice;

use super::nearest::{Found, Parity, Wanted};
use super::{Codebook, Numbers};
use crate::effort::factor::Factor;
use crate::effort::feedback::{GROUP, add_errors, gather, inverse};
use crate::super_block::VALUES;

/// Eights of a super-block: runs of [`GROUP`] columns.
const EIGHTS: usize = VALUES / GROUP;

/// Values of a sub-block at most.
const MOST: usize = 32;

/// The codes of a super-block of each lane.
pub(super) struct Codes<const L: usize> {
    /// The scale of the super-block.
    pub(super) scale: [f32; L],
    /// The numbers of sub-blocks.
    pub(super) numbers: [[u8; L]; 16],
    pub(super) entries: [[u16; L]; 64],
    pub(super) signs: [[u8; L]; EIGHTS],
}

/// What is known of the columns of a span.
pub(super) struct Span<'f, T, const N: usize, const L: usize> {
    values: &'f [[f32; L]],
    factor: &'f Factor,
    entries: &'f [[f32; N]],
    /// Of super-blocks that are fixed.
    pub(super) codes: Vec<Codes<L>>,
    /// Errors of fixed columns, by place.
    errors: Vec<[f32; L]>,
    /// The place of the first column of each eight.
    places: Vec<usize>,
    of: std::marker::PhantomData<T>,
}

impl<'f, T: Codebook<N>, const N: usize, const L: usize> Span<'f, T, N, L> {
    pub(super) fn new(values: &'f [[f32; L]], factor: &'f Factor, entries: &'f [[f32; N]]) -> Self {
        let mut places = vec![0; factor.columns() / GROUP];
        for (place, eight) in factor.order.chunks_exact(GROUP).enumerate() {
            places[eight[0] / GROUP] = place * GROUP;
        }
        let (codes, errors) = (Vec::new(), Vec::new());
        Self { values, factor, entries, codes, errors, places, of: std::marker::PhantomData }
    }

    /// The values that the columns of the next super-block should have, by column.
    #[inline(always)]
    pub(super) fn wanted(&self) -> Box<[[f32; L]; VALUES]> {
        let mut wanted = Box::new([[0.0; L]; VALUES]);
        let (first, count) = (self.errors.len(), self.factor.columns());
        for eight in 0..EIGHTS {
            let place = first + eight * GROUP;
            let mut sums = gather(self.values, &self.factor.order[place..]);
            add_errors(&mut sums, &self.errors, &self.factor.upper[place..], count);
            let column = self.factor.order[place] - first;
            wanted[column..][..GROUP].copy_from_slice(&sums);
        }
        wanted
    }

    /// Fixes the next super-block.
    #[inline(always)]
    pub(super) fn fix(&mut self, numbers: &Numbers<L>, wanted: &[[f32; L]; VALUES]) {
        let (first, count) = (self.errors.len(), self.factor.columns());
        let mut codes = Codes {
            scale: numbers.scale,
            numbers: numbers.numbers,
            entries: [[0; L]; 64],
            signs: [[0; L]; EIGHTS],
        };
        for place in (first..first + VALUES).step_by(GROUP) {
            let column = self.factor.order[place];
            let eight = (column - first) / GROUP;
            let mut sums: [[f32; L]; GROUP] = std::array::from_fn(|g| wanted[eight * GROUP + g]);
            let upper = &self.factor.upper[first * count + place..];
            add_errors(&mut sums, &self.errors[first..], upper, count);
            let scale = T::decoded::<L>(&codes.scale, &codes.numbers[eight * GROUP / T::SUB]);
            let mut signs = [0_u8; L];
            for part in 0..GROUP / N {
                let offset = part * N;
                let (inner, costs) = self.inner(place + offset);
                // what later columns of the group should be shifts what earlier ones cost
                let mut target: [[f32; L]; N] = std::array::from_fn(|i| sums[offset + i]);
                for i in 0..N {
                    for j in 0..i {
                        for k in 0..L {
                            let shift = target[j][k] - self.values[column + offset + j][k];
                            target[i][k] -= inner[j][i] * shift;
                        }
                    }
                }
                let parity = match T::EVEN && offset + N == GROUP {
                    true => Parity::Odd(signs.map(|signs| signs.count_ones() % 2 == 1)),
                    false => Parity::Any,
                };
                let wanted = Wanted { target: &target, costs: &costs, scale: &scale };
                let found = wanted.nearest(self.entries, parity);
                codes.entries[eight * (GROUP / N) + part] = found.entries;
                for i in 0..N {
                    let mut error = [0.0; L];
                    for k in 0..L {
                        let value = self.values[column + offset + i][k];
                        error[k] = value - scale[k] * found.levels[i][k];
                    }
                    let upper = &self.factor.upper[(place + offset + i) * count + place..];
                    for h in offset + N..GROUP {
                        for k in 0..L {
                            sums[h][k] += error[k] * upper[h];
                        }
                    }
                    self.errors.push(error);
                }
                for k in 0..L {
                    signs[k] |= found.signs[k] << offset;
                }
            }
            codes.signs[eight] = signs;
        }
        self.codes.push(codes);
    }

    /// The factors of a group, and what its errors cost when later columns make up for them.
    fn inner(&self, place: usize) -> ([[f32; N]; N], [[f32; N]; N]) {
        let count = self.factor.columns();
        let mut inner = [[0.0; N]; N];
        let mut own = [0.0; N];
        for i in 0..N {
            for j in i..N {
                let factor = self.factor.upper[(place + i) * count + place + j];
                inner[i][j] = if i == j { 1.0 } else { factor };
            }
            own[i] = self.factor.weights[self.factor.order[place + i]] as f32;
        }
        let mut costs = [[0.0; N]; N];
        for i in 0..N {
            for j in 0..N {
                for m in i.max(j)..N {
                    costs[i][j] += inner[i][m] * own[m] * inner[j][m];
                }
            }
        }
        (inner, costs)
    }

    /// Changes entries, signs and scales of sub-blocks, each given all others.
    #[inline(always)]
    pub(super) fn sweep(&mut self) {
        for block in 0..self.codes.len() {
            for sub in 0..VALUES / T::SUB {
                self.change(block, sub);
            }
        }
    }

    /// Changes a sub-block.
    #[inline(always)]
    fn change(&mut self, block: usize, sub: usize) {
        let count = self.factor.columns();
        let moments = &self.factor.moments;
        let first_eight = block * EIGHTS + sub * T::SUB / GROUP;
        let eights = T::SUB / GROUP;
        let mut scale = T::decoded::<L>(&self.codes[block].scale, &self.codes[block].numbers[sub]);
        // H e
        let mut sums = [[[0.0; L]; GROUP]; MOST / GROUP];
        for e in 0..eights {
            let place = self.places[first_eight + e];
            add_errors(&mut sums[e], &self.errors, &moments[place..], count);
        }
        for e in 0..eights {
            let place = self.places[first_eight + e];
            let column = self.factor.order[place];
            let eight = (first_eight + e) % EIGHTS;
            for part in 0..GROUP / N {
                let offset = part * N;
                let costs: [[f32; N]; N] = std::array::from_fn(|i| {
                    std::array::from_fn(|j| {
                        moments[(place + offset + i) * count + place + offset + j]
                    })
                });
                let lower = cholesky(&costs);
                let own: [[f32; L]; N] = std::array::from_fn(|i| sums[e][offset + i]);
                let shift = solve(&lower, &own);
                let mut target = [[0.0; L]; N];
                for i in 0..N {
                    let value = &self.values[column + offset + i];
                    let error = &self.errors[place + offset + i];
                    for k in 0..L {
                        target[i][k] = value[k] - error[k] + shift[i][k];
                    }
                }
                let old = std::array::from_fn(|i| self.levels(place + offset + i, &scale));
                let signs = self.codes[block].signs[eight];
                let mask = ((1_u32 << N) - 1) as u8;
                let parity = match T::EVEN {
                    true => Parity::Odd(
                        signs.map(|signs| (signs >> offset & mask).count_ones() % 2 == 1),
                    ),
                    false => Parity::Any,
                };
                let wanted = Wanted { target: &target, costs: &costs, scale: &scale };
                let found = wanted.nearest(self.entries, parity);
                let (before, after) = (wanted.cost(&old), wanted.cost(&found.levels));
                let better: [bool; L] = std::array::from_fn(|k| after[k] < before[k]);
                self.take(block, eight, offset, &found, &better);
                for i in 0..N {
                    let place = place + offset + i;
                    let mut change = [0.0; L];
                    for k in 0..L {
                        let value = self.values[column + offset + i][k];
                        let error = value - scale[k] * found.levels[i][k];
                        let error = if better[k] { error } else { self.errors[place][k] };
                        change[k] = error - self.errors[place][k];
                        self.errors[place][k] = error;
                    }
                    let row = &self.factor.moments[place * count..][..count];
                    for other in 0..eights {
                        let row = &row[self.places[first_eight + other]..];
                        add_errors(&mut sums[other], slice::from_ref(&change), row, count);
                    }
                }
            }
        }
        self.rescale(block, sub, &mut scale, &sums);
    }

    #[inline(always)]
    fn take(
        &mut self,
        block: usize,
        eight: usize,
        offset: usize,
        found: &Found<N, L>,
        better: &[bool; L],
    ) {
        let codes = &mut self.codes[block];
        let entries = &mut codes.entries[eight * (GROUP / N) + offset / N];
        let mask = (((1_u32 << N) - 1) << offset) as u8;
        for k in 0..L {
            if better[k] {
                entries[k] = found.entries[k];
                let signs = &mut codes.signs[eight][k];
                *signs = *signs & !mask | found.signs[k] << offset;
            }
        }
    }

    /// What a fixed column has in units of its scale.
    #[inline(always)]
    fn levels(&self, place: usize, scale: &[f32; L]) -> [f32; L] {
        let (value, error) = (&self.values[self.factor.order[place]], &self.errors[place]);
        std::array::from_fn(|k| (value[k] - error[k]) * inverse(scale[k]))
    }

    /// Changes the number of a sub-block.
    #[inline(always)]
    fn rescale(
        &mut self,
        block: usize,
        sub: usize,
        scale: &mut [f32; L],
        sums: &[[[f32; L]; GROUP]; MOST / GROUP],
    ) {
        let count = self.factor.columns();
        let first_eight = block * EIGHTS + sub * T::SUB / GROUP;
        let eights = T::SUB / GROUP;
        let place = |i: usize| self.places[first_eight + i / GROUP] + i % GROUP;
        let mut levels = [[0.0; L]; MOST];
        for i in 0..T::SUB {
            levels[i] = self.levels(place(i), scale);
        }
        let mut products = [[[0.0; L]; GROUP]; MOST / GROUP];
        for i in 0..T::SUB {
            let row = &self.factor.moments[place(i) * count..][..count];
            for other in 0..eights {
                let row = &row[self.places[first_eight + other]..];
                add_errors(&mut products[other], slice::from_ref(&levels[i]), row, count);
            }
        }
        let (mut product, mut square) = ([0.0; L], [0.0; L]);
        for i in 0..T::SUB {
            for k in 0..L {
                square[k] += products[i / GROUP][i % GROUP][k] * levels[i][k];
                product[k] += sums[i / GROUP][i % GROUP][k] * levels[i][k];
            }
        }
        // another scale adds -2 d product + d d square
        let (mut best, mut least, mut chosen) = (*scale, [0.0; L], self.codes[block].numbers[sub]);
        for number in 0..16_u8 {
            let other = T::decoded::<L>(&self.codes[block].scale, &[number; L]);
            for k in 0..L {
                let by = other[k] - scale[k];
                let cost = by * by * square[k] - 2.0 * by * product[k];
                if cost < least[k] {
                    (best[k], least[k], chosen[k]) = (other[k], cost, number);
                }
            }
        }
        self.codes[block].numbers[sub] = chosen;
        for i in 0..T::SUB {
            let place = self.places[first_eight + i / GROUP] + i % GROUP;
            for k in 0..L {
                self.errors[place][k] -= (best[k] - scale[k]) * levels[i][k];
            }
        }
        *scale = best;
    }
}

/// Returns the lower triangle whose product with its transpose is `matrix`; inverses on the
/// diagonal.
fn cholesky<const N: usize>(matrix: &[[f32; N]; N]) -> [[f32; N]; N] {
    let mut lower = [[0.0_f32; N]; N];
    for i in 0..N {
        for j in 0..=i {
            let mut sum = matrix[i][j];
            for m in 0..j {
                sum -= lower[i][m] * lower[j][m];
            }
            lower[i][j] = match i == j {
                true => 1.0 / sum.max(matrix[i][i] * 1e-6).sqrt(),
                false => sum * lower[j][j],
            };
        }
    }
    lower
}

#[inline(always)]
fn solve<const N: usize, const L: usize>(
    lower: &[[f32; N]; N],
    right: &[[f32; L]; N],
) -> [[f32; L]; N] {
    let mut x = *right;
    for i in 0..N {
        for j in 0..i {
            for k in 0..L {
                x[i][k] -= lower[i][j] * x[j][k];
            }
        }
        for k in 0..L {
            x[i][k] *= lower[i][i];
        }
    }
    for i in (0..N).rev() {
        for j in i + 1..N {
            for k in 0..L {
                x[i][k] -= lower[j][i] * x[j][k];
            }
        }
        for k in 0..L {
            x[i][k] *= lower[i][i];
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use granule_format::block::codebook::{iq2_xs, iq3_xxs};
    use granule_format::block::types::{IQ2_XS, IQ3_XXS};

    use super::*;
    use crate::effort::factor::First;
    use crate::effort::tests::Random;

    fn sweeps_lower_what_errors_cost<T: Codebook<N>, const N: usize>(entries: &[[u8; N]]) {
        let entries: Vec<[f32; N]> = entries.iter().map(|entry| entry.map(f32::from)).collect();
        let (columns, mut random) = (VALUES, Random(31));
        let inputs: Vec<f32> = (0..columns * 300).map(|_| random.normal()).collect();
        let at = |t: usize, i: usize| inputs[t * columns + i] + inputs[t * columns + i / 9];
        let mut moments = vec![0.0; columns * columns];
        for (place, moment) in moments.iter_mut().enumerate() {
            *moment = (0..300).map(|t| at(t, place / columns) * at(t, place % columns)).sum();
        }
        let factor = Factor::new(&moments, columns, 0.01, First::Eights);
        let values: Vec<[f32; 2]> =
            (0..columns).map(|_| [random.normal(), 0.1 * random.normal()]).collect();
        // the second lane has no scale, which no sweep changes
        let numbers = Numbers { scale: [0.02, 0.0], numbers: [[3; 2]; 16] };
        let mut span = Span::<T, N, 2>::new(&values, &factor, &entries);
        let wanted = span.wanted();
        span.fix(&numbers, &wanted);
        let cost = |span: &Span<'_, T, N, 2>| -> f64 {
            let errors: Vec<f64> = span.errors.iter().map(|error| f64::from(error[0])).collect();
            let rows = factor.moments.chunks(columns).zip(&errors);
            let row =
                |row: &[f32]| row.iter().zip(&errors).map(|(h, e)| f64::from(*h) * e).sum::<f64>();
            rows.map(|(moments, error)| error * row(moments)).sum()
        };
        let mut before = cost(&span);
        for sweep in 0..3 {
            span.sweep();
            let after = cost(&span);
            assert!(after <= before, "sweep {sweep}: {before} to {after}");
            assert!(sweep > 0 || after < 0.95 * before, "{before} to {after}");
            before = after;
        }
        for (error, value) in span.errors.iter().zip(&factor.order) {
            assert_eq!(error[1], values[*value][1]);
        }
    }

    #[test]
    fn sweeps_lower_costs() {
        sweeps_lower_what_errors_cost::<IQ2_XS, 8>(&iq2_xs::GRID);
        sweeps_lower_what_errors_cost::<IQ3_XXS, 4>(&iq3_xxs::GRID);
    }
}
