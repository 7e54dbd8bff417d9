//! Q5_K: a nibble and a fifth bit for each value, above minimums.

use granule_format::block::types::Q5_K;

use super::Kernel;
use super::codes::{CodeRange, bits, eight_of, scales_and_mins};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for Q5_K {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(5, 0));
}

impl SuperBlock for Q5_K {
    const FINE: bool = false;
    const MINIMUMS: bool = true;
    const CODES: CodeRange = CodeRange::Unsigned;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let (sub_scales, sub_mins) = scales_and_mins(&self.sub_scales);
        Scales {
            scale: v.half(self.scale),
            sub_scales: [sub_scales, 0],
            min: v.half(self.min),
            sub_mins: [sub_mins, 0],
        }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| {
                let low = bits(v, v.load(&self.low_bits[group / 2]), 4 * (group % 2), 0, 15);
                v.or(low, bits(v, v.load(&self.high_bits), group, 4, 16))
            },
        )
    }
}
