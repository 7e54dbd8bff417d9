//! The operations in NEON: two registers of 16 bytes where a vector has 32.

use std::arch::aarch64::*;

use granule_format::num::F16;

use super::operations::operations;
use super::simd::{Simd, WithSimd};

/// Proof that the CPU has NEON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neon(());

compiled_for! { neon:
    /// Runs `work`, compiled for NEON.
    pub(super) fn enter<W: WithSimd>(work: W) -> W::Output {
        work.run(Neon(()))
    }
}

type Bytes = [uint8x16_t; 2];
type Words = [int16x8_t; 2];
type Ints = [int32x4_t; 2];
type Sums = [float32x4_t; 2];
type Floats = [float32x4_t; 4];

impl Simd for Neon {
    const WIDE: bool = true;
    type Bytes = Bytes;
    type Words = Words;
    type Ints = Ints;
    type Sums = Sums;
    type Floats = Floats;

    operations! {
        fn load(bytes: &[u8; 32]) -> Bytes {
            let (low, high) = bytes.split_at(16);
            [vld1q_u8(low.as_ptr()), vld1q_u8(high.as_ptr())]
        }
        fn load_signed(bytes: &[i8; 32]) -> Bytes {
            let (low, high) = bytes.split_at(16);
            [vld1q_u8(low.as_ptr().cast()), vld1q_u8(high.as_ptr().cast())]
        }
        fn load_two(first: &[u8; 16], second: &[u8; 16]) -> Bytes {
            [vld1q_u8(first.as_ptr()), vld1q_u8(second.as_ptr())]
        }
        fn nibbles(bytes: &[u8; 16]) -> Bytes {
            let bytes = vld1q_u8(bytes.as_ptr());
            [vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes)]
        }
        fn bytes_from_u64(parts: [u64; 4]) -> Bytes {
            [
                vcombine_u8(vcreate_u8(parts[0]), vcreate_u8(parts[1])),
                vcombine_u8(vcreate_u8(parts[2]), vcreate_u8(parts[3])),
            ]
        }
        fn bytes_from_u32(parts: [u32; 8]) -> Bytes {
            let (low, high) = parts.split_at(4);
            [
                vreinterpretq_u8_u32(vld1q_u32(low.as_ptr())),
                vreinterpretq_u8_u32(vld1q_u32(high.as_ptr())),
            ]
        }
        fn splat_byte(byte: u8) -> Bytes {
            [vdupq_n_u8(byte); 2]
        }
        fn spread_bits(bits: u32) -> Bytes {
            let mask = vcreate_u8(0x8040_2010_0804_0201);
            let mask = vcombine_u8(mask, mask);
            let [a, b, c, d] = bits.to_le_bytes();
            [
                vtstq_u8(vcombine_u8(vdup_n_u8(a), vdup_n_u8(b)), mask),
                vtstq_u8(vcombine_u8(vdup_n_u8(c), vdup_n_u8(d)), mask),
            ]
        }
        fn and(a: Bytes, b: Bytes) -> Bytes {
            [vandq_u8(a[0], b[0]), vandq_u8(a[1], b[1])]
        }
        fn or(a: Bytes, b: Bytes) -> Bytes {
            [vorrq_u8(a[0], b[0]), vorrq_u8(a[1], b[1])]
        }
        fn xor(a: Bytes, b: Bytes) -> Bytes {
            [veorq_u8(a[0], b[0]), veorq_u8(a[1], b[1])]
        }
        fn add_bytes(a: Bytes, b: Bytes) -> Bytes {
            [vaddq_u8(a[0], b[0]), vaddq_u8(a[1], b[1])]
        }
        fn sub_bytes(a: Bytes, b: Bytes) -> Bytes {
            [vsubq_u8(a[0], b[0]), vsubq_u8(a[1], b[1])]
        }
        fn shift_right(a: Bytes, bits: u32) -> Bytes {
            let bits = vdupq_n_s16(-(bits as i16));
            [
                vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(a[0]), bits)),
                vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(a[1]), bits)),
            ]
        }
        fn shift_left(a: Bytes, bits: u32) -> Bytes {
            let bits = vdupq_n_s16(bits as i16);
            [
                vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(a[0]), bits)),
                vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(a[1]), bits)),
            ]
        }
        fn sub_to_zero(a: Bytes, b: Bytes) -> Bytes {
            [vqsubq_u8(a[0], b[0]), vqsubq_u8(a[1], b[1])]
        }
        fn average(a: Bytes, b: Bytes) -> Bytes {
            [vrhaddq_u8(a[0], b[0]), vrhaddq_u8(a[1], b[1])]
        }
        fn lookup(table: &[i8; 16], indices: Bytes) -> Bytes {
            let table = vld1q_u8(table.as_ptr().cast());
            [vqtbl1q_u8(table, indices[0]), vqtbl1q_u8(table, indices[1])]
        }
        fn words(bytes: [u64; 2]) -> Words {
            [vmovl_s8(vcreate_s8(bytes[0])), vmovl_s8(vcreate_s8(bytes[1]))]
        }
        fn words_doubled(bytes: u64) -> Words {
            let bytes = vcreate_s8(bytes);
            [vmovl_s8(vzip1_s8(bytes, bytes)), vmovl_s8(vzip2_s8(bytes, bytes))]
        }
        fn words_split(bytes: [u64; 2]) -> Words {
            let (low, high) = (vcreate_s8(bytes[0]), vcreate_s8(bytes[1]));
            [vmovl_s8(vuzp1_s8(low, high)), vmovl_s8(vuzp2_s8(low, high))]
        }
        fn load_words(words: &[i16; 16]) -> Words {
            let (low, high) = words.split_at(8);
            [vld1q_s16(low.as_ptr()), vld1q_s16(high.as_ptr())]
        }
        fn pick(words: Words, index: usize) -> Words {
            let bytes = vreinterpretq_u8_u16(vdupq_n_u16(0x0100 + 0x0202 * (index & 7) as u16));
            [
                vreinterpretq_s16_u8(vqtbl1q_u8(vreinterpretq_u8_s16(words[0]), bytes)),
                vreinterpretq_s16_u8(vqtbl1q_u8(vreinterpretq_u8_s16(words[1]), bytes)),
            ]
        }
        fn pick_pair(words: Words, index: usize) -> Words {
            let bytes = vdupq_n_u32(0x0302_0100 + 0x0404_0404 * (index & 3) as u32);
            let half = vreinterpretq_u8_s16(words[index / 4 % 2]);
            [vreinterpretq_s16_u8(vqtbl1q_u8(half, vreinterpretq_u8_u32(bytes))); 2]
        }
        fn multiply_words(words: Words, factor: i16) -> Words {
            [vmulq_n_s16(words[0], factor), vmulq_n_s16(words[1], factor)]
        }
        fn multiply_unsigned(unsigned: Bytes, signed: Bytes) -> Words {
            [products(unsigned[0], signed[0]), products(unsigned[1], signed[1])]
        }
        fn multiply_signed(a: Bytes, b: Bytes) -> Words {
            [products(a[0], b[0]), products(a[1], b[1])]
        }
        fn zero_ints() -> Ints {
            [vdupq_n_s32(0); 2]
        }
        fn add_ints(a: Ints, b: Ints) -> Ints {
            [vaddq_s32(a[0], b[0]), vaddq_s32(a[1], b[1])]
        }
        fn multiply_add(sum: Ints, a: Words, b: Words) -> Ints {
            [
                vaddq_s32(sum[0], wide_products(a[0], b[0])),
                vaddq_s32(sum[1], wide_products(a[1], b[1])),
            ]
        }
        fn dot_unsigned(unsigned: Bytes, signed: Bytes) -> Ints {
            [
                vpaddlq_s16(products(unsigned[0], signed[0])),
                vpaddlq_s16(products(unsigned[1], signed[1])),
            ]
        }
        fn ints(bytes: u64) -> Ints {
            let words = vmovl_s8(vcreate_s8(bytes));
            [vmovl_s16(vget_low_s16(words)), vmovl_high_s16(words)]
        }
        fn add_multiplied(sum: Ints, ints: Ints, factors: Ints, index: usize) -> Ints {
            let mut all = [0; 8];
            vst1q_s32(all.as_mut_ptr(), factors[0]);
            vst1q_s32(all[4..].as_mut_ptr(), factors[1]);
            let factor = all[index & 7];
            [vmlaq_n_s32(sum[0], ints[0], factor), vmlaq_n_s32(sum[1], ints[1], factor)]
        }
        fn dot_signed(a: Bytes, b: Bytes) -> Ints {
            [vpaddlq_s16(products(a[0], b[0])), vpaddlq_s16(products(a[1], b[1]))]
        }
        fn zero_sums() -> Sums {
            [vdupq_n_f32(0.0); 2]
        }
        fn accumulate(sums: Sums, ints: Ints, scale: f32) -> Sums {
            [
                vfmaq_n_f32(sums[0], vcvtq_f32_s32(ints[0]), scale),
                vfmaq_n_f32(sums[1], vcvtq_f32_s32(ints[1]), scale),
            ]
        }
        fn accumulate_halves(sums: Sums, ints: Ints, scales: [f32; 2]) -> Sums {
            [
                vfmaq_n_f32(sums[0], vcvtq_f32_s32(ints[0]), scales[0]),
                vfmaq_n_f32(sums[1], vcvtq_f32_s32(ints[1]), scales[1]),
            ]
        }
        fn total(sums: Sums) -> f32 {
            vaddvq_f32(vaddq_f32(sums[0], sums[1]))
        }
        fn total_each(ints: [Ints; 8]) -> Ints {
            let [a, b, c, d, e, f, g, h] = ints;
            let (a, b) = (vaddq_s32(a[0], a[1]), vaddq_s32(b[0], b[1]));
            let (c, d) = (vaddq_s32(c[0], c[1]), vaddq_s32(d[0], d[1]));
            let (e, f) = (vaddq_s32(e[0], e[1]), vaddq_s32(f[0], f[1]));
            let (g, h) = (vaddq_s32(g[0], g[1]), vaddq_s32(h[0], h[1]));
            [
                vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)),
                vpaddq_s32(vpaddq_s32(e, f), vpaddq_s32(g, h)),
            ]
        }
        fn total_halves(ints: [Ints; 4]) -> Ints {
            let [a, b, c, d] = ints;
            let (a, b) = (vpaddq_s32(a[0], a[1]), vpaddq_s32(b[0], b[1]));
            let (c, d) = (vpaddq_s32(c[0], c[1]), vpaddq_s32(d[0], d[1]));
            [vpaddq_s32(a, b), vpaddq_s32(c, d)]
        }
        fn add_words_times(sum: Ints, words: &[i16; 8], factor: i32) -> Ints {
            let words = vld1q_s16(words.as_ptr());
            let (low, high) = (vmovl_s16(vget_low_s16(words)), vmovl_high_s16(words));
            [vmlaq_n_s32(sum[0], low, factor), vmlaq_n_s32(sum[1], high, factor)]
        }
        fn load_sums_twice(values: &[f32; 4]) -> Sums {
            let values = vld1q_f32(values.as_ptr());
            [vzip1q_f32(values, values), vzip2q_f32(values, values)]
        }
        fn sums_from_ints(ints: Ints) -> Sums {
            [vcvtq_f32_s32(ints[0]), vcvtq_f32_s32(ints[1])]
        }
        fn load_sums(values: &[f32; 8]) -> Sums {
            let (low, high) = values.split_at(4);
            [vld1q_f32(low.as_ptr()), vld1q_f32(high.as_ptr())]
        }
        fn multiply_sums(a: Sums, b: Sums) -> Sums {
            [vmulq_f32(a[0], b[0]), vmulq_f32(a[1], b[1])]
        }
        fn multiply_add_sums(sum: Sums, a: Sums, b: Sums) -> Sums {
            [vfmaq_f32(sum[0], a[0], b[0]), vfmaq_f32(sum[1], a[1], b[1])]
        }
        fn floats_from_bytes(bytes: &[u8; 64]) -> Floats {
            let parts = bytes.as_chunks::<16>().0;
            [
                vreinterpretq_f32_u8(vld1q_u8(parts[0].as_ptr())),
                vreinterpretq_f32_u8(vld1q_u8(parts[1].as_ptr())),
                vreinterpretq_f32_u8(vld1q_u8(parts[2].as_ptr())),
                vreinterpretq_f32_u8(vld1q_u8(parts[3].as_ptr())),
            ]
        }
        fn brain_floats(bytes: &[u8; 32]) -> Floats {
            let (low, high) = bytes.split_at(16);
            let low = vreinterpretq_u16_u8(vld1q_u8(low.as_ptr()));
            let high = vreinterpretq_u16_u8(vld1q_u8(high.as_ptr()));
            [
                vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(low))),
                vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_high_u16(low))),
                vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(high))),
                vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_high_u16(high))),
            ]
        }
        fn floats(bytes: Bytes) -> [Floats; 2] {
            [widen(vreinterpretq_s8_u8(bytes[0])), widen(vreinterpretq_s8_u8(bytes[1]))]
        }
        fn floats_from_u64(bytes: [u64; 2]) -> Floats {
            widen(vcombine_s8(vcreate_s8(bytes[0]), vcreate_s8(bytes[1])))
        }
        fn splat(value: f32) -> Floats {
            [vdupq_n_f32(value); 4]
        }
        fn load_floats(values: &[f32; 16]) -> Floats {
            let parts = values.as_chunks::<4>().0;
            [
                vld1q_f32(parts[0].as_ptr()),
                vld1q_f32(parts[1].as_ptr()),
                vld1q_f32(parts[2].as_ptr()),
                vld1q_f32(parts[3].as_ptr()),
            ]
        }
        fn store(values: Floats, out: &mut [f32; 16]) {
            let parts = out.as_chunks_mut::<4>().0;
            vst1q_f32(parts[0].as_mut_ptr(), values[0]);
            vst1q_f32(parts[1].as_mut_ptr(), values[1]);
            vst1q_f32(parts[2].as_mut_ptr(), values[2]);
            vst1q_f32(parts[3].as_mut_ptr(), values[3]);
        }
        fn add(a: Floats, b: Floats) -> Floats {
            [
                vaddq_f32(a[0], b[0]),
                vaddq_f32(a[1], b[1]),
                vaddq_f32(a[2], b[2]),
                vaddq_f32(a[3], b[3]),
            ]
        }
        fn sub(a: Floats, b: Floats) -> Floats {
            [
                vsubq_f32(a[0], b[0]),
                vsubq_f32(a[1], b[1]),
                vsubq_f32(a[2], b[2]),
                vsubq_f32(a[3], b[3]),
            ]
        }
        fn mul(a: Floats, b: Floats) -> Floats {
            [
                vmulq_f32(a[0], b[0]),
                vmulq_f32(a[1], b[1]),
                vmulq_f32(a[2], b[2]),
                vmulq_f32(a[3], b[3]),
            ]
        }
        fn multiply_add_floats(sum: Floats, a: Floats, b: Floats) -> Floats {
            [
                vfmaq_f32(sum[0], a[0], b[0]),
                vfmaq_f32(sum[1], a[1], b[1]),
                vfmaq_f32(sum[2], a[2], b[2]),
                vfmaq_f32(sum[3], a[3], b[3]),
            ]
        }
        fn total_floats(values: Floats) -> f32 {
            let (low, high) = (vaddq_f32(values[0], values[1]), vaddq_f32(values[2], values[3]));
            vaddvq_f32(vaddq_f32(low, high))
        }
    }

    #[inline(always)]
    fn negate(self, a: Self::Bytes, signs: u32) -> Self::Bytes {
        let mask = self.spread_bits(signs);
        self.sub_bytes(self.xor(a, mask), mask)
    }

    #[inline(always)]
    fn half(self, number: F16) -> f32 {
        number.to_f32()
    }

    #[inline(always)]
    fn sums_from_halves(self, numbers: [F16; 8]) -> Sums {
        self.load_sums(&numbers.map(F16::to_f32))
    }

    #[inline(always)]
    fn sums_from_upper_bits(self, bytes: u64) -> Sums {
        self.sums_from_halves(bytes.to_le_bytes().map(|byte| F16::from_bits(u16::from(byte) << 7)))
    }

    #[inline(always)]
    fn halves(self, bytes: &[u8; 32]) -> Floats {
        // the intrinsic needs a type that stable Rust does not have yet
        let mut out = [0.0; 16];
        for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *out = F16::from_bits(u16::from_le_bytes(*bytes)).to_f32();
        }
        self.load_floats(&out)
    }
}

/// Products of signed bytes, neighbours added.
#[inline]
#[target_feature(enable = "neon")]
fn products(a: uint8x16_t, b: uint8x16_t) -> int16x8_t {
    let (a, b) = (vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b));
    vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b))
}

/// Products of words, neighbours added.
#[inline]
#[target_feature(enable = "neon")]
fn wide_products(a: int16x8_t, b: int16x8_t) -> int32x4_t {
    vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b))
}

/// Sixteen signed bytes as floats.
#[inline]
#[target_feature(enable = "neon")]
fn widen(bytes: int8x16_t) -> Floats {
    let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
    [
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
        vcvtq_f32_s32(vmovl_high_s16(low)),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
        vcvtq_f32_s32(vmovl_high_s16(high)),
    ]
}
