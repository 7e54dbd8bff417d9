//! IQ1_S: groups of 8 values from a codebook, shifted up or down.

use granule_format::block::types::IQ1_S;

use super::Kernel;
use super::codes::{CodeRange, eight_of, eightfold, four};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for IQ1_S {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::signed(&[1, 7, 9]));
}

impl SuperBlock for IQ1_S {
    const FINE: bool = false;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let mut sub_scales = 0;
        for (i, bits) in self.sub_blocks.iter().enumerate() {
            sub_scales |= u64::from(bits.get() >> 12 & 7) << (8 * i);
        }
        let sub_scales = [2 * sub_scales + 0x0101_0101_0101_0101, 0];
        Scales { scale: v.half(self.scale) * 0.125, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| {
                let bits = usize::from(self.sub_blocks[group].get());
                let indices = four(
                    #[inline(always)]
                    |i| usize::from(self.indices_low[4 * group + i]) | (bits >> (3 * i) & 7) << 8,
                );
                // 1, or -1 if the shift is down
                let shift = 1_u8.wrapping_sub((bits >> 14 & 2) as u8);
                v.add_bytes(eightfold(v, indices), v.splat_byte(shift))
            },
        )
    }
}
