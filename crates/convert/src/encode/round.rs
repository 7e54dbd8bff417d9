//! Rounding as the reference does it.

/// The nearest integer, halfway cases to even, for magnitudes below 2²².
///
/// Adding 1.5 · 2²³ leaves no room for a fraction, and the integer in the low bits. For larger
/// magnitudes, infinities and NaN the result is what these bits happen to be, which the reference's results depend on
/// for values near the ends of the range of `f32`.
#[inline(always)]
pub(super) fn to_even(value: f32) -> i32 {
    ((value + 12_582_912.0).to_bits() & 0x7f_ffff).cast_signed() - 0x40_0000
}
