//! IQ2_XS: groups of 8 magnitudes from a codebook, signs of even parity.

use granule_format::block::codebook::iq2_xs::{GRID, LEVELS};
use granule_format::block::types::IQ2_XS;
use zerocopy::IntoBytes;

use super::Kernel;
use super::codes::{CodeRange, nth_chunk, spread_nibbles, word};
use super::packing::Packing;
use super::super_block::{Magnitudes, Scales, SuperBlock, SuperBlocks, with_signs};
use crate::isa::{Eights, Simd};

impl Kernel for IQ2_XS {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::signed(&LEVELS));
}

impl SuperBlock for IQ2_XS {
    const FINE: bool = true;
    const SIGNS: bool = true;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let nibbles =
            |half: usize| 2 * spread_nibbles(word(&self.sub_scales, half)) + 0x0101_0101_0101_0101;
        let sub_scales = [nibbles(0), nibbles(1)];
        Scales { scale: v.half(self.scale) * 0.125, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        with_signs(v, self.magnitudes(v))
    }

    #[inline(always)]
    fn magnitudes<V: Simd>(&self, v: V) -> Magnitudes<V> {
        v.eights_with_signs(&BOOK, nth_chunk(self.groups.as_bytes(), 0))
    }
}

static BOOK: Eights<512> = Eights::new(&GRID, &LEVELS);
