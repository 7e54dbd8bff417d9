//! Q1_0: a bit for each value: 1 or -1.

use granule_format::block::types::Q1_0;
use granule_format::num::F16;

use super::Kernel;
use super::codes::{CodeRange, word};
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for Q1_0 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(2, -1));
}

impl SmallBlock for Q1_0 {
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
    fn codes<V: Simd>(&self, v: V, group: usize) -> V::Bytes {
        let ones = v.spread_bits(word(&self.signs, group));
        v.sub_bytes(v.and(ones, v.splat_byte(2)), v.splat_byte(1))
    }
}
