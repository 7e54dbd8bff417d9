//! The search for a scale and a minimum, in lanes; see [`lanes`](super::lanes).
#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

use super::lanes::{ROUNDED_BELOW, Rows, code, select};
use super::search::Asymmetric;

/// The result of [`asymmetric`] in each lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen<const L: usize> {
    pub(crate) scale: [f32; L],
    /// The number to subtract; never negative.
    pub(crate) min: [f32; L],
    /// The codes are the integers nearest to `inverse * (x - origin)`, clamped to the levels.
    pub(crate) inverse: [f32; L],
    pub(crate) origin: [f32; L],
    /// The sum of the weights.
    pub(crate) sum_w: [f32; L],
}

impl<const L: usize> Chosen<L> {
    /// A placeholder to be filled in.
    pub(crate) const NONE: Self = {
        let zero = [0.0; L];
        Self { scale: zero, min: zero, inverse: zero, origin: zero, sum_w: zero }
    };
}

/// Lane form of [`search::asymmetric`](super::search::asymmetric). `weight` returns the weight of
/// value `i` in lane `k`.
#[inline(always)]
pub(crate) fn asymmetric<const N: usize, const L: usize>(
    search: &Asymmetric,
    x: &[[f32; L]; N],
    weight: impl Fn(usize, usize) -> f32,
) -> Chosen<L> {
    let mut weights = Rows::<N, L>::ZERO;
    let weights = &mut weights.0;
    let (mut min, mut max) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = ([0.0; L], [0.0; L]);
    for i in 0..N {
        for k in 0..L {
            let (x, w) = (x[i][k], weight(i, k));
            weights[i][k] = w;
            min[k] = select(x < min[k], x, min[k]);
            max[k] = select(x > max[k], x, max[k]);
            sum_w[k] += w;
            sum_x[k] += w * x;
        }
    }
    let smallest = min;
    for k in 0..L {
        min[k] = select(min[k] > 0.0, 0.0, min[k]);
    }
    let (start, runs) = (min, Runs { x, weights, smallest, max, sum_w, sum_x });

    let levels = search.levels as f32;
    let mut inverse = runs.inverse(levels, &min);
    let mut scale = [0.0; L];
    for k in 0..L {
        scale[k] = 1.0 / inverse[k];
    }
    let best = runs.first_error(search, &scale, &inverse, &min);
    let mut state = State { scale, min, best, inverse, origin: min };
    let mut codes = Rows::ZERO;
    for candidate in 0..=search.last {
        let numerator = search.first + search.step * candidate as f32 + levels;
        inverse = runs.inverse(numerator, &state.min);
        if runs.in_range(&inverse, &state.min) {
            runs.attempt::<false>(search, &inverse, &mut codes.0, &mut state);
        } else {
            runs.attempt::<true>(search, &inverse, &mut codes.0, &mut state);
        }
    }

    let mut chosen = Chosen { origin: state.origin, sum_w, ..Chosen::NONE };
    for k in 0..L {
        let alike = max[k] == start[k];
        chosen.scale[k] = select(alike, 0.0, state.scale[k]);
        chosen.min[k] = select(alike, -start[k], -state.min[k]);
        chosen.inverse[k] = select(alike, 0.0, state.inverse[k]);
    }
    chosen
}

/// The values that the candidates of [`asymmetric`] share.
struct Runs<'a, const N: usize, const L: usize> {
    x: &'a [[f32; L]; N],
    weights: &'a [[f32; L]; N],
    smallest: [f32; L],
    max: [f32; L],
    sum_w: [f32; L],
    sum_x: [f32; L],
}

/// The best candidate of [`asymmetric`] so far.
#[derive(Clone, Copy)]
struct State<const L: usize> {
    scale: [f32; L],
    min: [f32; L],
    best: [f32; L],
    inverse: [f32; L],
    origin: [f32; L],
}

