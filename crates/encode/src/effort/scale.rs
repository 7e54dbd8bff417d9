//! Types whose sub-blocks have a scale alone: the search.

#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

use super::levels::Levels;
use super::tile::Tile;
use crate::round::f16;
use crate::super_block::lanes::{clamp, round, select};
use granule_format::num::F16;

/// Places of the largest value where the search begins, as parts of the farthest level. Below 1 the
/// value keeps room to the end; above, it is cut.
const STARTS: [f32; 12] = [0.7, 0.78, 0.84, 0.89, 0.94, 0.99, 1.04, 1.1, 1.18, 1.3, 1.5, 1.8];

/// The same for types with many levels, where cutting does not pay.
const FINE_STARTS: [f32; 8] = [0.955, 0.965, 0.975, 0.985, 0.992, 1.0, 1.008, 1.02];

/// From how many levels on a side the starts are fine.
const MANY_LEVELS: f32 = 30.0;

/// Where the search goes on from the best scale so far, as parts of it: from there the best scale
/// for the codes follows, and the codes for that.
const FACTORS: [f32; 8] = [1.0, 0.96, 1.04, 1.0, 0.98, 1.02, 1.0, 1.0];

/// How often the scale of a block and those of its sub-blocks follow each other.
const ROUNDS: usize = 3;

/// What a sub-block's values say about its scale `s` and levels `q`: the weighted error, and the
/// sums that give the best scale for these levels.
#[derive(Clone, Copy)]
struct Fit<const L: usize> {
    error: [f32; L],
    /// The sum of `w * x * q`.
    product: [f32; L],
    /// The sum of `w * q * q`.
    square: [f32; L],
}

impl<const L: usize> Fit<L> {
    /// Fits levels to the values of a sub-block at a scale.
    #[inline(always)]
    fn at<V: Levels, const N: usize>(
        x: &[[f32; L]; N],
        w: &[[f32; L]; N],
        scale: &[f32; L],
    ) -> Self {
        let mut inverse = [0.0; L];
        for k in 0..L {
            let reciprocal = 1.0 / scale[k];
            inverse[k] = if scale[k] == 0.0 { 0.0 } else { reciprocal };
        }
        let mut fit = Self { error: [0.0; L], product: [0.0; L], square: [0.0; L] };
        for i in 0..N {
            for k in 0..L {
                let level = V::nearest::<L>(x[i][k] * inverse[k]);
                let weighted = w[i][k] * level;
                let rest = x[i][k] - scale[k] * level;
                fit.error[k] += w[i][k] * rest * rest;
                fit.product[k] += weighted * x[i][k];
                fit.square[k] += weighted * level;
            }
        }
        fit
    }

    /// Takes another fit where its error is less, and `of_other` to `best`.
    #[inline(always)]
    fn take(&mut self, other: &Self, best: &mut [f32; L], of_other: &[f32; L]) {
        for k in 0..L {
            let is_better = other.error[k] < self.error[k];
            self.error[k] = select(is_better, other.error[k], self.error[k]);
            self.product[k] = select(is_better, other.product[k], self.product[k]);
            self.square[k] = select(is_better, other.square[k], self.square[k]);
            best[k] = select(is_better, of_other[k], best[k]);
        }
    }

    /// Returns the best scales for the levels; 0 where all levels are 0.
    #[inline(always)]
    fn scale(&self) -> [f32; L] {
        let mut scale = [0.0; L];
        for k in 0..L {
            let quotient = self.product[k] / self.square[k];
            scale[k] = if self.square[k] > 0.0 { quotient } else { 0.0 };
        }
        scale
    }
}

/// Finds the best scale of a sub-block that can have any.
#[inline(always)]
pub(super) fn best<V: Levels, const N: usize, const L: usize>(
    x: &[[f32; L]; N],
    w: &[[f32; L]; N],
) -> [f32; L] {
    let (mut top, mut magnitude) = ([0.0_f32; L], [0.0_f32; L]);
    for x in x {
        for k in 0..L {
            let is_larger = x[k].abs() > magnitude[k];
            top[k] = select(is_larger, x[k], top[k]);
            magnitude[k] = select(is_larger, x[k].abs(), magnitude[k]);
        }
    }
    let fine = V::HIGHEST >= MANY_LEVELS;
    let mut best = [0.0; L];
    let mut gain = [0.0; L];
    for end in [V::LOWEST, V::HIGHEST] {
        let starts: &[f32] = if fine { &FINE_STARTS } else { &STARTS };
        for part in starts {
            let scale = top.map(
                #[inline(always)]
                |top| top / (end * part),
            );
            let fit = Fit::at::<V, N>(x, w, &scale);
            let better = fit.scale();
            for k in 0..L {
                let this = better[k] * fit.product[k];
                let is_better = this > gain[k];
                gain[k] = select(is_better, this, gain[k]);
                best[k] = select(is_better, better[k], best[k]);
            }
        }
    }
    let mut fit = Fit::at::<V, N>(x, w, &best);
    for factor in FACTORS {
        let mut nearby = best;
        for nearby in &mut nearby {
            *nearby *= factor;
        }
        let next = if factor == 1.0 { fit } else { Fit::at::<V, N>(x, w, &nearby) }.scale();
        let then = Fit::at::<V, N>(x, w, &next);
        fit.take(&then, &mut best, &next);
    }
    best
}

