//! Little-endian numbers with alignment 1, as block structures hold them.
//!
//! `half::f16` has alignment 2 and native byte order, so it appears only at the edge: a block field
//! is an [`F16`], computing is done in `f32`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An IEEE half-precision number, stored little-endian in 2 bytes.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct F16([u8; 2]);

impl F16 {
    /// The nearest half-precision number; halfway cases go to the even neighbour.
    pub fn from_f32(value: f32) -> Self {
        Self::from_bits(half::f16::from_f32(value).to_bits())
    }

    /// From the 16 bits of the number.
    #[inline(always)]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits.to_le_bytes())
    }

    /// The 16 bits of the number.
    #[inline(always)]
    pub const fn to_bits(self) -> u16 {
        u16::from_le_bytes(self.0)
    }

    /// Converts to single precision, which is always exact. Has no branches and no checks of CPU
    /// features, so that loops over it vectorize.
    #[inline(always)]
    pub const fn to_f32(self) -> f32 {
        let bits = self.to_bits() as u32;
        let (sign, magnitude) = ((bits & 0x8000) << 16, (bits & 0x7fff) << 13);
        // the fields are in their places now, but the exponent's bias is 15 instead of 127;
        // multiplying by 2^112 corrects it, for subnormal numbers as well
        let finite = (f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)).to_bits();
        let result = if magnitude >= 0x7c00 << 13 { magnitude | 0x7f80_0000 } else { finite };
        f32::from_bits(sign | result)
    }

    /// Returns whether the number is neither infinite nor NaN.
    #[inline(always)]
    pub const fn is_finite(self) -> bool {
        self.to_bits() & 0x7c00 != 0x7c00
    }

    /// Returns the same two bytes in the other byte order.
    pub const fn swap_bytes(self) -> Self {
        Self([self.0[1], self.0[0]])
    }
}

impl core::fmt::Debug for F16 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.to_f32())
    }
}

#[cfg(test)]
mod tests {
    use super::F16;

    #[test]
    fn every_half_widens_exactly() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) =
                (F16::from_bits(bits).to_f32(), half::f16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
                "{bits:#06x}"
            );
        }
    }
}