impl<const N: usize, const L: usize> Runs<'_, N, L> {
    /// Returns the inverse of the scale that divides the range from `min` to the largest value into
    /// `numerator` steps.
    ///
    /// If the range is empty, no value is above `min` and all codes are 0 for any inverse. The
    /// result is then 1, because infinity would not be [in range](Self::in_range).
    #[inline(always)]
    fn inverse(&self, numerator: f32, min: &[f32; L]) -> [f32; L] {
        let mut inverse = [0.0; L];
        for k in 0..L {
            let range = self.max[k] - min[k];
            inverse[k] = numerator / select(range == 0.0, 1.0, range);
        }
        inverse
    }

    /// Returns whether [`round`] equals [`to_even`] for all values of all lanes. Checking both ends
    /// of the values is enough, because rounding is monotonic.
    #[inline(always)]
    fn in_range(&self, inverse: &[f32; L], min: &[f32; L]) -> bool {
        let mut outside = 0;
        for k in 0..L {
            let low = inverse[k] * (self.smallest[k] - min[k]);
            let high = inverse[k] * (self.max[k] - min[k]);
            // NaN is outside too.
            let inside = (low.abs() < ROUNDED_BELOW) & (high.abs() < ROUNDED_BELOW);
            outside |= u32::from(!inside);
        }
        outside == 0
    }

    /// Computes the error of the scale that spreads the codes evenly over the range.
    #[inline(always)]
    fn first_error(
        &self,
        search: &Asymmetric,
        scale: &[f32; L],
        inverse: &[f32; L],
        min: &[f32; L],
    ) -> [f32; L] {
        let mut error = [0.0; L];
        for i in 0..N {
            for k in 0..L {
                let (x, w) = (self.x[i][k], self.weights[i][k]);
                let code = code::<L, true>(0, search.levels, inverse[k] * (x - min[k]));
                error[k] += w * deviation(search, scale[k] * code + min[k] - x);
            }
        }
        error
    }

    /// Tries one candidate. `EXACT` is required when values are not [in range](Self::in_range).
    /// `codes` is scratch space.
    #[inline(always)]
    fn attempt<const EXACT: bool>(
        &self,
        search: &Asymmetric,
        inverse: &[f32; L],
        codes: &mut [[f32; L]; N],
        state: &mut State<L>,
    ) {
        let (mut sum_c, mut sum_cc, mut sum_xc) = ([0.0; L], [0.0; L], [0.0; L]);
        for i in 0..N {
            for k in 0..L {
                let (x, w) = (self.x[i][k], self.weights[i][k]);
                let code = code::<L, EXACT>(0, search.levels, inverse[k] * (x - state.min[k]));
                codes[i][k] = code;
                let weighted = w * code;
                sum_c[k] += weighted;
                sum_cc[k] += weighted * code;
                sum_xc[k] += weighted * x;
            }
        }
        let (mut scale, mut min) = ([0.0; L], [0.0; L]);
        // Only a determinant above zero gives a candidate; other lanes start from an error that is
        // never the best.
        let mut error = [0.0; L];
        for k in 0..L {
            let determinant = self.sum_w[k] * sum_cc[k] - sum_c[k] * sum_c[k];
            let this_scale = (self.sum_w[k] * sum_xc[k] - self.sum_x[k] * sum_c[k]) / determinant;
            let this_min = (sum_cc[k] * self.sum_x[k] - sum_c[k] * sum_xc[k]) / determinant;
            let above = this_min > 0.0;
            let without_min = sum_xc[k] / sum_cc[k];
            scale[k] = select(above, without_min, this_scale);
            min[k] = select(above, 0.0, this_min);
            error[k] = select(determinant > 0.0, 0.0, f32::INFINITY);
        }
        for i in 0..N {
            for k in 0..L {
                let (x, w) = (self.x[i][k], self.weights[i][k]);
                error[k] += w * deviation(search, scale[k] * codes[i][k] + min[k] - x);
            }
        }
        let old = *state;
        for k in 0..L {
            let better = error[k] < old.best[k];
            state.inverse[k] = select(better, inverse[k], old.inverse[k]);
            state.origin[k] = select(better, old.min[k], old.origin[k]);
            state.best[k] = select(better, error[k], old.best[k]);
            state.scale[k] = select(better, scale[k], old.scale[k]);
            state.min[k] = select(better, min[k], old.min[k]);
        }
    }
}

#[inline(always)]
fn deviation(search: &Asymmetric, difference: f32) -> f32 {
    if search.absolute { difference.abs() } else { difference * difference }
}
