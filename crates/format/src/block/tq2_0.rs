//! TQ2_0: 256 values in 66 bytes, 2.0625 bits per value. See `spec/blocks/tq2_0.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// 256 codes of 2 bits and a scale; a value is `scale * (code - 1)`. Encoders use the codes 0, 1,
/// 2.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct TQ2_0 {
    /// Byte `32 * g + i` holds values `128 * g + i`, `+ 32`, `+ 64`, `+ 96`, the first in the
    /// lowest bits.
    pub codes: [[u8; 32]; 2],
    /// See [`Codes::scale`].
    pub scale: F16,
}

/// A [`TQ2_0`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// 0 to 3, in the order of the values; 3 stands for twice the scale.
    pub codes: [u8; 256],
    /// The step between two levels.
    pub scale: F16,
}

impl Block for TQ2_0 {
    const TYPE: BlockType = BlockType::TQ2_0;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let codes = core::array::from_fn(|i| self.codes[i / 128][i % 32] >> (i % 128 / 32 * 2) & 3);
        Codes { codes, scale: self.scale }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        bits::assert_below(4, &codes.codes);
        let packed = core::array::from_fn(|half| {
            let codes = &codes.codes[128 * half..][..128];
            core::array::from_fn(|i| {
                codes[i] | codes[i + 32] << 2 | codes[i + 64] << 4 | codes[i + 96] << 6
            })
        });
        Self { codes: packed, scale: codes.scale }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { codes, scale } = self.unpack();
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
