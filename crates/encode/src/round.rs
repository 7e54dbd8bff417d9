//! The reference's rounding, without branches, so that loops over it vectorize.

use granule_format::num::F16;

/// 1.5 · 2²³: a number added to it loses its fraction, and the integer ends up in the low bits.
pub(super) const SHIFT: f32 = 12_582_912.0;

/// Returns the nearest integer, halfway cases to even, for magnitudes below 2²².
///
/// For larger magnitudes, infinities and NaN the result is whatever bits the addition leaves. The
/// reference's results depend on them for values near the limits of `f32`.
#[inline(always)]
pub(super) fn to_even(value: f32) -> i32 {
    ((value + SHIFT).to_bits() & 0x7f_ffff).cast_signed() - 0x40_0000
}

/// Returns the nearest integer, halfway cases away from zero, for magnitudes below 2²².
#[inline(always)]
pub(super) fn away_from_zero(value: f32) -> i32 {
    let shifted = value + SHIFT;
    let even = shifted.to_bits().cast_signed() - SHIFT.to_bits().cast_signed();
    // Exact. Half a unit away from zero only if the value was halfway and rounded toward zero.
    let rest = value - (shifted - SHIFT);
    let away = 1 | value.to_bits().cast_signed() >> 31;
    even + if rest == 0.5_f32.copysign(value) { away } else { 0 }
}

/// Rounds a nonnegative value down, for magnitudes below 2²². Not a cast, because casts from
/// float to integer also handle values out of range.
#[inline(always)]
pub(super) fn down(value: f32) -> i32 {
    let shifted = value + SHIFT;
    let nearest = shifted.to_bits().cast_signed() - SHIFT.to_bits().cast_signed();
    nearest - i32::from(shifted - SHIFT > value)
}

/// Returns one divided by a step; zero if the step is zero or so small that the division overflows.
#[inline(always)]
pub(super) fn inverse(step: f32) -> f32 {
    let inverse = 1.0 / step;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// Returns the nearest half-precision number, halfway cases to even: the vectorized form of
/// [`F16::from_f32`].
#[inline(always)]
pub(super) fn f16(value: f32) -> F16 {
    let bits = value.to_bits();
    let sign = bits >> 16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    // Drops 13 bits of the mantissa. Adding just below half a unit of the remaining bits, and one
    // more if they are odd, carries into them as rounding does. Then the exponent's bias changes
    // from 127 to 15.
    let odd = magnitude >> 13 & 1;
    let normal = ((magnitude + 0xfff + odd) >> 13).wrapping_sub(112 << 10).min(0x7c00);
    // Below the smallest normal number, 2⁻¹⁴, the unit is 2⁻²⁴, the same as that of
    // single-precision numbers from 0.5 to 1.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
    let finite = if magnitude < 0x3880_0000 { subnormal } else { normal };
    let result = if magnitude > 0x7f80_0000 { 0x7e00 } else { finite };
    F16::from_bits((sign | result) as u16)
}

/// Computes [`f16`] of several numbers.
#[inline(always)]
pub(super) fn f16s<const N: usize>(values: &[f32; N]) -> [F16; N] {
    let mut halves = [F16::default(); N];
    for (half, value) in halves.iter_mut().zip(values) {
        *half = f16(*value);
    }
    halves
}

/// Returns the bits of the nearest BF16 number, halfway cases to even; NaN stays NaN.
#[inline(always)]
pub(super) fn bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let odd = bits >> 16 & 1;
    let rounded = bits.wrapping_add(0x7fff + odd) >> 16;
    let nan = bits >> 16 | 0x40;
    (if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded }) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns every half-precision number, every midpoint between two, and the neighbours of all
    /// of them.
    fn interesting() -> impl Iterator<Item = f32> {
        (0..=u16::MAX).flat_map(|bits| {
            let number = half::f16::from_bits(bits).to_f32().to_bits();
            let midpoint = number + (1 << 12);
            let upper = u32::from(bits) << 16;
            [number, midpoint, upper, upper | 0x8000]
                .into_iter()
                .flat_map(|bits| [bits.wrapping_sub(1), bits, bits.wrapping_add(1)])
                .map(f32::from_bits)
        })
    }

    #[test]
    fn f16_is_the_nearest_half() {
        // Midpoints of subnormal half-precision numbers have other bit patterns than those of
        // `interesting`.
        let subnormal = (0..2049).flat_map(|i| {
            let bits = (i as f32 * 0.5 * 2.0_f32.powi(-24)).to_bits();
            [bits.saturating_sub(1), bits, bits + 1].map(f32::from_bits)
        });
        for value in interesting().chain(subnormal.clone()).chain(subnormal.map(|v| -v)) {
            let (ours, theirs) = (f16(value), half::f16::from_f32(value));
            if value.is_nan() {
                assert!(ours.to_f32().is_nan());
            } else {
                assert_eq!(ours.to_bits(), theirs.to_bits(), "{value:e}");
            }
        }
    }

    #[test]
    fn bf16_is_the_nearest() {
        for value in interesting() {
            assert_eq!(bf16(value), half::bf16::from_f32(value).to_bits(), "{value:e}");
        }
    }

    #[test]
    fn integers_round_to_even_and_away_from_zero() {
        for i in -4000..4000 {
            for value in
                [i as f32 * 0.25, (i as f32 * 0.25).next_up(), (i as f32 * 0.25).next_down()]
            {
                assert_eq!(to_even(value), value.round_ties_even() as i32, "{value:e}");
                assert_eq!(away_from_zero(value), value.round() as i32, "{value:e}");
                if value >= 0.0 {
                    assert_eq!(down(value), value as i32, "{value:e}");
                }
            }
        }
    }
}
