//! MXFP4: nibbles that stand for 4-bit floating-point numbers, doubled here to make them integers.

use granule_format::block::fp4;
use granule_format::block::types::MXFP4;
use granule_format::num::F16;

use super::Kernel;
use super::codes::{CodeRange, every_byte, lookup_nibbles_of_two};
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for MXFP4 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::nibbles(fp4::DOUBLED));
}

impl SmallBlock for MXFP4 {
    const HALF: bool = false;
    const CODES: CodeRange = CodeRange::Raised(RAISED_BY);

    #[inline(always)]
    fn scales<V: Simd>(&self, _: V, _: usize) -> [f32; 2] {
        [SCALES[usize::from(self.exponent)]; 2]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        None
    }

    const PAIRED: bool = true;

    #[inline(always)]
    fn pair_codes<V: Simd>(v: V, [a, b]: &[Self; 2]) -> [V::Bytes; 2] {
        lookup_nibbles_of_two(v, &RAISED, &a.codes, &b.codes)
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V, _: usize) -> V::Bytes {
        v.lookup_nibbles(&RAISED, &self.codes)
    }
}

/// The scale for every exponent.
static SCALES: [f32; 256] = every_byte!(fp4::half_e8m0);

/// Twice the magnitude of the least number.
pub(super) const RAISED_BY: u8 = 12;

/// The numbers doubled and raised, so that none is below 0.
pub(super) static RAISED: [i8; 16] = {
    let mut raised = fp4::DOUBLED;
    let mut index = 0;
    while index < 16 {
        raised[index] += RAISED_BY.cast_signed();
        index += 1;
    }
    raised
};
