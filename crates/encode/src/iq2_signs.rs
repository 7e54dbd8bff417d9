//! Signs and magnitudes of groups of 8 values, for the types with a sign pattern for each group.

/// Splits a group into signs (bit `i` is set if value `i` is negative) and magnitudes.
#[inline(always)]
pub(super) fn split(values: &[f32; 8]) -> (u8, [f32; 8]) {
    let mut signs = 0;
    for (i, value) in values.iter().enumerate() {
        signs |= u8::from(*value < 0.0) << i;
    }
    (signs, values.map(|value| if value >= 0.0 { value } else { -value }))
}

/// Like [`split`], but with an even number of negative signs. If the number is odd, the value that
/// matters least (smallest weighted square, the first of several) gets the wrong sign and a
/// negative magnitude.
#[inline(always)]
pub(super) fn split_evenly(values: &[f32; 8], weights: &[f32; 8]) -> (u8, [f32; 8]) {
    let (mut signs, mut magnitudes) = split(values);
    if signs.count_ones() % 2 == 1 {
        let cost: [f32; 8] = std::array::from_fn(|i| weights[i] * values[i] * values[i]);
        let mut least = 0;
        for i in 1..8 {
            if cost[i] < cost[least] {
                least = i;
            }
        }
        magnitudes[least] = -magnitudes[least];
        signs ^= 1 << least;
    }
    (signs, magnitudes)
}
