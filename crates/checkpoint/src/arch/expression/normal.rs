//! Quantiles of the normal distribution.

/// The number below which a normally distributed variable is with probability `p`. `None` if `p` is
/// no probability. For 0 and 1 the result is the lowest or highest number, whose value in 32 bits
/// is infinite.
///
/// The steps in single precision are torch's: twice the probability minus one, the inverse of the
/// error function, the root of two. In between, this function is more exact than torch, and the
/// inverse is correctly rounded.
pub(super) fn quantile(p: f32) -> Option<f64> {
    let y = 2.0 * p - 1.0;
    match y {
        -1.0 => Some(f64::MIN),
        1.0 => Some(f64::MAX),
        _ if y.abs() < 1.0 => {
            let inverse = (standard(f64::from(y)) * std::f64::consts::FRAC_1_SQRT_2) as f32;
            Some(f64::from(inverse * std::f32::consts::SQRT_2))
        }
        _ => None,
    }
}

/// The quantile for the probability (y + 1) / 2, to about 16 digits.
///
/// M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied
/// Statistics 37 (1988), procedure PPND16: a quotient of polynomials in the middle, and two others
/// in the tails.
fn standard(y: f64) -> f64 {
    let q = y / 2.0;
    if q.abs() <= 0.425 {
        return q * quotient(&MIDDLE, 0.180_625 - q * q);
    }
    let r = (-(0.5 - q.abs()).ln()).sqrt();
    let tail = if r <= 5.0 { quotient(&NEAR, r - 1.6) } else { quotient(&FAR, r - 5.0) };
    tail.copysign(y)
}

/// Coefficients of numerator and denominator, the constant terms first.
type Quotient = [[f64; 8]; 2];

fn quotient([above, below]: &Quotient, x: f64) -> f64 {
    let value = |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * x + term);
    value(above) / value(below)
}

const MIDDLE: Quotient = [
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
];

const NEAR: Quotient = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        0.000_774_545_014_278_341_4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        0.000_547_593_808_499_534_5,
        1.050_750_071_644_416_9e-9,
    ],
];

const FAR: Quotient = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        0.000_027_115_555_687_434_876,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        0.000_786_869_131_145_613_2,
        0.000_018_463_183_175_100_548,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities, and the bits of what torch 2.11.0 gives for them.
    const TORCH: &[(f32, u32)] = &[
        (0.0, 0xff80_0000),
        (1e-7, 0xc0a7_0b2a),
        (0.0001, 0xc06e_04e9),
        (0.05, 0xbfd2_8a90),
        (0.5, 0),
        (0.75, 0x3f2c_ab5c),
        (0.9, 0x3fa4_09e1),
        (0.95, 0x3fd2_8a90),
        (0.99, 0x4014_e2e4),
        (0.999, 0x4045_c66e),
        (1.0, 0x7f80_0000),
    ];

    #[test]
    fn quantiles_are_those_of_torch() {
        for (p, bits) in TORCH {
            let found = quantile(*p).map(|value| (value as f32).to_bits());
            assert_eq!(found, Some(*bits), "{p}");
        }
    }

    #[test]
    fn what_is_no_probability_has_none() {
        for p in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            assert_eq!(quantile(p), None, "{p}");
        }
    }
}
