//! Types whose sub-blocks have a scale and a minimum: the search. Values are about
//! `scale * code - min`, with codes from 0 to `TOP`.

#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

use granule_format::num::F16;

use super::tile::Tile;
use crate::round::f16;
use crate::super_block::lanes::{clamp, round, select};

/// Numbers to add to the largest code. The sums are the numbers of steps into which the search
/// divides the range of the values where it begins.
const STARTS: [f32; 8] = [-0.8, -0.5, -0.25, 0.0, 0.2, 0.4, 0.65, 0.9];

/// How often the best scale and minimum for the codes and the best codes follow each other.
const TURNS: usize = 3;

/// How often the scales of a block and those of its sub-blocks follow each other.
const ROUNDS: usize = 2;

/// A scale and a minimum for a sub-block, and what the values say about them and the codes `q` that
/// they give.
#[derive(Clone, Copy)]
struct Fit<const L: usize> {
    /// The weighted error.
    error: [f32; L],
    /// The sums of `w * q`, `w * q * q` and `w * q * x`.
    codes: [f32; L],
    square: [f32; L],
    product: [f32; L],
}

/// The sums of `w` and `w * x`.
#[derive(Clone, Copy)]
struct Sums<const L: usize> {
    weight: [f32; L],
    value: [f32; L],
}

#[derive(Clone, Copy)]
struct Pair<const L: usize> {
    scale: [f32; L],
    min: [f32; L],
}

impl<const L: usize> Sums<L> {
    #[inline(always)]
    fn of<const N: usize>(x: &[[f32; L]; N], w: &[[f32; L]; N]) -> Self {
        let mut sums = Self { weight: [0.0; L], value: [0.0; L] };
        for i in 0..N {
            for k in 0..L {
                sums.weight[k] += w[i][k];
                sums.value[k] += w[i][k] * x[i][k];
            }
        }
        sums
    }
}

impl<const L: usize> Fit<L> {
    const WORST: Self =
        Self { error: [f32::INFINITY; L], codes: [0.0; L], square: [0.0; L], product: [0.0; L] };

    #[inline(always)]
    fn at<const TOP: i32, const N: usize>(
        x: &[[f32; L]; N],
        w: &[[f32; L]; N],
        pair: &Pair<L>,
    ) -> Self {
        let mut inverse = [0.0; L];
        for k in 0..L {
            let reciprocal = 1.0 / pair.scale[k];
            inverse[k] = if pair.scale[k] == 0.0 { 0.0 } else { reciprocal };
        }
        let mut fit =
            Self { error: [0.0; L], codes: [0.0; L], square: [0.0; L], product: [0.0; L] };
        for i in 0..N {
            for k in 0..L {
                let place = (x[i][k] + pair.min[k]) * inverse[k];
                let code = round::<L>(clamp(place, 0.0, TOP as f32));
                let rest = x[i][k] - (pair.scale[k] * code - pair.min[k]);
                let weighted = w[i][k] * code;
                fit.error[k] += w[i][k] * rest * rest;
                fit.codes[k] += weighted;
                fit.square[k] += weighted * code;
                fit.product[k] += weighted * x[i][k];
            }
        }
        fit
    }

    /// Returns the best scale and minimum for the codes; a minimum below zero is allowed if `ANY`.
    #[inline(always)]
    fn pair<const ANY: bool>(&self, sums: &Sums<L>) -> Pair<L> {
        let mut pair = Pair { scale: [0.0; L], min: [0.0; L] };
        for k in 0..L {
            let (w, x) = (sums.weight[k], sums.value[k]);
            let determinant = w * self.square[k] - self.codes[k] * self.codes[k];
            let scale = (w * self.product[k] - x * self.codes[k]) / determinant;
            let min = (self.codes[k] * self.product[k] - self.square[k] * x) / determinant;
            let alone = self.product[k] / self.square[k];
            let alone = if self.square[k] > 0.0 { alone } else { 0.0 };
            let is_alone = !ANY && min <= 0.0;
            let (scale, min) = (select(is_alone, alone, scale), select(is_alone, 0.0, min));
            // all codes alike: the mean is the minimum, or, where it has the wrong sign, a level
            let is_solved = determinant > 0.0;
            let is_minimum = ANY || x < 0.0;
            pair.scale[k] = select(is_solved, scale, if is_minimum { 0.0 } else { alone });
            pair.min[k] = select(is_solved, min, if is_minimum { -x / w } else { 0.0 });
        }
        pair
    }

