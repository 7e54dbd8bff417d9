//! The operations in AVX-512 (F, BW, DQ, VL) with VNNI. Processors that have the former alone use the kernels of AVX2.
//!
//! Bytes stay in registers of 32: the unit of most blocks. Floats are in registers of 64 bytes.

use std::arch::x86_64::*;

use granule_format::num::F16;

use super::lanes::{LaneWork, Lanes};
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

/// As [`enter`], for what is done with lanes.
#[target_feature(
    enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
)]
pub(super) fn enter_lanes<W: LaneWork>(work: W) {
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

impl Lanes for Avx512 {
    type Wide = __m512i;

    #[inline(always)]
    fn turn<const PARTS: usize>(
        self,
        rows: &[[[u8; 64]; PARTS]; 16],
        part: usize,
        out: &mut [[u8; 64]; 16],
    ) {
        let quarters = [
            self.turn_quarter(&rows[0][part], &rows[1][part], &rows[2][part], &rows[3][part]),
            self.turn_quarter(&rows[4][part], &rows[5][part], &rows[6][part], &rows[7][part]),
            self.turn_quarter(&rows[8][part], &rows[9][part], &rows[10][part], &rows[11][part]),
            self.turn_quarter(&rows[12][part], &rows[13][part], &rows[14][part], &rows[15][part]),
        ];
        for i in 0..4 {
            let [a, b, c, d] = [quarters[0][i], quarters[1][i], quarters[2][i], quarters[3][i]];
            let [even, odd] = [self.turn_halves(a, b), self.turn_halves(c, d)];
            let [first, third] = self.turn_halves(even[0], odd[0]);
            let [second, fourth] = self.turn_halves(even[1], odd[1]);
            self.store_lanes(first, &mut out[i]);
            self.store_lanes(second, &mut out[4 + i]);
            self.store_lanes(third, &mut out[8 + i]);
            self.store_lanes(fourth, &mut out[12 + i]);
        }
    }

    operations! {
        fn load_lanes(bytes: &[u8; 64]) -> __m512i {
            _mm512_loadu_si512(bytes.as_ptr().cast())
        }
        fn splat_lanes(number: i32) -> __m512i {
            _mm512_set1_epi32(number)
        }
        fn dot_bytes(sum: __m512i, unsigned: __m512i, signed: u32) -> __m512i {
            _mm512_dpbusd_epi32(sum, unsigned, _mm512_set1_epi32(signed.cast_signed()))
        }
        fn dot_words(sum: __m512i, words: __m512i, pair: u32) -> __m512i {
            _mm512_dpwssd_epi32(sum, words, _mm512_set1_epi32(pair.cast_signed()))
        }
        fn store_bytes(bytes: __m256i, out: &mut [u8; 32]) {
            _mm256_storeu_si256(out.as_mut_ptr().cast(), bytes)
        }
        fn store_words(words: __m256i, out: &mut [u8; 64]) {
            _mm256_storeu_si256(out.as_mut_ptr().cast(), words)
        }
        fn store_sums(values: __m256, out: &mut [f32; 8]) {
            _mm256_storeu_ps(out.as_mut_ptr(), values)
        }
        fn store_as_bytes(values: __m512, out: &mut [u8; 64]) {
            _mm512_storeu_ps(out.as_mut_ptr().cast(), values)
        }
        fn floats_from_lanes(lanes: __m512i) -> __m512 {
            _mm512_cvtepi32_ps(lanes)
        }
    }
}

impl Avx512 {
    operations! {
        fn store_lanes(lanes: __m512i, out: &mut [u8; 64]) {
            _mm512_storeu_si512(out.as_mut_ptr().cast(), lanes)
        }
        // vector `i`: numbers `i`, `4 + i`, `8 + i`, `12 + i` of all four rows
        fn turn_quarter(a: &[u8; 64], b: &[u8; 64], c: &[u8; 64], d: &[u8; 64]) -> [__m512i; 4] {
            let (a, b) = (_mm512_loadu_si512(a.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().cast()));
            let (c, d) = (_mm512_loadu_si512(c.as_ptr().cast()), _mm512_loadu_si512(d.as_ptr().cast()));
            let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (low_2, high_2) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            [
                _mm512_unpacklo_epi64(low, low_2),
                _mm512_unpackhi_epi64(low, low_2),
                _mm512_unpacklo_epi64(high, high_2),
                _mm512_unpackhi_epi64(high, high_2),
            ]
        }
        // quarters 0 and 2 of both, and quarters 1 and 3
        fn turn_halves(a: __m512i, b: __m512i) -> [__m512i; 2] {
            [_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b)]
        }
    }
}
