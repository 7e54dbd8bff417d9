//! NVFP4: 64 values in 36 bytes, 4.5 bits per value. See `spec/blocks/nvfp4.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, bits, fp4};

/// Four sub-blocks of 16 values, each with a scale of 8 bits (E4M3 without sign), and 64 codes of 4
/// bits as in [`MXFP4`](super::mxfp4::MXFP4).
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct NVFP4 {
    /// See [`Codes::scales`].
    pub scales: [u8; 4],
    /// Eight bytes for each sub-block: byte `i` holds the codes of its value `i` (low nibble) and
    /// of its value `i + 8`.
    pub codes: [[u8; 8]; 4],
}

/// A [`NVFP4`] block as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// One for each sub-block; see [`fp4::half_ue4m3`].
    pub scales: [u8; 4],
    /// Indices into [`fp4::DOUBLED`], in the order of the values.
    pub codes: [u8; 64],
}

impl Block for NVFP4 {
    const TYPE: BlockType = BlockType::NVFP4;
    const LEN: usize = 64;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        let mut codes = [0; 64];
        for (bytes, codes) in self.codes.iter().zip(codes.chunks_exact_mut(16)) {
            bits::unpack_nibbles(bytes, codes);
        }
        Codes { scales: self.scales, codes }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        let packed = core::array::from_fn(|i| bits::pack_nibbles(&codes.codes[16 * i..][..16]));
        Self { scales: codes.scales, codes: packed }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let Codes { scales, codes } = self.unpack();
        for (i, (out, code)) in out.iter_mut().zip(codes).enumerate() {
            *out = f32::from(fp4::DOUBLED[usize::from(code)]) * fp4::half_ue4m3(scales[i / 16]);
        }
    }

    fn swap_bytes(self) -> Self {
        self
    }
}
