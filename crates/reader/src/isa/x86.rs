//! What AVX2 and AVX-512 share: registers of 32 bytes.

use std::arch::asm;
use std::arch::x86_64::*;

/// Sixteen bytes, then the same shifted right by 4 bits; the upper nibbles are undefined.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn shifted_nibbles(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes are read through a reference to 16 bytes.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let shifts = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
    _mm256_srlv_epi32(_mm256_broadcastsi128_si256(bytes), shifts)
}

/// Adds the halves of `a`, and those of `b`. Blends one operand, as few units of the CPU shuffle.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add_lanes(a: __m256i, b: __m256i) -> __m256i {
    let blended = _mm256_blend_epi32::<0xf0>(a, b);
    _mm256_add_epi32(blended, _mm256_permute2x128_si256::<0x21>(a, b))
}

/// In each half, adds pairs of `a`, and pairs of `b`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add_halves(a: __m256i, b: __m256i) -> __m256i {
    let blended = _mm256_blend_epi32::<0xcc>(a, b);
    _mm256_add_epi32(blended, _mm256_alignr_epi8::<8>(b, a))
}

/// In each half, adds neighbours of `a`, and of `b`. The instruction `vphaddd` is slower.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add_neighbours(a: __m256i, b: __m256i) -> __m256i {
    let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
    let (even, odd) = (_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xdd>(a, b));
    _mm256_add_epi32(_mm256_castps_si256(even), _mm256_castps_si256(odd))
}

