//! Q8_1: signed bytes; their stored sum is not needed here.

use granule_format::block::types::Q8_1;
use granule_format::num::F16;

use super::Kernel;
use super::codes::CodeRange;
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for Q8_1 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = None;
}

impl SmallBlock for Q8_1 {
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

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V, _: usize) -> V::Bytes {
        v.load_signed(&self.codes)
    }
}
