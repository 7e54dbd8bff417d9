//! Q3_K: 2 bits and a third bit for each value, around 4.

use granule_format::block::types::Q3_K;

use super::Kernel;
use super::codes::{CodeRange, bits, double_word, eight_of, lower_by_32, nth_chunk, word};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for Q3_K {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(4, -4));
}

impl SuperBlock for Q3_K {
    const FINE: bool = true;
    const CODES: CodeRange = CodeRange::Raised(4);

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let low = double_word(&self.sub_scales_low, 0);
        let high = u64::from(word(&self.sub_scales_high, 0));
        // the upper two bits of four sub-scales each, brought to bits 4 and 5 of four bytes
        const UPPER: u64 = 0x3030_3030;
        let quarters = [high << 4 & UPPER, high << 2 & UPPER, high & UPPER, high >> 2 & UPPER];
        let raised = [
            low & 0x0f0f_0f0f_0f0f_0f0f | quarters[0] | quarters[1] << 32,
            low >> 4 & 0x0f0f_0f0f_0f0f_0f0f | quarters[2] | quarters[3] << 32,
        ];
        Scales {
            scale: v.half(self.scale),
            sub_scales: [lower_by_32(raised[0]), lower_by_32(raised[1])],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| {
                let low = v.load(nth_chunk(self.low_bits.as_flattened(), group / 4));
                let high = bits(v, v.load(&self.high_bits), group, 2, 4);
                v.or(bits(v, low, 2 * (group % 4), 0, 3), high)
            },
        )
    }
}
