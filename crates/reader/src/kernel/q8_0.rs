//! Q8_0: signed bytes.

use granule_format::block::types::Q8_0;
use granule_format::num::F16;

use super::Kernel;
use super::codes::CodeRange;
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for Q8_0 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(8, -128));
}

impl SmallBlock for Q8_0 {
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

    const RAISED_BY: u8 = 128;

    #[inline(always)]
    fn raised_codes<V: Simd>(&self, v: V, _: usize) -> V::Bytes {
        v.xor(v.load_signed(&self.codes), v.splat_byte(0x80))
    }
}
