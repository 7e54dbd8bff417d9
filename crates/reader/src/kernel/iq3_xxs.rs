//! IQ3_XXS: groups of 4 magnitudes from a codebook, signs of even parity.

use granule_format::block::codebook::iq3_xxs::GRID;
use granule_format::block::types::IQ3_XXS;

use super::codes::{Codes, even_signs};
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, IQ3_XXS);

impl SuperBlock for IQ3_XXS {
    const FINE: bool = false;
    const CODES: Codes = Codes::Signed;

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let mut sub_scales = 0;
        for (i, word) in self.signs_and_scales.iter().enumerate() {
            sub_scales |= u64::from(word.get() >> 28) << (8 * i);
        }
        let sub_scales = [2 * sub_scales + 0x0101_0101_0101_0101, 0];
        Scales { scale: v.half(self.scale) * 0.25, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let entry = |i: usize| u32::from_le_bytes(GRID[usize::from(self.indices[8 * group + i])]);
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
        v.negate(values, even_signs(self.signs_and_scales[group].get()))
    }
}
