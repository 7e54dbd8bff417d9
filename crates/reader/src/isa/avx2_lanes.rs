//! The operations on lanes in AVX2: two registers for sixteen lanes.

use std::arch::x86_64::*;

use super::avx2::Avx2;
use super::lanes::{Lanes, WithLanes};
use super::operations::operations;
use super::simd::Simd;
use super::x86::lane_stores;

compiled_for! { avx2:
    /// Runs work on lanes, compiled for AVX2.
    pub(super) fn enter_lanes<W: WithLanes>(work: W) {
        work.run(Avx2::new())
    }
}

/// The same operation on both registers.
macro_rules! both {
    ($($vector:ident),* => $operation:expr) => {
        [
            { $( let $vector = $vector[0]; )* $operation },
            { $( let $vector = $vector[1]; )* $operation },
        ]
    };
}

impl Lanes for Avx2 {
    lane_stores!();
    type Wide = [__m256i; 2];

    #[inline(always)]
    fn turn<const PARTS: usize>(
        self,
        rows: &[[[u8; 64]; PARTS]; 16],
        part: usize,
        out: &mut [[u8; 64]; 16],
    ) {
        for (row, bytes) in rows.iter().enumerate() {
            for (number, out) in bytes[part].as_chunks::<4>().0.iter().zip(&mut *out) {
                out.as_chunks_mut::<4>().0[row] = *number;
            }
        }
    }

    #[inline(always)]
    fn look_up_sixes(self, table: Self::Wide, low: Self::Wide, high: Self::Wide) -> Self::Wide {
        let (low, high) = (self.mask_lanes(low, 15), self.mask_lanes(high, 48));
        self.add_base([self.or(low[0], high[0]), self.or(low[1], high[1])], table)
    }

    #[inline(always)]
    fn look_up_fives(self, table: Self::Wide, low: Self::Wide, bits: u64) -> Self::Wide {
        let low = self.mask_lanes(low, 15);
        let bits = [self.spread_bits(bits as u32), self.spread_bits((bits >> 32) as u32)];
        let fifths = self.mask_lanes(bits, 16);
        self.add_base([self.or(low[0], fifths[0]), self.or(low[1], fifths[1])], table)
    }

    operations! {
        fn load_lanes(bytes: &[u8; 64]) -> [__m256i; 2] {
            let (low, high) = bytes.split_at(32);
            [_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())]
        }
        fn lanes_from_bytes(bytes: &[i8; 16]) -> [__m256i; 2] {
            let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
            [_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes))]
        }
        fn store_lanes(lanes: [__m256i; 2], out: &mut [u8; 64]) {
            let (low, high) = out.split_at_mut(32);
            _mm256_storeu_si256(low.as_mut_ptr().cast(), lanes[0]);
            _mm256_storeu_si256(high.as_mut_ptr().cast(), lanes[1]);
        }
        fn rotate_lanes(lanes: [__m256i; 2], bits: u32) -> [__m256i; 2] {
            // bits that a rotation would bring in are in another byte
            if bits <= 16 {
                let bits = _mm_cvtsi32_si128(bits.cast_signed());
                both!(lanes => _mm256_srl_epi32(lanes, bits))
            } else {
                let bits = _mm_cvtsi32_si128(32 - bits.cast_signed());
                both!(lanes => _mm256_sll_epi32(lanes, bits))
            }
        }
        fn mask_lanes(lanes: [__m256i; 2], mask: u8) -> [__m256i; 2] {
            let mask = _mm256_set1_epi8(mask.cast_signed());
            both!(lanes => _mm256_and_si256(lanes, mask))
        }
        fn add_base(lanes: [__m256i; 2], table: [__m256i; 2]) -> [__m256i; 2] {
            let base = _mm256_broadcastb_epi8(_mm256_castsi256_si128(table[0]));
            both!(lanes => _mm256_add_epi8(lanes, base))
        }
        fn shift_lanes(lanes: [__m256i; 2], bits: u32) -> [__m256i; 2] {
            let bits = _mm_cvtsi32_si128(bits.cast_signed());
            both!(lanes => _mm256_sra_epi32(lanes, bits))
        }
        fn add_lanes(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
            both!(a, b => _mm256_add_epi32(a, b))
        }
        fn look_up_lanes(table: [__m256i; 2], indices: [__m256i; 2]) -> [__m256i; 2] {
            let mask = _mm256_set1_epi8(15);
            both!(indices => _mm256_shuffle_epi8(table[0], _mm256_and_si256(indices, mask)))
        }
        fn splat_lanes(number: i32) -> [__m256i; 2] {
            [_mm256_set1_epi32(number); 2]
        }
        fn dot_values(sum: [__m256i; 2], values: [__m256i; 2], signed: u32) -> [__m256i; 2] {
            let (signed, one) = (_mm256_set1_epi32(signed.cast_signed()), _mm256_set1_epi16(1));
            both!(sum, values => {
                let signed = _mm256_sign_epi8(signed, values);
                let words = _mm256_maddubs_epi16(_mm256_abs_epi8(values), signed);
                _mm256_add_epi32(sum, _mm256_madd_epi16(words, one))
            })
        }
        fn dot_codes(sum: [__m256i; 2], codes: [__m256i; 2], signed: u32) -> [__m256i; 2] {
            let (signed, one) = (_mm256_set1_epi32(signed.cast_signed()), _mm256_set1_epi16(1));
            both!(sum, codes => {
                let words = _mm256_maddubs_epi16(codes, signed);
                _mm256_add_epi32(sum, _mm256_madd_epi16(words, one))
            })
        }
        fn multiply_add_lanes(
            sum: [__m256i; 2], a: [__m256i; 2], b: [__m256i; 2]
        ) -> [__m256i; 2] {
            both!(sum, a, b => _mm256_add_epi32(sum, _mm256_mullo_epi32(a, b)))
        }
        fn multiply_add_words(
            sum: [__m256i; 2], a: [__m256i; 2], b: [__m256i; 2]
        ) -> [__m256i; 2] {
            // the upper words of `b` are 0
            both!(sum, a, b => _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)))
        }
        fn store_as_bytes(values: [__m256; 2], out: &mut [u8; 64]) {
            let (low, high) = out.split_at_mut(32);
            _mm256_storeu_ps(low.as_mut_ptr().cast(), values[0]);
            _mm256_storeu_ps(high.as_mut_ptr().cast(), values[1]);
        }
        fn floats_from_lanes(lanes: [__m256i; 2]) -> [__m256; 2] {
            both!(lanes => _mm256_cvtepi32_ps(lanes))
        }
        fn floats_of_bits(lanes: [__m256i; 2]) -> [__m256; 2] {
            both!(lanes => _mm256_castsi256_ps(lanes))
        }
    }
}
