//! Q2_K: 256 values in 84 bytes, 2.625 bits per value. See `spec/blocks/q2_k.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A super-block of 16 sub-blocks of 16 values; a value is
/// `scale * sub_scale * code - min * sub_min`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q2_K {
    /// A byte for each sub-block: its scale in the low nibble, its minimum in the high one.
    pub sub_scales: [u8; 16],
    /// 32 bytes for each half of the values, see `bits::pack_quarters`.
    pub codes: [[u8; 32]; 2],
    /// See [`Codes::scale`].
    pub scale: F16,
    /// See [`Codes::min`].
    pub min: F16,
}

/// A [`Q2_K`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// Scale of the sub-blocks' minimums.
    pub min: F16,
    /// 0 to 15, one for each sub-block.
    pub sub_scales: [u8; 16],
    /// 0 to 15, one for each sub-block.
    pub sub_mins: [u8; 16],
    /// 0 to 3, in the order of the values.
    pub codes: [u8; 256],
}

impl Block for Q2_K {
    const TYPE: BlockType = BlockType::Q2_K;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes = [0; 256];
        for (bytes, codes) in self.codes.iter().zip(codes.chunks_exact_mut(128)) {
            bits::unpack_quarters(bytes, codes);
        }
        Codes {
            scale: self.scale,
            min: self.min,
            sub_scales: self.sub_scales.map(|byte| byte & 15),
            sub_mins: self.sub_scales.map(|byte| byte >> 4),
            codes,
        }
    }

    fn pack(codes: &Codes) -> Self {
        let Codes { scale, min, sub_scales, sub_mins, codes } = codes;
        assert!(
            sub_scales.iter().chain(sub_mins).all(|n| *n < 16),
            "4-bit scales {sub_scales:?}, {sub_mins:?}"
        );
        Self {
            sub_scales: core::array::from_fn(|i| sub_scales[i] | sub_mins[i] << 4),
            codes: core::array::from_fn(|i| bits::pack_quarters(&codes[128 * i..][..128])),
            scale: *scale,
            min: *min,
        }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, min, sub_scales, sub_mins, codes } = self.unpack();
        let (scale, min) = (scale.to_f32(), min.to_f32());
        for (i, out) in out.chunks_exact_mut(16).enumerate() {
            let (scale, min) = (scale * f32::from(sub_scales[i]), min * f32::from(sub_mins[i]));
            for (out, code) in out.iter_mut().zip(&codes[16 * i..]) {
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
