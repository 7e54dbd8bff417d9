//! The nearest 4-bit floating-point level, for MXFP4 and NVFP4.

use granule_format::block::fp4::DOUBLED;

/// Returns the code whose level times `half_scale` is nearest to the value, the first of several
/// equally near. Errors are computed in `f32`.
pub(super) fn nearest(value: f32, half_scale: f32) -> u8 {
    let error = |code: usize| (f32::from(DOUBLED[code]) * half_scale - value).abs();
    (1..16).fold(0, |best, code| if error(code) < error(best) { code } else { best }) as u8
}

/// Vectorized form of [`nearest`]. The scale must be above zero, and the value at most 2²⁰ times
/// `half_scale`: for larger values, different errors round to the same number.
///
/// A value halfway between two levels gets the one nearer to zero, which has the lower code.
#[inline(always)]
pub(super) fn nearest_lanes(value: f32, half_scale: f32) -> u8 {
    let magnitude = value.abs();
    let mut code = 0;
    for midpoint in [0.5, 1.5, 2.5, 3.5, 5.0, 7.0, 10.0] {
        code += u8::from(magnitude > midpoint * half_scale);
    }
    let negative = (value < 0.0) & (code > 0);
    code | u8::from(negative) << 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_agree_near_every_midpoint() {
        for half_scale in [1.0, 1.5, 0.8125, 224.0, 2.0_f32.powi(-128), 2.0_f32.powi(100)] {
            for quarter in -64..=64 {
                let value = half_scale * 0.25 * quarter as f32;
                for value in [value.next_down(), value, value.next_up(), value * 1e3, value * 1e5] {
                    let (one, other) =
                        (nearest(value, half_scale), nearest_lanes(value, half_scale));
                    assert_eq!(one, other, "{value:e} with scale {half_scale:e}");
                }
            }
        }
    }
}
