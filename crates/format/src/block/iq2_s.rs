//! IQ2_S: 256 values in 82 bytes, 2.5625 bits per value. See `spec/blocks/iq2_s.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::{self, iq2_s::GRID};
use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// 16 sub-blocks of 16 values, each two groups of 8; a value is
/// `sign * scale * (sub_scale + 0.5) / 4 * GRID[index]`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ2_S {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// The low 8 bits of the groups' indices.
    pub indices_low: [u8; 32],
    /// See [`Codes::signs`].
    pub signs: [u8; 32],
    /// The upper 2 bits of the indices, four groups a byte, the first in the lowest bits.
    pub indices_high: [u8; 8],
    /// Two sub-blocks per byte, the first in the low nibble.
    pub sub_scales: [u8; 8],
}

/// An [`IQ2_S`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// 0 to 15, one for each sub-block of 16 values.
    pub sub_scales: [u8; 16],
    /// An entry of the codebook, 0 to 1023, for each group of 8 values.
    pub indices: [u16; 32],
    /// Eight signs for each group: bit `i` is set if value `i` is negative.
    pub signs: [u8; 32],
}

impl Block for IQ2_S {
    const TYPE: BlockType = BlockType::IQ2_S;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let high = |group: usize| u16::from(self.indices_high[group / 4] >> (2 * (group % 4)) & 3);
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
            assert!(index < 1024, "10-bit index {index}");
            let [low, high] = index.to_le_bytes();
            indices_high[group / 4] |= high << (2 * (group % 4));
            low
        });
        Self {
            scale: codes.scale,
            indices_low,
            signs: codes.signs,
            indices_high,
            sub_scales: bits::pack_nibble_pairs(&codes.sub_scales),
        }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, indices, signs } = self.unpack();
        let scale = scale.to_f32();
        for (group, out) in out.chunks_exact_mut(8).enumerate() {
            let scale = scale * (0.5 + f32::from(sub_scales[group / 2])) * 0.25;
            let entry = &GRID[usize::from(indices[group])];
            for (i, (out, value)) in out.iter_mut().zip(entry).enumerate() {
                *out = scale * f32::from(*value) * codebook::sign(signs[group], i);
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
