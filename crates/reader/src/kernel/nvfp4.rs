//! NVFP4: the numbers of MXFP4, in sub-blocks of 16 values.

use granule_format::block::fp4;
use granule_format::block::types::NVFP4;
use granule_format::num::F16;

use super::Kernel;
use super::codes::{CodeRange, every_byte, nth_chunk, word};
use super::mxfp4;
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

/// The scale for every byte.
static SCALES: [f32; 256] = every_byte!(fp4::half_ue4m3);

impl Kernel for NVFP4 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::nibbles(fp4::DOUBLED));
}

impl SmallBlock for NVFP4 {
    const FINE: bool = true;
    const HALF: bool = false;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, _: V, group: usize) -> [f32; 2] {
        let scale = |half: usize| SCALES[usize::from(self.scales[2 * group + half])];
        [scale(0), scale(1)]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        None
    }

    #[inline(always)]
    fn fine_scales<V: Simd>(v: V, blocks: &[Self; 2]) -> V::Sums {
        let bytes =
            u64::from(word(&blocks[0].scales, 0)) | u64::from(word(&blocks[1].scales, 0)) << 32;
        let numbers = bytes & 0x7f7f_7f7f_7f7f_7f7f;
        // byte 127 stands for 0, byte 255 does not
        let zeros = (numbers + 0x0101_0101_0101_0101) & !bytes & 0x8080_8080_8080_8080;
        let numbers = numbers & !(zeros - (zeros >> 7));
        // the fields of half precision, but the bias of the exponent is 7 greater: times 2^7
        v.multiply_sums(v.sums_from_upper_bits(numbers), v.load_sums(&[128.0; 8]))
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V, group: usize) -> V::Bytes {
        v.lookup_nibbles_of_eights(&fp4::DOUBLED, nth_chunk(self.codes.as_flattened(), group))
    }

    const RAISED_BY: u8 = mxfp4::RAISED_BY;

    #[inline(always)]
    fn raised_codes<V: Simd>(&self, v: V, group: usize) -> V::Bytes {
        v.lookup_nibbles_of_eights(&mxfp4::RAISED, nth_chunk(self.codes.as_flattened(), group))
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;
    use crate::isa::{Isa, WithSimd};

    struct AllScales;

    impl WithSimd for AllScales {
        type Output = ();

        fn run<V: Simd>(self, v: V) {
            for byte in 0..=255 {
                let block = NVFP4 { scales: [byte, 56, byte, 57], ..NVFP4::new_zeroed() };
                let mut out = [0.0; 8];
                let scales = v.total(NVFP4::fine_scales(v, &[block; 2]));
                out[0] = 4.0 * SCALES[usize::from(byte)] + 2.0 * (SCALES[56] + SCALES[57]);
                assert_eq!(scales, out[0], "{byte} {v:?}");
            }
        }
    }

    #[test]
    fn scales_of_two_blocks_are_those_of_the_table() {
        for isa in Isa::available() {
            isa.with_simd(AllScales);
        }
    }
}
