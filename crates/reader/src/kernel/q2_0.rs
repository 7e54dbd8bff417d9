//! Q2_0: 2 bits for each value, around 1; a byte holds four consecutive values.

use granule_format::block::types::Q2_0;
use granule_format::num::F16;

use super::Kernel;
use super::codes::{CodeRange, double_word, four, spread_pairs};
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for Q2_0 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(2, -1));
}

impl SmallBlock for Q2_0 {
    const HALF: bool = true;
    const CODES: CodeRange = CodeRange::Raised(1);

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
        let bits = double_word(&self.codes, group);
        v.bytes_from_u64(four(
            #[inline(always)]
            |i| spread_pairs((bits >> (16 * i)) as u16),
        ))
    }
}
