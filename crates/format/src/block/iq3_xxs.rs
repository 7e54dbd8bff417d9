//! IQ3_XXS: 256 values in 98 bytes, 3.0625 bits per value. See `spec/blocks/iq3_xxs.md`.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::{self, iq3_xxs::GRID, signs::SIGNS};
use super::{Block, BlockType, Defect, ScaleField};
use crate::num::F16;

/// 8 sub-blocks of 32 values, each eight groups of 4; a value is
/// `sign * scale * (sub_scale + 0.5) / 2 * GRID[index]`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ3_XXS {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// See [`Codes::indices`].
    pub indices: [u8; 64],
    /// For each sub-block, from the lowest bit: four sign indices of 7 bits, the sub-scale of 4
    /// bits.
    pub signs_and_scales: [U32; 8],
}

/// An [`IQ3_XXS`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// 0 to 15, one for each sub-block of 32 values.
    pub sub_scales: [u8; 8],
    /// An entry of the codebook for each group of 4 values.
    pub indices: [u8; 64],
    /// Eight signs for each pair of groups: bit `i` is set if value `i` is negative. An even number
    /// of bits is set.
    pub signs: [u8; 32],
}

impl Block for IQ3_XXS {
    const TYPE: BlockType = BlockType::IQ3_XXS;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes =
            Codes { scale: self.scale, sub_scales: [0; 8], indices: self.indices, signs: [0; 32] };
        for (i, word) in self.signs_and_scales.iter().enumerate() {
            let (signs, sub_scale) = codebook::unpack_signs(word.get());
            codes.signs[4 * i..][..4].copy_from_slice(&signs.map(|s| SIGNS[usize::from(s)]));
            codes.sub_scales[i] = sub_scale;
        }
        codes
    }

    fn pack(codes: &Codes) -> Self {
        let signs_and_scales = core::array::from_fn(|i| {
            U32::new(codebook::pack_signs(
                core::array::from_fn(|k| codes.signs[4 * i + k]),
                codes.sub_scales[i],
            ))
        });
        Self { scale: codes.scale, indices: codes.indices, signs_and_scales }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, indices, signs } = self.unpack();
        let scale = scale.to_f32();
        for (group, out) in out.chunks_exact_mut(4).enumerate() {
            let scale = scale * (0.5 + f32::from(sub_scales[group / 8])) * 0.5;
            let entry = &GRID[usize::from(indices[group])];
            for (i, (out, value)) in out.iter_mut().zip(entry).enumerate() {
                let sign = codebook::sign(signs[group / 2], 4 * (group % 2) + i);
                *out = scale * f32::from(*value) * sign;
            }
        }
    }

    fn defect(&self) -> Option<Defect> {
        (!self.scale.is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    /// The scale and the words of signs and sub-scale are reversed; the indices are bytes.
    fn swap_bytes(self) -> Self {
        Self {
            scale: self.scale.swap_bytes(),
            signs_and_scales: self.signs_and_scales.map(|word| U32::new(word.get().swap_bytes())),
            ..self
        }
    }
}
