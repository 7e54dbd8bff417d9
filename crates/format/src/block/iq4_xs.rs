//! IQ4_XS: 256 values in 136 bytes, 4.25 bits per value. See `spec/blocks/iq4_xs.md`.

use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codebook::iq4_nl::LEVELS;
use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// A super-block of 8 sub-blocks of 32 values; a value is `scale * sub_scale * LEVELS[code]`, with
/// the 16 [`LEVELS`] of IQ4_NL.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct IQ4_XS {
    /// See [`Codes::scale`].
    pub scale: F16,
    /// The top 2 bits of each sub-scale, sub-block 0 lowest.
    pub sub_scales_high: U16,
    /// The low 4 bits of each sub-scale, two neighbours per byte, the first in the low nibble.
    pub sub_scales_low: [u8; 4],
    /// 16 bytes for each sub-block: byte `i` holds the codes of value `i` (low nibble) and `i +
    /// 16`.
    pub codes: [[u8; 16]; 8],
}

/// An [`IQ4_XS`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Scale of the sub-blocks' scales.
    pub scale: F16,
    /// -32 to 31, one for each sub-block.
    pub sub_scales: [i8; 8],
    /// 0 to 15, indices of [`LEVELS`], in the order of the values.
    pub codes: [u8; 256],
}

impl Block for IQ4_XS {
    const TYPE: BlockType = BlockType::IQ4_XS;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let sub_scales = core::array::from_fn(|i| {
            let low = self.sub_scales_low[i / 2] >> (4 * (i % 2)) & 15;
            let high = (self.sub_scales_high.get() >> (2 * i) & 3) as i8;
            (high << 4 | low.cast_signed()) - 32
        });
        let mut codes = [0; 256];
        for (bytes, codes) in self.codes.iter().zip(codes.chunks_exact_mut(32)) {
            bits::unpack_nibbles(bytes, codes);
        }
        Codes { scale: self.scale, sub_scales, codes }
    }

    fn pack(codes: &Codes) -> Self {
        let (mut low, mut high) = ([0; 4], 0);
        for (i, &sub_scale) in codes.sub_scales.iter().enumerate() {
            assert!((-32..32).contains(&sub_scale), "6-bit sub-scale {sub_scale}");
            let biased = (sub_scale + 32).cast_unsigned();
            low[i / 2] |= (biased & 15) << (4 * (i % 2));
            high |= u16::from(biased >> 4) << (2 * i);
        }
        Self {
            scale: codes.scale,
            sub_scales_high: U16::new(high),
            sub_scales_low: low,
            codes: core::array::from_fn(|i| bits::pack_nibbles(&codes.codes[32 * i..][..32])),
        }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scale, sub_scales, codes } = self.unpack();
        let scale = scale.to_f32();
        for (i, out) in out.chunks_exact_mut(32).enumerate() {
            let scale = scale * f32::from(sub_scales[i]);
            for (out, code) in out.iter_mut().zip(&codes[32 * i..]) {
                *out = scale * f32::from(LEVELS[usize::from(*code)]);
            }
        }
    }

    fn defect(&self) -> Option<Defect> {
        (!self.scale.is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    fn swap_bytes(self) -> Self {
        let sub_scales_high = U16::new(self.sub_scales_high.get().swap_bytes());
        Self { scale: self.scale.swap_bytes(), sub_scales_high, ..self }
    }
}
