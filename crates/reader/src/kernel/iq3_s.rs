//! IQ3_S: groups of 4 magnitudes from a codebook, free signs.

use granule_format::block::codebook::iq3_s::{GRID, LEVELS};
use granule_format::block::types::IQ3_S;

use super::Kernel;
use super::codes::{CodeRange, eight_of, spread_nibbles, word};
use super::packing::Packing;
use super::super_block::{Magnitudes, Scales, SuperBlock, SuperBlocks, with_signs};
use crate::isa::{Fours, Simd};

impl Kernel for IQ3_S {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::signed(&LEVELS));
}

impl SuperBlock for IQ3_S {
    const FINE: bool = false;
    const SIGNS: bool = true;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let nibbles = spread_nibbles(u32::from_le_bytes(self.sub_scales));
        let sub_scales = [2 * nibbles + 0x0101_0101_0101_0101, 0];
        Scales { scale: v.half(self.scale), sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        with_signs(v, self.magnitudes(v))
    }

    #[inline(always)]
    fn magnitudes<V: Simd>(&self, v: V) -> Magnitudes<V> {
        let signs = eight_of(
            #[inline(always)]
            |i| word(&self.signs, i),
        );
        (v.fours(&BOOK, &self.indices_low, u64::from_le_bytes(self.indices_high)), signs)
    }
}

static BOOK: Fours<512> = Fours::new(&GRID, &LEVELS);
