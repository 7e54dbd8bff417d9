//! Q8_0: 32 values in 34 bytes, 8.5 bits per value. See `spec/blocks/q8_0.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField};
use crate::num::F16;

/// A scale and 32 codes of 8 bits; a value is `scale * code`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q8_0 {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// See [`Codes::codes`].
    pub codes: [i8; 32],
}

/// A [`Q8_0`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The step between two levels.
    pub scale: F16,
    /// -128 to 127; encoders use -127 to 127.
    pub codes: [i8; 32],
}

impl Block for Q8_0 {
    const TYPE: BlockType = BlockType::Q8_0;
    const LEN: usize = 32;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        Codes { scale: self.scale, codes: self.codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        Self { scale: codes.scale, codes: codes.codes }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let scale = self.scale.to_f32();
        for (out, code) in out.iter_mut().zip(self.codes) {
            *out = f32::from(code) * scale;
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
