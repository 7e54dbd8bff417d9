//! The operations in AVX2, with FMA and F16C.

use std::arch::x86_64::*;

use granule_format::num::F16;

use super::operations::operations;
use super::simd::{Simd, WithSimd};
use super::x86::{
    add_halves, add_lanes, add_neighbours, average_bytes, byte_operations, pick_bytes,
    pick_numbers, shifted_nibbles, twice_bytes,
};

/// Proof that the CPU has AVX2 and the features listed with it in `features.rs`, such as FMA and
/// F16C.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

compiled_for! { avx2:
    /// Runs `work`, compiled for AVX2.
    pub(super) fn enter<W: WithSimd>(work: W) -> W::Output {
        work.run(Avx2(()))
    }
}

impl Avx2 {
    compiled_for! { avx2:
        /// The proof, for code that is compiled for AVX2.
        pub(super) fn new() -> Self {
            Self(())
        }
    }
}

impl Simd for Avx2 {
    byte_operations!();
    type Floats = [__m256; 2];

    #[inline(always)]
    fn negate(self, a: Self::Bytes, signs: u32) -> Self::Bytes {
        let mask = self.spread_bits(signs);
        self.sub_bytes(self.xor(a, mask), mask)
    }

    operations! {
        fn spread_bits(bits: u32) -> __m256i {
            let order = _mm256_setr_epi64x(
                0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303,
            );
            let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(bits.cast_signed()), order);
            let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
            _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit)
        }
        fn multiply_add(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
            _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
        }
        fn dot_unsigned(unsigned: __m256i, signed: __m256i) -> __m256i {
            let words = _mm256_maddubs_epi16(unsigned, signed);
            _mm256_madd_epi16(words, _mm256_set1_epi16(1))
        }
        fn dot_signed(a: __m256i, b: __m256i) -> __m256i {
            let words = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
            _mm256_madd_epi16(words, _mm256_set1_epi16(1))
        }
        fn halves(bytes: &[u8; 32]) -> [__m256; 2] {
            let (low, high) = bytes.split_at(16);
            let low = _mm_loadu_si128(low.as_ptr().cast());
            let high = _mm_loadu_si128(high.as_ptr().cast());
            [_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)]
        }
        fn floats_from_bytes(bytes: &[u8; 64]) -> [__m256; 2] {
            let (low, high) = bytes.split_at(32);
            [_mm256_loadu_ps(low.as_ptr().cast()), _mm256_loadu_ps(high.as_ptr().cast())]
        }
        fn brain_floats(bytes: &[u8; 32]) -> [__m256; 2] {
            let (low, high) = bytes.split_at(16);
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(low.as_ptr().cast()));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(high.as_ptr().cast()));
            let (low, high) = (_mm256_slli_epi32::<16>(low), _mm256_slli_epi32::<16>(high));
            [_mm256_castsi256_ps(low), _mm256_castsi256_ps(high)]
        }
        fn floats(bytes: __m256i) -> [[__m256; 2]; 2] {
            [widen(_mm256_castsi256_si128(bytes)), widen(_mm256_extracti128_si256::<1>(bytes))]
        }
        fn floats_from_u64(bytes: [u64; 2]) -> [__m256; 2] {
            let (low, high) = (bytes[0].cast_signed(), bytes[1].cast_signed());
            widen(_mm_set_epi64x(high, low))
        }
        fn splat(value: f32) -> [__m256; 2] {
            [_mm256_set1_ps(value); 2]
        }
        fn load_floats(values: &[f32; 16]) -> [__m256; 2] {
            let (low, high) = values.split_at(8);
            [_mm256_loadu_ps(low.as_ptr()), _mm256_loadu_ps(high.as_ptr())]
        }
        fn store(values: [__m256; 2], out: &mut [f32; 16]) {
            let (low, high) = out.split_at_mut(8);
            _mm256_storeu_ps(low.as_mut_ptr(), values[0]);
            _mm256_storeu_ps(high.as_mut_ptr(), values[1]);
        }
        fn add(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
        }
        fn sub(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])]
        }
        fn mul(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
        }
        fn multiply_add_floats(sum: [__m256; 2], a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            [_mm256_fmadd_ps(a[0], b[0], sum[0]), _mm256_fmadd_ps(a[1], b[1], sum[1])]
        }
        fn total_floats(values: [__m256; 2]) -> f32 {
            let eight = _mm256_add_ps(values[0], values[1]);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
}

/// Sixteen signed bytes as floats.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(bytes: __m128i) -> [__m256; 2] {
    let low = _mm256_cvtepi8_epi32(bytes);
    let high = _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes));
    [_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)]
}
