//! The operations in AVX-512 (F, BW, DQ, VL) with VNNI, VBMI and GFNI. CPUs without the last three
//! use the kernels of AVX2.
//!
//! Bytes stay in registers of 32: the unit of most blocks. Floats are in registers of 64 bytes.

use std::arch::asm;
use std::arch::x86_64::*;

use granule_format::num::F16;

use super::codebook::{Eights, Fours};
use super::lanes::{Lanes, WithLanes};
use super::operations::operations;
use super::simd::{Simd, WithSimd};
use super::x86::{
    add_halves, add_lanes, add_neighbours, average_bytes, byte_operations, lane_stores, pick_bytes,
    pick_numbers, shifted_nibbles, twice_bytes,
};

/// Proof that the CPU has AVX-512 F, BW, DQ, VL, VNNI and VBMI, GFNI, and what AVX2 needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

compiled_for! { avx512_full:
    /// Runs `work`, compiled for AVX-512 with VNNI, VBMI and GFNI.
    pub(super) fn enter<W: WithSimd>(work: W) -> W::Output {
        work.run(Avx512(()))
    }
}

compiled_for! { avx512_full:
    /// Runs work on lanes, compiled likewise.
    pub(super) fn enter_lanes<W: WithLanes>(work: W) {
        work.run(Avx512(()))
    }
}

impl Simd for Avx512 {
    byte_operations!();
    type Floats = __m512;
    const MANY: bool = true;
    const ALL_UNSIGNED: bool = true;

    #[inline(always)]
    fn eights(self, book: &Eights<256>, indices: [u32; 8]) -> [__m256i; 8] {
        self.expand_eights(&book.levels, self.look_up(&book.packed, self.indices(indices)))
    }

    #[inline(always)]
    fn eights_with_signs(self, book: &Eights<512>, groups: &[u8; 64]) -> ([__m256i; 8], [u32; 8]) {
        let (indices, signs) = self.indices_and_signs(groups);
        (self.expand_eights(&book.levels, self.look_up(&book.packed, indices)), signs)
    }

    #[inline(always)]
    fn fours<const ENTRIES: usize>(
        self,
        book: &Fours<ENTRIES>,
        low: &[u8; 64],
        high: u64,
    ) -> [__m256i; 8] {
        let low = low.as_chunks().0;
        let first = self.look_up(&book.packed, self.nine_bits(&low[0], high as u32));
        let second = self.look_up(&book.packed, self.nine_bits(&low[1], (high >> 32) as u32));
        let [a, b, c, d] = self.expand_fours(&book.levels, first);
        let [e, f, g, h] = self.expand_fours(&book.levels, second);
        [a, b, c, d, e, f, g, h]
    }

