//! Q2_K: 2 bits for each value, above minimums.

use granule_format::block::types::Q2_K;

use super::Kernel;
use super::codes::{CodeRange, bits, double_word, eight_of, nth_chunk};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for Q2_K {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(2, 0));
}

impl SuperBlock for Q2_K {
    const FINE: bool = true;
    const MINIMUMS: bool = true;
    const CODES: CodeRange = CodeRange::Unsigned;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let (first, second) = (double_word(&self.sub_scales, 0), double_word(&self.sub_scales, 1));
        const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
        Scales {
            scale: v.half(self.scale),
            sub_scales: [first & LOW, second & LOW],
            min: v.half(self.min),
            sub_mins: [first >> 4 & LOW, second >> 4 & LOW],
        }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| {
                let quarters = v.load(nth_chunk(self.codes.as_flattened(), group / 4));
                bits(v, quarters, 2 * (group % 4), 0, 3)
            },
        )
    }
}
