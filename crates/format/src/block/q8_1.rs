//! Q8_1: 32 values in 36 bytes, 9 bits per value: activations, not files. See
//! `spec/blocks/q8_1.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField};
use crate::num::F16;

/// A scale, 32 codes of 8 bits and their scaled sum; a value is `scale * code`.
///
/// The sum serves dot products with types that have a minimum: the minimum of the weights times
/// the sum of the activations.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q8_1 {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// See [`Codes::sum`].
    pub sum: F16,
    /// See [`Codes::codes`].
    pub codes: [i8; 32],
}

/// A [`Q8_1`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The step between two levels.
    pub scale: F16,
    /// The sum of the codes times the scale (before the scale was rounded).
    pub sum: F16,
    /// -128 to 127; encoders use -127 to 127.
    pub codes: [i8; 32],
}

impl Block for Q8_1 {
    const TYPE: BlockType = BlockType::Q8_1;
    const LEN: usize = 32;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        Codes { scale: self.scale, sum: self.sum, codes: self.codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        Self { scale: codes.scale, sum: codes.sum, codes: codes.codes }
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
        match (self.scale.is_finite(), self.sum.is_finite()) {
            (false, _) => Some(Defect::Scale(ScaleField::Scale)),
            (_, false) => Some(Defect::Scale(ScaleField::Sum)),
            _ => None,
        }
    }

    fn swap_bytes(self) -> Self {
        Self { scale: self.scale.swap_bytes(), sum: self.sum.swap_bytes(), ..self }
    }
}
