//! Codes that change when all others are fixed.
//!
//! A column was fixed without knowing how those after it came out. Given the errors of all others,
//! `e H e` is least if its own is `-(sum over i != j of H_ij * e_i) / H_jj`. In a sweep each column
//! gets the level nearest to that, so `e H e` never grows.

use super::{GROUP, Search, State, add_errors, nearest};
use crate::effort::factor::Factor;

/// How often all columns are gone through.
const SWEEPS: usize = 2;

impl<S: Search<V>, const V: usize, const L: usize> State<S, V, L> {
    /// Changes the codes of a span whose blocks are all fixed.
    #[inline(always)]
    pub(super) fn sweep(&mut self, values: &[[f32; L]], factor: &Factor) {
        let count = factor.columns();
        for place in (0..SWEEPS).flat_map(|_| (0..count).step_by(GROUP)) {
            // the rows of moments are also their columns
            let mut sums = [[0.0; L]; GROUP];
            add_errors(&mut sums, &self.errors, &factor.moments[place..], count);
            for g in 0..GROUP {
                let column = factor.order[place + g];
                let moments = &factor.moments[(place + g) * count + place..][..GROUP];
                let inverse = 1.0 / moments[g];
                let mut wanted = [0.0; L];
                let old = self.errors[place + g];
                for k in 0..L {
                    wanted[k] = values[column][k] - old[k] + sums[g][k] * inverse;
                }
                let (block, column_in) = (column / V, column % V);
                let decoded = S::decoded(&self.chosen[block], column_in / S::SUB);
                let (level, error) = nearest::<S::Levels, L>(&wanted, &decoded, &values[column]);
                self.levels[block][column_in] = level;
                self.errors[place + g] = error;
                for h in g + 1..GROUP {
                    for k in 0..L {
                        sums[h][k] += (error[k] - old[k]) * moments[h];
                    }
                }
            }
        }
    }
}
