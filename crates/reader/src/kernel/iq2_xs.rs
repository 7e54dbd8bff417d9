//! IQ2_XS: groups of 8 magnitudes from a codebook, signs of even parity.

use granule_format::block::codebook::iq2_xs::{GRID, LEVELS};
use granule_format::block::types::IQ2_XS;
use zerocopy::IntoBytes;

use super::codes::{Codes, part, spread_nibbles, word};
use super::packing::Packing;
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::{Eights, Vectors};

super_block::kernel!(super_block, IQ2_XS);

impl SuperBlock for IQ2_XS {
    const FINE: bool = true;
    const SIGNS: bool = true;
    const CODES: Codes = Codes::Signed;
    const PACKING: Option<Packing> = Some(Packing::signed(&LEVELS));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let nibbles =
            |half: usize| 2 * spread_nibbles(word(&self.sub_scales, half)) + 0x0101_0101_0101_0101;
        let sub_scales = [nibbles(0), nibbles(1)];
        Scales { scale: v.half(self.scale) * 0.125, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn magnitudes<V: Vectors>(&self, v: V) -> ([V::Bytes; 8], [u32; 8]) {
        v.eights_with_signs(&BOOK, part(self.groups.as_bytes(), 0))
    }
}

static BOOK: Eights<512> = Eights::new(&GRID, &LEVELS);
