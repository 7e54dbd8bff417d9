//! NVFP4: as MXFP4, in sub-blocks of 16.

use granule_format::block::fp4;
use granule_format::block::types::NVFP4;

use super::codes::{Codes, double_word, every_byte};
use super::packing::Packing;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

/// Every scale, so that none has to be computed.
static SCALES: [f32; 256] = every_byte!(fp4::half_ue4m3);

super_block::kernel!(small_block, NVFP4);

impl SmallBlock for NVFP4 {
    const FINE: bool = true;
    const HALF: bool = false;
    const CODES: Codes = Codes::Signed;
    const PACKING: Option<Packing> = Some(Packing::nibbles(fp4::DOUBLED));

    #[inline(always)]
    fn scales<V: Vectors>(&self, _: V, group: usize) -> [f32; 2] {
        let scale = |half: usize| SCALES[usize::from(self.scales[2 * group + half])];
        [scale(0), scale(1)]
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let bytes = &self.codes.as_flattened()[16 * group..];
        let (first, second) = (double_word(bytes, 0), double_word(bytes, 1));
        let low = v.bytes_from_u64([first, first >> 4, second, second >> 4]);
        v.lookup(&fp4::DOUBLED, v.and(low, v.splat_byte(15)))
    }
}