    operations! {
        fn lookup_nibbles(table: &[i8; 16], bytes: &[u8; 16]) -> __m256i {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            // only the lowest five bits count, and not the fifth, as the table is repeated
            _mm256_permutexvar_epi8(shifted_nibbles(bytes), table)
        }
        fn lookup_low(table: &[i8; 16], bytes: __m256i) -> __m256i {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            // as in `lookup_nibbles`
            _mm256_permutexvar_epi8(bytes, table)
        }
        fn lookup_nibbles_of_eights(table: &[i8; 16], bytes: &[u8; 16]) -> __m256i {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            let bytes = _mm256_castsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast()));
            let twice = _mm256_permute4x64_epi64::<0x50>(bytes);
            // as in `lookup_nibbles`
            _mm256_permutexvar_epi8(_mm256_srlv_epi64(twice, _mm256_setr_epi64x(0, 4, 0, 4)), table)
        }
        fn spread_bits(bits: u32) -> __m256i {
            _mm256_movm_epi8(bits)
        }
        fn negate(a: __m256i, signs: u32) -> __m256i {
            _mm256_mask_sub_epi8(a, signs, _mm256_setzero_si256(), a)
        }
        fn multiply_add(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
            multiply_add_words(sum, a, b)
        }
        fn dot_unsigned(unsigned: __m256i, signed: __m256i) -> __m256i {
            _mm256_dpbusd_epi32(_mm256_setzero_si256(), unsigned, signed)
        }
        fn add_dot_unsigned(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
            _mm256_dpbusd_epi32(sum, unsigned, signed)
        }
        fn dot_signed(a: __m256i, b: __m256i) -> __m256i {
            let (a, b) = (_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
            _mm256_dpbusd_epi32(_mm256_setzero_si256(), a, b)
        }
        fn even_signs(indices: [u32; 8]) -> [u32; 8] {
            let groups = _mm512_cvtepu32_epi64(_mm256_loadu_si256(indices.as_ptr().cast()));
            let bytes = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x150e_0700), groups);
            completed_signs(_mm512_cvtepi64_epi32(bytes))
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
    lane_stores!();
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
        fn lanes_from_bytes(bytes: &[i8; 16]) -> __m512i {
            _mm512_cvtepi8_epi32(_mm_loadu_si128(bytes.as_ptr().cast()))
        }
        fn store_lanes(lanes: __m512i, out: &mut [u8; 64]) {
            _mm512_storeu_si512(out.as_mut_ptr().cast(), lanes)
        }
        fn rotate_lanes(lanes: __m512i, bits: u32) -> __m512i {
            _mm512_rorv_epi32(lanes, _mm512_set1_epi32(bits.cast_signed()))
        }
        fn mask_lanes(lanes: __m512i, mask: u8) -> __m512i {
            _mm512_and_si512(lanes, _mm512_set1_epi8(mask.cast_signed()))
        }
        fn add_base(lanes: __m512i, table: __m512i) -> __m512i {
            _mm512_add_epi8(lanes, _mm512_broadcastb_epi8(_mm512_castsi512_si128(table)))
        }
        fn shift_lanes(lanes: __m512i, bits: u32) -> __m512i {
            _mm512_sra_epi32(lanes, _mm_cvtsi32_si128(bits.cast_signed()))
        }
        fn add_lanes(a: __m512i, b: __m512i) -> __m512i {
            _mm512_add_epi32(a, b)
        }
        fn look_up_lanes(table: __m512i, indices: __m512i) -> __m512i {
            _mm512_permutexvar_epi8(indices, table)
        }
        fn look_up_sixes(table: __m512i, low: __m512i, high: __m512i) -> __m512i {
            // the lowest bits of `low`, the others of `high`
            let mask = _mm512_set1_epi8(15);
            _mm512_permutexvar_epi8(_mm512_ternarylogic_epi32::<0xca>(mask, low, high), table)
        }
        fn look_up_fives(table: __m512i, low: __m512i, bits: u64) -> __m512i {
            let base = _mm512_broadcastb_epi8(_mm512_castsi512_si128(table));
            // (low & 15) | base
            let above = _mm512_ternarylogic_epi32::<0xf8>(base, low, _mm512_set1_epi8(15));
            _mm512_mask_add_epi8(above, bits, above, _mm512_set1_epi8(16))
        }
        fn multiply_add_lanes(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
            _mm512_add_epi32(sum, _mm512_mullo_epi32(a, b))
        }
        fn multiply_add_words(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
            // the upper words of `b` are 0
            _mm512_dpwssd_epi32(sum, a, b)
        }
        fn splat_lanes(number: i32) -> __m512i {
            _mm512_set1_epi32(number)
        }
        fn dot_values(sum: __m512i, values: __m512i, signed: u32) -> __m512i {
            _mm512_dpbusd_epi32(sum, values, _mm512_set1_epi32(signed.cast_signed()))
        }
        fn dot_codes(sum: __m512i, codes: __m512i, signed: u32) -> __m512i {
            _mm512_dpbusd_epi32(sum, codes, _mm512_set1_epi32(signed.cast_signed()))
        }
        fn store_as_bytes(values: __m512, out: &mut [u8; 64]) {
            _mm512_storeu_ps(out.as_mut_ptr().cast(), values)
        }
        fn floats_from_lanes(lanes: __m512i) -> __m512 {
            _mm512_cvtepi32_ps(lanes)
        }
        fn floats_of_bits(lanes: __m512i) -> __m512 {
            _mm512_castsi512_ps(lanes)
        }
    }
}

