//! Q4_1: 32 values in 20 bytes, 5 bits per value. See `spec/blocks/q4_1.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A scale, a minimum and 32 codes of 4 bits; a value is `scale * code + min`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q4_1 {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// See [`Codes::min`].
    pub min: F16,
    /// Byte `i` holds the codes of value `i` (low nibble) and of value `i + 16`.
    pub codes: [u8; 16],
}

/// A [`Q4_1`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The step between two levels.
    pub scale: F16,
    /// The lowest level.
    pub min: F16,
    /// 0 to 15, in the order of the values.
    pub codes: [u8; 32],
}

impl Block for Q4_1 {
    const TYPE: BlockType = BlockType::Q4_1;
    const LEN: usize = 32;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes = [0; 32];
        bits::unpack_nibbles(&self.codes, &mut codes);
        Codes { scale: self.scale, min: self.min, codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        Self { scale: codes.scale, min: codes.min, codes: bits::pack_nibbles(&codes.codes) }
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
        Self { scale: self.scale.swap_bytes(), min: self.min.swap_bytes(), ..self }
    }
}
