//! Q8_K: signed bytes with one scale.

use granule_format::block::types::Q8_K;

use super::Kernel;
use super::codes::{CodeRange, eight_of, nth_chunk};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for Q8_K {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = None;
}

impl SuperBlock for Q8_K {
    const FINE: bool = false;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let _ = v;
        Scales {
            scale: self.scale.get(),
            sub_scales: [0x0101_0101_0101_0101, 0],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| v.load_signed(nth_chunk(&self.codes, group)),
        )
    }
}
