//! Q8_K: 256 values in 292 bytes, 9.125 bits per value: activations, not files. See
//! `spec/blocks/q8_k.md`.

use zerocopy::little_endian::{F32, I16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField};

/// A scale in full precision, 256 codes of 8 bits and the sum of each 16 codes; a value is
/// `scale * code`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct Q8_K {
    /// See [`Codes::scale`].
    pub scale: F32,
    /// See [`Codes::codes`].
    pub codes: [i8; 256],
    /// See [`Codes::sums`].
    pub sums: [I16; 16],
}

/// A [`Q8_K`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The step between two levels.
    pub scale: f32,
    /// -128 to 127; encoders use -127 to 127.
    pub codes: [i8; 256],
    /// The sum of each 16 codes.
    pub sums: [i16; 16],
}

impl Block for Q8_K {
    const TYPE: BlockType = BlockType::Q8_K;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        Codes { scale: self.scale.get(), codes: self.codes, sums: self.sums.map(I16::get) }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        let (scale, sums) = (F32::new(codes.scale), codes.sums.map(I16::new));
        Self { scale, codes: codes.codes, sums }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let scale = self.scale.get();
        for (out, code) in out.iter_mut().zip(self.codes) {
            *out = scale * f32::from(code);
        }
    }

    #[inline(always)]
    fn defect(&self) -> Option<Defect> {
        (!self.scale.get().is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    fn swap_bytes(self) -> Self {
        let scale = F32::from_bytes(reversed(self.scale.to_bytes()));
        let sums = self.sums.map(|sum| I16::from_bytes(reversed(sum.to_bytes())));
        Self { scale, sums, ..self }
    }
}

fn reversed<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    bytes.reverse();
    bytes
}
