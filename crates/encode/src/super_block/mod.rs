//! Types of super-blocks of 256 values, each with scales of its sub-blocks: Q2_K to Q6_K.
//!
//! | module | holds |
//! |---|---|
//! | [`search`] | the searches for scales and codes, in scalar form: the definition |
//! | [`lanes`], [`asymmetric_lanes`], [`symmetric_lanes`], [`descend_lanes`] | the same in lanes |
//! | [`tile`] | super-blocks of a matrix, and tiles of them in lanes |
//! | [`scale_and_min`] | Q2_K, Q4_K, Q5_K: sub-blocks with a scale and a minimum |
//! | [`scale_only`] | Q3_K, Q6_K: sub-blocks with a scale |

pub(super) mod asymmetric_lanes;
pub(super) mod descend_lanes;
pub(super) mod lanes;
pub(super) mod scale_and_min;
pub(super) mod scale_only;
pub(super) mod search;
pub(super) mod symmetric_lanes;
pub(super) mod tile;

/// Values in a super-block.
pub(crate) const VALUES: usize = 256;

#[cfg(test)]
mod tests {
    use granule_reader::isa::Isa;

    use super::VALUES;
    use crate::{Encoder, q2_k, q3_k, q4_k, q5_k, q6_k};

    /// The lanes must agree with the definition even if rows reach the limits of `f32` or weights
    /// are sparse, so that sums cancel, overflow, or are all zero.
    #[test]
    fn lanes_give_the_bytes_of_the_definition() {
        let mut random = Random(1);
        // Not a whole number of tiles for any number of lanes.
        let (rows, columns) = (13, 3 * VALUES);
        for round in 0..12 {
            let values: Vec<f32> = (0..rows * columns)
                .map(|i| match round % 6 {
                    0 => random.signed() * 0.02,
                    1 => random.signed() * 10.0_f32.powi((i / 16 % 60) as i32 - 40),
                    2 => random.signed() * 10.0_f32.powf(random.signed() * 18.0),
                    3 => (random.signed() * 8.0).round() * 0.125,
                    4 => random.signed() * 0.001 + 10.0_f32.powi((i / VALUES % 7) as i32 - 3),
                    _ => {
                        if random.signed() < 0.8 {
                            0.0
                        } else {
                            random.signed()
                        }
                    }
                })
                .collect();
            let weights: Vec<f32> = (0..columns)
                .map(|_| match round / 6 {
                    0 => random.signed().abs(),
                    _ => {
                        if random.signed() < 0.9 {
                            0.0
                        } else {
                            random.signed().abs()
                        }
                    }
                })
                .collect();
            for weights in [None, Some(&weights[..])] {
                for encoder in ENCODERS {
                    let ty = encoder.block_type();
                    let bytes = rows * columns / VALUES * ty.block_bytes();
                    let (mut expected, mut found) = (vec![0; bytes], vec![0; bytes]);
                    encoder.encode_by_definition(&values, columns, weights, &mut expected);
                    for isa in Isa::available() {
                        encoder.encode(isa, &values, columns, weights, &mut found);
                        let weighted = weights.is_some();
                        assert!(found == expected, "{ty} {isa}, weights {weighted}, round {round}");
                    }
                }
            }
        }
    }

    const ENCODERS: [&dyn Encoder; 5] =
        [&q2_k::Q2_K, &q3_k::Q3_K, &q4_k::Q4_K, &q5_k::Q5_K, &q6_k::Q6_K];

    struct Random(u64);

    impl Random {
        /// Returns a number uniformly distributed from -1 to 1.
        fn signed(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
        }
    }
}
