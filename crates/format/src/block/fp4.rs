//! Parts that MXFP4 and NVFP4 share: 4-bit floating-point codes (E2M1) and 8-bit scales.
//!
//! Levels are kept doubled, so that they are integers, and scales halved in return.

/// Twice the value of each code: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
pub const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Half of an E8M0 scale: two to the power of `exponent - 128`. An exponent of 255 is treated like
/// the others.
#[inline]
pub const fn half_e8m0(exponent: u8) -> f32 {
    // Two to the power of -127 and below are subnormal: one bit of the mantissa.
    let bits = match exponent {
        0 | 1 => 1 << (21 + exponent),
        _ => (exponent as u32 - 1) << 23,
    };
    f32::from_bits(bits)
}

/// Half of an E4M3 scale without sign: 4 bits exponent with bias 7, 3 bits mantissa; exponent 0 is
/// subnormal. The highest bit is ignored; 0x7f, NaN elsewhere, stands for 0.
#[inline]
pub const fn half_ue4m3(byte: u8) -> f32 {
    if byte == 0x7f {
        return 0.0;
    }
    let (exponent, mantissa) = (byte >> 3 & 15, byte & 7);
    // In units of two to the power of -10: half of the smallest subnormal.
    let units = match exponent {
        0 => mantissa as u32,
        _ => (8 + mantissa as u32) << (exponent - 1),
    };
    units as f32 / 1024.0
}
