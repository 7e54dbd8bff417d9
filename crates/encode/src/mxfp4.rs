//! MXFP4: the power of two below the largest magnitude. See `spec/blocks/mxfp4.md`.

use granule_format::Block;
use granule_format::block::fp4::half_e8m0;
use granule_format::block::{mxfp4, types};

use super::block_wise::{BlockWise, GROUP, group};
use super::{extremes, fp4};

/// Encoder of [`types::MXFP4`].
#[derive(Debug)]
pub(super) struct MXFP4;

impl BlockWise for MXFP4 {
    type Block = types::MXFP4;

    fn define(values: &[f32]) -> types::MXFP4 {
        let largest = values.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
        let exponent = exponent(largest, |largest| f64::from(largest).log2() as f32);
        let codes = std::array::from_fn(|i| fp4::nearest(values[i], half_e8m0(exponent)));
        types::MXFP4::pack(&mxfp4::Codes { exponent, codes })
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::MXFP4; GROUP]) {
        let values = group::<32>(values);
        let largest = extremes::largest_magnitudes(values);
        let exponents = largest.map(
            #[inline(always)]
            |largest| exponent(largest, |largest| floor_log2(largest) as f32),
        );
        let mut codes = [[0; 32]; GROUP];
        for k in 0..GROUP {
            let half_scale = half_e8m0(exponents[k]);
            for (code, value) in codes[k].iter_mut().zip(&values[k]) {
                *code = fp4::nearest_lanes(*value, half_scale);
            }
        }
        for (k, block) in blocks.iter_mut().enumerate() {
            *block = types::MXFP4::pack(&mxfp4::Codes { exponent: exponents[k], codes: codes[k] });
        }
    }
}

/// Returns the exponent for a block, modulo 256 as in the reference. Below 2⁻¹²⁵ it comes out
/// far too large, and the values decode to zero. If it would be 255, which means NaN, the smallest
/// exponent is correct.
#[inline(always)]
fn exponent(largest: f32, log2: impl Fn(f32) -> f32) -> u8 {
    if largest == 0.0 {
        return 0;
    }
    let exponent = (log2(largest).floor() as i32 + 125) as u8;
    if exponent == 255 { 0 } else { exponent }
}

/// Returns the base-2 logarithm of a positive number, computed in single precision and rounded
/// down.
///
/// Just below a power of two, the logarithm itself rounds up to that of the power. The spacing of
/// `f32` at the logarithm determines for how many numbers this happens.
#[inline(always)]
fn floor_log2(value: f32) -> i32 {
    let bits = value.to_bits();
    let shift = bits.leading_zeros().saturating_sub(8);
    let (mantissa, exponent) = match bits >> 23 {
        0 => (bits << shift, -126 - shift.cast_signed()),
        exponent => (bits & 0x7f_ffff | 0x80_0000, exponent.cast_signed() - 127),
    };
    // Half a unit in the last place of the logarithm, as steps of the 24-bit mantissa below 2²⁴:
    // ln 2 times the power of two at or below the logarithm's magnitude.
    let logarithm = if exponent >= 0 { exponent } else { -exponent - 1 };
    let steps = 88 >> (logarithm.cast_unsigned().leading_zeros().saturating_sub(24)).min(31);
    exponent + i32::from((1 << 24) - mantissa <= steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_agrees_below_every_power_of_two() {
        let check = |bits: u32| {
            let value = f32::from_bits(bits);
            let logarithm = f64::from(value).log2() as f32;
            assert_eq!(floor_log2(value), logarithm.floor() as i32, "{value:e}");
        };
        for exponent in 1..=255_u32 {
            (1..200).for_each(|below| check((exponent << 23) - below));
            if exponent < 255 {
                (0..200).for_each(|above| check((exponent << 23) + above * 41));
            }
        }
        for bit in 0..23 {
            (1..=(1 << bit).min(200)).for_each(|below| check((2 << bit) - below));
        }
    }
}
