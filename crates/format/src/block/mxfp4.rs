//! MXFP4: 32 values in 17 bytes, 4.25 bits per value. See `spec/blocks/mxfp4.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, bits, fp4};

/// A power of two and 32 codes of 4 bits, each a floating-point number of 1 sign, 2 exponent and 1
/// mantissa bits (E2M1). The OCP microscaling format.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct MXFP4 {
    /// See [`Codes::exponent`].
    pub exponent: u8,
    /// Byte `i` holds the codes of value `i` (low nibble) and of value `i + 16`.
    pub codes: [u8; 16],
}

/// A [`MXFP4`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The scale is two to the power of `exponent - 127` (E8M0); 255 stands for NaN.
    pub exponent: u8,
    /// Indices into [`fp4::DOUBLED`], in the order of the values.
    pub codes: [u8; 32],
}

impl Block for MXFP4 {
    const TYPE: BlockType = BlockType::MXFP4;
    const LEN: usize = 32;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes = [0; 32];
        bits::unpack_nibbles(&self.codes, &mut codes);
        Codes { exponent: self.exponent, codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        Self { exponent: codes.exponent, codes: bits::pack_nibbles(&codes.codes) }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { exponent, codes } = self.unpack();
        let scale = fp4::half_e8m0(exponent);
        for (out, code) in out.iter_mut().zip(codes) {
            *out = f32::from(fp4::DOUBLED[usize::from(code)]) * scale;
        }
    }

    #[inline(always)]
    fn defect(&self) -> Option<Defect> {
        (self.exponent == 255).then_some(Defect::Exponent)
    }

    fn swap_bytes(self) -> Self {
        self
    }
}
