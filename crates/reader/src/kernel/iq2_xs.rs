//! IQ2_XS: groups of 8 magnitudes from a codebook, signs of even parity.

use granule_format::block::codebook::{iq2_xs::GRID, signs::SIGNS};
use granule_format::block::types::IQ2_XS;

use super::codes::{Codes, four, spread_nibbles, word};
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, IQ2_XS);

impl SuperBlock for IQ2_XS {
    const FINE: bool = true;
    const CODES: Codes = Codes::Signed;

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let nibbles =
            |half: usize| 2 * spread_nibbles(word(&self.sub_scales, half)) + 0x0101_0101_0101_0101;
        let sub_scales = [nibbles(0), nibbles(1)];
        Scales { scale: v.half(self.scale) * 0.125, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let groups = four(
            #[inline(always)]
            |i| usize::from(self.groups[4 * group + i].get()),
        );
        let values = v.bytes_from_u64(four(
            #[inline(always)]
            |i| u64::from_le_bytes(GRID[groups[i] & 511]),
        ));
        let signs = four(
            #[inline(always)]
            |i| SIGNS[groups[i] >> 9 & 127],
        );
        v.negate(values, u32::from_le_bytes(signs))
    }
}
