//! IQ4_NL: 32 values in 18 bytes, 4.5 bits per value. See `spec/blocks/iq4_nl.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::iq4_nl::LEVELS;
use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A scale and 32 codes of 4 bits; a value is `scale * LEVELS[code]`, with 16 [`LEVELS`] that are
/// not evenly spaced.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ4_NL {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// Byte `i` holds the codes of value `i` (low nibble) and of value `i + 16`.
    pub codes: [u8; 16],
}

/// An [`IQ4_NL`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The factor of the levels; often negative.
    pub scale: F16,
    /// 0 to 15, indices of [`LEVELS`], in the order of the values.
    pub codes: [u8; 32],
}

impl Block for IQ4_NL {
    const TYPE: BlockType = BlockType::IQ4_NL;
    const LEN: usize = 32;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes = [0; 32];
        bits::unpack_nibbles(&self.codes, &mut codes);
        Codes { scale: self.scale, codes }
    }

    fn pack(codes: &Codes) -> Self {
        Self { scale: codes.scale, codes: bits::pack_nibbles(&codes.codes) }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, codes } = self.unpack();
        let scale = scale.to_f32();
        for (out, code) in out.iter_mut().zip(codes) {
            *out = scale * f32::from(LEVELS[usize::from(code)]);
        }
    }

    fn defect(&self) -> Option<Defect> {
        (!self.scale.is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    fn swap_bytes(self) -> Self {
        Self { scale: self.scale.swap_bytes(), ..self }
    }
}
