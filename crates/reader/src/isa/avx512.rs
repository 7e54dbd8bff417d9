//! The operations in AVX-512 (F, BW, DQ, VL) with VNNI. Processors that have the former alone use the kernels of AVX2.
//!
//! Bytes stay in registers of 32: the unit of most blocks. Floats are in registers of 64 bytes.

use std::arch::x86_64::*;

use granule_format::num::F16;

use super::operations::operations;
use super::vectors::{Vectors, Work};
use super::x86::byte_operations;

/// Proof that the CPU has AVX-512 F, BW, DQ, VL and VNNI, and what AVX2 needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

/// Do something, compiled for AVX-512 with VNNI.
#[target_feature(
    enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
)]
pub(super) fn enter<W: Work>(work: W) -> W::Output {
    work.run(Avx512(()))
}

impl Vectors for Avx512 {
    byte_operations!();
    type Floats = __m512;

    operations! {
        fn spread_bits(bits: u32) -> __m256i {
            _mm256_movm_epi8(bits)
        }
        fn negate(a: __m256i, signs: u32) -> __m256i {
            _mm256_mask_sub_epi8(a, signs, _mm256_setzero_si256(), a)
        }
        fn multiply_add(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
            _mm256_dpwssd_epi32(sum, a, b)
        }
        fn dot_unsigned(unsigned: __m256i, signed: __m256i) -> __m256i {
            _mm256_dpbusd_epi32(_mm256_setzero_si256(), unsigned, signed)
        }
        fn dot_signed(a: __m256i, b: __m256i) -> __m256i {
            let (a, b) = (_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
            _mm256_dpbusd_epi32(_mm256_setzero_si256(), a, b)
        }
        fn halves(bytes: &[u8; 32]) -> __m512 {
            _mm512_cvtph_ps(_mm256_loadu_si256(bytes.as_ptr().cast()))
        }
        fn floats_from_bytes(bytes: &[u8; 64]) -> __m512 {
            _mm512_loadu_ps(bytes.as_ptr().cast())
        }
        fn brain_floats(bytes: &[u8; 32]) -> __m512 {
            let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(bytes.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
        }
        fn floats(bytes: __m256i) -> [__m512; 2] {
            let low = _mm512_cvtepi8_epi32(_mm256_castsi256_si128(bytes));
            let high = _mm512_cvtepi8_epi32(_mm256_extracti128_si256::<1>(bytes));
            [_mm512_cvtepi32_ps(low), _mm512_cvtepi32_ps(high)]
        }
        fn floats_from_u64(bytes: [u64; 2]) -> __m512 {
            let (low, high) = (bytes[0].cast_signed(), bytes[1].cast_signed());
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_set_epi64x(high, low)))
        }
        fn splat(value: f32) -> __m512 {
            _mm512_set1_ps(value)
        }
        fn load_floats(values: &[f32; 16]) -> __m512 {
            _mm512_loadu_ps(values.as_ptr())
        }
        fn store(values: __m512, out: &mut [f32; 16]) {
            _mm512_storeu_ps(out.as_mut_ptr(), values)
        }
        fn add(a: __m512, b: __m512) -> __m512 {
            _mm512_add_ps(a, b)
        }
        fn sub(a: __m512, b: __m512) -> __m512 {
            _mm512_sub_ps(a, b)
        }
        fn mul(a: __m512, b: __m512) -> __m512 {
            _mm512_mul_ps(a, b)
        }
        fn multiply_add_floats(sum: __m512, a: __m512, b: __m512) -> __m512 {
            _mm512_fmadd_ps(a, b, sum)
        }
        fn total_floats(values: __m512) -> f32 {
            _mm512_reduce_add_ps(values)
        }
    }
}
