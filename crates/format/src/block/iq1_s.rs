//! IQ1_S: 256 values in 50 bytes, 1.5625 bits per value. See `spec/blocks/iq1_s.md`.

use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::iq1::{GRID, SHIFT};
use super::{Block, BlockType, Defect, ScaleField};
use crate::num::F16;

/// 8 sub-blocks of 32 values, each four groups of 8; a value is
/// `scale * (2 * sub_scale + 1) * (GRID[index] + shift)`, where the shift is 1/8 or -1/8.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ1_S {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// The low 8 bits of the groups' indices.
    pub indices_low: [u8; 32],
    /// For each sub-block, from the lowest bit: the upper 3 bits of four indices, the sub-scale of
    /// 3 bits, a bit that is set if the shift is negative.
    pub sub_blocks: [U16; 8],
}

/// An [`IQ1_S`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// 0 to 7, one for each sub-block of 32 values.
    pub sub_scales: [u8; 8],
    /// Whether the sub-block's values are shifted by -1/8 and not by 1/8.
    pub shifted_down: [bool; 8],
    /// An entry of the codebook, 0 to 2047, for each group of 8 values.
    pub indices: [u16; 32],
}

impl Block for IQ1_S {
    const TYPE: BlockType = BlockType::IQ1_S;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let sub_blocks = self.sub_blocks.map(U16::get);
        let high = |group: usize| sub_blocks[group / 4] >> (3 * (group % 4)) & 7;
        Codes {
            scale: self.scale,
            sub_scales: sub_blocks.map(|bits| (bits >> 12 & 7) as u8),
            shifted_down: sub_blocks.map(|bits| bits >> 15 == 1),
            indices: core::array::from_fn(|i| u16::from(self.indices_low[i]) | high(i) << 8),
        }
    }

    fn pack(codes: &Codes) -> Self {
        let mut sub_blocks: [u16; 8] = core::array::from_fn(|i| {
            let sub_scale = codes.sub_scales[i];
            assert!(sub_scale < 8, "3-bit sub-scale {sub_scale}");
            u16::from(sub_scale) << 12 | u16::from(codes.shifted_down[i]) << 15
        });
        let indices_low = core::array::from_fn(|group| {
            let index = codes.indices[group];
            assert!(index < 2048, "11-bit index {index}");
            sub_blocks[group / 4] |= index >> 8 << (3 * (group % 4));
            index.to_le_bytes()[0]
        });
        Self { scale: codes.scale, indices_low, sub_blocks: sub_blocks.map(U16::new) }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, shifted_down, indices } = self.unpack();
        let scale = scale.to_f32();
        for (group, out) in out.chunks_exact_mut(8).enumerate() {
            let scale = scale * f32::from(2 * sub_scales[group / 4] + 1);
            let shift = if shifted_down[group / 4] { -SHIFT } else { SHIFT };
            for (out, value) in out.iter_mut().zip(&GRID[usize::from(indices[group])]) {
                *out = scale * (f32::from(*value) + shift);
            }
        }
    }

    fn defect(&self) -> Option<Defect> {
        (!self.scale.is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    /// The scale and the sub-blocks' 16-bit words are reversed.
    fn swap_bytes(self) -> Self {
        Self {
            scale: self.scale.swap_bytes(),
            sub_blocks: self.sub_blocks.map(|bits| U16::new(bits.get().swap_bytes())),
            ..self
        }
    }
}
