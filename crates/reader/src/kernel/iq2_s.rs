//! IQ2_S: groups of 8 magnitudes from a codebook, free signs.

use granule_format::block::codebook::iq2_s::{GRID, LEVELS};
use granule_format::block::types::IQ2_S;

use super::Kernel;
use super::codes::{CodeRange, eight_of, spread_nibbles, word};
use super::packing::Packing;
use super::super_block::{Magnitudes, Scales, SuperBlock, SuperBlocks, with_signs};
use crate::isa::Simd;

impl Kernel for IQ2_S {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::signed(&LEVELS));
}

impl SuperBlock for IQ2_S {
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
        let magnitudes = eight_of(
            #[inline(always)]
            |group| {
                let high = usize::from(self.indices_high[group]);
                let entry = |i: usize| {
                    let low = usize::from(self.indices_low[4 * group + i]);
                    u64::from_le_bytes(GRID[low | (high << (8 - 2 * i) & 0x300)])
                };
                v.bytes_from_u64([entry(0), entry(1), entry(2), entry(3)])
            },
        );
        let signs = eight_of(
            #[inline(always)]
            |group| word(&self.signs, group),
        );
        (magnitudes, signs)
    }
}
