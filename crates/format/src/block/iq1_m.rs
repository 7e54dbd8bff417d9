//! IQ1_M: 256 values in 56 bytes, 1.75 bits per value. See `spec/blocks/iq1_m.md`.

use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::iq1::{GRID, SHIFT};
use super::{Block, BlockType, Defect, ScaleField};
use crate::num::F16;

/// 16 sub-blocks of 16 values, each two groups of 8; a value is
/// `scale * (2 * sub_scale + 1) * (GRID[index] + shift)`, where the shift is 1/8 or -1/8.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ1_M {
    /// The low 8 bits of the groups' indices.
    pub indices_low: [u8; 32],
    /// For each group a nibble, the first of two in the lower: the upper 3 bits of its index, then
    /// a bit that is set if the shift is negative.
    pub groups: [u8; 16],
    /// Each word holds four sub-scales of 3 bits and in its top nibble a quarter of the scale's 16
    /// bits; both from the lowest bit on.
    pub scales: [U16; 4],
}

/// An [`IQ1_M`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// 0 to 7, one for each sub-block of 16 values.
    pub sub_scales: [u8; 16],
    /// Whether the group's values are shifted by -1/8 and not by 1/8.
    pub shifted_down: [bool; 32],
    /// An entry of the codebook, 0 to 2047, for each group of 8 values.
    pub indices: [u16; 32],
}

impl Block for IQ1_M {
    const TYPE: BlockType = BlockType::IQ1_M;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let nibble = |group: usize| self.groups[group / 2] >> (4 * (group % 2));
        Codes {
            scale: self.scale(),
            sub_scales: core::array::from_fn(|i| {
                (self.scales[i / 4].get() >> (3 * (i % 4)) & 7) as u8
            }),
            shifted_down: core::array::from_fn(|group| nibble(group) >> 3 & 1 == 1),
            indices: core::array::from_fn(|group| {
                u16::from(self.indices_low[group]) | u16::from(nibble(group) & 7) << 8
            }),
        }
    }

    fn pack(codes: &Codes) -> Self {
        let scales = core::array::from_fn(|word| {
            let mut bits = codes.scale.to_bits() >> (4 * word) << 12;
            for (i, sub_scale) in codes.sub_scales[4 * word..][..4].iter().enumerate() {
                assert!(*sub_scale < 8, "3-bit sub-scale {sub_scale}");
                bits |= u16::from(*sub_scale) << (3 * i);
            }
            U16::new(bits)
        });
        let mut groups = [0; 16];
        let indices_low = core::array::from_fn(|group| {
            let index = codes.indices[group];
            assert!(index < 2048, "11-bit index {index}");
            let [low, high] = index.to_le_bytes();
            let nibble = high | u8::from(codes.shifted_down[group]) << 3;
            groups[group / 2] |= nibble << (4 * (group % 2));
            low
        });
        Self { indices_low, groups, scales }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, shifted_down, indices } = self.unpack();
        let scale = scale.to_f32();
        for (group, out) in out.chunks_exact_mut(8).enumerate() {
            let scale = scale * f32::from(2 * sub_scales[group / 2] + 1);
            let shift = if shifted_down[group] { -SHIFT } else { SHIFT };
            for (out, value) in out.iter_mut().zip(&GRID[usize::from(indices[group])]) {
                *out = scale * (f32::from(*value) + shift);
            }
        }
    }

    fn defect(&self) -> Option<Defect> {
        (!self.scale().is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    /// The four 16-bit words of scales are reversed.
    fn swap_bytes(self) -> Self {
        Self { scales: self.scales.map(|bits| U16::new(bits.get().swap_bytes())), ..self }
    }
}

impl IQ1_M {
    /// The scale, put together from the top nibbles of the four words.
    fn scale(&self) -> F16 {
        let nibble = |word: usize| self.scales[word].get() >> 12 << (4 * word);
        F16::from_bits(nibble(0) | nibble(1) | nibble(2) | nibble(3))
    }
}
