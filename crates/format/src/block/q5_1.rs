//! Q5_1: 32 values in 24 bytes, 6 bits per value. See `spec/blocks/q5_1.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A scale, a minimum and 32 codes of 5 bits; a value is `scale * code + min`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q5_1 {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// See [`Codes::min`].
    pub min: F16,
    /// Bit `i` is the highest bit of the code of value `i`.
    pub high_bits: [u8; 4],
    /// Byte `i` holds the low 4 bits of the codes of value `i` (low nibble) and of value `i + 16`.
    pub low_bits: [u8; 16],
}

/// A [`Q5_1`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The step between two levels.
    pub scale: F16,
    /// The lowest level.
    pub min: F16,
    /// 0 to 31, in the order of the values.
    pub codes: [u8; 32],
}

impl Block for Q5_1 {
    const TYPE: BlockType = BlockType::Q5_1;
    const LEN: usize = 32;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let codes = bits::unpack_5_bits(&self.low_bits, self.high_bits);
        Codes { scale: self.scale, min: self.min, codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        let (low_bits, high_bits) = bits::pack_5_bits(&codes.codes);
        Self { scale: codes.scale, min: codes.min, high_bits, low_bits }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, min, codes } = self.unpack();
        let (scale, min) = (scale.to_f32(), min.to_f32());
        for (out, code) in out.iter_mut().zip(codes) {
            *out = f32::from(code) * scale + min;
        }
    }

    #[inline(always)]
    fn defect(&self) -> Option<Defect> {
        match (self.scale.is_finite(), self.min.is_finite()) {
            (false, _) => Some(Defect::Scale(ScaleField::Scale)),
            (_, false) => Some(Defect::Scale(ScaleField::Minimum)),
            _ => None,
        }
    }

    fn swap_bytes(self) -> Self {
        let mut high_bits = self.high_bits;
        high_bits.reverse();
        Self { scale: self.scale.swap_bytes(), min: self.min.swap_bytes(), high_bits, ..self }
    }
}
