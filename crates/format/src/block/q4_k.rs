//! Q4_K: 256 values in 144 bytes, 4.5 bits per value. See `spec/blocks/q4_k.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits, scales};
use crate::num::F16;

/// A super-block of 8 sub-blocks of 32 values; a value is
/// `scale * sub_scale * code - min * sub_min`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q4_K {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// See [`Codes::min`].
    pub min: F16,
    /// Scales and minimums of the sub-blocks, packed as the type's page says.
    pub sub_scales: [u8; 12],
    /// 32 bytes for each pair of sub-blocks: the first in the low nibbles.
    pub codes: [[u8; 32]; 4],
}

/// A [`Q4_K`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// Scale of the sub-blocks' minimums.
    pub min: F16,
    /// 0 to 63, one for each sub-block.
    pub sub_scales: [u8; 8],
    /// 0 to 63, one for each sub-block.
    pub sub_mins: [u8; 8],
    /// 0 to 15, in the order of the values.
    pub codes: [u8; 256],
}

impl Block for Q4_K {
    const TYPE: BlockType = BlockType::Q4_K;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let (sub_scales, sub_mins) = scales::unpack(&self.sub_scales);
        let mut codes = [0; 256];
        for (bytes, codes) in self.codes.iter().zip(codes.chunks_exact_mut(64)) {
            bits::unpack_nibbles(bytes, codes);
        }
        Codes { scale: self.scale, min: self.min, sub_scales, sub_mins, codes }
    }

    fn pack(codes: &Codes) -> Self {
        Self {
            scale: codes.scale,
            min: codes.min,
            sub_scales: scales::pack(&codes.sub_scales, &codes.sub_mins),
            codes: core::array::from_fn(|i| bits::pack_nibbles(&codes.codes[64 * i..][..64])),
        }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, min, sub_scales, sub_mins, codes } = self.unpack();
        let (scale, min) = (scale.to_f32(), min.to_f32());
        for (i, out) in out.chunks_exact_mut(32).enumerate() {
            let (scale, min) = (scale * f32::from(sub_scales[i]), min * f32::from(sub_mins[i]));
            for (out, code) in out.iter_mut().zip(&codes[32 * i..]) {
                *out = scale * f32::from(*code) - min;
            }
        }
    }

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
