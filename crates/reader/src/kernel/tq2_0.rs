//! TQ2_0: 2 bits for each value, around 1.

use granule_format::block::types::TQ2_0;

use super::codes::{Codes, bits};
use super::packing::Packing;
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, TQ2_0);

impl SuperBlock for TQ2_0 {
    const FINE: bool = false;
    const CODES: Codes = Codes::Raised(1);
    const SUB_SCALES: bool = false;
    const PACKING: Option<Packing> = Some(Packing::consecutive(2, -1));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        Scales {
            scale: v.half(self.scale),
            sub_scales: [0x0101_0101_0101_0101, 0],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        bits(v, v.load(&self.codes[group / 4]), 2 * (group % 4), 0, 3)
    }
}
