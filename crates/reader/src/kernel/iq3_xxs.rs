//! IQ3_XXS: groups of 4 magnitudes from a codebook, signs of even parity.

use granule_format::block::codebook::iq3_xxs::{GRID, LEVELS};
use granule_format::block::types::IQ3_XXS;

use super::Kernel;
use super::codes::{CodeRange, eight_of};
use super::packing::Packing;
use super::super_block::{Magnitudes, Scales, SuperBlock, SuperBlocks, with_signs};
use crate::isa::{Fours, Simd};

impl Kernel for IQ3_XXS {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::signed(&LEVELS));
}

impl SuperBlock for IQ3_XXS {
    const FINE: bool = false;
    const SIGNS: bool = true;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let mut sub_scales = 0;
        for (i, word) in self.signs_and_scales.iter().enumerate() {
            sub_scales |= u64::from(word.get() >> 28) << (8 * i);
        }
        let sub_scales = [2 * sub_scales + 0x0101_0101_0101_0101, 0];
        Scales { scale: v.half(self.scale) * 0.25, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        with_signs(v, self.magnitudes(v))
    }

    #[inline(always)]
    fn magnitudes<V: Simd>(&self, v: V) -> Magnitudes<V> {
        let signs = eight_of(
            #[inline(always)]
            |i| self.signs_and_scales[i].get(),
        );
        (v.fours(&BOOK, &self.indices, 0), v.even_signs(signs))
    }
}

static BOOK: Fours<256> = Fours::new(&GRID, &LEVELS);