    /// Takes another fit where its error is less; returns where.
    #[inline(always)]
    fn take(&mut self, other: &Self, pair: &mut Pair<L>, of_other: &Pair<L>) -> [bool; L] {
        let mut taken = [false; L];
        for k in 0..L {
            let is_better = other.error[k] < self.error[k];
            taken[k] = is_better;
            self.error[k] = select(is_better, other.error[k], self.error[k]);
            self.codes[k] = select(is_better, other.codes[k], self.codes[k]);
            self.square[k] = select(is_better, other.square[k], self.square[k]);
            self.product[k] = select(is_better, other.product[k], self.product[k]);
            pair.scale[k] = select(is_better, of_other.scale[k], pair.scale[k]);
            pair.min[k] = select(is_better, of_other.min[k], pair.min[k]);
        }
        taken
    }
}

/// Finds the best scale and minimum of a sub-block that can have any.
#[inline(always)]
fn best<const TOP: i32, const ANY: bool, const N: usize, const L: usize>(
    x: &[[f32; L]; N],
    w: &[[f32; L]; N],
    sums: &Sums<L>,
) -> Pair<L> {
    let (mut low, mut high) = (x[0], x[0]);
    for x in x {
        for k in 0..L {
            low[k] = select(x[k] < low[k], x[k], low[k]);
            high[k] = select(x[k] > high[k], x[k], high[k]);
        }
    }
    for low in &mut low {
        *low = if !ANY && *low > 0.0 { 0.0 } else { *low };
    }
    let mut best = Pair { scale: [0.0; L], min: [0.0; L] };
    let mut fit = Fit::WORST;
    for more in STARTS {
        let mut start = Pair { scale: [0.0; L], min: [0.0; L] };
        for k in 0..L {
            start.scale[k] = (high[k] - low[k]) / (TOP as f32 + more);
            start.min[k] = -low[k];
        }
        let next = Fit::at::<TOP, N>(x, w, &start).pair::<ANY>(sums);
        let then = Fit::at::<TOP, N>(x, w, &next);
        fit.take(&then, &mut best, &next);
    }
    for _ in 0..TURNS {
        let next = fit.pair::<ANY>(sums);
        let then = Fit::at::<TOP, N>(x, w, &next);
        fit.take(&then, &mut best, &next);
    }
    best
}

/// The scales of a block and the whole numbers that multiply them in the sub-blocks.
pub(super) struct Scales<const SUBS: usize, const L: usize> {
    pub(super) scale: [F16; L],
    pub(super) min: [F16; L],
    pub(super) scales: [[f32; L]; SUBS],
    pub(super) mins: [[f32; L]; SUBS],
}

/// Chooses the scales and minimums of blocks with `SUBS` sub-blocks, whose numbers range from 0 to
/// `HIGH`. With one sub-block the block has its scale and its minimum, of either sign.
#[inline(always)]
pub(super) fn choose<
    const TOP: i32,
    const N: usize,
    const SUBS: usize,
    const V: usize,
    const HIGH: i32,
    const L: usize,
>(
    tile: &Tile<V, L>,
) -> Scales<SUBS, L> {
    let (values, weights) = (tile.values.0.as_chunks::<N>().0, tile.weights.0.as_chunks::<N>().0);
    let mut chosen = Scales {
        scale: [F16::default(); L],
        min: [F16::default(); L],
        scales: [[1.0; L]; SUBS],
        mins: [[1.0; L]; SUBS],
    };
    let mut sums = [Sums { weight: [0.0; L], value: [0.0; L] }; SUBS];
    let mut ideal = [Pair { scale: [0.0; L], min: [0.0; L] }; SUBS];
    for i in 0..SUBS {
        sums[i] = Sums::of::<N>(&values[i], &weights[i]);
        ideal[i] = if SUBS == 1 {
            best::<TOP, true, N, L>(&values[i], &weights[i], &sums[i])
        } else {
            best::<TOP, false, N, L>(&values[i], &weights[i], &sums[i])
        };
    }
    if SUBS == 1 {
        for k in 0..L {
            chosen.scale[k] = f16(ideal[0].scale[k] * tile.unit[k]);
            chosen.min[k] = f16(ideal[0].min[k] * tile.unit[k]);
        }
        return chosen;
    }

    let mut of_block = Pair { scale: [0.0; L], min: [0.0; L] };
    for ideal in &ideal {
        for k in 0..L {
            let (scale, min) = (ideal.scale[k] / HIGH as f32, ideal.min[k] / HIGH as f32);
            of_block.scale[k] = select(scale > of_block.scale[k], scale, of_block.scale[k]);
            of_block.min[k] = select(min > of_block.min[k], min, of_block.min[k]);
        }
    }
    for _ in 0..ROUNDS {
        of_block = refit::<TOP, N, SUBS, HIGH, L>(values, weights, &sums, &of_block, &mut ideal);
    }
    for k in 0..L {
        let unit = tile.unit[k];
        chosen.scale[k] = f16(of_block.scale[k] * unit);
        chosen.min[k] = f16(of_block.min[k] * unit);
        let (scale, min) = (chosen.scale[k].to_f32() / unit, chosen.min[k].to_f32() / unit);
        of_block.scale[k] = if unit == 0.0 { 0.0 } else { scale };
        of_block.min[k] = if unit == 0.0 { 0.0 } else { min };
    }
    for i in 0..SUBS {
        let numbers = numbers::<TOP, N, HIGH, L>(&values[i], &weights[i], &of_block, &ideal[i]).0;
        (chosen.scales[i], chosen.mins[i]) = (numbers.scale, numbers.min);
    }
    chosen
}

