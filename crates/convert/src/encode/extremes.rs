//! The largest and smallest values of a block: plain definitions, and forms that become vector
//! code and agree to the sign of zero.

const MAGNITUDE: u32 = 0x7fff_ffff;

/// The largest magnitude.
#[inline(always)]
pub(super) fn largest_magnitude(values: &[f32]) -> f32 {
    // Bits of numbers without sign are ordered as the numbers are.
    f32::from_bits(reduce(values, 0, |v| v.to_bits() & MAGNITUDE, u32::max))
}

/// The value of largest magnitude, the first if there are several; 0 if all are zero.
pub(super) fn first_largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0_f32, |largest, v| if largest.abs() < v.abs() { *v } else { largest })
}

/// [`first_largest`] as vector code.
#[inline(always)]
pub(super) fn first_largest_lanes(values: &[f32]) -> f32 {
    // As a signed number, the bits of any negative value are below those of any positive one; as an
    // unsigned number above.
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

/// The smallest and the largest value; of zeros with different signs the first.
pub(super) fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::MAX, -f32::MAX), |(min, max), v| {
        (if *v < min { *v } else { min }, if *v > max { *v } else { max })
    })
}

/// [`range`] as vector code, but for the sign of a largest value that is zero.
#[inline(always)]
pub(super) fn range_lanes(values: &[f32; 32]) -> (f32, f32) {
    let min = f32::from_bits(unordered(reduce(values, i32::MAX, ordered, i32::min)));
    let max = f32::from_bits(unordered(reduce(values, i32::MIN, ordered, i32::max)));
    (if min == 0.0 { first_zero(values) } else { min }, max)
}

/// Bits as a signed number that is ordered as the values are, -0 before 0.
#[inline(always)]
fn ordered(value: f32) -> i32 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()
}

/// Undo [`ordered`].
#[inline(always)]
fn unordered(ordered: i32) -> u32 {
    (ordered ^ ((ordered >> 31).cast_unsigned() >> 1).cast_signed()).cast_unsigned()
}

/// Combine the keys of all values, whose order does not matter: sixteen runs side by side, then
/// halves. Values beyond the last sixteen are not looked at.
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

#[cold]
fn first_zero(values: &[f32; 32]) -> f32 {
    *values.iter().find(|v| **v == 0.0).expect("one of the values")
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
            let (one, other) = (range(&values), range_lanes(&values));
            assert_eq!(one.0.to_bits(), other.0.to_bits(), "{values:?}");
            assert_eq!(one.1, other.1, "{values:?}");
        }
    }
}
