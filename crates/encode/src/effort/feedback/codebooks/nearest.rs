//! The entry of a codebook with the least cost `e M e`.

#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

use crate::effort::feedback::inverse;
use crate::super_block::lanes::select;

/// The values of a group as they should be, and what errors cost.
pub(super) struct Wanted<'m, const N: usize, const L: usize> {
    pub(super) target: &'m [[f32; L]; N],
    /// `M`: symmetric, the same for all lanes.
    pub(super) costs: &'m [[f32; N]; N],
    pub(super) scale: &'m [f32; L],
}

/// Which number of negative values a group may have.
#[derive(Clone, Copy)]
pub(super) enum Parity<const L: usize> {
    Any,
    /// An odd number where this says so, else an even one.
    Odd([bool; L]),
}

/// An entry for each lane.
pub(super) struct Found<const N: usize, const L: usize> {
    pub(super) entries: [u16; L],
    /// Bit `i` is set where value `i` is negative.
    pub(super) signs: [u8; L],
    /// Entries with their signs.
    pub(super) levels: [[f32; L]; N],
}

impl<const N: usize, const L: usize> Wanted<'_, N, L> {
    /// Finds the best entry with the signs of the target. Where the number of negative values must
    /// be another, the sign of the value that costs least is changed.
    #[inline(always)]
    pub(super) fn nearest(&self, entries: &[[f32; N]], parity: Parity<L>) -> Found<N, L> {
        let mut signs = [0_u8; L];
        let mut units = [[0.0; L]; N]; // the target in units of the scale
        for i in 0..N {
            for k in 0..L {
                units[i][k] = self.target[i][k] * inverse(self.scale[k]);
                signs[k] |= u8::from(units[i][k] < 0.0) << i;
            }
        }
        if let Parity::Odd(odd) = parity {
            let (mut cheapest, mut least) = ([0_u8; L], [f32::INFINITY; L]);
            for i in 0..N {
                for k in 0..L {
                    let cost = self.costs[i][i] * units[i][k].abs();
                    let is_less = cost < least[k];
                    least[k] = select(is_less, cost, least[k]);
                    cheapest[k] = if is_less { 1 << i } else { cheapest[k] };
                }
            }
            for k in 0..L {
                let is_odd = signs[k].count_ones() % 2 == 1;
                signs[k] ^= if is_odd == odd[k] { 0 } else { cheapest[k] };
            }
        }
        let mut sign = [[0.0; L]; N];
        for i in 0..N {
            for k in 0..L {
                sign[i][k] = if signs[k] >> i & 1 == 1 { -1.0 } else { 1.0 };
            }
        }
        // but for a constant, cost(c) = sum over i of c_i (linear_i + M_ii c_i + sum over j < i of
        // square_ij c_j)
        let (mut linear, mut square) = ([[0.0; L]; N], [[[0.0; L]; N]; N]);
        for i in 0..N {
            for j in 0..N {
                for k in 0..L {
                    linear[i][k] -= 2.0 * self.costs[i][j] * units[j][k];
                }
            }
            for k in 0..L {
                linear[i][k] *= sign[i][k];
            }
            for j in 0..i {
                for k in 0..L {
                    square[i][j][k] = 2.0 * self.costs[i][j] * sign[i][k] * sign[j][k];
                }
            }
        }
        let (mut best, mut least) = ([0_u32; L], [f32::INFINITY; L]);
        for (number, entry) in entries.iter().enumerate() {
            let mut cost = [0.0; L];
            for i in 0..N {
                let mut sum = linear[i];
                for k in 0..L {
                    sum[k] += self.costs[i][i] * entry[i];
                }
                for j in 0..i {
                    for k in 0..L {
                        sum[k] += square[i][j][k] * entry[j];
                    }
                }
                for k in 0..L {
                    cost[k] += sum[k] * entry[i];
                }
            }
            for k in 0..L {
                let is_less = cost[k] < least[k];
                least[k] = select(is_less, cost[k], least[k]);
                best[k] = select(is_less, number as u32, best[k]);
            }
        }
        let mut levels = [[0.0; L]; N];
        for k in 0..L {
            let entry = &entries[best[k] as usize];
            for i in 0..N {
                levels[i][k] = sign[i][k] * entry[i];
            }
        }
        Found { entries: best.map(|best| best as u16), signs, levels }
    }

    /// Returns what levels cost.
    #[inline(always)]
    pub(super) fn cost(&self, levels: &[[f32; L]; N]) -> [f32; L] {
        let mut errors = [[0.0; L]; N];
        for i in 0..N {
            for k in 0..L {
                errors[i][k] = self.target[i][k] - self.scale[k] * levels[i][k];
            }
        }
        let mut cost = [0.0; L];
        for i in 0..N {
            for j in 0..N {
                for k in 0..L {
                    cost[k] += errors[i][k] * errors[j][k] * self.costs[i][j];
                }
            }
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use granule_format::block::codebook::iq3_s;

    use super::*;
    use crate::effort::tests::Random;

    /// Compared with the costs of all entries.
    #[test]
    fn the_best_entry_is_found() {
        let entries: Vec<[f32; 4]> = iq3_s::GRID.iter().map(|entry| entry.map(f32::from)).collect();
        let mut random = Random(21);
        for _ in 0..20 {
            let mixed: [[f32; 4]; 4] =
                std::array::from_fn(|_| std::array::from_fn(|_| random.signed()));
            let product = |i: usize, j: usize| (0..4).map(|m| mixed[i][m] * mixed[j][m]).sum();
            let costs = std::array::from_fn(|i| std::array::from_fn(|j| product(i, j)));
            let target: [[f32; 2]; 4] =
                std::array::from_fn(|_| std::array::from_fn(|_| 5.0 * random.normal()));
            let scale = [0.7, 0.0];
            let wanted = Wanted { target: &target, costs: &costs, scale: &scale };
            let odd = [true, false];
            for parity in [Parity::Any, Parity::Odd(odd)] {
                let found = wanted.nearest(&entries, parity);
                let least = wanted.cost(&found.levels)[0];
                for entry in &entries {
                    let sign = |i: usize| if found.signs[0] >> i & 1 == 1 { -1.0 } else { 1.0 };
                    let levels = std::array::from_fn(|i| [sign(i) * entry[i]; 2]);
                    assert!(wanted.cost(&levels)[0] >= least * 0.9999);
                }
                let changed: Vec<usize> = (0..4)
                    .filter(|i| (found.signs[0] >> i & 1 == 1) != (target[*i][0] < 0.0))
                    .collect();
                match parity {
                    Parity::Any => assert!(changed.is_empty()),
                    Parity::Odd(odd) => {
                        assert!(changed.len() < 2);
                        for k in 0..2 {
                            assert_eq!(found.signs[k].count_ones() % 2 == 1, odd[k]);
                        }
                    }
                }
            }
        }
    }
}
