//! IQ3_S: groups of 4 magnitudes from a codebook, free signs.

use granule_format::block::codebook::iq3_s::GRID;
use granule_format::block::types::IQ3_S;

use super::codes::{Codes, spread_nibbles, word};
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, IQ3_S);

impl SuperBlock for IQ3_S {
    const FINE: bool = false;
    const CODES: Codes = Codes::Signed;

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let nibbles = spread_nibbles(u32::from_le_bytes(self.sub_scales));
        let sub_scales = [2 * nibbles + 0x0101_0101_0101_0101, 0];
        Scales { scale: v.half(self.scale), sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let high = usize::from(self.indices_high[group]);
        let entry = |i: usize| {
            let index = usize::from(self.indices_low[8 * group + i]) | (high << (8 - i) & 0x100);
            u32::from_le_bytes(GRID[index])
        };
        let values = v.bytes_from_u32([
            entry(0),
            entry(1),
            entry(2),
            entry(3),
            entry(4),
            entry(5),
            entry(6),
            entry(7),
        ]);
        v.negate(values, word(&self.signs, group))
    }
}
