//! IQ2_XXS: 256 values in 66 bytes, 2.0625 bits per value. See `spec/blocks/iq2_xxs.md`.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::{self, iq2_xxs::GRID, signs::SIGNS};
use super::{Block, BlockType, Defect, ScaleField};
use crate::num::F16;

/// 8 sub-blocks of 32 values, each four groups of 8; a value is
/// `sign * scale * (sub_scale + 0.5) / 4 * GRID[index]`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ2_XXS {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// The sub-blocks in order.
    pub sub_blocks: [SubBlock; 8],
}

/// The 8 bytes of a sub-block: what its four groups of 8 values are.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SubBlock {
    /// See [`Codes::indices`].
    pub indices: [u8; 4],
    /// From the lowest bit: four sign indices of 7 bits, the sub-scale of 4 bits.
    pub signs_and_scale: U32,
}

/// An [`IQ2_XXS`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// 0 to 15, one for each sub-block of 32 values.
    pub sub_scales: [u8; 8],
    /// An entry of the codebook for each group of 8 values.
    pub indices: [u8; 32],
    /// Eight signs for each group: bit `i` is set if value `i` is negative. An even number of bits
    /// is set.
    pub signs: [u8; 32],
}

impl Block for IQ2_XXS {
    const TYPE: BlockType = BlockType::IQ2_XXS;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes =
            Codes { scale: self.scale, sub_scales: [0; 8], indices: [0; 32], signs: [0; 32] };
        for (i, sub_block) in self.sub_blocks.iter().enumerate() {
            let (signs, sub_scale) = codebook::unpack_signs(sub_block.signs_and_scale.get());
            codes.indices[4 * i..][..4].copy_from_slice(&sub_block.indices);
            codes.signs[4 * i..][..4].copy_from_slice(&signs.map(|s| SIGNS[usize::from(s)]));
            codes.sub_scales[i] = sub_scale;
        }
        codes
    }

    fn pack(codes: &Codes) -> Self {
        let sub_blocks = core::array::from_fn(|i| SubBlock {
            indices: core::array::from_fn(|k| codes.indices[4 * i + k]),
            signs_and_scale: U32::new(codebook::pack_signs(
                core::array::from_fn(|k| codes.signs[4 * i + k]),
                codes.sub_scales[i],
            )),
        });
        Self { scale: codes.scale, sub_blocks }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, indices, signs } = self.unpack();
        let scale = scale.to_f32();
        for (group, out) in out.chunks_exact_mut(8).enumerate() {
            let scale = scale * (0.5 + f32::from(sub_scales[group / 4])) * 0.25;
            let entry = &GRID[usize::from(indices[group])];
            for (i, (out, value)) in out.iter_mut().zip(entry).enumerate() {
                *out = scale * f32::from(*value) * codebook::sign(signs[group], i);
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
            sub_blocks: self.sub_blocks.map(|sub_block| SubBlock {
                signs_and_scale: U32::new(sub_block.signs_and_scale.get().swap_bytes()),
                ..sub_block
            }),
        }
    }
}
