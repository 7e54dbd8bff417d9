//! Types of 32, 64 or 128 values with floating-point scales: a value is `code * scale`, plus a minimum in some.

use granule_format::Block;

use super::codes::{Codes, part};
use super::super_block::total;
use crate::activations::Vector;
use crate::isa::Vectors;

/// What distinguishes the types of small blocks.
pub(crate) trait SmallBlock: Block {
    /// Whether scales are for 16 values rather than for all of a group.
    const FINE: bool = false;
    /// Whether there is a minimum.
    const MINIMUM: bool = false;
    /// What [`codes`](Self::codes) gives.
    const CODES: Codes;

    /// The scales of the two halves of a group of 32 values; both the same unless [`FINE`](Self::FINE).
    fn scales<V: Vectors>(&self, v: V, group: usize) -> [f32; 2];

    /// What is added to every value.
    #[inline(always)]
    fn min<V: Vectors>(&self, _: V) -> f32 {
        0.0
    }

    /// The codes of values `32 * group` to `32 * group + 31`.
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes;
}

#[inline(always)]
pub(crate) fn decode<B: SmallBlock, V: Vectors>(v: V, blocks: &[B], out: &mut [f32]) {
    let groups = out.as_chunks_mut::<32>().0;
    for (block, groups) in blocks.iter().zip(groups.chunks_exact_mut(B::LEN / 32)) {
        let min = v.splat(block.min(v));
        for (group, out) in groups.iter_mut().enumerate() {
            let values = v.floats(B::CODES.values(v, block.codes(v, group)));
            let [low, high] = block.scales(v, group);
            let low_scale = v.splat(low);
            let high_scale = if B::FINE { v.splat(high) } else { low_scale };
            let mut low = v.mul(values[0], low_scale);
            let mut high = v.mul(values[1], high_scale);
            if B::MINIMUM {
                (low, high) = (v.add(low, min), v.add(high, min));
            }
            let out = out.as_chunks_mut::<16>().0;
            v.store(low, &mut out[0]);
            v.store(high, &mut out[1]);
        }
    }
}

#[inline(always)]
pub(crate) fn dots<B: SmallBlock, V: Vectors, const N: usize>(
    v: V,
    row: &[B],
    vectors: &[Vector<'_>; N],
) -> [f32; N] {
    let mut totals = [v.zero_sums(); N];
    let mut mins = [0.0; N];
    for (index, block) in row.iter().enumerate() {
        let min = block.min(v);
        for group in 0..B::LEN / 32 {
            let (codes, scales) = (block.codes(v, group), block.scales(v, group));
            let index = index * (B::LEN / 32) + group;
            for (i, vector) in vectors.iter().enumerate() {
                let activations = v.load_signed(part(vector.codes, index));
                let scale = vector.scales[index];
                let ints = match B::CODES {
                    Codes::Signed => v.dot_signed(codes, activations),
                    Codes::Unsigned => v.dot_unsigned(0, codes, activations),
                    Codes::Raised(by) => {
                        v.dot_unsigned(-i32::from(by) * sum(vector, index), codes, activations)
                    }
                };
                totals[i] = if B::FINE {
                    v.accumulate_halves(totals[i], ints, [scales[0] * scale, scales[1] * scale])
                } else {
                    v.accumulate(totals[i], ints, scales[0] * scale)
                };
                if B::MINIMUM {
                    mins[i] += min * (scale * sum(vector, index) as f32);
                }
            }
        }
    }
    let mut out = total(v, totals);
    if B::MINIMUM {
        for (out, min) in out.iter_mut().zip(mins) {
            *out += min;
        }
    }
    out
}

/// The sum of 32 activations.
#[inline(always)]
fn sum(vector: &Vector<'_>, index: usize) -> i32 {
    let [low, high] = part(vector.sums, index);
    i32::from(*low) + i32::from(*high)
}
