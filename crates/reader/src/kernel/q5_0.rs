//! Q5_0: a nibble and a fifth bit for each value, around 16.

use granule_format::block::types::Q5_0;
use granule_format::num::F16;

use super::Kernel;
use super::codes::CodeRange;
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for Q5_0 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(5, -16));
}

impl SmallBlock for Q5_0 {
    const HALF: bool = true;
    const CODES: CodeRange = CodeRange::Raised(16);

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
        let high = v.and(v.spread_bits(u32::from_le_bytes(self.high_bits)), v.splat_byte(16));
        v.or(v.nibbles(&self.low_bits), high)
    }
}
