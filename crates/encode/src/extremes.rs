//! The largest and smallest values of a block: plain definitions, and vectorized forms that agree
//! with them, down to the sign of zero.

use super::block_wise::GROUP;

const MAGNITUDE: u32 = 0x7fff_ffff;

/// Returns the largest magnitude.
#[inline(always)]
pub(super) fn largest_magnitude(values: &[f32]) -> f32 {
    // The bits of nonnegative numbers have the same order as the numbers.
    f32::from_bits(reduce(values, 0, |v| v.to_bits() & MAGNITUDE, u32::max))
}

/// Returns the largest magnitude of each of several blocks.
#[inline(always)]
pub(super) fn largest_magnitudes<const N: usize>(blocks: &[[f32; N]; GROUP]) -> [f32; GROUP] {
    let mut largest = [0.0; GROUP];
    for (largest, values) in largest.iter_mut().zip(blocks) {
        *largest = largest_magnitude(values);
    }
    largest
}

/// Returns the value of largest magnitude, the first if there are several; 0 if all are zero.
pub(super) fn first_largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0_f32, |largest, v| if largest.abs() < v.abs() { *v } else { largest })
}

/// Vectorized form of [`first_largest`].
#[inline(always)]
pub(super) fn first_largest_lanes(values: &[f32]) -> f32 {
    // Read as signed integers, the bits of any negative value are below those of any positive one;
    // read as unsigned integers, they are above.
    let positive = reduce(values, 0, |v| v.to_bits().cast_signed(), i32::max).cast_unsigned();
    let negative = reduce(values, 0, f32::to_bits, u32::max);
    let negative_magnitude = if negative > MAGNITUDE { negative & MAGNITUDE } else { 0 };
    if positive > negative_magnitude {
        f32::from_bits(positive)
    } else if positive < negative_magnitude {
        f32::from_bits(negative)
    } else if positive == 0 {
        0.0
    } else {
        first_of_magnitude(values, positive)
    }
}

#[cold]
fn first_of_magnitude(values: &[f32], magnitude: u32) -> f32 {
    *values.iter().find(|v| v.to_bits() & MAGNITUDE == magnitude).expect("one of the values")
}

/// Returns the smallest and the largest value. Zeros of different signs count as equal: the first
/// is returned.
pub(super) fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::MAX, -f32::MAX), |(min, max), v| {
        (if *v < min { *v } else { min }, if *v > max { *v } else { max })
    })
}

/// Vectorized form of [`range`] for several blocks, except that a largest value of zero is always
/// positive zero.
#[inline(always)]
pub(super) fn ranges(blocks: &[[f32; 32]; GROUP]) -> ([f32; GROUP], [f32; GROUP]) {
    let (mut min, mut max) = ([0.0; GROUP], [0.0; GROUP]);
    for (k, values) in blocks.iter().enumerate() {
        min[k] = reduce(values, f32::MAX, |v| v, |a, b| if a < b { a } else { b });
        max[k] = reduce(values, -f32::MAX, |v| v, |a, b| if a > b { a } else { b });
        max[k] += 0.0;
    }
    if min.iter().fold(false, |any, min| any | (*min == 0.0)) {
        first_zeros(blocks, &mut min);
    }
    (min, max)
}

#[cold]
fn first_zeros(blocks: &[[f32; 32]; GROUP], min: &mut [f32; GROUP]) {
    for (min, values) in min.iter_mut().zip(blocks).filter(|(min, _)| **min == 0.0) {
        *min = *values.iter().find(|v| **v == 0.0).expect("one of the values");
    }
}

/// Combines the keys of all values in any order: sixteen runs in parallel, then by halves. Values
/// after the last whole sixteen are ignored.
#[inline(always)]
fn reduce<K: Copy>(
    values: &[f32],
    start: K,
    key: impl Fn(f32) -> K,
    combine: impl Fn(K, K) -> K,
) -> K {
    let mut runs = [start; 16];
    for values in values.as_chunks::<16>().0 {
        for (run, value) in runs.iter_mut().zip(values) {
            *run = combine(*run, key(*value));
        }
    }
    for half in [8, 4, 2, 1] {
        for k in 0..half {
            runs[k] = combine(runs[k], runs[k + half]);
        }
    }
    runs[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_agree_with_the_definitions_to_the_bit() {
        let pool = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-42, -1e-42, f32::MAX, -f32::MAX];
        let mut state = 7_u64;
        for round in 0..20_000 {
            let few = 1 + round % pool.len();
            let values: [f32; 32] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11);
                let i = (state >> 40) as usize;
                pool[(i % few + round) % pool.len()]
            });
            let (one, other) = (first_largest(&values), first_largest_lanes(&values));
            assert_eq!(one.to_bits(), other.to_bits(), "{values:?}");
            assert_eq!(one.abs(), largest_magnitude(&values), "{values:?}");
            let (one, (min, max)) = (range(&values), ranges(&[values; GROUP]));
            assert_eq!(min, [one.0; GROUP], "{values:?}");
            assert_eq!(min[3].to_bits(), one.0.to_bits(), "{values:?}");
            assert_eq!(max, [one.1; GROUP], "{values:?}");
            assert!(max[3] != 0.0 || max[3].is_sign_positive(), "{values:?}");
        }
    }
}