/// Chooses the numbers of the sub-blocks, and returns the best scale and minimum of the block for
/// them. What would be best for each sub-block follows the codes.
#[inline(always)]
fn refit<const TOP: i32, const N: usize, const SUBS: usize, const HIGH: i32, const L: usize>(
    values: &[[[f32; L]; N]],
    weights: &[[[f32; L]; N]],
    sums: &[Sums<L>; SUBS],
    of_block: &Pair<L>,
    ideal: &mut [Pair<L>; SUBS],
) -> Pair<L> {
    // of the two normal equations
    let (mut aa, mut ab, mut bb) = ([0.0; L], [0.0; L], [0.0; L]);
    let (mut ax, mut bx) = ([0.0; L], [0.0; L]);
    for i in 0..SUBS {
        let (number, fit) =
            numbers::<TOP, N, HIGH, L>(&values[i], &weights[i], of_block, &ideal[i]);
        let next = fit.pair::<false>(&sums[i]);
        for k in 0..L {
            let (s, m) = (number.scale[k], number.min[k]);
            aa[k] += s * s * fit.square[k];
            ab[k] += s * m * fit.codes[k];
            bb[k] += m * m * sums[i].weight[k];
            ax[k] += s * fit.product[k];
            bx[k] += m * sums[i].value[k];
            let is_usable = next.scale[k] > 0.0;
            ideal[i].scale[k] = select(is_usable, next.scale[k], ideal[i].scale[k]);
            ideal[i].min[k] = select(is_usable, next.min[k], ideal[i].min[k]);
        }
    }
    let mut better = *of_block;
    for k in 0..L {
        let determinant = aa[k] * bb[k] - ab[k] * ab[k];
        let scale = (ax[k] * bb[k] - bx[k] * ab[k]) / determinant;
        let min = (ax[k] * ab[k] - bx[k] * aa[k]) / determinant;
        // far from singular, in `f32`
        let is_solved = determinant > 1e-4 * aa[k] * bb[k] && scale > 0.0 && min > 0.0;
        let alone = ax[k] / aa[k];
        let alone = if aa[k] > 0.0 && alone > 0.0 { alone } else { better.scale[k] };
        let scale_alone = select(bb[k] == 0.0, alone, better.scale[k]);
        better.scale[k] = select(is_solved, scale, scale_alone);
        better.min[k] = select(is_solved, min, better.min[k]);
    }
    better
}

/// Chooses the numbers of a sub-block among those nearest to its ideal scale and minimum and their
/// neighbours.
#[inline(always)]
fn numbers<const TOP: i32, const N: usize, const HIGH: i32, const L: usize>(
    x: &[[f32; L]; N],
    w: &[[f32; L]; N],
    of_block: &Pair<L>,
    ideal: &Pair<L>,
) -> (Pair<L>, Fit<L>) {
    let mut nearest = Pair { scale: [0.0; L], min: [0.0; L] };
    for k in 0..L {
        let scale = ideal.scale[k] / of_block.scale[k];
        let min = ideal.min[k] / of_block.min[k];
        let scale = if of_block.scale[k] == 0.0 { 0.0 } else { scale };
        let min = if of_block.min[k] == 0.0 { 0.0 } else { min };
        nearest.scale[k] = round::<L>(clamp(scale, 0.0, HIGH as f32));
        nearest.min[k] = round::<L>(clamp(min, 0.0, HIGH as f32));
    }
    let mut best = nearest;
    let mut of_best = Fit::WORST;
    for (scale_step, min_step) in NEIGHBOURS {
        let mut number = nearest;
        let mut candidate = *of_block;
        for k in 0..L {
            number.scale[k] = clamp(nearest.scale[k] + scale_step, 0.0, HIGH as f32);
            number.min[k] = clamp(nearest.min[k] + min_step, 0.0, HIGH as f32);
            candidate.scale[k] *= number.scale[k];
            candidate.min[k] *= number.min[k];
        }
        let fit = Fit::at::<TOP, N>(x, w, &candidate);
        of_best.take(&fit, &mut best, &number);
    }
    (best, of_best)
}

const NEIGHBOURS: [(f32, f32); 9] = [
    (0.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
    (-1.0, 0.0),
    (-1.0, -1.0),
    (-1.0, 1.0),
    (1.0, 0.0),
    (1.0, -1.0),
    (1.0, 1.0),
];
