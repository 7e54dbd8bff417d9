//! MXFP4: nibbles that stand for 4-bit floating-point numbers, doubled here to make them integers.

use granule_format::block::fp4;
use granule_format::block::types::MXFP4;
use granule_format::num::F16;

use super::Kernel;
use super::codes::{CodeRange, every_byte, lookup_nibbles_of_two};
use super::packing::Packing;
use super::small_block::{SmallBlock, SmallBlocks};
use crate::isa::Simd;

impl Kernel for MXFP4 {
    type Family = SmallBlocks;
    const PACKING: Option<Packing> = Some(Packing::nibbles(fp4::DOUBLED));
}

impl SmallBlock for MXFP4 {
    const HALF: bool = false;
    const CODES: CodeRange = CodeRange::Raised(RAISED_BY);

    #[inline(always)]
    fn scales<V: Simd>(&self, _: V, _: usize) -> [f32; 2] {
        [scale(self); 2]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        None
    }

    const PAIRED: bool = true;

    #[inline(always)]
    fn pair_codes<V: Simd>(v: V, [a, b]: &[Self; 2]) -> [V::Bytes; 2] {
        lookup_nibbles_of_two(v, &RAISED, &a.codes, &b.codes)
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V, _: usize) -> V::Bytes {
        v.lookup_nibbles(&RAISED, &self.codes)
    }
}

/// The scale; zero for zeros with a scale so large that what codes are raised by could overflow.
#[inline(always)]
fn scale(block: &MXFP4) -> f32 {
    const LARGE: u8 = 200; // 2^73
    const NAN: u8 = 255;
    let exponent = block.exponent;
    // codes 0 and 8 stand for zeros
    let is_zero = || block.codes.iter().all(|pair| pair & 0x77 == 0);
    if exponent > LARGE && exponent < NAN && is_zero() {
        return 0.0;
    }
    SCALES[usize::from(exponent)]
}

/// The scale for every exponent.
static SCALES: [f32; 256] = every_byte!(fp4::half_e8m0);

/// Twice the magnitude of the least number.
pub(super) const RAISED_BY: u8 = 12;

/// The numbers doubled and raised, so that none is below 0.
pub(super) static RAISED: [i8; 16] = {
    let mut raised = fp4::DOUBLED;
    let mut index = 0;
    while index < 16 {
        raised[index] += RAISED_BY.cast_signed();
        index += 1;
    }
    raised
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::{Activations, dot_rows};
    use granule_format::BlockType;

    #[test]
    fn zeros_with_a_large_scale_are_zeros() {
        let block = |exponent, codes| MXFP4 { exponent, codes: [codes; 16] };
        // exponents next to the largest, and the one that stands for NaN
        for (exponent, codes, expected) in
            [(254, 0, 0.0), (254, 0x80, 0.0), (250, 0x08, 0.0), (255, 0, f32::NAN)]
        {
            let row = [block(exponent, codes), block(128, 0x22)];
            let bytes: Vec<u8> =
                row.iter().flat_map(zerocopy::IntoBytes::as_bytes).copied().collect();
            let x = [127.0; 64];
            let activations = Activations::quantize(BlockType::MXFP4, &x);
            let rest = 2.0 * 127.0 * 32.0;
            for isa in Isa::available() {
                let mut y = [0.0];
                dot_rows(isa, BlockType::MXFP4, &bytes, &activations, &mut y);
                let expected = expected + rest;
                assert!(y[0] == expected || y[0].is_nan() && expected.is_nan(), "{isa}: {}", y[0]);
            }
        }
    }
}
