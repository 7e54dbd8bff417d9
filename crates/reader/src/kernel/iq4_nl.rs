//! IQ4_NL: nibbles that stand for uneven levels.

use granule_format::block::codebook::iq4_nl::LEVELS;
use granule_format::block::types::IQ4_NL;
use granule_format::num::F16;

use super::Kernel;
use super::codes::{CodeRange, lookup_nibbles_of_two};
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for IQ4_NL {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::nibbles(LEVELS));
}

impl SmallBlock for IQ4_NL {
    const HALF: bool = true;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V, _: usize) -> [f32; 2] {
        [v.half(self.scale); 2]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        Some(self.scale)
    }

    const PAIRED: bool = true;

    #[inline(always)]
    fn pair_codes<V: Simd>(v: V, [a, b]: &[Self; 2]) -> [V::Bytes; 2] {
        let levels = if V::ALL_UNSIGNED { &RAISED } else { &LEVELS };
        lookup_nibbles_of_two(v, levels, &a.codes, &b.codes)
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V, _: usize) -> V::Bytes {
        v.lookup_nibbles(&LEVELS, &self.codes)
    }

    const RAISED_BY: u8 = 128;

    #[inline(always)]
    fn raised_codes<V: Simd>(&self, v: V, _: usize) -> V::Bytes {
        v.lookup_nibbles(&RAISED, &self.codes)
    }
}

/// The levels raised by 128, as the bits of unsigned bytes.
pub(super) static RAISED: [i8; 16] = {
    let mut raised = LEVELS;
    let mut index = 0;
    while index < 16 {
        raised[index] = raised[index].wrapping_add(-128);
        index += 1;
    }
    raised
};
