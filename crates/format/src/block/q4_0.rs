//! Q4_0: 32 values in 18 bytes, 4.5 bits per value. See `spec/blocks/q4_0.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A scale and 32 codes of 4 bits; a value is `scale * (code - 8)`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q4_0 {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// Byte `i` holds the codes of value `i` (low nibble) and of value `i + 16`.
    pub codes: [u8; 16],
}

/// A [`Q4_0`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The step between two levels.
    pub scale: F16,
    /// 0 to 15, in the order of the values.
    pub codes: [u8; 32],
}

impl Block for Q4_0 {
    const TYPE: BlockType = BlockType::Q4_0;
    const LEN: usize = 32;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes = [0; 32];
        bits::unpack_nibbles(&self.codes, &mut codes);
        Codes { scale: self.scale, codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        Self { scale: codes.scale, codes: bits::pack_nibbles(&codes.codes) }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, codes } = self.unpack();
        let scale = scale.to_f32();
        for (out, code) in out.iter_mut().zip(codes) {
            *out = f32::from(code as i8 - 8) * scale;
        }
    }

    #[inline(always)]
    fn defect(&self) -> Option<Defect> {
        (!self.scale.is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    fn swap_bytes(self) -> Self {
        Self { scale: self.scale.swap_bytes(), ..self }
    }
}
