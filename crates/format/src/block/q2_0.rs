//! Q2_0: 64 values in 18 bytes, 2.25 bits per value. See `spec/blocks/q2_0.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A scale and 64 codes of 2 bits; a value is `scale * (code - 1)`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q2_0 {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// Byte `i` holds the codes of values `4 * i` (lowest bits) to `4 * i + 3`.
    pub codes: [u8; 16],
}

/// A [`Q2_0`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The step between two levels.
    pub scale: F16,
    /// 0 to 3, in the order of the values; encoders use 0 to 2.
    pub codes: [u8; 64],
}

impl Block for Q2_0 {
    const TYPE: BlockType = BlockType::Q2_0;
    const LEN: usize = 64;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let codes = core::array::from_fn(|i| self.codes[i / 4] >> (i % 4 * 2) & 3);
        Codes { scale: self.scale, codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        bits::assert_below(4, &codes.codes);
        let packed = core::array::from_fn(|i| {
            let codes = &codes.codes[4 * i..][..4];
            codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6
        });
        Self { scale: codes.scale, codes: packed }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, codes } = self.unpack();
        let scale = scale.to_f32();
        for (out, code) in out.iter_mut().zip(codes) {
            *out = f32::from(code as i8 - 1) * scale;
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
