//! Q1_0: 128 values in 18 bytes, 1.125 bits per value. See `spec/blocks/q1_0.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A scale and 128 signs; a value is `scale` or `-scale`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q1_0 {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// Bit `i % 8` of byte `i / 8` is set where value `i` is positive.
    pub signs: [u8; 16],
}

/// A [`Q1_0`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The magnitude of all values.
    pub scale: F16,
    /// 1 for `scale`, 0 for `-scale`.
    pub codes: [u8; 128],
}

impl Block for Q1_0 {
    const TYPE: BlockType = BlockType::Q1_0;
    const LEN: usize = 128;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let codes = core::array::from_fn(|i| self.signs[i / 8] >> (i % 8) & 1);
        Codes { scale: self.scale, codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        bits::assert_below(2, &codes.codes);
        let signs = core::array::from_fn(|i| {
            let bits = &codes.codes[8 * i..][..8];
            (0..8).fold(0, |byte, bit| byte | bits[bit] << bit)
        });
        Self { scale: codes.scale, signs }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, codes } = self.unpack();
        let scale = scale.to_f32();
        for (out, code) in out.iter_mut().zip(codes) {
            *out = if code == 1 { scale } else { -scale };
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
