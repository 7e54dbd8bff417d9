//! TQ1_0: 256 values in 54 bytes, 1.6875 bits per value. See `spec/blocks/tq1_0.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect, ScaleField, bits};
use crate::num::F16;

/// 256 digits of base 3 and a scale; a value is `scale * (digit - 1)`.
///
/// A byte holds up to five digits `t` as the fraction `0.t0 t1 t2 t3 t4` in base 3, times 256,
/// rounded up. Multiplying by 3 moves a digit out above the byte.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
#[repr(C)]
pub struct TQ1_0 {
    /// The digits of values 0 to 239, five per byte: byte `i` below 32 holds values `i`, `i + 32`,
    /// ..., `i + 128`; byte `32 + i` holds values `160 + i`, `160 + i + 16`, ..., `160 + i + 64`.
    pub fives: [u8; 48],
    /// The digits of the last 16 values, four per byte: byte `i` holds values `240 + i`, `+ 4`, ...
    pub fours: [u8; 4],
    /// See [`Codes::scale`].
    pub scale: F16,
}

/// A [`TQ1_0`] block as plain numbers: the bytes as stored, because several bytes can stand for the
/// same digits. [`TQ1_0::digits`] returns the digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Bytes of five digits each.
    pub fives: [u8; 48],
    /// Bytes of four digits each.
    pub fours: [u8; 4],
    /// The step between two levels.
    pub scale: F16,
}

impl TQ1_0 {
    /// The digits, 0 to 2, in the order of the values.
    pub fn digits(&self) -> [u8; 256] {
        core::array::from_fn(|i| {
            let (byte, place) = match i {
                0..160 => (self.fives[i % 32], i / 32),
                160..240 => (self.fives[32 + i % 16], (i - 160) / 16),
                _ => (self.fours[i % 4], (i - 240) / 4),
            };
            let fraction = byte.wrapping_mul([1, 3, 9, 27, 81][place]);
            ((u16::from(fraction) * 3) >> 8) as u8
        })
    }

    /// The block with these digits, in the order of the values.
    ///
    /// # Panics
    /// If a digit is above 2.
    #[inline(always)]
    pub fn from_digits(digits: &[u8; 256], scale: F16) -> Self {
        bits::assert_below(3, digits);
        let mut fives = [0; 48];
        for (i, byte) in fives[..32].iter_mut().enumerate() {
            *byte = fraction([0, 1, 2, 3, 4].map(|place| digits[i + 32 * place]));
        }
        for (i, byte) in fives[32..].iter_mut().enumerate() {
            *byte = fraction([0, 1, 2, 3, 4].map(|place| digits[160 + i + 16 * place]));
        }
        let last = |i: usize, place: usize| if place < 4 { digits[240 + i + 4 * place] } else { 0 };
        let fours = core::array::from_fn(|i| fraction([0, 1, 2, 3, 4].map(|place| last(i, place))));
        Self { fives, fours, scale }
    }
}

/// Five digits as a fraction of 256, rounded up.
#[inline(always)]
fn fraction(digits: [u8; 5]) -> u8 {
    let number = digits.iter().fold(0, |number, digit| number * 3 + u16::from(*digit));
    (number * 256).div_ceil(243) as u8
}

impl Block for TQ1_0 {
    const TYPE: BlockType = BlockType::TQ1_0;
    const LEN: usize = 256;
    type Codes = Codes;

    fn unpack(&self) -> Codes {
        Codes { fives: self.fives, fours: self.fours, scale: self.scale }
    }

    #[inline(always)]
    fn pack(codes: &Codes) -> Self {
        Self { fives: codes.fives, fours: codes.fours, scale: codes.scale }
    }

    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), Self::LEN);
        let scale = self.scale.to_f32();
        for (out, digit) in out.iter_mut().zip(self.digits()) {
            *out = f32::from(digit as i8 - 1) * scale;
        }
    }

    #[inline(always)]
    fn defect(&self) -> Option<Defect> {
        (!self.scale.is_finite()).then_some(Defect::Scale(ScaleField::Scale))
    }

    fn swap_bytes(self) -> Self {
        Self { scale: self.scale.swap_bytes(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_five_digits_survive() {
        for number in 0..243_usize {
            let place = |i: usize| (number / [81, 27, 9, 3, 1][i] % 3) as u8;
            let mut digits: [u8; 256] = core::array::from_fn(|i| place(i.min(159) / 32));
            for (i, digit) in digits.iter_mut().enumerate().skip(160) {
                *digit = place(if i < 240 { (i - 160) / 16 } else { (i - 240) / 4 });
            }
            assert_eq!(TQ1_0::from_digits(&digits, F16::default()).digits(), digits, "{number}");
        }
    }
}
