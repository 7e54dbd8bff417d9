//! IQ2_XXS: groups of 8 magnitudes from a codebook, signs of even parity.

use granule_format::block::codebook::iq2_xxs::{GRID, LEVELS};
use granule_format::block::types::IQ2_XXS;

use super::Kernel;
use super::codes::{CodeRange, eight_of};
use super::packing::Packing;
use super::super_block::{Magnitudes, Scales, SuperBlock, SuperBlocks, with_signs};
use crate::isa::{Eights, Simd};

impl Kernel for IQ2_XXS {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::signed(&LEVELS));
}

impl SuperBlock for IQ2_XXS {
    const FINE: bool = false;
    const SIGNS: bool = true;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let mut sub_scales = 0;
        for (i, sub_block) in self.sub_blocks.iter().enumerate() {
            sub_scales |= u64::from(sub_block.signs_and_scale.get() >> 28) << (8 * i);
        }
        let sub_scales = [2 * sub_scales + 0x0101_0101_0101_0101, 0];
        Scales { scale: v.half(self.scale) * 0.125, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        with_signs(v, self.magnitudes(v))
    }

    #[inline(always)]
    fn magnitudes<V: Simd>(&self, v: V) -> Magnitudes<V> {
        let low = eight_of(
            #[inline(always)]
            |i| u32::from_le_bytes(self.sub_blocks[i].indices),
        );
        let signs = eight_of(
            #[inline(always)]
            |i| self.sub_blocks[i].signs_and_scale.get(),
        );
        (v.eights(&BOOK, low), v.even_signs(signs))
    }
}

static BOOK: Eights<256> = Eights::new(&GRID, &LEVELS);
