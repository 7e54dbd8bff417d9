//! Types of 256 values with integer sub-scales.
//!
//! A value is `scale * sub_scale * code - min * sub_min`. The products of `scale` and `sub_scale`, and of `min` and
//! `sub_min`, are exact in single precision, so decoding may form them first in any way. Dot products stay
//! integers within a super-block: codes times activations, times sub-scales.

use granule_format::Block;

use super::codes::{Codes, eight, part};
use crate::activations::Vector;
use crate::isa::Vectors;

/// The scales of a super-block. Sub-scales are signed bytes of the two numbers, lowest first: 16 of them,
/// or 8 in the first number where sub-blocks have 32 values.
#[derive(Clone, Copy)]
pub(crate) struct Scales {
    pub(crate) scale: f32,
    pub(crate) sub_scales: [u64; 2],
    /// Ignored unless [`SuperBlock::MINIMUMS`].
    pub(crate) min: f32,
    /// As the sub-scales, below 128.
    pub(crate) sub_mins: [u64; 2],
}

/// What distinguishes the types of super-blocks.
pub(crate) trait SuperBlock: Block {
    /// Whether sub-blocks have 16 values rather than 32.
    const FINE: bool;
    /// Whether there are minimums.
    const MINIMUMS: bool = false;
    /// What [`codes`](Self::codes) gives.
    const CODES: Codes;

    /// The scales, as plain numbers.
    fn scales<V: Vectors>(&self, v: V) -> Scales;

    /// The codes of values `32 * group` to `32 * group + 31`.
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes;
}

#[inline(always)]
pub(crate) fn decode<B: SuperBlock, V: Vectors>(v: V, blocks: &[B], out: &mut [f32]) {
    for (block, out) in blocks.iter().zip(out.as_chunks_mut::<256>().0) {
        let Scales { scale, sub_scales, min, sub_mins } = block.scales(v);
        let (mut scales, mut mins) = ([0.0; 16], [0.0; 16]);
        v.store(v.mul(v.splat(scale), v.floats_from_u64(sub_scales)), &mut scales);
        if B::MINIMUMS {
            v.store(v.mul(v.splat(min), v.floats_from_u64(sub_mins)), &mut mins);
        }
        eight(
            #[inline(always)]
            |group| {
                let values = v.floats(B::CODES.values(v, block.codes(v, group)));
                let (low, high) = if B::FINE { (2 * group, 2 * group + 1) } else { (group, group) };
                let mut low_values = v.mul(values[0], v.splat(scales[low]));
                let mut high_values = v.mul(values[1], v.splat(scales[high]));
                if B::MINIMUMS {
                    low_values = v.sub(low_values, v.splat(mins[low]));
                    high_values = v.sub(high_values, v.splat(mins[high]));
                }
                let out = &mut out.as_chunks_mut::<16>().0[2 * group..][..2];
                v.store(low_values, &mut out[0]);
                v.store(high_values, &mut out[1]);
            },
        );
    }
}

#[inline(always)]
pub(crate) fn dots<B: SuperBlock, V: Vectors, const N: usize>(
    v: V,
    row: &[B],
    vectors: &[Vector<'_>; N],
) -> [f32; N] {
    let mut totals = [v.zero_sums(); N];
    for (index, block) in row.iter().enumerate() {
        let Scales { scale, sub_scales, min, sub_mins } = block.scales(v);
        let picked = if B::FINE {
            v.words_split(sub_scales)
        } else {
            v.words([sub_scales[0], sub_scales[0]])
        };
        // for each two of a vector's sums of 16, in their order
        let with_sums = |bytes: [u64; 2]| {
            if B::FINE { v.words(bytes) } else { v.words_doubled(bytes[0]) }
        };
        let mut groups = [(v.splat_byte(0), picked); 8];
        eight(
            #[inline(always)]
            |group| groups[group] = (block.codes(v, group), v.pick(picked, group)),
        );
        for (vector, total) in vectors.iter().zip(&mut totals) {
            let codes: &[i8; 256] = part(vector.codes, index);
            let mut ints = v.zero_ints();
            eight(
                #[inline(always)]
                |group| {
                    let activations = v.load_signed(part(codes, group));
                    let words = if B::CODES == Codes::Signed {
                        v.multiply_signed(groups[group].0, activations)
                    } else {
                        v.multiply_unsigned(groups[group].0, activations)
                    };
                    ints = v.multiply_add(ints, words, groups[group].1);
                },
            );
            let both = scale * vector.scales[index];
            *total = v.accumulate(*total, ints, both);
            let sums = v.load_words(part(vector.sums, index));
            if let Codes::Raised(by) = B::CODES {
                let raised = v.multiply_add(v.zero_ints(), with_sums(sub_scales), sums);
                *total = v.accumulate(*total, raised, both * -f32::from(by));
            }
            if B::MINIMUMS {
                let mins = v.multiply_add(v.zero_ints(), with_sums(sub_mins), sums);
                *total = v.accumulate(*total, mins, -(min * vector.scales[index]));
            }
        }
    }
    total(v, totals)
}

#[inline(always)]
pub(crate) fn total<V: Vectors, const N: usize>(v: V, totals: [V::Sums; N]) -> [f32; N] {
    let mut out = [0.0; N];
    for (out, sums) in out.iter_mut().zip(totals) {
        *out = v.total(sums);
    }
    out
}

/// Makes a [`SuperBlock`] a [`Kernel`](super::Kernel).
macro_rules! kernel {
    ($kind:ident, $block:ty) => {
        impl $crate::kernel::Kernel for $block {
            #[inline(always)]
            fn decode_blocks<V: $crate::isa::Vectors>(v: V, blocks: &[Self], out: &mut [f32]) {
                $crate::kernel::$kind::decode(v, blocks, out);
            }

            #[inline(always)]
            fn dots<V: $crate::isa::Vectors, const N: usize>(
                v: V,
                row: &[Self],
                vectors: &[$crate::activations::Vector<'_>; N],
            ) -> [f32; N] {
                $crate::kernel::$kind::dots(v, row, vectors)
            }
        }
    };
}
pub(super) use kernel;
