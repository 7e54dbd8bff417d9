//! IQ4_NL: nibbles that stand for uneven levels.

use granule_format::block::codebook::iq4_nl::LEVELS;
use granule_format::block::types::IQ4_NL;
use granule_format::num::F16;

use super::codes::{Codes, lookup_nibbles_of_two};
use super::packing::Packing;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

super_block::kernel!(small_block, IQ4_NL);

impl SmallBlock for IQ4_NL {
    const CODES: Codes = Codes::Signed;
    const PACKING: Option<Packing> = Some(Packing::nibbles(LEVELS));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V, _: usize) -> [f32; 2] {
        [v.half(self.scale); 2]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        Some(self.scale)
    }

    const PAIRED: bool = true;

    #[inline(always)]
    fn pair_codes<V: Vectors>(v: V, [a, b]: &[Self; 2]) -> [V::Bytes; 2] {
        let levels = if V::ALL_UNSIGNED { &RAISED } else { &LEVELS };
        lookup_nibbles_of_two(v, levels, &a.codes, &b.codes)
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, _: usize) -> V::Bytes {
        v.lookup_nibbles(&LEVELS, &self.codes)
    }

    const RAISED_BY: u8 = 128;

    #[inline(always)]
    fn raised_codes<V: Vectors>(&self, v: V, _: usize) -> V::Bytes {
        v.lookup_nibbles(&RAISED, &self.codes)
    }
}

/// The levels raised by 128, the bits of which are those of unsigned bytes.
pub(super) static RAISED: [i8; 16] = {
    let mut raised = LEVELS;
    let mut index = 0;
    while index < 16 {
        raised[index] = raised[index].wrapping_add(-128);
        index += 1;
    }
    raised
};
