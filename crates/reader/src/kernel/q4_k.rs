//! Q4_K: nibbles above minimums.

use granule_format::block::types::Q4_K;

use super::codes::{Codes, bits, scales_and_mins};
use super::packing::Packing;
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, Q4_K);

impl SuperBlock for Q4_K {
    const FINE: bool = false;
    const MINIMUMS: bool = true;
    const CODES: Codes = Codes::Unsigned;
    const PACKING: Option<Packing> = Some(Packing::consecutive(4, 0));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let (sub_scales, sub_mins) = scales_and_mins(&self.sub_scales);
        Scales {
            scale: v.half(self.scale),
            sub_scales: [sub_scales, 0],
            min: v.half(self.min),
            sub_mins: [sub_mins, 0],
        }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        bits(v, v.load(&self.codes[group / 2]), 4 * (group % 2), 0, 15)
    }
}
