//! IQ2_XXS: groups of 8 magnitudes from a codebook, signs of even parity.

use granule_format::block::codebook::iq2_xxs::GRID;
use granule_format::block::types::IQ2_XXS;

use super::codes::{Codes, even_signs};
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, IQ2_XXS);

impl SuperBlock for IQ2_XXS {
    const FINE: bool = false;
    const CODES: Codes = Codes::Signed;

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let mut sub_scales = 0;
        for (i, sub_block) in self.sub_blocks.iter().enumerate() {
            sub_scales |= u64::from(sub_block.signs_and_scale.get() >> 28) << (8 * i);
        }
        let sub_scales = [2 * sub_scales + 0x0101_0101_0101_0101, 0];
        Scales { scale: v.half(self.scale) * 0.125, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let sub_block = &self.sub_blocks[group];
        let entry = |i: usize| u64::from_le_bytes(GRID[usize::from(sub_block.indices[i])]);
        let values = v.bytes_from_u64([entry(0), entry(1), entry(2), entry(3)]);
        v.negate(values, even_signs(sub_block.signs_and_scale.get()))
    }
}
