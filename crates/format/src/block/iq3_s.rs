//! IQ3_S: 256 values in 110 bytes, 3.4375 bits per value. See `spec/blocks/iq3_s.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::{self, iq3_s::GRID};
use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// 8 sub-blocks of 32 values, each eight groups of 4; a value is
/// `sign * scale * (2 * sub_scale + 1) * GRID[index]`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ3_S {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// The low 8 bits of the groups' indices.
    pub indices_low: [u8; 64],
    /// The upper bit of the indices, eight groups per byte, the first in the lowest bit.
    pub indices_high: [u8; 8],
    /// See [`Codes::signs`].
    pub signs: [u8; 32],
    /// Two sub-blocks per byte, the first in the low nibble.
    pub sub_scales: [u8; 4],
}

/// An [`IQ3_S`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// 0 to 15, one for each sub-block of 32 values.
    pub sub_scales: [u8; 8],
    /// An entry of the codebook, 0 to 511, for each group of 4 values.
    pub indices: [u16; 64],
    /// Eight signs for each pair of groups: bit `i` is set if value `i` is negative.
    pub signs: [u8; 32],
}

impl Block for IQ3_S {
    const TYPE: BlockType = BlockType::IQ3_S;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let high = |group: usize| u16::from(self.indices_high[group / 8] >> (group % 8) & 1);
        Codes {
            scale: self.scale,
            sub_scales: bits::unpack_nibble_pairs(&self.sub_scales),
            indices: core::array::from_fn(|i| u16::from(self.indices_low[i]) | high(i) << 8),
            signs: self.signs,
        }
    }

    fn pack(codes: &Codes) -> Self {
        let mut indices_high = [0; 8];
        let indices_low = core::array::from_fn(|group| {
            let index = codes.indices[group];
            assert!(index < 512, "9-bit index {index}");
            let [low, high] = index.to_le_bytes();
            indices_high[group / 8] |= high << (group % 8);
            low
        });
        Self {
            scale: codes.scale,
            indices_low,
            indices_high,
            signs: codes.signs,
            sub_scales: bits::pack_nibble_pairs(&codes.sub_scales),
        }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, indices, signs } = self.unpack();
        let scale = scale.to_f32();
        for (group, out) in out.chunks_exact_mut(4).enumerate() {
            let scale = scale * f32::from(2 * sub_scales[group / 8] + 1);
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

    /// The scale is reversed; everything else is bytes.
    fn swap_bytes(self) -> Self {
        Self { scale: self.scale.swap_bytes(), ..self }
    }
}
