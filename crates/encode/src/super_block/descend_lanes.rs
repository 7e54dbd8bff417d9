//! The descent of [`search::descend`](super::search::descend), in lanes; see
//! [`lanes`](super::lanes).
//!
//! Within a round each value depends, through a division, on the change that the previous value
//! made to the sums. But in most runs of weights no code ever moves. Whether a code moves can be
//! tested for all values of a run at once, with the sums as they are at the start. If none would
//! move, the sums do not change, so none ever moves. Only the other runs, about one in seven, are
//! gathered and go through the rounds.
#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

use super::lanes::{Rows, clamp, lane, round, select};
use super::symmetric_lanes::largest;
use crate::round::to_even;

/// Returns the scales of [`search::descend`](super::search::descend) for `N` values in each of `L`
/// lanes of each of `R` rows of runs. `run` returns the runs of a row.
#[inline(always)]
pub(crate) fn descend<'a, const N: usize, const L: usize, const R: usize>(
    half: i32,
    run: impl Fn(usize) -> &'a [[f32; L]; N],
) -> [[f32; L]; R] {
    let mut scales = [[0.0; L]; R];
    let mut gathered = Rows::ZERO;
    let mut places = [(0, 0); L];
    let mut count = 0;
    for i in 0..R {
        let x = run(i);
        let start = Start::of(half, x);
        scales[i] = start.scale();
        // first collects the runs, without branches, which no processor could predict
        let moves = start.moves(half, x);
        let (mut which, mut moving) = ([0; L], 0);
        for k in 0..L {
            which[moving % L] = k;
            moving += usize::from(moves[k] != 0);
        }
        for &k in &which[..moving] {
            put(&mut gathered.0, count, &lane(x, k));
            places[count] = (i, k);
            count += 1;
            if count == L {
                settle(half, &gathered.0, &places, &mut scales);
                count = 0;
            }
        }
    }
    if count > 0 {
        settle(half, &gathered.0, &places[..count], &mut scales);
    }
    scales
}

/// The state at the start of the descent: the value of largest magnitude has the code `-half`.
struct Start<const N: usize, const L: usize> {
    codes: Rows<N, L>,
    sum_xc: [f32; L],
    sum_cc: [f32; L],
    /// Lanes whose values are all negligible.
    nothing: [bool; L],
}

impl<const N: usize, const L: usize> Start<N, L> {
    #[inline(always)]
    fn of(half: i32, x: &[[f32; L]; N]) -> Self {
        let (largest, nothing) = largest(x);
        let (low, high) = (-half as f32, (half - 1) as f32);
        let mut inverse = [0.0; L];
        for k in 0..L {
            inverse[k] = low / largest[k];
        }
        let mut codes = Rows::<N, L>::ZERO;
        let (mut sum_xc, mut sum_cc) = ([0.0; L], [0.0; L]);
        for i in 0..N {
            for k in 0..L {
                let x = x[i][k];
                let code = clamp(round::<L>(inverse[k] * x), low, high);
                codes.0[i][k] = code;
                sum_xc[k] += x * x * x * code;
                sum_cc[k] += x * x * code * code;
            }
        }
        Self { codes, sum_xc, sum_cc, nothing }
    }

    #[inline(always)]
    fn scale(&self) -> [f32; L] {
        let mut scale = [0.0; L];
        for k in 0..L {
            let found = !self.nothing[k] & (self.sum_cc[k] > 0.0);
            scale[k] = select(found, self.sum_xc[k] / self.sum_cc[k], 0.0);
        }
        scale
    }

    /// Returns a nonzero number for lanes in which a code may move.
    #[inline(always)]
    fn moves(&self, half: i32, x: &[[f32; L]; N]) -> [u32; L] {
        let mut moves = [0; L];
        for i in 0..N {
            for k in 0..L {
                let (x, old) = (x[i][k], self.codes.0[i][k]);
                let w = x * x;
                let other_xc = self.sum_xc[k] - w * x * old;
                let other_cc = self.sum_cc[k] - w * old * old;
                let code = to_even(x * other_cc / other_xc).clamp(-half, half - 1) as f32;
                moves[k] |= u32::from((other_xc > 0.0) & (code != old));
            }
        }
        moves
    }
}

/// Runs the rounds for the runs in which a code may move, and stores their scales at their places.
#[inline(always)]
fn settle<const N: usize, const L: usize>(
    half: i32,
    x: &[[f32; L]; N],
    places: &[(usize, usize)],
    scales: &mut [[f32; L]],
) {
    let mut state = Start::of(half, x);
    // Each round writes to the other of two buffers. Selecting between a new number and the one
    // already in place would become a masked store, which is slow on many processors.
    let mut other = Rows::<N, L>::ZERO;
    for _ in 0..5 {
        let Start { codes, sum_xc, sum_cc, .. } = &mut state;
        std::mem::swap(codes, &mut other);
        // not a single number, which would have to be reduced after each value
        let mut moved = [0; L];
        for i in 0..N {
            let (x, before, codes) = (&x[i], &other.0[i], &mut codes.0[i]);
            for k in 0..L {
                let (x, old) = (x[k], before[k]);
                let w = x * x;
                let other_xc = sum_xc[k] - w * x * old;
                let other_cc = sum_cc[k] - w * old * old;
                let code = to_even(x * other_cc / other_xc).clamp(-half, half - 1) as f32;
                let next_xc = other_xc + w * x * code;
                let next_cc = other_cc + w * code * code;
                let better = next_xc * next_xc * sum_cc[k] > sum_xc[k] * sum_xc[k] * next_cc;
                let moves = (other_xc > 0.0) & (code != old) & (next_cc > 0.0) & better;
                codes[k] = select(moves, code, old);
                sum_xc[k] = select(moves, next_xc, sum_xc[k]);
                sum_cc[k] = select(moves, next_cc, sum_cc[k]);
                moved[k] |= u32::from(moves);
            }
        }
        if moved == [0; L] {
            break;
        }
    }
    let settled = state.scale();
    for (j, (i, k)) in places.iter().enumerate() {
        scales[*i][*k] = settled[j];
    }
}

/// Sets lane `k` of every row. Like [`lane`], this is not compiled for the instruction set of the
/// lanes.
#[inline(never)]
fn put<const N: usize, const L: usize>(rows: &mut [[f32; L]; N], k: usize, values: &[f32; N]) {
    for (row, value) in rows.iter_mut().zip(values) {
        row[k] = *value;
    }
}
