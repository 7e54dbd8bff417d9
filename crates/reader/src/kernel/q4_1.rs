//! Q4_1: nibbles above a minimum.

use granule_format::block::types::Q4_1;
use granule_format::num::F16;

use super::Kernel;
use super::codes::{CodeRange, nibbles_of_two};
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for Q4_1 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(4, 0));
}

impl SmallBlock for Q4_1 {
    const HALF: bool = true;
    const MINIMUM: bool = true;
    const CODES: CodeRange = CodeRange::Unsigned;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V, _: usize) -> [f32; 2] {
        [v.half(self.scale); 2]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        Some(self.scale)
    }

    #[inline(always)]
    fn min(&self) -> F16 {
        self.min
    }

    const PAIRED: bool = true;

    #[inline(always)]
    fn pair_codes<V: Simd>(v: V, [a, b]: &[Self; 2]) -> [V::Bytes; 2] {
        nibbles_of_two(v, &a.codes, &b.codes)
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V, _: usize) -> V::Bytes {
        v.nibbles(&self.codes)
    }
}
