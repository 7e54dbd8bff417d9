//! IQ2_XS: 256 values in 74 bytes, 2.3125 bits per value. See `spec/blocks/iq2_xs.md`.

use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::{self, iq2_xs::GRID, signs::SIGNS};
use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// 16 sub-blocks of 16 values, each two groups of 8; a value is
/// `sign * scale * (sub_scale + 0.5) / 4 * GRID[index]`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ2_XS {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// For each group: the index in the low 9 bits, the sign index in the upper 7.
    pub groups: [U16; 32],
    /// Two sub-blocks per byte, the first in the low nibble.
    pub sub_scales: [u8; 8],
}

/// An [`IQ2_XS`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// 0 to 15, one for each sub-block of 16 values.
    pub sub_scales: [u8; 16],
    /// An entry of the codebook, 0 to 511, for each group of 8 values.
    pub indices: [u16; 32],
    /// Eight signs for each group: bit `i` is set if value `i` is negative. An even number of bits
    /// is set.
    pub signs: [u8; 32],
}

impl Block for IQ2_XS {
    const TYPE: BlockType = BlockType::IQ2_XS;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        Codes {
            scale: self.scale,
            sub_scales: bits::unpack_nibble_pairs(&self.sub_scales),
            indices: self.groups.map(|group| group.get() & 511),
            signs: self.groups.map(|group| SIGNS[usize::from(group.get() >> 9)]),
        }
    }

    fn pack(codes: &Codes) -> Self {
        let groups = core::array::from_fn(|i| {
            let index = codes.indices[i];
            assert!(index < 512, "9-bit index {index}");
            let signs = codebook::sign_index(codes.signs[i]).expect("an even number of signs");
            U16::new(index | u16::from(signs) << 9)
        });
        let sub_scales = bits::pack_nibble_pairs(&codes.sub_scales);
        Self { scale: codes.scale, groups, sub_scales }
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

    /// The scale and the 16-bit groups are reversed.
    fn swap_bytes(self) -> Self {
        Self {
            scale: self.scale.swap_bytes(),
            groups: self.groups.map(|group| U16::new(group.get().swap_bytes())),
            ..self
        }
    }
}