impl Avx512 {
    operations! {
        // vector `i`: numbers `i`, `4 + i`, `8 + i`, `12 + i` of all four rows
        fn turn_quarter(a: &[u8; 64], b: &[u8; 64], c: &[u8; 64], d: &[u8; 64]) -> [__m512i; 4] {
            let a = _mm512_loadu_si512(a.as_ptr().cast());
            let b = _mm512_loadu_si512(b.as_ptr().cast());
            let c = _mm512_loadu_si512(c.as_ptr().cast());
            let d = _mm512_loadu_si512(d.as_ptr().cast());
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

/// Largest codebook that is looked up in registers, in parts of 64 entries. Larger ones are faster
/// in memory.
const PARTS: usize = 8;

impl Avx512 {
    operations! {
        fn indices(indices: [u32; 8]) -> __m512i {
            _mm512_cvtepu8_epi16(_mm256_loadu_si256(indices.as_ptr().cast()))
        }
        fn indices_and_signs(groups: &[u8; 64]) -> (__m512i, [u32; 8]) {
            let groups = _mm512_loadu_si512(groups.as_ptr().cast());
            let signs = _mm512_cvtepi16_epi8(_mm512_srli_epi16::<9>(groups));
            (_mm512_and_si512(groups, _mm512_set1_epi16(511)), completed_signs(signs))
        }
        fn nine_bits(low: &[u8; 32], high: u32) -> __m512i {
            let low = _mm512_cvtepu8_epi16(_mm256_loadu_si256(low.as_ptr().cast()));
            _mm512_mask_add_epi16(low, high, low, _mm512_set1_epi16(256))
        }
        // 32 groups of eight levels of 2 bits as bytes
        fn expand_eights(levels: &[u8; 64], packed: __m512i) -> [__m256i; 8] {
            let levels = _mm512_loadu_si512(levels.as_ptr().cast());
            let shifts = _mm512_set1_epi64(0x0e0c_0a08_0604_0200);
            let mut out = [_mm256_setzero_si256(); 8];
            for part in 0..4 {
                // each word in all four words of a number
                let order = _mm512_mullo_epi64(
                    _mm512_add_epi64(
                        _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7),
                        _mm512_set1_epi64(8 * part as i64),
                    ),
                    _mm512_set1_epi64(0x0001_0001_0001_0001),
                );
                let words = _mm512_permutexvar_epi16(order, packed);
                let bytes = _mm512_multishift_epi64_epi8(shifts, words);
                // bits above a level do not count, as the levels are repeated
                let values = _mm512_permutexvar_epi8(bytes, levels);
                out[2 * part] = _mm512_castsi512_si256(values);
                out[2 * part + 1] = _mm512_extracti64x4_epi64::<1>(values);
            }
            out
        }
        // 32 groups of four levels of 3 bits as bytes
        fn expand_fours(levels: &[u8; 64], packed: __m512i) -> [__m256i; 4] {
            let levels = _mm512_loadu_si512(levels.as_ptr().cast());
            let shifts = _mm512_set1_epi64(0x2926_2320_0906_0300);
            let halves = [_mm512_castsi512_si256(packed), _mm512_extracti64x4_epi64::<1>(packed)];
            let mut out = [_mm256_setzero_si256(); 4];
            for part in 0..2 {
                let bytes =
                    _mm512_multishift_epi64_epi8(shifts, _mm512_cvtepu16_epi32(halves[part]));
                let values = _mm512_permutexvar_epi8(bytes, levels);
                out[2 * part] = _mm512_castsi512_si256(values);
                out[2 * part + 1] = _mm512_extracti64x4_epi64::<1>(values);
            }
            out
        }
    }

    /// Looks up 32 entries of a table: each two registers of it by the lower six bits, then the
    /// right one of these by the others.
    #[inline(always)]
    fn look_up<const ENTRIES: usize>(self, table: &[u16; ENTRIES], indices: __m512i) -> __m512i {
        let parts = table.as_chunks::<64>().0;
        let mut found = [indices; PARTS];
        for (found, part) in found.iter_mut().zip(parts) {
            *found = self.look_up_64(part, indices);
        }
        let (mut count, mut bit) = (ENTRIES / 64, 64);
        while count > 1 {
            count /= 2;
            for i in 0..count {
                found[i] = self.choose(found[2 * i], found[2 * i + 1], indices, bit);
            }
            bit *= 2;
        }
        found[0]
    }

    operations! {
        fn look_up_64(table: &[u16; 64], indices: __m512i) -> __m512i {
            let (low, high) = table.split_at(32);
            let low = _mm512_loadu_si512(low.as_ptr().cast());
            _mm512_permutex2var_epi16(low, indices, _mm512_loadu_si512(high.as_ptr().cast()))
        }
        fn choose(a: __m512i, b: __m512i, indices: __m512i, bit: i16) -> __m512i {
            let second = _mm512_test_epi16_mask(indices, _mm512_set1_epi16(bit));
            _mm512_mask_blend_epi16(second, a, b)
        }
    }
}

/// `vpdpwssd`, as assembly: LLVM turns the intrinsic into a multiplication and an addition.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512vnni")]
fn multiply_add_words(mut sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: the instruction changes nothing but `sum`.
    unsafe {
        asm!(
            "vpdpwssd {sum}, {a}, {b}",
            sum = inout(ymm_reg) sum, a = in(ymm_reg) a, b = in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// The lower seven signs of each byte, and an eighth that makes the number of ones even.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,gfni")]
fn completed_signs(bytes: __m256i) -> [u32; 8] {
    // bits 0 to 6 as they are; bit 7 the parity of them
    let matrix = _mm256_set1_epi64x(0x0102_0408_1020_407f);
    let signs = _mm256_gf2p8affine_epi64_epi8::<0>(bytes, matrix);
    let mut out = [0; 8];
    // SAFETY: 32 bytes are written to 32 bytes.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), signs) };
    out
}
