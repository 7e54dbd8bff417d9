//! Q3_K: 256 values in 110 bytes, 3.4375 bits per value. See `spec/blocks/q3_k.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A super-block of 16 sub-blocks of 16 values; a value is `scale * sub_scale * (code - 4)`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q3_K {
    /// The third bit of every code, see `bits::pack_planes`.
    pub high_bits: [u8; 32],
    /// The lower two bits: 32 bytes for each half of the values, see `bits::pack_quarters`.
    pub low_bits: [[u8; 32]; 2],
    /// The low nibbles of the sub-blocks' scales, raised by 32 to make them positive.
    pub sub_scales_low: [u8; 8],
    /// Their upper two bits.
    pub sub_scales_high: [u8; 4],
    /// See [`Codes::scale`].
    pub scale: F16,
}

/// A [`Q3_K`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// -32 to 31, one for each sub-block.
    pub sub_scales: [i8; 16],
    /// 0 to 7, in the order of the values.
    pub codes: [u8; 256],
}

impl Block for Q3_K {
    const TYPE: BlockType = BlockType::Q3_K;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes = [0; 256];
        for (bytes, codes) in self.low_bits.iter().zip(codes.chunks_exact_mut(128)) {
            bits::unpack_quarters(bytes, codes);
        }
        bits::unpack_planes(&self.high_bits, 2, &mut codes);
        let (mut low, mut high) = ([0; 16], [0; 16]);
        bits::unpack_nibbles(&self.sub_scales_low, &mut low);
        bits::unpack_quarters(&self.sub_scales_high, &mut high);
        let sub_scales = core::array::from_fn(|i| (low[i] | high[i] << 4) as i8 - 32);
        Codes { scale: self.scale, sub_scales, codes }
    }

    fn pack(codes: &Codes) -> Self {
        let Codes { scale, sub_scales, codes } = codes;
        assert!(sub_scales.iter().all(|n| (-32..32).contains(n)), "6-bit scales {sub_scales:?}");
        let raised = sub_scales.map(|n| (n + 32) as u8);
        let low = codes.map(|code| code & 3);
        Self {
            high_bits: bits::pack_planes(codes, 2),
            low_bits: core::array::from_fn(|i| bits::pack_quarters(&low[128 * i..][..128])),
            sub_scales_low: bits::pack_nibbles(&raised.map(|n| n & 15)),
            sub_scales_high: bits::pack_quarters(&raised.map(|n| n >> 4)),
            scale: *scale,
        }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, codes } = self.unpack();
        let scale = scale.to_f32();
        for (i, out) in out.chunks_exact_mut(16).enumerate() {
            let scale = scale * f32::from(sub_scales[i]);
            for (out, code) in out.iter_mut().zip(&codes[16 * i..]) {
                *out = scale * f32::from(*code as i8 - 4);
            }
        }
    }

    fn defect(&self) -> Option<Defect> {
        (!self.scale.is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    fn swap_bytes(self) -> Self {
        Self { scale: self.scale.swap_bytes(), ..self }
    }
}
