//! IQ4_XS: nibbles that stand for uneven levels.

use granule_format::block::codebook::iq4_nl::LEVELS;
use granule_format::block::types::IQ4_XS;

use super::Kernel;
use super::codes::{CodeRange, eight_of, lower_by_32, spread_nibbles, spread_pairs};
use super::iq4_nl::RAISED;
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for IQ4_XS {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::nibbles(LEVELS));
}

impl SuperBlock for IQ4_XS {
    const FINE: bool = false;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let low = spread_nibbles(u32::from_le_bytes(self.sub_scales_low));
        let high = spread_pairs(self.sub_scales_high.get());
        let sub_scales = [lower_by_32(low | high << 4), 0];
        Scales { scale: v.half(self.scale), sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| v.lookup_nibbles(&LEVELS, &self.codes[group]),
        )
    }

    const RAISED_BY: u8 = 128;

    #[inline(always)]
    fn raised_codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| v.lookup_nibbles(&RAISED, &self.codes[group]),
        )
    }
}
