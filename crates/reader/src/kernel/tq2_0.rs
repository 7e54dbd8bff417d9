//! TQ2_0: 2 bits for each value, around 1.

use granule_format::block::types::TQ2_0;

use super::Kernel;
use super::codes::{CodeRange, bits, eight_of};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for TQ2_0 {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(2, -1));
}

impl SuperBlock for TQ2_0 {
    const FINE: bool = false;
    const CODES: CodeRange = CodeRange::Raised(1);
    const SUB_SCALES: bool = false;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        Scales {
            scale: v.half(self.scale),
            sub_scales: [0x0101_0101_0101_0101, 0],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| bits(v, v.load(&self.codes[group / 4]), 2 * (group % 4), 0, 3),
        )
    }
}