/// `vpshufb`, as assembly: LLVM splits the intrinsic into two shuffles where adjacent indices are
/// equal.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pick_bytes(bytes: __m256i, indices: __m256i) -> __m256i {
    let found;
    // SAFETY: the instruction changes nothing but `found`.
    unsafe {
        asm!(
            "vpshufb {found}, {bytes}, {indices}",
            found = lateout(ymm_reg) found,
            bytes = in(ymm_reg) bytes,
            indices = in(ymm_reg) indices,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    found
}

/// `vpermd`, as assembly for the same reason.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pick_numbers(numbers: __m256i, indices: __m256i) -> __m256i {
    let found;
    // SAFETY: the instruction changes nothing but `found`.
    unsafe {
        asm!(
            "vpermd {found}, {indices}, {numbers}",
            found = lateout(ymm_reg) found,
            indices = in(ymm_reg) indices,
            numbers = in(ymm_reg) numbers,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    found
}

/// As assembly: LLVM turns the intrinsic into other, longer operations where a number is constant.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn average_bytes(a: __m256i, b: __m256i) -> __m256i {
    let found;
    // SAFETY: the instruction changes nothing but `found`.
    unsafe {
        asm!(
            "vpavgb {found}, {a}, {b}",
            found = lateout(ymm_reg) found, a = in(ymm_reg) a, b = in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    found
}

/// As assembly: LLVM turns several of the intrinsics into multiplications of widened bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn twice_bytes(a: __m256i) -> __m256i {
    let found;
    // SAFETY: the instruction changes nothing but `found`.
    unsafe {
        asm!(
            "vpaddb {found}, {a}, {a}",
            found = lateout(ymm_reg) found, a = in(ymm_reg) a,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    found
}

/// The operations on 32 bytes, 16 words and 8 integers that need no more than AVX2.
macro_rules! byte_operations {
    () => {
        const WIDE: bool = true;
        type Bytes = __m256i;
        type Words = __m256i;
        type Ints = __m256i;
        type Sums = __m256;

        #[inline(always)]
        fn prefetch<T>(self, from: &[T], bytes: usize) {
            let line = from.as_ptr().cast::<i8>().wrapping_add(bytes);
            // SAFETY: the instruction accepts any address: it never faults and changes only the
            // cache.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(line) }
        }

        operations! {
            fn load(bytes: &[u8; 32]) -> __m256i {
                _mm256_loadu_si256(bytes.as_ptr().cast())
            }
            fn load_signed(bytes: &[i8; 32]) -> __m256i {
                _mm256_loadu_si256(bytes.as_ptr().cast())
            }
            fn nibbles(bytes: &[u8; 16]) -> __m256i {
                _mm256_and_si256(shifted_nibbles(bytes), _mm256_set1_epi8(15))
            }
            fn bytes_from_u64(parts: [u64; 4]) -> __m256i {
                let [a, b, c, d] = parts;
                let (a, b) = (a.cast_signed(), b.cast_signed());
                let (c, d) = (c.cast_signed(), d.cast_signed());
                _mm256_set_epi64x(d, c, b, a)
            }
            fn bytes_from_u32(parts: [u32; 8]) -> __m256i {
                let [a, b, c, d, e, f, g, h] = parts;
                let (a, b) = (a.cast_signed(), b.cast_signed());
                let (c, d) = (c.cast_signed(), d.cast_signed());
                let (e, f) = (e.cast_signed(), f.cast_signed());
                let (g, h) = (g.cast_signed(), h.cast_signed());
                _mm256_set_epi32(h, g, f, e, d, c, b, a)
            }
            fn splat_byte(byte: u8) -> __m256i {
                _mm256_set1_epi8(byte.cast_signed())
            }
            fn and(a: __m256i, b: __m256i) -> __m256i {
                _mm256_and_si256(a, b)
            }
            fn or(a: __m256i, b: __m256i) -> __m256i {
                _mm256_or_si256(a, b)
            }
            fn xor(a: __m256i, b: __m256i) -> __m256i {
                _mm256_xor_si256(a, b)
            }
            fn add_bytes(a: __m256i, b: __m256i) -> __m256i {
                _mm256_add_epi8(a, b)
            }
            fn sub_bytes(a: __m256i, b: __m256i) -> __m256i {
                _mm256_sub_epi8(a, b)
            }
            fn shift_right(a: __m256i, bits: u32) -> __m256i {
                _mm256_srl_epi16(a, _mm_cvtsi32_si128(bits.cast_signed()))
            }
            fn shift_left(a: __m256i, bits: u32) -> __m256i {
                _mm256_sll_epi16(a, _mm_cvtsi32_si128(bits.cast_signed()))
            }
            fn sub_to_zero(a: __m256i, b: __m256i) -> __m256i {
                _mm256_subs_epu8(a, b)
            }
            fn average(a: __m256i, b: __m256i) -> __m256i {
                average_bytes(a, b)
            }
            fn twice(a: __m256i) -> __m256i {
                twice_bytes(a)
            }
            fn load_two(first: &[u8; 16], second: &[u8; 16]) -> __m256i {
                let first = _mm256_castsi128_si256(_mm_loadu_si128(first.as_ptr().cast()));
                _mm256_inserti128_si256::<1>(first, _mm_loadu_si128(second.as_ptr().cast()))
            }
            fn lookup(table: &[i8; 16], indices: __m256i) -> __m256i {
                let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
                _mm256_shuffle_epi8(table, indices)
            }
            fn words(bytes: [u64; 2]) -> __m256i {
                let (low, high) = (bytes[0].cast_signed(), bytes[1].cast_signed());
                _mm256_cvtepi8_epi16(_mm_set_epi64x(high, low))
            }
            fn words_doubled(bytes: u64) -> __m256i {
                let bytes = _mm_cvtsi64_si128(bytes.cast_signed());
                _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(bytes, bytes))
            }
            fn words_split(bytes: [u64; 2]) -> __m256i {
                let (low, high) = (bytes[0].cast_signed(), bytes[1].cast_signed());
                let order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
                _mm256_cvtepi8_epi16(_mm_shuffle_epi8(_mm_set_epi64x(high, low), order))
            }
            fn load_words(words: &[i16; 16]) -> __m256i {
                _mm256_loadu_si256(words.as_ptr().cast())
            }
            fn pick(words: __m256i, index: usize) -> __m256i {
                let bytes = 0x0100 + 0x0202 * (index & 7) as i16;
                pick_bytes(words, _mm256_set1_epi16(bytes))
            }
            fn pick_pair(words: __m256i, index: usize) -> __m256i {
                pick_numbers(words, _mm256_set1_epi32((index & 7) as i32))
            }
            fn multiply_words(words: __m256i, factor: i16) -> __m256i {
                _mm256_mullo_epi16(words, _mm256_set1_epi16(factor))
            }
            fn multiply_unsigned(unsigned: __m256i, signed: __m256i) -> __m256i {
                _mm256_maddubs_epi16(unsigned, signed)
            }
            fn multiply_signed(a: __m256i, b: __m256i) -> __m256i {
                _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a))
            }
            fn zero_ints() -> __m256i {
                _mm256_setzero_si256()
            }
            fn add_ints(a: __m256i, b: __m256i) -> __m256i {
                _mm256_add_epi32(a, b)
            }
            fn ints(bytes: u64) -> __m256i {
                _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(bytes.cast_signed()))
            }
            fn add_multiplied(
                sum: __m256i, ints: __m256i, factors: __m256i, index: usize
            ) -> __m256i {
                let factor = pick_numbers(factors, _mm256_set1_epi32((index & 7) as i32));
                _mm256_add_epi32(sum, _mm256_mullo_epi32(ints, factor))
            }
            fn zero_sums() -> __m256 {
                _mm256_setzero_ps()
            }
            fn accumulate(sums: __m256, ints: __m256i, scale: f32) -> __m256 {
                _mm256_fmadd_ps(_mm256_cvtepi32_ps(ints), _mm256_set1_ps(scale), sums)
            }
            fn accumulate_halves(sums: __m256, ints: __m256i, scales: [f32; 2]) -> __m256 {
                let scales = _mm256_set_m128(_mm_set1_ps(scales[1]), _mm_set1_ps(scales[0]));
                _mm256_fmadd_ps(_mm256_cvtepi32_ps(ints), scales, sums)
            }
            fn total(sums: __m256) -> f32 {
                let high = _mm256_extractf128_ps::<1>(sums);
                let four = _mm_add_ps(_mm256_castps256_ps128(sums), high);
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
            }
            fn total_each(ints: [__m256i; 8]) -> __m256i {
                let [a, b, c, d, e, f, g, h] = ints;
                let first = add_halves(add_lanes(a, e), add_lanes(b, f));
                add_neighbours(first, add_halves(add_lanes(c, g), add_lanes(d, h)))
            }
            fn total_halves(ints: [__m256i; 4]) -> __m256i {
                let [a, b, c, d] = ints;
                let halves = add_neighbours(add_halves(a, b), add_halves(c, d));
                _mm256_permutevar8x32_epi32(halves, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
            }
            fn add_words_times(sum: __m256i, words: &[i16; 8], factor: i32) -> __m256i {
                let words = _mm256_cvtepi16_epi32(_mm_loadu_si128(words.as_ptr().cast()));
                _mm256_add_epi32(sum, _mm256_mullo_epi32(words, _mm256_set1_epi32(factor)))
            }
            fn sums_from_upper_bits(bytes: u64) -> __m256 {
                let words = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(bytes.cast_signed()));
                _mm256_cvtph_ps(_mm_slli_epi16::<7>(words))
            }
            fn load_sums_twice(values: &[f32; 4]) -> __m256 {
                let values = _mm256_castps128_ps256(_mm_loadu_ps(values.as_ptr()));
                _mm256_permutevar8x32_ps(values, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3))
            }
            fn sums_from_ints(ints: __m256i) -> __m256 {
                _mm256_cvtepi32_ps(ints)
            }
            fn sums_from_halves(numbers: [F16; 8]) -> __m256 {
                let [a, b, c, d, e, f, g, h] = numbers;
                let (a, b, c, d) = (a.to_bits(), b.to_bits(), c.to_bits(), d.to_bits());
                let (e, f, g, h) = (e.to_bits(), f.to_bits(), g.to_bits(), h.to_bits());
                let (a, b) = (a.cast_signed(), b.cast_signed());
                let (c, d) = (c.cast_signed(), d.cast_signed());
                let (e, f) = (e.cast_signed(), f.cast_signed());
                let (g, h) = (g.cast_signed(), h.cast_signed());
                _mm256_cvtph_ps(_mm_set_epi16(h, g, f, e, d, c, b, a))
            }
            fn load_sums(values: &[f32; 8]) -> __m256 {
                _mm256_loadu_ps(values.as_ptr())
            }
            fn multiply_sums(a: __m256, b: __m256) -> __m256 {
                _mm256_mul_ps(a, b)
            }
            fn multiply_add_sums(sum: __m256, a: __m256, b: __m256) -> __m256 {
                _mm256_fmadd_ps(a, b, sum)
            }
            fn half(number: F16) -> f32 {
                _mm_cvtss_f32(_mm_cvtph_ps(_mm_set1_epi16(number.to_bits().cast_signed())))
            }
        }
    };
}

/// The operations of [`Lanes`](super::lanes::Lanes) on registers of 32 bytes.
macro_rules! lane_stores {
    () => {
        operations! {
            fn store_bytes(bytes: __m256i, out: &mut [u8; 32]) {
                _mm256_storeu_si256(out.as_mut_ptr().cast(), bytes)
            }
            fn store_sums(values: __m256, out: &mut [f32; 8]) {
                _mm256_storeu_ps(out.as_mut_ptr(), values)
            }
        }
    };
}

pub(super) use {byte_operations, lane_stores};
