//! Functions that give the same bits on every machine.

/// The exponential in double precision, with a relative error below 1e-14 for results that single
/// precision can hold; `x` is first brought to where these are.
#[inline(always)]
pub(crate) fn exp64(x: f64) -> f64 {
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    /// The natural logarithm of 2 in two parts, the first with zeros at its end.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    /// Adding it rounds to a whole number, which the lowest bits then hold.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // beyond these, results are zero or infinite in single precision
    let x = if x.is_nan() { x } else { x.clamp(-120.0, 120.0) };
    let shifted = x * LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    // 1 + r + r^2 / 2! + ... + r^12 / 12!, for |r| <= ln(2) / 2
    let mut sum = 1.0 / 479_001_600.0;
    for term in [
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * r + term;
    }
    let exponent = (shifted.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64);
    sum * f64::from_bits((exponent.wrapping_add(1023) as u64) << 52)
}

/// The exponential in single precision, with a relative error below 2e-7; `x` is first brought to
/// where results are neither zero nor infinite.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    /// The natural logarithm of 2 in two parts, the first with zeros at its end.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// As in [`exp64`].
    const ROUND: f32 = 12_582_912.0;
    let x = if x.is_nan() { x } else { x.clamp(-87.0, 88.0) };
    let shifted = x * LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    // 1 + r + r^2 / 2! + ... + r^7 / 7!, for |r| <= ln(2) / 2
    let mut sum = 1.0 / 5_040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * r + term;
    }
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    sum * f32::from_bits((exponent.wrapping_add(127) as u32) << 23)
}

/// 1 / (1 + exp(-x)).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The sum of a function of all numbers, in sixteen sums.
#[inline(always)]
pub(crate) fn sum64(x: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0_f64; 16];
    let (parts, rest) = x.as_chunks::<16>();
    for x in parts {
        for lane in 0..16 {
            sums[lane] += of(f64::from(x[lane]));
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += of(f64::from(*x));
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}

/// The largest number that is one.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (parts, rest) = x.as_chunks::<16>();
    for x in parts {
        for lane in 0..16 {
            lanes[lane] = larger(lanes[lane], x[lane]);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

/// Replaces numbers by their exponentials, scaled to a sum of one; `extra` takes part in the sum.
#[inline(always)]
pub(crate) fn softmax(x: &mut [f32], extra: Option<f32>) {
    let largest = largest(x).max(extra.unwrap_or(f32::NEG_INFINITY));
    for x in x.iter_mut() {
        *x = exp(*x - largest);
    }
    let extra = extra.map_or(0.0, |extra| f64::from(exp(extra - largest)));
    let scale = (1.0 / (sum64(x, |x| x) + extra)) as f32;
    for x in x.iter_mut() {
        *x *= scale;
    }
}

/// Brings a number between `cap` and its negative, without a step.
pub(crate) fn soft_cap(x: f32, cap: f32) -> f32 {
    let x = f64::from(x / cap);
    (f64::from(cap) * libm::tanh(x)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials() {
        for i in -10_300..8_880 {
            let x = i as f32 / 100.0;
            let (found, expected) = (exp64(f64::from(x)), libm::exp(f64::from(x)));
            assert!((found / expected - 1.0).abs() < 1e-14, "{x}: {found} {expected}");
        }
        assert!(exp64(f64::NAN).is_nan());
        for i in -8_700..8_800 {
            let x = i as f32 / 100.0;
            let (found, expected) = (f64::from(exp(x)), libm::exp(f64::from(x)));
            assert!((found / expected - 1.0).abs() < 2e-7, "{x}: {found} {expected}");
        }
        assert!(exp(0.0) == 1.0 && exp(f32::NEG_INFINITY) < 1e-37 && exp(f32::NAN).is_nan());
    }

    #[test]
    fn shares_add_up_to_one() {
        let mut x = [3.0, f32::NEG_INFINITY, 1.0];
        softmax(&mut x, None);
        assert!((x.iter().sum::<f32>() - 1.0).abs() < 1e-6 && x[1] < 1e-37, "{x:?}");
        let mut x = [0.0, 0.0];
        softmax(&mut x, Some(0.0));
        assert!((x[0] - 1.0 / 3.0).abs() < 1e-7, "{x:?}");
        let wave = |i: usize| (i * 7919 % 1013) as f32 * 0.01;
        let mut shares: Vec<f32> = (0..37).map(wave).collect();
        let sum: f64 = (0..37).map(|i| libm::exp(f64::from(wave(i)))).sum::<f64>() + libm::exp(2.0);
        softmax(&mut shares, Some(2.0));
        for (i, share) in shares.iter().enumerate() {
            let expected = libm::exp(f64::from(wave(i))) / sum;
            assert!((f64::from(*share) / expected - 1.0).abs() < 1e-6, "{i}: {share} {expected}");
        }
    }

    #[test]
    fn sums_and_maxima_of_all_lengths() {
        for length in 0..40_u8 {
            let x: Vec<f32> = (0..length).map(f32::from).collect();
            let squares: u32 = (0..u32::from(length)).map(|x| x * x).sum();
            assert_eq!(sum64(&x, |x| x * x), f64::from(squares), "{length} values");
            let expected = x.last().copied().unwrap_or(f32::NEG_INFINITY);
            assert_eq!(largest(&x), expected, "{length} values");
        }
        assert_eq!(largest(&[f32::NAN, -3.0]), -3.0);
    }

    #[test]
    fn caps() {
        assert_eq!(soft_cap(0.0, 30.0), 0.0);
        assert!((soft_cap(1000.0, 30.0) - 30.0).abs() < 1e-5);
    }
}