/// The scale of a block and the whole numbers that multiply it in the sub-blocks.
pub(super) struct Scales<const SUBS: usize, const L: usize> {
    pub(super) scale: [F16; L],
    pub(super) numbers: [[f32; L]; SUBS],
}

/// Chooses the scales of blocks with `SUBS` sub-blocks, whose numbers range from `LOW` to `HIGH`.
#[inline(always)]
pub(super) fn choose<
    T: Levels,
    const N: usize,
    const SUBS: usize,
    const V: usize,
    const LOW: i32,
    const HIGH: i32,
    const L: usize,
>(
    tile: &Tile<V, L>,
) -> Scales<SUBS, L> {
    let (values, weights) = (tile.values.0.as_chunks::<N>().0, tile.weights.0.as_chunks::<N>().0);
    let mut ideal = [[0.0; L]; SUBS];
    for i in 0..SUBS {
        ideal[i] = best::<T, N, L>(&values[i], &weights[i]);
    }
    if SUBS == 1 {
        let mut scale = [F16::default(); L];
        for k in 0..L {
            scale[k] = f16(ideal[0][k] * tile.unit[k]);
        }
        return Scales { scale, numbers: [[1.0; L]; SUBS] };
    }

    let mut largest = [0.0_f32; L];
    for ideal in &ideal {
        for k in 0..L {
            largest[k] = select(ideal[k].abs() > largest[k].abs(), ideal[k], largest[k]);
        }
    }
    let mut scale = largest.map(
        #[inline(always)]
        |largest| largest / LOW as f32,
    );
    let mut numbers = [[0.0; L]; SUBS];
    for _ in 0..ROUNDS {
        let (mut product, mut square) = ([0.0; L], [0.0; L]);
        for i in 0..SUBS {
            let (number, fit) =
                number::<T, N, LOW, HIGH, L>(&values[i], &weights[i], &scale, &ideal[i]);
            let better = fit.scale();
            for k in 0..L {
                product[k] += number[k] * fit.product[k];
                square[k] += number[k] * number[k] * fit.square[k];
                ideal[i][k] = select(number[k] == 0.0, ideal[i][k], better[k]);
            }
        }
        for k in 0..L {
            let quotient = product[k] / square[k];
            scale[k] = if square[k] > 0.0 { quotient } else { scale[k] };
        }
    }
    let mut halves = [F16::default(); L];
    for k in 0..L {
        halves[k] = f16(scale[k] * tile.unit[k]);
        let decoded = halves[k].to_f32() / tile.unit[k];
        scale[k] = if tile.unit[k] == 0.0 { 0.0 } else { decoded };
    }
    for i in 0..SUBS {
        numbers[i] = number::<T, N, LOW, HIGH, L>(&values[i], &weights[i], &scale, &ideal[i]).0;
    }
    Scales { scale: halves, numbers }
}

/// Chooses the number of a sub-block among the one nearest to its ideal scale and its neighbours.
#[inline(always)]
fn number<V: Levels, const N: usize, const LOW: i32, const HIGH: i32, const L: usize>(
    x: &[[f32; L]; N],
    w: &[[f32; L]; N],
    scale: &[f32; L],
    ideal: &[f32; L],
) -> ([f32; L], Fit<L>) {
    let mut nearest = [0.0; L];
    for k in 0..L {
        let quotient = ideal[k] / scale[k];
        let quotient = if scale[k] == 0.0 { 0.0 } else { quotient };
        nearest[k] = round::<L>(clamp(quotient, LOW as f32, HIGH as f32));
    }
    let mut best = [0.0; L];
    let mut of_best = Fit { error: [f32::INFINITY; L], product: [0.0; L], square: [0.0; L] };
    for step in [0.0, -1.0, 1.0] {
        let (mut number, mut candidate) = ([0.0; L], [0.0; L]);
        for k in 0..L {
            number[k] = clamp(nearest[k] + step, LOW as f32, HIGH as f32);
            candidate[k] = scale[k] * number[k];
        }
        let fit = Fit::at::<V, N>(x, w, &candidate);
        of_best.take(&fit, &mut best, &number);
    }
    (best, of_best)
}
