//! Q6_K: 256 values in 210 bytes, 6.5625 bits per value. See `spec/blocks/q6_k.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A super-block of 16 sub-blocks of 16 values; a value is `scale * sub_scale * (code - 32)`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q6_K {
    /// The lower four bits of the codes: 64 bytes for each half of the values, whose first 64 are
    /// in the low nibbles.
    pub low_bits: [[u8; 64]; 2],
    /// The upper two bits: 32 bytes for each half of the values, see `bits::pack_quarters`.
    pub high_bits: [[u8; 32]; 2],
    /// See [`Codes::sub_scales`].
    pub sub_scales: [i8; 16],
    /// See [`Codes::scale`].
    pub scale: F16,
}

/// A [`Q6_K`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// -128 to 127, one for each sub-block.
    pub sub_scales: [i8; 16],
    /// 0 to 63, in the order of the values.
    pub codes: [u8; 256],
}

impl Block for Q6_K {
    const TYPE: BlockType = BlockType::Q6_K;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let (mut codes, mut high) = ([0; 256], [0; 256]);
        for i in 0..2 {
            bits::unpack_nibbles(&self.low_bits[i], &mut codes[128 * i..][..128]);
            bits::unpack_quarters(&self.high_bits[i], &mut high[128 * i..][..128]);
        }
        for (code, high) in codes.iter_mut().zip(high) {
            *code |= high << 4;
        }
        Codes { scale: self.scale, sub_scales: self.sub_scales, codes }
    }

    fn pack(codes: &Codes) -> Self {
        let low = codes.codes.map(|code| code & 15);
        let high = codes.codes.map(|code| code >> 4);
        Self {
            low_bits: core::array::from_fn(|i| bits::pack_nibbles(&low[128 * i..][..128])),
            high_bits: core::array::from_fn(|i| bits::pack_quarters(&high[128 * i..][..128])),
            sub_scales: codes.sub_scales,
            scale: codes.scale,
        }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, codes } = self.unpack();
        let scale = scale.to_f32();
        for (i, out) in out.chunks_exact_mut(16).enumerate() {
            let scale = scale * f32::from(sub_scales[i]);
            for (out, code) in out.iter_mut().zip(&codes[16 * i..]) {
                *out = scale * f32::from(*code as i8 - 32);
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
